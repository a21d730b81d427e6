"""A run judged again from what it saw says what it said."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.explain.judging import judged, verdicts_of
from mwan_hook.model import State
from tests.unit.explain.pasts import Machine


@settings(max_examples=30)
@given(st.integers(0, 1 << 32), st.integers(5, 25))
def test_judged_again_from_what_it_saw_a_run_tells_the_same(seed: int, runs: int) -> None:
    state = State("boot")
    for lived in Machine(Random(seed)).live(runs):
        again = judged(state, lived.config, lived.seen, lived.rounds, lived.at)
        assert again.happened == lived.told
        assert verdicts_of(again.state) == verdicts_of(lived.after)
        assert again.uplinks == lived.uplinks
        state = again.state
