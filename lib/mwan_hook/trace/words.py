"""A trace in words: what the command prints, and what pictures show.  Pure."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Rule
from mwan_hook.routing.priorities import ALL_BITS
from mwan_hook.routing.rules import numbered
from mwan_hook.routing.words import outcome, selectors, way
from mwan_hook.trace.compare import shares
from mwan_hook.trace.values import PROTOCOLS, TABLES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mwan_hook.kernel.question import Question
    from mwan_hook.trace.values import AnyRule, Device, KernelAnswer, Leg, Outcome, RouteEntry, Span, Step, Trace


class Names(NamedTuple):
    """What numbers are called: tables, interfaces, and by interface the uplink and how it stands."""

    tables: Mapping[int, str] = {}
    devices: Mapping[int, Device] = {}
    uplinks: Mapping[int, tuple[str, str]] = {}
    notes: tuple[str, ...] = ()  # what nft may do to such a packet

    def table(self, number: int) -> str:
        """The table's name, as in ``lookup fiber``."""
        return TABLES.get(number) or self.tables.get(number) or str(number)

    def device(self, index: int) -> str:
        """An interface that went away meanwhile has only its number."""
        return self.devices[index].name if index in self.devices else f"if{index}"

    def uplink(self, index: int) -> str:
        """``uplink fiber, online``; empty where the interface is no uplink."""
        name, status = self.uplinks.get(index, ("", ""))
        return f"uplink {name}, {status}" if name else ""


def question(asked: Question, names: Names) -> str:
    """What is asked, in one sentence."""
    words = [f"{asked.destination}:", "forwarded packet" if asked.iif else "packet of this machine"]
    words += [f"from {asked.source}"] if asked.source else ["without a source yet"]
    words += [f"in by {names.device(asked.iif)}"] if asked.iif else []
    words += [f"bound to {names.device(asked.oif)}"] if asked.oif else []
    words.append(str(PROTOCOLS.get(asked.proto, f"protocol {asked.proto}")))
    words += [f"sport {asked.sport}"] if asked.sport else []
    words += [f"dport {asked.dport}"] if asked.dport else []
    words += [f"mark {asked.mark:#x}"] if asked.mark else []
    words += [f"uid {asked.uid}"] if not asked.iif else []
    return " ".join(words)


def rule(what: AnyRule, names: Names) -> str:
    """What ip(8) shows of a rule after its priority."""
    plain = _plain(what)
    words = [selectors(plain), *_rare(what)]
    words.append("lookup [l3mdev-table]" if what.l3mdev else outcome(plain, names.table(what.table)))
    words += [f"suppress_ifgroup {what.suppress_group}"] if what.suppress_group is not None else []
    return " ".join(words)


def listed(what: AnyRule) -> str:
    """A rule with its priority, as doctor names it."""
    return f"{numbered(what.family, what.priority)}: {rule(what, Names())}"


def _plain(what: AnyRule) -> Rule:
    """The rule without what only the rules of others have."""
    marked = bool(what.mark or what.mask)
    return Rule(
        *(what.family, what.priority, what.table, what.src, what.dst, what.iif, what.oif),
        what.mark if marked else None,
        what.mask if marked and what.mask != ALL_BITS else None,
        what.suppress_prefixlength,
        ipproto=what.ipproto or None,
        sport=_bounds(what.sport),
        dport=_bounds(what.dport),
        uids=_bounds(what.uids),
        action=what.action,
        inverted=what.inverted,
        target=what.target,
    )


def _bounds(span: Span | None) -> tuple[int, int] | None:
    return (span.low, span.high) if span and not span.mask else None


def _rare(what: AnyRule) -> Iterator[str]:
    for word, span in (("sport", what.sport), ("dport", what.dport)):
        if span and span.mask:
            yield f"{word} {span.low:#x}/{span.mask:#x}"
    if what.tos:
        yield f"tos {what.tos:#04x}"
    if what.dscp is not None:
        yield f"dscp {what.dscp:#04x}" + (f"/{what.dscp_mask:#04x}" if what.dscp_mask != 0x3F else "")
    if what.tunnel:
        yield f"tun_id {what.tunnel}"
    if what.flowlabel_mask:
        yield f"flowlabel {what.flowlabel:#x}/{what.flowlabel_mask:#x}"


