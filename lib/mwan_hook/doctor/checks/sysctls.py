"""Doctor: values under /proc/sys that several uplinks need.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Case, Finding, Fix, spelled, sysctl_fix
from mwan_hook.model import FAMILIES, LATENCY, Family, Nat6, Sysctl
from mwan_hook.phrases import listed
from mwan_hook.verdict.standing import uses

STRICT = "1"
ADVERTISED = 9  # RTPROT_RA
ALL_RP = "net/ipv4/conf/all/rp_filter"
FORWARDING = {Family.IPV4: "net/ipv4/ip_forward", Family.IPV6: "net/ipv6/conf/all/forwarding"}
MPTCP, MPTCP_MANAGER = "net/mptcp/enabled", "net/mptcp/pm_type"
NO_MPTCP = "a program that asks for MPTCP gets an error, or falls back to TCP: its connections end with their uplink"
MANAGED = "endpoints are not used: connections have one subflow, and do not outlive its uplink"


def hash_key(family: Family) -> str:
    """What a multipath route chooses by."""
    return f"net/{family.value}/fib_multipath_hash_policy"


def keys(case: Case) -> tuple[str, ...]:
    """All that is to be read."""
    own = []
    for name in ("all", *(uplink.interface for uplink in case.present)):
        own += [f"net/ipv4/conf/{name}/rp_filter"]
        own += [f"net/{family.value}/conf/{name}/ignore_routes_with_linkdown" for family in FAMILIES]
        own += [f"net/ipv6/conf/{name}/{word}" for word in ("forwarding", "accept_ra")]
    own += [_arriving(name) for name in _doors(case)]
    own += (MPTCP, MPTCP_MANAGER) if case.config.routing.mptcp else ()
    return (*own, *(hash_key(family) for family in FAMILIES), *FORWARDING.values())


def _arriving(name: str) -> str:
    """IPv4 asks the interface that a packet came in by; the one for all sets each of them when it is written."""
    return f"net/ipv4/conf/{name}/forwarding"


def _doors(case: Case) -> tuple[str, ...]:
    """Interfaces that packets to be forwarded come in by."""
    return (*case.behind(Family.IPV4), *(uplink.interface for uplink in case.present))


def check(
    case: Case, values: Mapping[str, str], places: Mapping[str, str], managed: frozenset[int]
) -> Iterator[Finding]:
    """``places``: which sysctl.d file sets a key; ``managed``: interfaces whose advertisements networkd takes."""
    wanted = dict(_forwarding(case))
    yield from _rp_filter(case, values, places)
    yield from _linkdown(case, values, places)
    yield from _hash(case, values, places)
    for family, why in wanted.items():
        yield from _forwards(case, family, why, values, places)
    yield from _advertisements(case, values, places, managed, Family.IPV6 in wanted)


def _seen(key: str, value: str, places: Mapping[str, str]) -> str:
    """``net.ipv4.ip_forward = 0 (set by /etc/sysctl.d/9.conf:1)``."""
    return f"{spelled(key)} = {value}" + (f" (set by {places[key]})" if key in places else "")


def forwards(case: Case, values: Mapping[str, str]) -> bool:
    """Whether IPv4 packets of others go through."""
    switches = (FORWARDING[Family.IPV4], *map(_arriving, case.behind(Family.IPV4)))
    return any(values.get(key) == "1" for key in switches) or Family.IPV4 in dict(_forwarding(case))


def _rp_filter(case: Case, values: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Finding]:
    """The larger of the interface's and that of all counts."""
    if len(case.uplinks) < 2:
        return
    everywhere = values.get(ALL_RP, "0")
    routing = forwards(case, values)
    for uplink in case.present:
        key = f"net/ipv4/conf/{uplink.interface}/rp_filter"
        own = values.get(key, "0")
        if max(own, everywhere) != STRICT or Family.IPV4 not in uplink.config.families:
            continue
        seen, by = (key, own) if own == STRICT else (ALL_RP, everywhere)
        what = f"{_seen(seen, by, places)}: {uplink.interface} checks sources strictly"
        if seen is ALL_RP:
            what += f", although its own is {own}: the larger one counts"
        breaks = (
            "an answer whose way back, without a mark, would be another uplink is dropped without a word: "
            + ("pinned and policy-routed connections of machines behind this one, and port forwards" if routing else
               "connections by routes of main through another uplink; those of others, once this machine forwards")
        )  # fmt: skip
        severity = PROBLEM if routing else WARNING
        yield Finding("rp-filter", severity, uplink.interface, what, breaks, sysctl_fix([Sysctl(key, "2")]))


def _linkdown(case: Case, values: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Finding]:
    """IPv4 asks the interface and all, IPv6 the interface alone."""
    for uplink in case.present:
        bad = []
        for family in case.snapshot.families:
            key = f"net/{family.value}/conf/{uplink.interface}/ignore_routes_with_linkdown"
            everywhere = values.get(f"net/{family.value}/conf/all/ignore_routes_with_linkdown")
            if values.get(key) == "0" and not (family is Family.IPV4 and everywhere == "1"):
                bad.append(key)
        if not bad:
            continue
        what = "; ".join(_seen(key, "0", places) for key in bad)
        breaks = (
            "a line that loses its carrier goes on getting packets until a run sees it, instead of for milliseconds"
        )
        fix = sysctl_fix([Sysctl(key, "1") for key in bad], "the next run of mwan-hook sets it, too")
        severity = WARNING if case.state.boot_id else NOTE
        yield Finding("linkdown", severity, uplink.interface, what, breaks, fix)


