"""Changes in the syntax of ip(8) and sysctl(8), as an operator would type them at a shell."""

from __future__ import annotations

from mwan_hook.model import (
    HEAVIEST_TYPED,
    LOCAL_TABLE,
    LOOKUP,
    MAIN_TABLE,
    Family,
    Nexthop,
    Op,
    Route,
    Rule,
    Ruleset,
    Sysctl,
)
from mwan_hook.routing.gateways import canonical_metric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mwan_hook.model import Change, NexthopObject

    Decode = Callable[[bytes], tuple[str, Route, str]]

SCOPES = {0: "global", 200: "site", 253: "link", 254: "host", 255: "nowhere"}
_OTHERS = {LOCAL_TABLE: "local", MAIN_TABLE: "main"}  # the tables of a rule that are not ours
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-")


def line(change: Change, names: Mapping[int, str], decode: Decode | None = None) -> str:
    """One change as one line.

    ``names`` gives interface names by index; an index without one is shown as ``ifN``.  ``decode`` reads a raw route
    of a bulk copy: the verb, the route, and words for what :class:`Route` does not hold.
    """
    verb, what, more = change.op.value, change.what, ""
    if change.op is Op.PREPEND and change.family is Family.IPV6:
        # There is no order there: the kernel would join it with what stands at its metric (test_kernel_routes.py).
        verb = Op.ADD.value
    if isinstance(what, bytes):
        if decode is None:
            return f"{_ip(change.family)} route {change.op.value} ({len(what)} bytes) table {change.table}"
        verb, what, more = decode(what)
    if isinstance(what, Route):
        text = f"{_ip_for(what)} route {verb} {route(what, names, change.op is Op.DELETE)}"
        return f"{text} {more}" if more else text
    if isinstance(what, Rule):
        return f"{_ip(what.family)} rule {verb} {rule(what)}"
    if isinstance(what, Ruleset):
        return "\n".join(f"nft {quote(command)}" for command in what.commands)
    if isinstance(what, Sysctl):
        return sysctl(what)
    return f"{'ip -6' if _is_bare6(what) else 'ip'} nexthop {verb} {nexthop(what, names, change.op is Op.DELETE)}"


def _ip(family: Family) -> str:
    return "ip" if family is Family.IPV4 else f"ip {family.flag}"


def _ip_for(what: Route) -> str:
    """ip(8) takes the family from the first gateway where none is said."""
    if any(hop.gateway and hop.gateway.startswith("inet6") for hop in what.nexthops):
        return "ip -4"
    return _ip(what.family)


def route(what: Route, names: Mapping[int, str], delete: bool) -> str:
    """What follows ``ip route add``.  A route to delete needs no words for what the kernel does not look at."""
    single = what.nexthops[0] if len(what.nexthops) == 1 else None
    words = [what.dst if what.kind == "unicast" else f"{what.kind} {what.dst}"]
    words += [f"from {what.from_}"] if what.from_ else []
    words += [f"tos {what.tos:#04x}"] if what.tos else []
    words += [_hop(single, names)] if single else []
    words += [f"nhid {what.nhid}"] if what.nhid else []
    words += [f"table {what.table}"] if what.table not in (0, MAIN_TABLE) else []
    words += [f"proto {what.protocol}"]
    words += [f"scope {SCOPES.get(what.scope, what.scope)}"] if what.scope != _usual_scope(what, delete) else []
    words += [f"src {what.src}"] if what.src else []
    metric = canonical_metric(what.family, what.metric)  # IPv6 deletes a route of any metric where none is said
    words += [f"metric {metric}"] if metric else []
    words += [f"mtu {what.mtu}"] if what.mtu and not delete else []
    words += ["onlink"] if single and single.onlink else []
    if not single:
        words += [f"nexthop {_hop(hop, names)}{_leg(hop)}" for hop in what.nexthops]
    return " ".join(words)


def _usual_scope(what: Route, delete: bool) -> int:
    """What ip(8) takes where none is said: link without a gateway, and anything for a route to delete."""
    if what.family is Family.IPV6:
        return what.scope
    if delete and what.kind == "unicast":
        return 255
    if what.kind == "local":
        return 254
    if what.kind in ("broadcast", "anycast", "multicast"):
        return 253
    device = what.kind == "unicast" and len(what.nexthops) == 1 and what.nexthops[0].gateway is None
    if what.nhid:
        return 0
    return 253 if device else 0


