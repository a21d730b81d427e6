"""Bind the configuration to what is plugged in: which interface is which uplink, with which table and mark."""

from __future__ import annotations

from mwan_hook.light import NamedTuple, glob
from mwan_hook.model import (
    FAMILIES,
    Allotment,
    Config,
    Family,
    Lease,
    Link,
    Match,
    Snapshot,
    State,
    Turn,
    Uplink,
    UplinkConfig,
    turn_key,
)
from mwan_hook.routing.allotting import Candidate, allot, recent, without_mark
from mwan_hook.routing.former import without_former
from mwan_hook.routing.gateways import LAST_METRIC, Sources, way
from mwan_hook.routing.priorities import ALL_BITS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mwan_hook.model import Draining, Route
    from mwan_hook.policy.policies import BoundPolicy


PENALTY = 20000  # what NetworkManager adds to the metric of a default while its own connectivity check fails


class Inputs(NamedTuple):
    """What binding needs beside the configuration."""

    snapshot: Snapshot
    state: State
    allotment: Allotment
    attributes: Mapping[str, Mapping[str, str]] = {}  # interface -> driver, path, mac, id, property:KEY
    lease: Callable[[int], Lease] = lambda _: Lease()  # by interface index
    turns: Mapping[str, Turn] | None = None  # by UPLINK/FAMILY; None: as they were stored
    penalised: frozenset[int] = frozenset()  # interfaces to whose defaults NetworkManager has added its PENALTY


class Bound(NamedTuple):
    """The uplinks in order of the configuration, and what was newly allotted to them."""

    uplinks: tuple[Uplink, ...]
    allotment: Allotment
    warnings: tuple[str, ...] = ()
    policies: tuple[BoundPolicy, ...] = ()
    short: tuple[str, ...] = ()  # what marks do not reach for
    turns: Mapping[str, Turn] = {}  # of uplinks that have several gateways, by UPLINK/FAMILY
    drains: Mapping[str, Draining] = {}  # of uplinks that are drained

    @property
    def told(self) -> tuple[str, ...]:
        """What a run says once."""
        return (*self.warnings, *self.short)

    @property
    def policy_tables(self) -> tuple[int, ...]:
        """Tables that policies have of their own."""
        return tuple(course.table for course in self.policies if course.table)

    @property
    def tables(self) -> tuple[int, ...]:
        """All that were given to anything."""
        kept = (*self.allotment.tables.values(), *self.allotment.policies.values())
        return (*(uplink.table for uplink in self.uplinks), *kept)

    @property
    def named_tables(self) -> dict[int, str]:
        """What the tables of uplinks and policies are called; of several names the first."""
        named = [(uplink.table, uplink.name) for uplink in self.uplinks if uplink.table]
        named += [(course.table, f"policy-{course.policy.name}") for course in self.policies if course.table]
        return dict(reversed(named))


def bind(config: Config, around: Inputs) -> Bound:
    """Uplinks of ``config`` on the links of the snapshot.

    Templates give one uplink an interface, ``NAME@INTERFACE``; without ``[uplinks]`` every interface with a
    default route in main is one.  Uplinks seen in this boot stay in the list when their interface is gone.
    Policies are bound afterwards, by :func:`mwan_hook.policy.policies.bound`.
    """
    around = around._replace(snapshot=without_former(around.snapshot, around.state))
    seats = _zero_configuration(config, around) if not config.uplinks else _seats(config, around)
    warnings = tuple(
        f"uplink {entry.name}: no interface matches"
        for entry in config.uplinks
        if not any(seat.config is entry and seat.link for seat in seats)
        and not (entry.dial and entry.dial.brings_interface)
    )
    if not config.uplinks and not seats:
        warnings = ("no uplinks: no interface has a default route in main, and none is configured ([uplinks])",)
    allotment = allot(config, seats, _switched(config, seats, around.allotment))
    uplinks = tuple(_uplink(config, seat, allotment, around) for seat in seats)
    turns = around.turns or {}
    short = without_mark(config, seats, allotment)
    if not config.policies:
        allotment = allotment._replace(policy_marks={})
    return Bound(uplinks, allotment, warnings, short=(short,) if short else (), turns=turns)


def interfaces_to_describe(config: Config, links: Sequence[Link]) -> tuple[Link, ...]:
    """Links whose driver, path or properties some ``match`` asks for; mostly none."""
    if all(match.kind == "name" for entry in config.uplinks for match in entry.match):
        return ()
    return tuple(link for link in links if link.name != "lo")


def _seats(config: Config, around: Inputs) -> list[Candidate]:
    """Literal names choose first, then templates in their order; an interface is one uplink only."""
    links = {link.name: link for link in around.snapshot.links}
    by_any_name = {alt: link for link in around.snapshot.links for alt in link.altnames}
    taken: dict[str, UplinkConfig] = {}
    for entry in config.uplinks:
        if entry.literal:
            link = links.get(entry.literal) or by_any_name.get(entry.literal)
            taken.setdefault(link.name if link else entry.literal, entry)
    for entry in config.uplinks:
        if not entry.literal:
            for link in links.values():
                if link.name != "lo" and _matches(entry.match, link, around.attributes.get(link.name, {})):
                    taken.setdefault(link.name, entry)
    seats = []
    for entry in config.uplinks:
        own = [name for name, owner in taken.items() if owner is entry]
        if entry.literal:
            seats += [Candidate(entry.name, name, entry, links.get(name)) for name in own]
        else:
            seats += [Candidate(f"{entry.name}@{name}", name, entry, links[name]) for name in sorted(own)]
            seats += _gone(entry, own, around)
    return seats


