"""What is on record comes out again as it was."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from mwan_hook.explain.frames import Frame, frames
from mwan_hook.explain.judging import verdicts_of
from mwan_hook.explain.replay import played
from mwan_hook.model import FAMILIES, State
from tests.unit.explain.pasts import Lived, Machine

EVER = float("inf")


def recorded(root: str) -> list[Frame]:
    return list(frames(root, -EVER, EVER))


def without_loans(state: State) -> State:
    """The verdicts of a state: what dialled it beside, of which the record has the names alone."""
    return verdicts_of(state)._replace(dials={}, drains={})


@settings(max_examples=60)
@given(st.randoms(use_true_random=False), st.integers(3, 20))
def test_a_record_is_played_exactly_as_it_was(lot: Random, runs: int) -> None:
    with tempfile.TemporaryDirectory() as root:
        Path(root, "run/mwan-hook").mkdir(parents=True)
        lives = list(Machine(lot, root).live(runs))
        found = recorded(root)
    assert [frame.now for frame in found] == [lived.at.now for lived in lives]
    for number, (frame, lived) in enumerate(zip(found, lives, strict=True)):
        assert_same(frame, lived)
        assert frame.gap is (number == 0)
        assert number == 0 or frame.before == found[number - 1].state
    for one in played(found):
        assert one.happened == one.frame.happened


def assert_same(frame: Frame, lived: Lived) -> None:
    assert (frame.wall, frame.short, frame.happened) == (lived.at.wall, lived.short, lived.told)
    assert without_loans(frame.before) == without_loans(lived.before)
    assert without_loans(frame.state) == without_loans(lived.after)
    places = [[(one.name, one.preference(family)) for family in FAMILIES] for one in lived.uplinks]
    assert [[(one.name, one.preference(family)) for family in FAMILIES] for one in frame.uplinks] == places
