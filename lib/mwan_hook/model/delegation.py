"""IPv6 prefixes that providers delegate."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class OnLink(NamedTuple):
    """An IPv6 network that is reached directly."""

    index: int  # type: ignore[assignment]  # not tuple.index
    prefix: str


class Delegated(NamedTuple):
    """An IPv6 prefix that a provider has delegated to this machine, and what became known of it."""

    prefix: str
    interface: str = ""  # that it came by; empty: not known so far
    since: float = 0.0  # when it came
    asked: float = 0.0  # when it was asked last where it came from
    gone: bool = False  # it is no longer there, and nothing has come in its place
    lans: tuple[OnLink, ...] = ()  # where hosts have addresses of it
    leased: bool = False  # networkd, or a client's file, said that its uplink has a lease of it
    hidden: bool = False  # no route and no address shows it, but it is leased


class Claims(NamedTuple):
    """Prefixes, each with the interfaces that have a lease of it, who had it first in front."""

    leases: Mapping[str, Sequence[str]] = {}  # what networkd has leases of now; 252 does not tell
    journal: Mapping[str, Sequence[str]] = {}
    written: Mapping[str, Sequence[str]] = {}

    def holders(self) -> dict[str, list[str]]:
        """All together: the journal tells the order, and who is there where networkd does not."""
        found: dict[str, list[str]] = {}
        for prefix, interfaces in self.journal.items():
            current = self.leases.get(prefix, ()) if self.leases else interfaces
            for interface in (one for one in interfaces if one in current):
                found.setdefault(prefix, []).append(interface)
        for source in (self.leases, self.written):
            for prefix, interfaces in source.items():
                holders = found.setdefault(prefix, [])
                holders += [interface for interface in interfaces if interface not in holders]
        return found

    def current(self, prefix: str, interface: str) -> bool:
        """Whether networkd, or a client's file, says that the interface has it now."""
        return interface in self.leases.get(prefix, ()) or interface in self.written.get(prefix, ())
