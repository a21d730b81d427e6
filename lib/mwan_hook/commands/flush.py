"""``mwan-hook flush``: everything of ours goes, what it displaced comes back, and nothing else is touched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from mwan_hook import config
from mwan_hook.commands.following import or_defaults
from mwan_hook.kernel import advertise, nexthops, nft, sysctl, write
from mwan_hook.kernel.lines import shortened
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import NamedTuple, partial
from mwan_hook.machine import names
from mwan_hook.model import (
    FAMILIES,
    MAIN_TABLE,
    PROTOCOL,
    Change,
    ConfigError,
    Family,
    Link,
    MwanError,
    Notice,
    Op,
    Pool,
    Route,
    Rule,
    State,
    Status,
)
from mwan_hook.routing.former import after_renames
from mwan_hook.routing.nexthops import difference
from mwan_hook.routing.plan import deletions
from mwan_hook.run import channels
from mwan_hook.say import attempted, brief, complain, say
from mwan_hook.store import files, lock, outbox, wake
from mwan_hook.store import state as states
from mwan_hook.verdict.notices import FLUSHED, identity

PASSES = 3


class _Work(NamedTuple):
    """What is left to do."""

    back: list[Change]  # defaults that we displaced: they come back before ours go
    out: list[Change]  # all that is ours, and sysctls that get their old values
    links: Sequence[Link]

    @property
    def all(self) -> list[Change]:
        """All deletions, in the order to do them."""
        return self.back + self.out


def run(root: str) -> int:
    """0, or 1 if something of ours could not be taken out.  Raises MwanError."""
    with lock.look(root):
        state, messages = states.load(root, writes=True)
        complain(messages)
        protocols = _protocols(root, state)
        errors: list[str] = []
        kept = _without_endpoints(state)
        work = _work(protocols, state)
        for _ in range(PASSES):
            say(brief(f"[#] {line}" for line in shortened(work.links, work.all)))
            errors = write.apply(work.all)
            write.apply(_hidden(protocols, state))
            work = _work(protocols, state)
            if not work.all:
                break
        kept += _without_table()
        if state.deprecated and not kept:
            advertise.solicit(lan for one in state.delegated if one.prefix in state.deprecated for lan in one.lans)
        if not work.out and not kept:
            _notify_flushed(root, state)
            if state.dials:
                _hang_up(root, state, _others(protocols[0], state))
            with suppress(FileNotFoundError):  # without routes the verdicts mean nothing
                os.unlink(files.under(root, files.STATE))
        names.remove(root)
    complain((*(errors if work.all else ()), *kept))
    return 1 if work.out or kept else 0  # a default that the kernel no longer takes is for its owner to make anew


def _others(protocol: int, state: State) -> Callable[[str], bool]:
    """Whether another interface than one of this name has a default in main, in each family that this one serves.

    One that is known to lead nowhere counts for nothing.
    """
    with Reader(protocol) as reader:
        links = reader.links()
        defaults = [route for family in reader.families() for route in reader.defaults_of_main(family, links=links)]
    names = {link.index: link.name for link in links if link.up and link.carrier}
    dead = {
        (family, one.interface)
        for one in state.uplinks.values()
        for family in FAMILIES
        if one.family(family).judged and one.family(family).status is Status.OFFLINE
    }
    ways = {(route.family, names[hop.index]) for route in defaults for hop in route.nexthops if hop.index in names}

    def another(name: str) -> bool:
        served = {family for family, one in ways if one == name} or {Family.IPV4}
        return served <= {family for family, one in ways - dead if one != name}

    return another


def _without_endpoints(state: State) -> list[str]:
    """Take MPTCP's out while routes stand, so that peers are told; what was refused."""
    if state.mptcp is None:
        return []
    from mwan_hook.run import follow_endpoints

    return follow_endpoints.take_out(state)


def _without_table() -> list[str]:
    if not nft.exists():
        return []
    say((f"[#] nft delete table {nft.FAMILY} {nft.TABLE}",))
    return nft.remove()


