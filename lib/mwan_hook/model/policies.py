"""What the configuration says of policies."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple


class Fallback(str, Enum):
    """What becomes of a policy's packets while none of its uplinks is online."""

    DEFAULT = "default"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"


class Policy(NamedTuple):
    """One ``[[NAME]]`` of ``[policies]``.  Of each selector any alternative is enough; none given: any packet."""

    name: str
    sources: tuple[str, ...] = ()  # prefixes; a host without length
    destinations: tuple[str, ...] = ()
    protocols: tuple[int, ...] = ()
    sport: tuple[tuple[int, int], ...] = ()  # ranges
    dport: tuple[tuple[int, int], ...] = ()
    iif: tuple[str, ...] = ()
    marks: tuple[tuple[int, int | None], ...] = ()  # mark and mask
    uids: tuple[tuple[int, int], ...] = ()
    order: tuple[tuple[str, ...], ...] = ()  # by preference; those of one entry share
    fallback: Fallback = Fallback.DEFAULT
    sticky: int = 0  # seconds that a source keeps its uplink; 0: each connection for itself
    macs: tuple[str, ...] = ()  # of the senders
    dscp: tuple[int, ...] = ()

    @property
    def uplinks(self) -> tuple[str, ...]:
        """All names of its order."""
        return tuple([name for entry in self.order for name in entry])

    @property
    def by_marks(self) -> bool:
        """Whether it chooses by what the kernel's rules have no words for."""
        return bool(self.macs or self.dscp)

    @property
    def marked(self) -> bool:
        """Whether it needs our nft table."""
        return self.by_marks or self.sticky > 0

    @property
    def forwards(self) -> bool:
        """Whether it can choose forwarded packets."""
        return not self.uids and (not self.iif or any(name != "lo" for name in self.iif))

    @property
    def marks_own(self) -> bool:
        """Whether nft chooses packets of this machine for it."""
        return bool(self.dscp) and not self.macs and (not self.iif or "lo" in self.iif)
