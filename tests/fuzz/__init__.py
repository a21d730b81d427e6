"""What comes from outside, bent at random; the rules are in :mod:`tests.fuzz.rules`."""
