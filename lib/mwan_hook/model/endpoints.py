"""Endpoints of MPTCP's path manager in the kernel, and what is remembered of ours."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple

# flags of an endpoint (linux/mptcp_pm.h)
SUBFLOW, BACKUP, IMPLICIT = 0x2, 0x4, 0x10


class Mptcp(str, Enum):
    """What MPTCP connections use an uplink for."""

    YES = "yes"
    BACKUP = "backup"
    NO = "no"


class Endpoint(NamedTuple):
    """An endpoint: an address that MPTCP connections open further subflows from, by the device with ``index``."""

    address: str
    id: int = 0
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    flags: int = SUBFLOW
    port: int = 0

    @property
    def backup(self) -> bool:
        """True if its subflows carry data only while no other can."""
        return bool(self.flags & BACKUP)


class PathManager(NamedTuple):
    """What is remembered of our endpoints.  An endpoint of the kernel is ours if address and id are those noted."""

    ids: dict[str, int] = {}  # by ADDRESS%INDEX, noted before the endpoint is made; gone ones keep theirs for a while
    before: int | None = None  # the kernel's limit of subflows before we raised it ...
    raised: tuple[int, ...] = ()  # ... and what we raised it to: any other value is someone else's
    said: tuple[str, ...] = ()  # addresses for which there was no room, said once
    looked: float = 0.0  # when that was seen which led to the last change


class Paths(NamedTuple):
    """What MPTCP's path manager has now."""

    endpoints: tuple[Endpoint, ...] = ()
    limit: int = 0  # of subflows that a connection may have beside its first
