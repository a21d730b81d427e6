"""Round trips and losses of the last hour, from the record as it grows; without one, from the state from now on."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Family, FamilyState, RoundRecord, RunRecord, State
from mwan_hook.store import files, recording

Key = tuple[str, Family]

SPAN = 3600.0  # seconds that are shown
RUN = b'"k":"run"'
LARGEST = 4 << 20  # bytes that are read at once


class Sample(NamedTuple):
    """One round."""

    wall: float  # seconds since the epoch
    sent: int
    lost: int
    rtt_ms: float | None  # the quickest answer's


class Pulse:
    """Samples by uplink and family, the oldest first."""

    def __init__(self, root: str) -> None:
        self.samples: dict[Key, list[Sample]] = {}
        self._path = files.under(root, files.RECORD)
        self._place = (0, 0)  # inode, and bytes that were read
        self._probed: dict[Key, float] = {}

    def add(self, state: State, offset: float, wall: float) -> None:
        """Take what is new.  ``offset``: of CLOCK_BOOTTIME to the epoch."""
        begun = wall - SPAN
        recorded = self._new_lines(begun)
        if self._place == (0, 0):
            for key, sample in self._by_state(state, offset):
                self.samples.setdefault(key, []).append(sample)
        for record in recorded:
            for one in record.rounds:
                taken = sample_of(one, record.at.wall - record.at.now)
                if taken and taken.wall >= begun:
                    self.samples.setdefault((one.uplink, one.family), []).append(taken)
        for key, found in self.samples.items():
            if found and found[0].wall < begun:
                self.samples[key] = [sample for sample in found if sample.wall >= begun]

    def _by_state(self, state: State, offset: float) -> Iterator[tuple[Key, Sample]]:
        """Rounds that the state tells of, where there is no record; those in between are missed."""
        for name, memory in state.uplinks.items():
            for family in FAMILIES:
                known, key = memory.family(family), (name, family)
                if known.probed_at and known.probed_at != self._probed.get(key):
                    self._probed[key] = known.probed_at
                    yield key, _of_state(known, offset)

    def _new_lines(self, begun: float) -> Iterable[RunRecord]:
        """The runs that were written down since the last time."""
        before = self._place
        found = _grown(self._path, before)
        if found is None:
            return ()
        self._place, content = found
        if self._place[0] != before[0]:  # what was written before it was begun ends in the file beside it
            beside = _grown(f"{self._path}.1", before)
            if beside and before[0] in (0, beside[0][0]):
                content = beside[1] + content
        found_runs = (recording.parsed(line) for line in content.splitlines() if RUN in line)
        return [one for one in found_runs if isinstance(one, RunRecord) and one.at.wall >= begun]


def sample_of(one: RoundRecord, offset: float) -> Sample | None:
    """A recorded round; None where nothing was asked but a portal."""
    if one.measured is not None:
        trips = one.measured.rtts
        return Sample(offset + one.begun, one.measured.sent, one.measured.lost, min(trips, default=None))
    asked = [answer for answer in one.answers if not answer.portal]
    times = [answer.rtt_ms for answer in asked if answer.rtt_ms is not None]
    if not asked:
        return None
    return Sample(offset + one.begun, len(asked), len(asked) - len(times), min(times, default=None))


def _of_state(known: FamilyState, offset: float) -> Sample:
    times = [target.rtt_ms for target in known.targets if target.rtt_ms is not None]
    sent = max(1, len(known.targets))
    lost = sent - (len(times) or (known.latency_ms is not None))
    return Sample(offset + (known.probed_at or 0.0), sent, lost, known.latency_ms)


def _grown(path: str, known: tuple[int, int]) -> tuple[tuple[int, int], bytes] | None:
    """Whole lines behind what is ``known``, and how far they go; None where there is no file."""
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            begin = known[1] if known[0] == status.st_ino and known[1] <= status.st_size else 0
            begin = max(begin, status.st_size - LARGEST)
            file.seek(begin)
            content = file.read(LARGEST)
    except OSError:
        return None
    whole = content[: content.rfind(b"\n") + 1]
    return (status.st_ino, begin + len(whole)), whole