def _hash(case: Case, values: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Finding]:
    for family in case.snapshot.families:
        shared = _sharing(case, family)
        if not shared or values.get(hash_key(family)) != "0":
            continue
        what = f"{_seen(hash_key(family), '0', places)}, and {shared}"
        breaks = "all connections to one address take the same uplink, no weight helps: ports are not looked at"
        yield Finding("hash-policy", WARNING, family.value, what, breaks, sysctl_fix([Sysctl(hash_key(family), "1")]))


def _sharing(case: Case, family: Family) -> str:
    """Which uplinks share in a family, by their metric or by a policy, in words."""
    able = [
        uplink
        for uplink in (case.uplinks if case.concerns(family) else ())
        if family in uplink.config.families and (not uplink.present or uses(uplink, family, case.state))
    ]
    share = case.config.routing.prefer != LATENCY
    for metric in dict.fromkeys(uplink.metric for uplink in able if share):
        names = [uplink.name for uplink in able if uplink.metric == metric]
        if len(names) > 1:
            return f"{listed(names)} share a metric"
    for policy in case.config.policies:
        for entry in policy.order:
            names = [uplink.name for uplink in able if {uplink.name, uplink.config.name} & set(entry)]
            if len(names) > 1:
                return f"{listed(names)} share policy {policy.name}"
    return ""


def _forwarding(case: Case) -> Iterator[tuple[Family, str]]:
    """Families that the configuration wants forwarded, and why."""
    config = case.config
    for family in case.snapshot.families:
        why = ""
        translated = [config.router.masquerade, *(uplink.masquerade or () for uplink in config.uplinks)]
        if any(family in families for families in translated):
            why = "masquerade"
        nat6 = [config.router.nat6, *(uplink.nat6 or Nat6.NO for uplink in config.uplinks)]
        if family is Family.IPV6 and any(one is not Nat6.NO for one in nat6):
            why = "nat6"
        if not why and case.behind(family) and any(set(policy.iif) - {"lo"} for policy in config.policies):
            why = "a policy with iif"
        if why:
            yield family, why


def _forwards(
    case: Case, family: Family, why: str, values: Mapping[str, str], places: Mapping[str, str]
) -> Iterator[Finding]:
    """True if packets are forwarded; since systemd 256 networkd switches interfaces one by one, enough for IPv4."""
    key = FORWARDING[family]
    off = [_arriving(name) for name in _doors(case) if values.get(_arriving(name)) == "0"]
    if family is Family.IPV4 and case.behind(family):
        bad = off if values.get(key) == "1" else [key] if off else []
    else:
        bad = [key] if values.get(key) == "0" else []
    if not bad:
        return
    what = f"{listed(_seen(one, '0', places) for one in bad)}, and the configuration has {why}"
    breaks = f"no {family.value} packet of the machines behind this one goes any further, or no answer comes back"
    fix = sysctl_fix(Sysctl(one, "1") for one in bad)
    yield Finding("forwarding", PROBLEM, family.value, what, breaks, fix)


def _static(case: Case, index: int) -> bool:
    """Whether something else than a router advertisement has given an interface its default."""
    through = [
        route
        for route in case.snapshot.defaults
        if route.family is Family.IPV6 and any(hop.index == index for hop in route.nexthops)
    ]
    return bool(through) and all(route.protocol not in (ADVERTISED, case.snapshot.protocol) for route in through)


def _advertisements(
    case: Case, values: Mapping[str, str], places: Mapping[str, str], managed: frozenset[int], wanted: bool
) -> Iterator[Finding]:
    """A kernel that forwards takes router advertisements only where accept_ra is 2; networkd takes them itself."""
    for uplink in case.present:
        base = f"net/ipv6/conf/{uplink.interface}/"
        key = base + "accept_ra"
        forwarding = wanted or values.get(base + "forwarding", "0") != "0"
        if uplink.index in managed or values.get(key) != "1" or not forwarding:
            continue
        if Family.IPV6 not in uplink.config.families or _static(case, uplink.index):
            continue
        what = f"{_seen(key, '1', places)} on a machine that forwards IPv6, and networkd does not manage it"
        breaks = "the kernel ignores router advertisements: addresses and the default route run out, IPv6 is gone"
        yield Finding("accept-ra", WARNING, uplink.interface, what, breaks, sysctl_fix([Sysctl(key, "2")]))


def check_mptcp(case: Case, values: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Finding]:
    """A kernel without MPTCP, or with it switched off, or in which another program manages the paths."""
    if not case.config.routing.mptcp:
        return
    because = "and the configuration has [routing] mptcp"
    if MPTCP not in values:
        what = f"this kernel has no {spelled(MPTCP)}, {because}"
        fix = Fix("boot a kernel with CONFIG_MPTCP (Linux 5.6 or later), or set mptcp = no")
        yield Finding("kernel-lacks", PROBLEM, "CONFIG_MPTCP", what, NO_MPTCP, fix)
    elif values[MPTCP] == "0":
        what = f"{_seen(MPTCP, '0', places)}, {because}"
        yield Finding("mptcp-off", PROBLEM, "", what, NO_MPTCP, sysctl_fix([Sysctl(MPTCP, "1")]))
    elif values.get(MPTCP_MANAGER, "0") != "0":
        seen = _seen(MPTCP_MANAGER, values[MPTCP_MANAGER], places)
        what = f"{seen}: a program such as mptcpd manages paths, {because}"
        yield Finding("mptcp-paths", PROBLEM, "", what, MANAGED, sysctl_fix([Sysctl(MPTCP_MANAGER, "0")]))
