"""Doctor: defaults of others that win against ours, and addresses that are there twice.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mwan_hook.addresses import holds
from mwan_hook.doctor.checks.rules import has_default
from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.model import DEFAULT, FAMILIES, MAIN_TABLE, Address, Family, Route, Uplink
from mwan_hook.others import claims, servers
from mwan_hook.others.claims import BY
from mwan_hook.others.foreign import Here
from mwan_hook.phrases import listed
from mwan_hook.routing import samenetwork
from mwan_hook.routing.rules import shared_addresses
from mwan_hook.trace.values import Device, RouteEntry
from mwan_hook.verdict.standing import is_online

MOST = 8  # routes of one kind that are told


def check(
    case: Case, tables: Mapping[tuple[Family, int], Sequence[RouteEntry]], devices: Mapping[int, Device]
) -> Iterator[Finding]:
    """``tables``: routes to anywhere, of main, the shared default's table and the uplinks'."""
    for family in case.snapshot.families:
        yield from _split(case, family, tables.get((family, MAIN_TABLE), ()), devices)
        shared = case.config.routing.default_table
        yield from _beaten(case, family, shared, tables.get((family, shared), ()), devices)
        for uplink in case.present:
            yield from _beaten(case, family, uplink.table, tables.get((family, uplink.table), ()), devices)


def _split(
    case: Case, family: Family, entries: Sequence[RouteEntry], devices: Mapping[int, Device]
) -> Iterator[Finding]:
    """Two halves of everything in main, as OpenVPN's redirect-gateway makes them, come before any default."""
    foreign = [one for one in entries if one.route.protocol not in BY and not one.route.from_]
    halves = [one for one in foreign if one.length and one.route.kind == "unicast"]
    if not halves or not has_default(halves):
        return
    if not (case.config.routing.main_first or case.config.routing.default_table == MAIN_TABLE):
        return
    ways = listed(dict.fromkeys(_way(one, devices) for one in halves))
    what = f"main has {listed(one.route.dst for one in halves)} {ways}, which is a default in pieces"
    hosts = [route for route in case.snapshot.hosts if route.family is family and servers.is_public(route.dst)]
    what += "".join(f"; and {route.dst} by {_line(case, route)}, which may be its server" for route in hosts[:MOST])
    breaks = (
        "more specific routes of main come first ([routing] main_first): everything goes there, online uplinks or not"
    )
    table = "default_table = 1000 and " if case.config.routing.default_table == MAIN_TABLE else ""
    words = (
        "nothing, if a VPN is meant to take all; else take its redirect-gateway def1 out, or set"
        f" {table}main_first = no (with copy_routes = main, if hosts of the LAN use the uplinks' addresses)"
    )
    yield Finding("split-default", WARNING, f"{family.value} main", what, breaks, Fix(words))


def check_claims(case: Case) -> Iterator[Finding]:
    """What leases and router advertisements have put into main besides a default and their own network."""
    words = "unless you need it, set in the line's .network file: [DHCPv4] UseRoutes=no, UseGateway=yes and "
    words += "[IPv6AcceptRA] UseRoutePrefix=no"
    for route in case.snapshot.claims[:MOST]:
        what = claims.words(route, case.uplinks, case.snapshot)
        breaks = "nothing while mwan-hook runs: it is judged a default, and others are led around it"
        about = f"{route.family.value} {route.dst}"
        yield Finding("lease-default", WARNING, about, what, breaks, Fix(words))
    for route in case.snapshot.inside[:MOST]:
        what = f"{claims.words(route, case.uplinks, case.snapshot)}, inside {claims.network(route, case.snapshot)}"
        breaks = "more specific routes come first: what goes there leaves the LAN by that line"
        about = f"{route.family.value} {route.dst}"
        yield Finding("lease-inside", WARNING, about, what, breaks, Fix(words))


def _way(one: RouteEntry, devices: Mapping[int, Device]) -> str:
    names = [devices[leg.index].name if leg.index in devices else str(leg.index) for leg in one.legs]
    return f"dev {listed(names)}" if names else one.route.kind


def _beaten(
    case: Case, family: Family, table: int, entries: Sequence[RouteEntry], devices: Mapping[int, Device]
) -> Iterator[Finding]:
    protocol = case.config.routing.protocol
    defaults = [one for one in entries if one.route.dst == DEFAULT and not one.route.from_ and not one.route.tos]
    ours = [one.route.metric for one in defaults if one.route.protocol == protocol and one.route.kind == "unicast"]
    better = [one for one in defaults if one.route.protocol != protocol and ours and one.route.metric < min(ours)]
    name = "main" if table == MAIN_TABLE else str(table)
    for one in better:
        flag = "-6 " if family is Family.IPV6 else ""
        via = f" via {one.legs[0].gateway}" if one.legs and one.legs[0].gateway else ""
        metric = f" metric {one.route.metric}" if one.route.metric else ""
        where = f"default{via} {_way(one, devices)} table {name}{metric}"
        what = f"{where} (protocol {one.route.protocol}) is better than ours, whose metric is {min(ours)}"
        breaks = "the kernel takes the lowest metric: everything goes there, online or not"
        words = "give it a higher metric where it comes from (RouteMetric= in its .network file, for one)"
        if table != MAIN_TABLE:
            words = f"take it out: table {name} is ours"
        fix = Fix(commands=(f"ip {flag}route del {where}",), words=words)
        yield Finding("default-beaten", PROBLEM, f"{family.value} {name}", what, breaks, fix)


