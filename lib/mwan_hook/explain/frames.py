"""What the record shows of a machine's past, one run of the program after the other."""

from __future__ import annotations

from mwan_hook.explain.chain import LONGEST, frames_of
from mwan_hook.explain.frame import Frame as Frame  # noqa: PLC0414 - where others look for it
from mwan_hook.explain.frame import Seen as Seen  # noqa: PLC0414
from mwan_hook.store import recording

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def frames(root: str, since: float, until: float) -> Iterator[Frame]:
    """All that is recorded between two moments, seconds since the epoch, the oldest first.  Raises MwanError."""
    for frame in frames_of(recording.read(root, since - LONGEST), since):
        if since <= frame.wall <= until:  # a clock that was wrong for a while ends nothing
            yield frame
