"""Benchmarks: ratios inside one run, never part of the tests.  `tests/bench/run` prints the table."""
