"""Routes and rules in pyroute2's keywords: family, full prefixes and numbers are always given, since each of its
releases fills in other defaults where they are missing."""

from __future__ import annotations

from mwan_hook.model import DEFAULT, MAIN_TABLE, Family, Nexthop, Op, Route, Rule
from mwan_hook.system import build, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ANYWHERE = {Family.IPV4: "0.0.0.0/0", Family.IPV6: "::/0"}


def of_route(route: Route, op: Op) -> dict[str, Any]:
    """pyroute2's keywords; a route to delete is named as narrowly as the kernel compares."""
    values: dict[str, Any] = {
        "family": route.family.af,
        "dst": _ANYWHERE[route.family] if route.dst == DEFAULT else route.dst,
        "table": route.table or MAIN_TABLE,
        "proto": route.protocol,
        "type": build.kind_number(route.kind),
        "scope": route.scope,
        "tos": route.tos,
        "priority": route.metric,
    }
    if route.src:
        values["prefsrc"] = route.src
    if route.mtu and op is not Op.DELETE:
        values["metrics"] = {"mtu": route.mtu}
    if len(route.nexthops) == 1:
        values["flags"] = wire.RTNH_F_ONLINK if route.nexthops[0].onlink else 0
        values.update(_hop_words(route.nexthops[0]))
    elif route.nexthops:
        values["multipath"] = [
            {**_hop_words(hop), "hops": hop.weight - 1, "flags": wire.RTNH_F_ONLINK if hop.onlink else 0}
            for hop in route.nexthops
        ]
    return values


def _hop_words(hop: Nexthop) -> dict[str, Any]:
    values: dict[str, Any] = {"oif": hop.index}
    if hop.gateway and hop.gateway.startswith("inet6 "):
        values["via"] = {"family": Family.IPV6.af, "addr": hop.gateway.removeprefix("inet6 ")}
    elif hop.gateway:
        values["gateway"] = hop.gateway
    return values


def of_rule(rule: Rule) -> dict[str, Any]:
    """A rule of any action."""
    names = {
        "src": rule.src,
        "dst": rule.dst,
        "iifname": rule.iif,
        "oifname": rule.oif,
        "fwmark": rule.mark,
        "fwmask": rule.mask,
        "FRA_SUPPRESS_PREFIXLEN": rule.suppress_prefixlength,
        "FRA_GOTO": rule.target or None,
        "FRA_IP_PROTO": rule.ipproto,
        "FRA_SPORT_RANGE": _range(rule.sport),
        "FRA_DPORT_RANGE": _range(rule.dport),
        "FRA_UID_RANGE": _range(rule.uids),
        "FRA_L3MDEV": 1 if rule.l3mdev else None,
    }
    values: dict[str, Any] = {key: value for key, value in names.items() if value is not None}
    return {
        "family": rule.family.af,
        "priority": rule.priority,
        "table": rule.table,
        "protocol": rule.protocol,
        "action": next((code for code, word in wire.ACTIONS.items() if word == rule.action), 0) or int(rule.action),
        **values,
    }


def _range(bounds: tuple[int, int] | None) -> str | None:
    return f"{bounds[0]}:{bounds[1]}" if bounds else None
