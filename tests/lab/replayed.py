"""What a machine has on record is played, and has to tell what its history has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from mwan_hook.explain.frame import Frame
from mwan_hook.explain.frames import alike, frames
from mwan_hook.explain.judging import verdicts_of
from mwan_hook.explain.replay import JUDGED, played
from mwan_hook.model import FAMILIES, FamilyState, State, Transition
from mwan_hook.store import history
from mwan_hook.store import state as states

EVER = float("inf")


def differences(root: Path) -> list[str]:
    """What is told otherwise when it is played; nothing, for every machine that has only run the program."""
    found = list(frames(str(root), -EVER, EVER))
    stored, _ = states.load(str(root), writes=False)
    return [
        *_retold(found),
        *_drifted(found),
        *(_left(found[-1], stored) if found else ()),
        *_untold(found, history.read(str(root))),
    ]


def _retold(found: Sequence[Frame]) -> Iterator[str]:
    """Transitions that are not those of the run that told them."""
    for one in played(found, (), hurry=True):
        for told in one.frame.happened:
            if told not in one.happened:
                yield f"told at {told.at:.3f}, and not when it is played: {told}"
        for made in one.happened:
            if made not in one.frame.happened:
                yield f"not told at {one.frame.wall:.3f}, but when it is played: {made}"


def _drifted(found: Sequence[Frame]) -> Iterator[str]:
    """Stored states that are not what the runs before them led to."""
    for last, frame in pairwise(found):
        if not frame.gap and frame.before != last.state:
            yield f"stored before {frame.now:.3f}, played: {'; '.join(_fields(frame.before, last.state))}"


def _left(last: Frame, stored: State) -> Iterator[str]:
    """What is stored now, and was not left by the last run on record, if that has stored it."""
    known = verdicts_of(stored)
    if (last.boot, last.now) == (stored.boot_id, stored.saved_at) and not alike(last.state, known):
        yield f"stored at {last.now:.3f}, played: {'; '.join(_fields(known, last.state))}"


def _fields(stored: State, played_: State) -> Iterator[str]:
    for field in State._fields:
        was, made = getattr(stored, field), getattr(played_, field)
        if field != "uplinks" and was != made:
            yield f"{field} {was}, {made}"
    for name in {*stored.uplinks, *played_.uplinks}:
        one, other = stored.uplinks.get(name), played_.uplinks.get(name)
        for family in FAMILIES if one and other else ():
            for key in FamilyState._fields:
                was, made = (getattr(each.family(family), key) for each in (one, other) if each)
                if was != made:
                    yield f"{name} {family.value} {key} {was}, {made}"


def _untold(found: Sequence[Frame], known: Sequence[Transition]) -> Iterator[str]:
    """Transitions of the history that no run on record has told, where every run is on record."""
    told = {one for frame in found for one in frame.happened}
    if not found or any(frame.gap for frame in found[1:]):
        return
    for one in known:
        if one.event in JUDGED and one not in told and found[0].wall <= one.at <= found[-1].wall:
            yield f"in the history, and of no run on record: {one}"