def _gone(entry: UplinkConfig, present: list[str], around: Inputs) -> list[Candidate]:
    """Uplinks of a template that were seen in this boot and are not there now, the last few of them."""
    gone = {}
    for name, memory in around.state.uplinks.items():
        template, at, interface = name.partition("@")
        if at and template == entry.name and interface not in present and memory.interface == interface:
            gone[name] = interface
    return [Candidate(name, gone[name], entry, None) for name in recent(gone, around.allotment.seen)]


def _zero_configuration(config: Config, around: Inputs) -> list[Candidate]:
    """Interfaces with a default in main, and those that had one in this boot; of those that are gone the last few."""
    names = around.snapshot.names
    protocol = around.snapshot.protocol
    there = (*around.snapshot.defaults, *around.snapshot.claims)
    foreign = [route for route in there if route.protocol != protocol and not route.tos]
    wanted = [names.get(hop.index, "") for route in foreign for hop in route.nexthops]
    links = {link.name: link for link in around.snapshot.links}
    known = [memory.interface for name, memory in around.state.uplinks.items() if name == memory.interface]
    gone = recent((name for name in known if name not in links and name not in wanted), around.allotment.seen)
    wanted += [*gone, *(name for name in known if name in links)]
    return [
        Candidate(name, name, UplinkConfig(name, (Match("name", name),), probe=config.probe), links.get(name))
        for name in sorted(set(wanted) - {"", "lo"})
    ]


def _matches(wanted: Sequence[Match], link: Link, attributes: Mapping[str, str]) -> bool:
    """Any alternative is enough; MAC addresses and ids compare without case."""
    for match in wanted:
        if match.kind == "name":
            if any(glob(match.glob, name) for name in (link.name, *link.altnames)):
                return True
        elif match.kind == "mac":
            if glob(match.glob.lower(), link.mac.lower()):
                return True
        else:
            value = attributes.get(f"property:{match.key}" if match.kind == "property" else match.kind)
            fold = str.lower if match.kind == "id" else str
            if value is not None and glob(fold(match.glob), fold(value)):
                return True
    return False


def _switched(config: Config, seats: Sequence[Candidate], old: Allotment) -> Allotment:
    """The allotment with the commands' words that still count; mostly there are none."""
    if not (old.enabled or old.draining):
        return old._replace(configured={}) if old.configured else old
    from mwan_hook.verdict import switches

    return switches.standing(old, config.uplinks or [seat.config for seat in seats])


def _uplink(config: Config, seat: Candidate, allotment: Allotment, around: Inputs) -> Uplink:
    entry = seat.config
    named = bool(config.uplinks) and _names_some(entry)
    lease = around.lease(seat.link.index) if seat.link else Lease()
    sources = Sources(around.snapshot, lease, around.state.foreign, _turns(seat, around), named)
    ways = {family: way(family, entry, seat.link, sources) for family in FAMILIES}
    default = ways[Family.IPV4].default or ways[Family.IPV6].default
    metric = entry.metric
    if metric is None:
        metric = _meant(default, around) if default else LAST_METRIC
    mark, mask = allotment.marks.get(seat.name, 0), config.routing.mark_mask
    if entry.mark is not None:
        mark, mask = entry.mark, ALL_BITS if entry.mask is None else entry.mask
    switched = allotment.enabled.get(seat.name, allotment.enabled.get(entry.name))
    enabled = entry.enabled if switched is None else switched
    table = entry.table if entry.table is not None else allotment.tables[seat.name]
    return Uplink(
        config=entry._replace(metric=metric),
        name=seat.name,
        interface=seat.interface,
        index=seat.link.index if seat.link else 0,
        table=table,
        metric=metric,
        mark=mark,
        mask=mask,
        enabled=enabled,
        link=seat.link,
        switched=switched,
        draining=enabled and bool(allotment.draining) and _is_drained(seat, allotment),
        ipv4=ways[Family.IPV4],
        ipv6=ways[Family.IPV6],
    )


def _is_drained(seat: Candidate, allotment: Allotment) -> bool:
    from mwan_hook.verdict import switches

    return switches.drain(allotment, seat.name) is not None


def _meant(default: Route, around: Inputs) -> int:
    """The metric that a default has by its configuration."""
    penalty = PENALTY if default.nexthops[0].index in around.penalised else 0
    return default.metric - penalty if default.metric >= penalty else default.metric


def _names_some(entry: UplinkConfig) -> bool:
    """Whether its ``match`` tells interfaces apart: what means any, tunnels that stand beside too, names none."""
    return any(match.kind != "name" or match.glob.strip("*?") for match in entry.match)


def _turns(seat: Candidate, around: Inputs) -> tuple[tuple[Family, str], ...]:
    turns = around.state.turns if around.turns is None else around.turns
    if not turns:
        return ()
    named = [(family, turns.get(turn_key(seat.name, family))) for family in FAMILIES]
    return tuple([(family, turn.gateway) for family, turn in named if turn])
