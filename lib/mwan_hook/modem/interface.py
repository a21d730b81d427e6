"""Bring an interface to what its bearer says: stored first, then set, so that a kill leaves nothing unknown.

What stands already is left alone.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from errno import EADDRNOTAVAIL, EEXIST, ENODEV, ENOENT, ESRCH

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.kernel import build, bulk, interfaces, wire
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, MAIN_TABLE, PROTOCOL, Family, Link, Nexthop, Route
from mwan_hook.modem import memory
from mwan_hook.modem.bus import Caller, tell_servers
from mwan_hook.modem.memory import Dialled
from mwan_hook.modem.place import STATIC, Placing, placing, turns
from mwan_hook.modem.values import BearerSeen

GONE = (EADDRNOTAVAIL, ENODEV, ENOENT, ESRCH)


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


def link(name: str) -> Link | None:
    """The interface of that name."""
    with Reader(PROTOCOL) as reader:
        return next((one for one in reader.links() if one.name == name), None)


def standing(index: int) -> tuple[set[str], list[Route]]:
    """Addresses on an interface as ADDRESS/LENGTH, and main's defaults by it that an administrator has set."""
    with Reader(PROTOCOL) as reader:
        links = reader.links()
        addresses = {f"{one.address}/{one.prefixlen}" for one in reader.addresses() if one.index == index}
        defaults = [
            route
            for family in reader.families()
            for route in reader.defaults_of_main(family, links, dead=True)
            if route.protocol == STATIC and [hop.index for hop in route.nexthops] == [index]
        ]
    return addresses, defaults


def _prepare(index: int, mtu: int) -> None:
    """Set the interface up, with the network's MTU if it takes that.  Raises DialError."""
    if mtu:
        bulk.send([interfaces.resized(index, mtu)])  # a modem that cannot have it goes on with its own
    _must([interfaces.switched(index, up=True)], (), "cannot set the interface up")


def clear(index: int, addresses: Sequence[str], metrics: Sequence[str]) -> None:
    """Take addresses and defaults of ours away.  Raises DialError; what is gone is no failure."""
    messages = [build.deletion(_former(index, one)) for one in metrics]
    messages += [interfaces.address(index, one, add=False) for one in addresses]
    _must(messages, GONE, "cannot take the address away")


def down(index: int) -> None:
    """Set the interface down: what advertisements have brought goes with it."""
    _must([interfaces.switched(index, up=False)], GONE, "cannot set the interface down")


def entry(route: Route) -> str:
    """How a default is remembered."""
    return f"{route.family.value} {route.metric}"


def _former(index: int, entry: str) -> Route:
    """What of a default the kernel compares when it deletes one: a scope of 255 is any, and so is no gateway."""
    word, _, metric = entry.partition(" ")
    family = next(one for one in FAMILIES if one.value == word)
    scope = 255 if family is Family.IPV4 else 0
    return Route(family, MAIN_TABLE, metric=int(metric), nexthops=(Nexthop(index),), scope=scope, protocol=STATIC)


def _must(messages: Sequence[bytes], fine: Sequence[int], words: str) -> None:
    """Send all; raise DialError for the first that is refused, unless that is ``fine``."""
    wrong = [(code, said) for _, (code, said) in sorted(bulk.send(messages).items()) if code not in fine]
    if wrong:
        code, said = wrong[0]
        raise DialError(causes.NO_NETWORK, f"{words}: {said or os.strerror(code)}")


def place(root: str, name: str, bus: Caller, known: Dialled, bearer: BearerSeen, metric: int) -> Connected:
    """Set address, default, MTU and name servers.  Raises DialError."""
    seen = link(name)
    if not seen:
        raise DialError(causes.NO_MODEM, f"the interface {name} went away")
    wanted = placing(bearer, seen.index, seen.noarp, metric)
    if known.index != seen.index:  # plugged in again since: nothing is on it
        known = known._replace(index=seen.index, addresses=(), metrics=())
    there = _difference(wanted, known, *standing(seen.index))
    if there.any or not seen.up:
        known = _set(root, name, known, wanted, there)
    trouble = tell_servers(bus, seen.index, wanted.servers) if wanted.servers else ""
    return Connected(wanted, known.metrics, trouble)


def _difference(wanted: Placing, known: Dialled, addresses: set[str], defaults: list[Route]) -> Difference:
    """Compare what a bearer says with what stands on the interface and what of it is ours."""
    kept = [one for one in defaults if entry(one) in known.metrics and _among(one, wanted.defaults)]
    metrics = tuple([entry(one) for one in kept])
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
    _prepare(known.index, wanted.mtu)
    clear(known.index, there.old_addresses, there.old_metrics)
    new = [interfaces.address(known.index, one, add=True) for one in there.addresses]
    _must(new, (EEXIST,), "cannot set the address")
    known = known._replace(addresses=ours, metrics=there.kept)
    memory.remember(root, name, known)
    for route in there.defaults:
        known = _default(root, name, known, route)
    return known


def _default(root: str, name: str, known: Dialled, route: Route) -> Dialled:
    """Add a default beside those of other programs, never in their place.  Raises DialError.

    Each metric is stored before it is tried.
    """
    for turn in turns(route):
        tried = known._replace(metrics=(*known.metrics, entry(turn)))
        memory.remember(root, name, tried)
        refused = bulk.send([build.insertion(build.canonical(turn), wire.NLM_F_CREATE | wire.NLM_F_EXCL)])
        if not refused:
            return tried
        code, words = refused[0]
        if code != EEXIST:
            raise DialError(causes.NO_NETWORK, f"cannot set the default route: {words or os.strerror(code)}")
    words = f"main has {len(turns(route))} defaults from metric {route.metric} on: give the uplink another metric"
    raise DialError(causes.CONFIGURATION, words)