def _protocols(root: str, state: State) -> tuple[int, ...]:
    """Numbers that mark what is ours.  A bad configuration, which names none, must not keep us in the kernel."""
    try:
        configured = config.load(root).config.routing.protocol
    except ConfigError as error:
        complain((*str(error).splitlines(), "going on with the numbers that were in force"))
        return state.protocols or (PROTOCOL,)
    return tuple(dict.fromkeys((configured, *state.protocols)))


def _work(protocols: Sequence[int], state: State) -> _Work:
    rules: list[Rule] = []
    ours: list[Route] = []
    for protocol in protocols:
        with Reader(protocol) as reader:
            families = reader.families()
            rules += [rule for family in families for rule in reader.rules(family)]
            ours += [route for family in families for route in reader.ours_anywhere(family)]
    with Reader(protocols[0]) as reader:
        links = reader.links()
        objects, _ = nexthops.decoded(reader.objects(), set(protocols))
        defaults = [route for family in families for route in reader.defaults_of_main(family, dead=True)]
        able = {(address.family, address.address) for address in reader.addresses() if not address.tentative}
    up = {link.index for link in links if link.up}
    gone = [r for r in state.foreign if r.family in families and all(hop.index in up for hop in r.nexthops)]
    theirs = {leg for route in defaults if route.protocol not in protocols for leg in _legs(route)}
    back = [_change(Op.APPEND, _sourced(route, able)) for route in gone if not theirs.issuperset(_legs(route))]
    out = [*deletions(rules), *(_change(Op.DELETE, route) for route in ours)]
    out += difference((), Pool(ours=objects))[1]
    before = after_renames(state.sysctls, links)
    out += [Change(Op.REPLACE, old) for old in before if sysctl.read(old.key) not in (None, old.value)]
    return _Work(back, out, links)


def _hidden(protocols: Sequence[int], state: State) -> list[Change]:
    """Nexthops that may be ours inside foreign routes.

    Of IPv6 routes that it has merged the kernel tells the first one's protocol only, but it deletes a nexthop only if
    that nexthop's own protocol is the one named; so each is asked for, and nothing foreign goes.
    """
    with Reader(protocols[0]) as reader:
        if Family.IPV6 not in reader.families():
            return []
        there = list(reader.defaults_of_main(Family.IPV6, dead=True))
        there += [r for table in state.tables if table != MAIN_TABLE for r in reader.table(Family.IPV6, table)]
    merged = [route for route in there if route.protocol not in protocols and len(route.nexthops) > 1]
    return [
        _change(Op.DELETE, route._replace(nexthops=(hop,), protocol=protocol))
        for route in merged
        for hop in route.nexthops
        if hop.gateway
        for protocol in protocols
    ]


def _legs(route: Route) -> list[tuple[Family, int, int, int, str | None]]:
    """Ways that it takes; IPv6 may have merged it with another of its metric."""
    return [(route.family, route.tos, route.metric, hop.index, hop.gateway) for hop in route.nexthops]


def _sourced(route: Route, able: set[tuple[Family, str]]) -> Route:
    """The kernel takes no source address that the machine has not."""
    return route if (route.family, route.src) in able else route._replace(src=None)


def _change(op: Op, what: Route) -> Change:
    return Change(op, what, what.table, what.family)


def _notify_flushed(root: str, state: State) -> None:
    """Before the state is forgotten; once.  The caller holds the state lock."""
    if not state.boot_id or not channels.needed(root, or_defaults(root).config):
        return
    clock = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    last = Notice(identity(clock), FLUSHED, at=time.time(), boottime=clock / 1e9, reason="flush")
    try:
        outbox.hand_over(root, (*state.outbox, last))
        wake.wake(root)
    except MwanError as error:
        complain((str(error),))


def _hang_up(root: str, state: State, another: Callable[[str], bool]) -> None:
    """What we have dialled is hung up where there is ``another`` way than its interface; else it is said to be left."""
    for name, record in state.dials.items():
        if not record.ours:
            continue
        if not another(record.interface):
            complain((f"{name} ({record.interface}) stays up: mwan-hook has dialled it, and it is the only way out",))
            continue
        from mwan_hook.run import activation

        complain(attempted(partial(activation.dismiss, root, or_defaults(root).config, name, record)))
