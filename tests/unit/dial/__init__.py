"""The room dial/: what is wanted, what comes next, and what is told of it."""