def check_lost(case: Case) -> Iterator[Finding]:
    """Routes of main to the internet by an uplink that is offline while another is online."""
    for family in case.snapshot.families:
        online = [uplink.name for uplink in case.present if is_online(uplink, family, case.state)]
        here = Here(family, case.config, case.uplinks, case.snapshot, ())
        if online:
            lost = list(servers.lost(here, online))
            yield from (_lost(here, route, uplink, online) for route, uplink in lost[:MOST])


def _lost(here: Here, route: Route, uplink: Uplink, online: Sequence[str]) -> Finding:
    hop = route.nexthops[0]
    words = f"{route.dst}{f' via {hop.gateway}' if hop.gateway else ''} dev {uplink.interface}"
    what = f"main has {words}, and {uplink.name} is offline (online: {listed(online)})"
    about = f"{here.family.value} {route.dst}"
    if here.pieces and servers.is_host(route):
        breaks = f"nothing: as a tunnel's server it is reached by {online[0]} meanwhile"
        return Finding("route-offline", NOTE, about, what, breaks, Fix("nothing"))
    flag = "-6 " if here.family is Family.IPV6 else ""
    breaks = "specific routes of main come first: what goes there, a tunnel to that server for one, is lost"
    fix = Fix(
        commands=(f"ip {flag}route del {words}",),
        words="if its program does not need this line: a tunnel's makes the route anew when it is started again",
    )
    return Finding("route-offline", WARNING, about, what, breaks, fix)


def _line(case: Case, route: Route) -> str:
    uplinks = {uplink.index: uplink.name for uplink in case.present}
    return listed(uplinks.get(hop.index, str(hop.index)) for hop in route.nexthops)


def check_addresses(case: Case) -> Iterator[Finding]:
    """Addresses that several interfaces have: uplinks tell them apart by device and mark, others cannot."""
    uplinks = {uplink.index: uplink for uplink in case.present}
    names = case.snapshot.names
    usable = [one for one in case.snapshot.addresses if one.usable and one.prefixlen and one.index != 1]
    for outside in (one for one in usable if one.index in uplinks):
        gateway = uplinks[outside.index].way(outside.family).gateway
        for inside in (one for one in usable if one.index not in uplinks and one.family is outside.family):
            if outside.prefixlen == inside.prefixlen and holds(inside, outside.address):
                yield _twice(outside, inside, names)
            elif gateway and inside.prefixlen > outside.prefixlen and holds(inside, gateway):
                yield _hidden(outside, inside, gateway, names)
    yield from _lines_of_one_network(case)
    if case.config.steers and not case.config.router.pin:
        for family in FAMILIES:
            for address in shared_addresses(case.present, family):
                yield _unpinned(case, family, address)


def _lines_of_one_network(case: Case) -> Iterator[Finding]:
    """Rules tell them apart by source and mark; what has neither goes as main says."""
    for family in FAMILIES:
        twins = shared_addresses(case.present, family)
        able = [u for u in case.present if not any(a.address in twins for a in u.way(family).addresses)]
        for network, holders in samenetwork.shared(able, family).items():
            names = listed(uplink.interface for uplink in holders)
            what = f"{names} are in one network, {network}"
            breaks = "what chooses no source finds hosts in it (the provider's name servers) behind one of them only"
            words = "bind what asks them to the line's address, or use name servers outside that network"
            yield Finding("network-of-two", NOTE, names, what, breaks, Fix(words))


def _hidden(outside: Address, inside: Address, gateway: str, names: Mapping[int, str]) -> Finding:
    there, here = names.get(outside.index, "?"), names.get(inside.index, "?")
    what = f"the gateway {gateway} of {there} is in the network of {here}, {inside.address}/{inside.prefixlen}"
    breaks = f"main looks for it behind {here}; what is asked of it, DNS for one, gets no answer"
    return Finding("network-twice", WARNING, listed((there, here)), what, breaks, _renumber)


def _twice(one: Address, other: Address, names: Mapping[int, str]) -> Finding:
    where = listed((names.get(one.index, "?"), names.get(other.index, "?")))
    if one.address == other.address:
        what = f"{one.address} is on {where}"
        breaks = "packets from it leave by the one of the two that main names first, and mwan-hook cannot lead them"
        return Finding("address-twice", WARNING, one.address, what, breaks, _renumber)
    what = f"{one.address}/{one.prefixlen} and {other.address}/{other.prefixlen} on {where} are one network"
    breaks = (
        "hosts and the gateway in it are looked for behind one of the two interfaces only: main has one way to them"
    )
    return Finding("network-twice", WARNING, where, what, breaks, _renumber)


_renumber = Fix("choose another network for the LAN, or for the modem's own side")


def _unpinned(case: Case, family: Family, address: str) -> Finding:
    holders = [
        uplink.name for uplink in case.present if any(a.address == address for a in uplink.way(family).addresses)
    ]
    what = f"{address} is on the uplinks {listed(holders)}, and [router] has no pin"
    breaks = "answers to connections that came in, and of machines behind this one, may leave by the wrong one of them"
    return Finding("twins-unpinned", WARNING, address, what, breaks, Fix("[router] pin = yes in mwan-hook.conf"))
