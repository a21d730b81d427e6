"""Values of ``trace``: the question, what the kernel holds, what follows.  Unlike :mod:`model`'s they show anything."""

from __future__ import annotations

from collections.abc import Mapping

from mwan_hook.kernel.question import Question
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Route

LOOPBACK = 1
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "ipv6-icmp"}
TABLES = {253: "default", 254: "main", 255: "local"}

ENETUNREACH, EHOSTUNREACH, EINVAL, EACCES, EXDEV, ENODEV = 101, 113, 22, 13, 18, 19
# what a null route or a rule without a table makes of a packet; throw is no answer at all
ROUTE_ERRORS = {"unreachable": EHOSTUNREACH, "blackhole": EINVAL, "prohibit": EACCES}
RULE_ERRORS = {"unreachable": ENETUNREACH, "blackhole": EINVAL, "prohibit": EACCES}


class Span(NamedTuple):
    """A range of ports or users, both ends included; a mask compares bits of one port instead."""

    low: int
    high: int
    mask: int = 0

    def holds(self, value: int) -> bool:
        """Whether a number is in it."""
        if self.mask:
            return not (value ^ self.low) & self.mask
        return self.low <= value <= self.high


class AnyRule(NamedTuple):
    """A policy rule with every selector that a kernel has."""

    family: Family
    priority: int
    action: str = "lookup"  # or goto, nop, unreachable, blackhole, prohibit
    table: int = 0
    src: str | None = None
    dst: str | None = None
    iif: str | None = None
    oif: str | None = None
    iif_gone: bool = False  # no interface of this name is there
    oif_gone: bool = False
    mark: int = 0
    mask: int = 0
    tos: int = 0
    dscp: int | None = None
    dscp_mask: int = 0x3F
    ipproto: int = 0
    sport: Span | None = None
    dport: Span | None = None
    uids: Span | None = None
    tunnel: int = 0
    flowlabel: int = 0
    flowlabel_mask: int = 0
    l3mdev: bool = False
    inverted: bool = False
    suppress_prefixlength: int | None = None
    suppress_group: int | None = None
    target: int = 0  # goto
    unresolved: bool = False  # a goto without its target
    protocol: int = 0


class Leg(NamedTuple):
    """One nexthop.  ``dead``: nothing can leave there now; ``linkdown``: it has no carrier."""

    index: int  # type: ignore[assignment]  # not tuple.index
    gateway: str | None = None
    weight: int = 1
    dead: bool = False
    linkdown: bool = False


class RouteEntry(NamedTuple):
    """A route with what decides whether it is taken.  ``route`` is the same for words."""

    route: Route
    legs: tuple[Leg, ...] = ()
    nhid: int = 0
    preference: int = 2  # a router's (IPv6): 1 low, 2 medium, 3 high

    @property
    def length(self) -> int:
        """The prefix length."""
        return int(self.route.dst.partition("/")[2] or 0)


class Device(NamedTuple):
    """An interface, as far as routing asks."""

    name: str
    up: bool = True
    group: int = 0
    master: int = 0  # the VRF that it is in, or is
    vrf: int = 0  # that VRF's table
    forwarding: bool = True  # IPv4
    rp_filter: int = 0
    accept_local: bool = False
    src_valid_mark: bool = False
    route_localnet: bool = False
    addressed: bool = True  # has an IPv4 address


class KernelState(NamedTuple):
    """What the kernel holds of one family: rules in order, and of each table the routes that cover the question."""

    rules: tuple[AnyRule, ...] = ()
    tables: Mapping[int, tuple[RouteEntry, ...]] = {}
    devices: Mapping[int, Device] = {}
    silent: frozenset[tuple[int, str]] = frozenset()  # (interface, gateway): neighbours that do not answer
    host: bool = False  # IPv6 forwards nothing: silent gateways are avoided


class Skipped(NamedTuple):
    """A route, and why it is not taken."""

    entry: RouteEntry
    why: str


class TableAnswer(NamedTuple):
    """What a table answers.  ``legs``: those that may carry the packet."""

    entry: RouteEntry | None = None
    legs: tuple[Leg, ...] = ()
    passed: tuple[Skipped, ...] = ()
    rivals: tuple[RouteEntry, ...] = ()  # IPv4's other defaults of this metric: taken while the gateway does not answer


class Step(NamedTuple):
    """One rule: whether it matched, why, and what its table said."""

    rule: AnyRule
    matched: bool
    why: str = ""
    table: int = 0
    found: TableAnswer | None = None
    suppressed: str = ""
    kept: tuple[Leg, ...] = ()  # legs that are not suppressed, where some are
    decided: bool = False  # the walk ended here

    @property
    def kind(self) -> str:
        """How pictures show it."""
        return "taken" if self.decided else "asked" if self.matched else "passed"


class Outcome(NamedTuple):
    """How the walk ended: a route with its legs, or an error; with both a route that refuses."""

    error: int = 0
    why: str = ""
    table: int = 0
    entry: RouteEntry | None = None
    legs: tuple[Leg, ...] = ()
    otherwise: Outcome | None = None  # where the kernel may choose: another leg, another default


class Trace(NamedTuple):
    """The whole walk."""

    question: Question
    steps: tuple[Step, ...]
    outcome: Outcome
    beyond: tuple[AnyRule, ...] = ()  # rules that were not reached


class KernelAnswer(NamedTuple):
    """What the kernel says.  ``entry`` is the route in its table, ``leg`` the way of this one packet."""

    error: int = 0
    said: str = ""
    entry: RouteEntry | None = None
    leg: Leg | None = None
    source: str | None = None
    kind: str = "unicast"
