"""Uplinks that are dialled: which are wanted, what comes next, in which words, and what is told of it.  Pure."""
