"""Bring an interface to what its bearer says: stored first, then set, so that a kill leaves nothing unknown."""

from __future__ import annotations

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.light import NamedTuple
from mwan_hook.model import Route
from mwan_hook.modem import interface, memory
from mwan_hook.modem.bus import Caller, tell_servers
from mwan_hook.modem.memory import Dialled
from mwan_hook.modem.place import Placing, placing
from mwan_hook.modem.values import BearerSeen


class Connected(NamedTuple):
    """What a dial led to, for the line that tells of it."""

    placing: Placing
    metrics: tuple[str, ...]  # of the defaults, as FAMILY METRIC
    trouble: str = ""


class Difference(NamedTuple):
    """What an interface lacks, and what is on it that is ours and no longer wanted."""

    addresses: tuple[str, ...]
    defaults: tuple[Route, ...]
    kept: tuple[str, ...]  # metrics of defaults that stand
    old_addresses: tuple[str, ...]
    old_metrics: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether there is something to do."""
        return bool(self.addresses or self.defaults or self.old_addresses or self.old_metrics)


def place(root: str, name: str, bus: Caller, known: Dialled, bearer: BearerSeen, metric: int) -> Connected:
    """Set address, default, MTU and name servers.  Raises DialError."""
    link = interface.link(name)
    if not link:
        raise DialError(causes.NO_MODEM, f"the interface {name} went away")
    wanted = placing(bearer, link.index, link.noarp, metric)
    if known.index != link.index:  # plugged in again since: nothing is on it
        known = known._replace(index=link.index, addresses=(), metrics=())
    there = difference(wanted, known, *interface.standing(link.index))
    if there.any or not link.up:
        known = _set(root, name, known, wanted, there)
    trouble = tell_servers(bus, link.index, wanted.servers) if wanted.servers else ""
    return Connected(wanted, known.metrics, trouble)


def difference(wanted: Placing, known: Dialled, addresses: set[str], defaults: list[Route]) -> Difference:
    """Compare what a bearer says with what stands on the interface and what of it is ours."""
    kept = [one for one in defaults if interface.entry(one) in known.metrics and _among(one, wanted.defaults)]
    metrics = tuple([interface.entry(one) for one in kept])
    return Difference(
        tuple([one for one in wanted.addresses if one not in addresses]),
        tuple([one for one in wanted.defaults if not _among(one, kept)]),
        metrics,
        tuple([one for one in known.addresses if one not in wanted.addresses]),
        tuple([one for one in known.metrics if one not in metrics]),
    )


def _among(route: Route, others: tuple[Route, ...] | list[Route]) -> bool:
    """Whether one of them leads the same way, its metric aside."""
    return any(
        (route.family, route.src, route.nexthops[0].gateway) == (other.family, other.src, other.nexthops[0].gateway)
        for other in others
    )


def _set(root: str, name: str, known: Dialled, wanted: Placing, there: Difference) -> Dialled:
    """Old things go first: another address of the same network may stand in the way."""
    ours = tuple([one for one in wanted.addresses if one in known.addresses or one in there.addresses])
    known = known._replace(addresses=tuple(dict.fromkeys((*known.addresses, *ours))))
    memory.remember(root, name, known)
    interface.prepare(known.index, wanted.mtu)
    interface.clear(known.index, there.old_addresses, there.old_metrics)
    interface.address(known.index, there.addresses)
    known = known._replace(addresses=ours, metrics=there.kept)
    memory.remember(root, name, known)
    for route in there.defaults:
        stood = known.metrics

        def announce(turn: Route, stood: tuple[str, ...] = stood) -> None:
            nonlocal known
            known = known._replace(metrics=(*stood, interface.entry(turn)))
            memory.remember(root, name, known)

        interface.default(route, announce)
    return known