def entry(what: RouteEntry, names: Names) -> str:
    """A route as ip(8) shows it, its legs left out where there are several."""
    route = what.route
    words = [route.dst if route.kind == "unicast" else f"{route.kind} {route.dst}"]
    words += [f"from {route.from_}"] if route.from_ else []
    words += [f"nhid {what.nhid}"] if what.nhid else []
    words += [leg(what.legs[0], names)] if len(what.legs) == 1 and route.kind == "unicast" else []
    words += [f"over {len(what.legs)} nexthops"] if len(what.legs) > 1 else []
    words += [f"tos {route.tos:#04x}"] if route.tos else []
    words += [f"src {route.src}"] if route.src else []
    words += [f"metric {route.metric}"] if route.metric else []
    return " ".join(words)


def leg(what: Leg, names: Names) -> str:
    """``via 192.168.1.1 dev wan1``."""
    return way(what.gateway, names.device(what.index))


def found(step: Step, names: Names) -> list[str]:
    """What a table answered: routes passed over, the one taken or why none is."""
    if step.found is None:
        return []
    table = names.table(step.table)
    lines = [f"{table}: {entry(one.entry, names)}: {one.why}" for one in step.found.passed]
    if step.found.entry is None:
        return [*lines, f"{table}: {'no other route' if lines else 'no route'} to it"]
    route = step.found.entry.route
    word = step.suppressed or ("throw: the next rule is asked" if route.kind == "throw" else "")
    return [*lines, f"{table}: {entry(step.found.entry, names)}" + (f": {word}" if word else "")]


def legs(outcome: Outcome, names: Names) -> list[str]:
    """Each nexthop with its share and its uplink."""
    lines = []
    for one, share in zip(outcome.legs, shares(outcome), strict=True):
        part = f", {share:.0%} of the flows (weight {one.weight})" if len(outcome.legs) > 1 else ""
        uplink = names.uplink(one.index)
        lines.append(leg(one, names) + part + (f", {uplink}" if uplink else ""))
    return lines


def result(outcome: Outcome, names: Names) -> list[str]:
    """The end of the walk: a headline, then the legs."""
    if outcome.error:
        return [f"no way: {outcome.why}"]
    if outcome.entry is None:
        return [outcome.why, *legs(outcome, names)]
    table, kind = names.table(outcome.table), outcome.entry.route.kind
    if kind != "unicast":
        word = "this machine itself" if kind == "local" else kind
        return [f"{word}, by table {table}"]
    lines = [f"by table {table}: {entry(outcome.entry, names)}", *legs(outcome, names)]
    return [*lines, *(f"or else {line}" for line in result(outcome.otherwise, names))] if outcome.otherwise else lines


def kernel(answer: KernelAnswer, names: Names) -> str:
    """The kernel's answer in one line."""
    if answer.error:
        return f"no way: {answer.said}"
    way = leg(answer.leg, names) if answer.leg else ""
    kind = f"{answer.kind} " if answer.kind != "unicast" else ""
    source = f" src {answer.source}" if answer.source else ""
    route = f" by table {names.table(answer.entry.route.table)}: {entry(answer.entry, names)};" if answer.entry else ""
    return f"{route} this packet goes {kind}{way}{source}".strip()


def lines(done: Trace, names: Names) -> Iterator[str]:
    """The walk for people, from the question to the result."""
    yield question(done.question, names)
    yield ""
    for step in done.steps:
        yield f"{step.rule.priority} {rule(step.rule, names)}: {step.why}"
        yield from (f"      {line}" for line in found(step, names))
    if done.beyond:
        word = "rule is" if len(done.beyond) == 1 else "rules are"
        yield f"{len(done.beyond)} more {word} not reached (from {done.beyond[0].priority} on)"
    yield ""
    first, *rest = result(done.outcome, names)
    yield f"result: {first}"
    yield from (f"        {line}" for line in rest)
    yield from (f"nft: {note}" for note in names.notes)
