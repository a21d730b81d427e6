"""What a table answers, as fib_table_lookup (IPv4) and fib6_table_lookup find it.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mwan_hook.addresses import covers, packed, split
from mwan_hook.kernel.question import Question
from mwan_hook.model import DEFAULT, Family
from mwan_hook.trace.match import domain
from mwan_hook.trace.values import KernelState, Leg, RouteEntry, Skipped, TableAnswer

NULL = ("unreachable", "blackhole", "prohibit", "throw")
SILENT = "its gateway does not answer"
DEAD = "dead: its interface is down, or has no carrier"


def lookup(entries: Sequence[RouteEntry], asked: Question, ground: KernelState) -> TableAnswer:
    """The route, and what was passed over before it."""
    fitting = [entry for entry in entries if _covers(entry, asked)]
    return _lookup4(fitting, asked, ground) if asked.family is Family.IPV4 else _lookup6(fitting, asked, ground)


def _covers(entry: RouteEntry, asked: Question) -> bool:
    route = entry.route
    if route.from_ and not (asked.source and covers(route.from_, asked.source)):
        return False
    return route.dst == DEFAULT or covers(route.dst, asked.destination)


def _outgoing(asked: Question, ground: KernelState) -> int:
    """The interface that a nexthop must have; a VRF's own device narrows nothing."""
    return 0 if domain(asked, ground.devices) == asked.oif else asked.oif


def _lookup4(fitting: Sequence[RouteEntry], asked: Question, ground: KernelState) -> TableAnswer:
    """Longest prefix first, then the lower metric; equals in the kernel's order."""
    oif = _outgoing(asked, ground)
    passed: list[Skipped] = []
    missed: set[bytes] = set()
    ordered = sorted(fitting, key=lambda one: (-one.length, -one.route.tos, one.route.metric))
    for entry in ordered:
        if entry.route.tos:
            passed.append(Skipped(entry, "for another traffic class"))
        elif _network(entry) in missed:
            passed.append(Skipped(entry, "its neighbour by nexthop object has no living nexthop"))
        elif entry.route.kind in NULL:
            return TableAnswer(entry, (), tuple(passed))
        else:
            legs = tuple(leg for leg in entry.legs if not leg.dead and oif in (0, leg.index))
            if legs:
                return TableAnswer(entry, legs, tuple(passed), _rivals(entry, ordered, asked))
            elsewhere = oif and not all(leg.dead for leg in entry.legs)
            passed.append(Skipped(entry, "not through the oif asked for" if elsewhere else DEAD))
            if entry.nhid:  # the kernel then leaves this place of the tree for a shorter prefix
                missed.add(_network(entry))
    return TableAnswer(None, (), tuple(passed))


def _rivals(entry: RouteEntry, ordered: Sequence[RouteEntry], asked: Question) -> tuple[RouteEntry, ...]:
    """fib_select_default: of equal defaults a packet of this machine takes one whose gateway answers."""
    if entry.length or len(entry.legs) != 1 or asked.iif or asked.oif:
        return ()
    return tuple(
        one
        for one in ordered
        if one is not entry
        and (one.length, one.route.metric, one.route.kind) == (0, entry.route.metric, "unicast")
        and one.legs
        and one.legs[0].gateway
    )


def _network(entry: RouteEntry) -> bytes:
    dst = entry.route.dst
    return bytes(4) if dst == DEFAULT else packed(split(dst)[0])


def _lookup6(fitting: Sequence[RouteEntry], asked: Question, ground: KernelState) -> TableAnswer:
    """Longest prefix first; on a host gateways that do not answer only when nothing else is left."""
    passed: dict[RouteEntry, str] = {}
    for silent in (ground.silent, frozenset()) if ground.host else (frozenset(),):
        passed = {}
        scorer = _Scorer(asked, ground, silent)
        for node in _nodes(fitting):
            chosen = scorer.choose(node, passed)
            if chosen:
                passed.pop(chosen, None)
                return TableAnswer(chosen, scorer.legs(chosen), _as_passed(passed))
    return TableAnswer(None, (), _as_passed(passed))


def _as_passed(passed: dict[RouteEntry, str]) -> tuple[Skipped, ...]:
    return tuple(Skipped(entry, why) for entry, why in passed.items() if why)


def _nodes(fitting: Iterable[RouteEntry]) -> list[list[RouteEntry]]:
    """Routes of one destination and source prefix together, the longest first, each by metric."""
    nodes: dict[tuple[int, int], list[RouteEntry]] = {}
    for entry in fitting:
        sources = split(entry.route.from_)[1] if entry.route.from_ else 0
        nodes.setdefault((entry.length, sources), []).append(entry)
    return [sorted(nodes[place], key=lambda one: one.route.metric) for place in sorted(nodes, reverse=True)]


class _Scorer:
    """rt6_score_route: a nexthop's worth; None where it cannot be used."""

    def __init__(self, asked: Question, ground: KernelState, silent: frozenset[tuple[int, str]]) -> None:
        self.device = asked.iif or _outgoing(asked, ground)
        self.strict = needs_device(asked)
        self.silent = silent

    def score(self, entry: RouteEntry, leg: Leg) -> int | None:
        if leg.dead:
            return None
        fits = self.device in (0, leg.index)
        if not fits and self.strict:
            return None
        if leg.gateway and (leg.index, leg.gateway) in self.silent:
            return None
        return (2 if fits else 0) | entry.preference << 2

    def choose(self, node: Sequence[RouteEntry], passed: dict[RouteEntry, str]) -> RouteEntry | None:
        """The best of the lowest metric; if none there can be used, the best of all others at once."""
        lowest = [entry for entry in node if entry.route.metric == node[0].route.metric]
        rest = node[len(lowest) :]
        for group in (lowest, rest):
            best: tuple[int, RouteEntry] | None = None
            for entry in group:
                if entry.nhid and entry.route.kind == "blackhole":  # such an object ends the search, best or not
                    return entry
                scores = [score for leg in entry.legs if (score := self.score(entry, leg)) is not None]
                passed[entry] = "" if scores else self._why(entry)
                if scores and (best is None or max(scores) > best[0]):
                    best = max(scores), entry
            if best:
                return best[1]
        return None

    def legs(self, entry: RouteEntry) -> tuple[Leg, ...]:
        """The legs that the hash may choose; in a group of nexthop objects it asks for no interface."""
        if entry.route.kind in NULL:
            return ()
        if entry.nhid and len(entry.legs) > 1:
            return tuple(leg for leg in entry.legs if not leg.dead)
        return tuple(leg for leg in entry.legs if self.score(entry, leg) is not None)

    def _why(self, entry: RouteEntry) -> str:
        alive = [leg for leg in entry.legs if not leg.dead]
        if not alive:
            return DEAD
        through = any(self.device in (0, leg.index) for leg in alive)
        return SILENT if through or not self.strict else "not through the interface asked for"


def needs_device(asked: Question) -> bool:
    """Whether IPv6 takes only routes through the interface: one without a source, or a link-local destination."""
    linklocal = covers("fe80::/10", asked.destination) or asked.destination == "::1"
    return linklocal or bool(asked.oif and not asked.source)
