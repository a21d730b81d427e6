"""Values to rtnetlink messages; the other direction is :mod:`wire`.

What the kernel gives back, and what it compares when it deletes, is shown by tests/netns/test_kernel.py.
"""

from __future__ import annotations

from _socket import AF_INET6, inet_pton
from _struct import pack

from mwan_hook.addresses import packed, split
from mwan_hook.kernel import wire
from mwan_hook.kernel.frames import attribute, leg, number, request
from mwan_hook.model import DEFAULT, Family, Nexthop, Route, Rule
from mwan_hook.routing.gateways import canonical_metric


def canonical(wanted: Route) -> Route:
    """A route of ours as the kernel will give it back."""
    hops = () if wanted.kind in wire.NULL_KINDS or wanted.nhid else wanted.nexthops
    if len(hops) == 1:
        hops = (hops[0]._replace(weight=1),)
    wanted = wanted._replace(nexthops=hops)
    if wanted.family is Family.IPV6:
        return wanted._replace(metric=canonical_metric(wanted.family, wanted.metric), scope=0, tos=0)
    return wanted


def _prefix(prefix: str | None) -> tuple[bytes, int]:
    """Bytes and length; nothing of the prefix that holds all."""
    if prefix is None or prefix == DEFAULT:
        return b"", 0
    address, length = split(prefix)
    return packed(address), length


def rule(one: Rule, add: bool) -> bytes:
    """RTM_NEWRULE, or RTM_DELRULE of exactly this rule: the kernel compares every attribute that is named."""
    src, src_len = _prefix(one.src)
    dst, dst_len = _prefix(one.dst)
    table = one.table if one.table < 256 else 0
    action = next((code for code, word in wire.ACTIONS.items() if word == one.action), 0) or int(one.action)
    flags = wire.FIB_RULE_INVERT if one.inverted else 0
    body = pack("=BBBBBBBBI", one.family.af, dst_len, src_len, 0, table, 0, 0, action, flags)
    body += attribute(wire.FRA_DST, dst) if one.dst else b""
    body += attribute(wire.FRA_SRC, src) if one.src else b""
    for kind, name in ((wire.FRA_IIFNAME, one.iif), (wire.FRA_OIFNAME, one.oif)):
        body += b"" if name is None else attribute(kind, name.encode("utf-8", "surrogateescape") + b"\0")
    numbers = (
        (wire.FRA_PRIORITY, one.priority),
        (wire.FRA_TABLE, one.table),
        (wire.FRA_FWMARK, one.mark),
        (wire.FRA_FWMASK, one.mask),
        (wire.FRA_SUPPRESS_PREFIXLEN, one.suppress_prefixlength),
        (wire.FRA_GOTO, one.target or None),
    )
    body += b"".join(number(kind, value) for kind, value in numbers if value is not None)
    octets = (
        (wire.FRA_PROTOCOL, one.protocol),
        (wire.FRA_IP_PROTO, one.ipproto),
        (wire.FRA_L3MDEV, 1 if one.l3mdev else None),
    )
    body += b"".join(attribute(kind, bytes((value,))) for kind, value in octets if value is not None)
    ranges = (
        (wire.FRA_SPORT_RANGE, "=HH", one.sport),
        (wire.FRA_DPORT_RANGE, "=HH", one.dport),
        (wire.FRA_UID_RANGE, "=II", one.uids),
    )
    body += b"".join(attribute(kind, pack(form, *bounds)) for kind, form, bounds in ranges if bounds)
    if add:
        return request(wire.RTM_NEWRULE, wire.NLM_F_CREATE | wire.NLM_F_EXCL, body)
    return request(wire.RTM_DELRULE, 0, body)


def deletion(unwanted: Route) -> bytes:
    """RTM_DELROUTE of exactly this route: the kernel compares protocol, table, type, scope, metric and nexthops."""
    return request(wire.RTM_DELROUTE, 0, _body(unwanted))


def insertion(wanted: Route, flags: int) -> bytes:
    """RTM_NEWROUTE with these NLM_F_* flags."""
    mtu = attribute(wire.RTA_METRICS, number(wire.RTAX_MTU, wanted.mtu)) if wanted.mtu else b""
    return request(wire.RTM_NEWROUTE, flags, _body(wanted) + mtu)


def _body(route: Route) -> bytes:
    af, hops = route.family.af, route.nexthops
    value, length = _prefix(route.dst)
    sources, source_length = _prefix(route.from_)
    kind = kind_number(route.kind)
    flags = _onlink(hops[0]) if len(hops) == 1 else 0
    body = pack("=BBBBBBBBI", af, length, source_length, route.tos, 0, route.protocol, route.scope, kind, flags)
    body += number(wire.RTA_TABLE, route.table) + (attribute(wire.RTA_DST, value) if length else b"")
    body += attribute(wire.RTA_SRC, sources) if source_length else b""
    body += number(wire.RTA_PRIORITY, route.metric)
    if route.src:
        body += attribute(wire.RTA_PREFSRC, inet_pton(af, route.src))
    if route.nhid:
        body += number(wire.RTA_NH_ID, route.nhid)
    elif len(hops) == 1:
        body += number(wire.RTA_OIF, hops[0].index) + _gateway(af, hops[0])
    elif hops:
        ways = [leg(_onlink(hop), hop.weight, hop.index, _gateway(af, hop)) for hop in hops]
        body += attribute(wire.RTA_MULTIPATH, b"".join(ways))
    return body


def _onlink(hop: Nexthop) -> int:
    return wire.RTNH_F_ONLINK if hop.onlink else 0


def kind_number(word: str) -> int:
    """The number of a route's type; one without a name is written as its number."""
    return next((code for code, name in wire.KINDS.items() if name == word), 0) or int(word)


def _gateway(af: int, hop: Nexthop) -> bytes:
    if hop.gateway is None:
        return b""
    word, _, other = hop.gateway.rpartition(" ")
    if word:
        return attribute(wire.RTA_VIA, pack("=H", AF_INET6) + inet_pton(AF_INET6, other))
    return attribute(wire.RTA_GATEWAY, inet_pton(af, hop.gateway))
