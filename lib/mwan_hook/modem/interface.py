"""A bearer's addresses, default and MTU on its interface.  What stands already is left alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from errno import EADDRNOTAVAIL, EEXIST, ENODEV, ENOENT, ESRCH

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.kernel import build, bulk, interfaces, wire
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import FAMILIES, MAIN_TABLE, PROTOCOL, Family, Link, Nexthop, Route
from mwan_hook.modem.place import STATIC, turns

GONE = (EADDRNOTAVAIL, ENODEV, ENOENT, ESRCH)


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


def prepare(index: int, mtu: int) -> None:
    """Set the interface up, with the network's MTU if it takes that.  Raises DialError."""
    if mtu:
        bulk.send([interfaces.resized(index, mtu)])  # a modem that cannot have it goes on with its own
    _must([interfaces.switched(index, up=True)], (), "cannot set the interface up")


def address(index: int, wanted: Iterable[str]) -> None:
    """Add addresses.  Raises DialError."""
    _must([interfaces.address(index, one, add=True) for one in wanted], (EEXIST,), "cannot set the address")


def default(route: Route, announce: Callable[[Route], None]) -> None:
    """Add a default beside those of other programs, never in their place.  Raises DialError.

    ``announce`` is told of each metric before it is tried.
    """
    for turn in turns(route):
        announce(turn)
        flags = wire.NLM_F_CREATE | wire.NLM_F_EXCL
        refused = bulk.send([build.insertion(build.canonical(turn), flags)])
        if not refused:
            return
        code, words = refused[0]
        if code != EEXIST:
            raise DialError(causes.NO_NETWORK, f"cannot set the default route: {words or os.strerror(code)}")
    words = f"main has {len(turns(route))} defaults from metric {route.metric} on: give the uplink another metric"
    raise DialError(causes.CONFIGURATION, words)


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
