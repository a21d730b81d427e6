"""What the kernel holds, in a form that can be compared."""

from __future__ import annotations

import json

from tests.lab import Netns, Object

FAMILIES = ("ipv4", "ipv6")
OURS = "172"
GUARD = 4294967295
LOCAL = "255"
UNREACHABLE, BLACKHOLE = "7", "6"


def plain(route: Object) -> Object:
    """A route without what says where it stands and who put it there."""
    kept = {key: value for key, value in route.items() if key not in {"protocol", "table", "pref", "flags", "expires"}}
    if kept.get("type") == "1":
        del kept["type"]
    return kept


def layout(ns: Netns) -> list[str]:
    """Rules and routes of all tables but local, of both families, as sorted lines of JSON.

    Of nexthop objects only what a route makes of them: their numbers hang on the interfaces' indices.
    """
    lines = []
    for family in FAMILIES:
        for rule in ns.rules(family):
            lines.append(f"{family} rule {json.dumps(rule, sort_keys=True)}")
        for route in ns.routes("all", family):
            if route.get("table") != LOCAL and not route["dst"].startswith("ff00::"):
                route.get("nexthops", []).sort(key=lambda hop: hop["dev"])
                route.pop("nhid", None)
                route.pop("nh_info", None)
                lines.append(f"{family} route {json.dumps(route, sort_keys=True)}")
    return sorted(lines)


def sources(ns: Netns, priority: int, family: str = "ipv4") -> list[tuple[str, int]]:
    """Source address and table of the rules at a priority."""
    return sorted((rule["src"], int(rule["table"])) for rule in ns.rules(family) if rule["priority"] == priority)


def defaults(ns: Netns, table: int | str, family: str = "ipv4") -> list[Object]:
    """The default routes of a table, the best first; none that others have put there to refuse everything."""
    found = [r for r in ns.routes(table, family) if r["dst"] == "default" and r.get("metric") != GUARD]
    return sorted(found, key=lambda route: int(route.get("metric", 0)))


def hops(route: Object) -> dict[str, tuple[str | None, int]]:
    """Gateway and weight of each nexthop, by its device."""
    if "nexthops" not in route:
        return {route["dev"]: (_gateway(route), 1)}
    return {hop["dev"]: (_gateway(hop), hop["weight"]) for hop in route["nexthops"]}


def _gateway(hop: Object) -> str | None:
    via: str | None = hop.get("gateway") or hop.get("via", {}).get("host")
    return via


def ours(ns: Netns) -> list[str]:
    """Everything that carries our protocol number."""
    return [line for line in layout(ns) if f'"protocol": "{OURS}"' in line]