def _hop(hop: Nexthop, names: Mapping[int, str]) -> str:
    return way(hop.gateway, quote(names.get(hop.index, f"if{hop.index}")))


def way(gateway: str | None, device: str) -> str:
    """``via 192.168.1.1 dev wan1``."""
    return f"via {gateway} dev {device}" if gateway else f"dev {device}"


def _leg(hop: Nexthop) -> str:
    return f" weight {hop.weight}" + (" onlink" if hop.onlink else "")


def _is_bare6(what: NexthopObject) -> bool:
    """ip(8) takes the family from the gateway, and IPv4 where there is none."""
    return what.family is Family.IPV6 and what.hop is not None and what.hop.gateway is None


def nexthop(what: NexthopObject, names: Mapping[int, str], delete: bool) -> str:
    """What follows ``ip nexthop add``.

    A lone way may outweigh its twin by more than ip(8) has words for; typed so, a run leaves it as it is.
    """
    words = [f"id {what.id}"]
    if delete:
        return words[0]
    if what.hop:
        words += [_hop(what.hop, names), *(["onlink"] if what.hop.onlink else []), f"proto {what.protocol}"]
        return " ".join(words)
    weighed = ((number, min(weight, HEAVIEST_TYPED)) for number, weight in what.members)
    members = "/".join(f"{number},{weight}" if weight != 1 else str(number) for number, weight in weighed)
    kind = f"type resilient buckets {what.buckets} idle_timer {what.idle}"
    return " ".join([*words, f"group {members} proto {what.protocol} {kind}"])


def rule(what: Rule) -> str:
    """What follows ``ip rule add``."""
    table = _OTHERS.get(what.table, str(what.table))
    return f"priority {what.priority} {selectors(what)} {outcome(what, table)} proto {what.protocol}"


def selectors(what: Rule) -> str:
    """What a rule asks for, in ip(8)'s order."""
    words = ["not"] if what.inverted else []
    words.append(f"from {what.src or 'all'}")
    words += [f"to {what.dst}"] if what.dst else []
    if what.mark is not None:
        words.append(f"fwmark {what.mark:#x}" + (f"/{what.mask:#x}" if what.mask is not None else ""))
    words += [f"iif {quote(what.iif)}"] if what.iif else []
    words += [f"oif {quote(what.oif)}"] if what.oif else []
    words += [f"uidrange {what.uids[0]}-{what.uids[1]}"] if what.uids else []
    words += [f"ipproto {_protocol(what.ipproto)}"] if what.ipproto is not None else []
    words += [f"sport {span(what.sport)}"] if what.sport else []
    words += [f"dport {span(what.dport)}"] if what.dport else []
    return " ".join(words)


def _protocol(number: int) -> str:
    from mwan_hook.routing import protocols

    return protocols.NAMES.get(number, str(number))


def outcome(what: Rule, table: str) -> str:
    """Where a rule leads; ``table``: the name of its table."""
    if what.l3mdev:
        word = "l3mdev"
    elif what.action == LOOKUP:
        word = f"lookup {table}"
    else:
        word = f"goto {what.target}" if what.target else what.action
    length = what.suppress_prefixlength
    return word if length is None else f"{word} suppress_prefixlength {length}"


def span(bounds: tuple[int, int]) -> str:
    """``80``, or ``5000-5100``."""
    return str(bounds[0]) if bounds[0] == bounds[1] else f"{bounds[0]}-{bounds[1]}"


def sysctl(what: Sysctl) -> str:
    """Dots between the parts, unless a part (the name of a VLAN's interface) has one itself."""
    key = what.key if "." in what.key else what.key.replace("/", ".")
    return f"sysctl -w {quote(f'{key}={what.value}')}"


def quote(text: str) -> str:
    """A word for the shell: names of interfaces may hold anything but blanks and slashes."""
    if text and _PLAIN.issuperset(text):
        return text
    return "'" + text.replace("'", "'\\''") + "'"
