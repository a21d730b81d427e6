"""What the kernel, or a walk through its rules, is asked about one packet.  Pure."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Family

UDP = 17


class Question(NamedTuple):
    """What is asked.  Forwarded packets have ``iif``, those of this machine may have ``oif``."""

    family: Family
    destination: str
    source: str | None = None
    iif: int = 0
    oif: int = 0
    mark: int = 0
    proto: int = UDP  # what the kernel takes where none is given
    sport: int = 0
    dport: int = 0
    uid: int = 0
