"""Everything that ``doctor`` looks at, one question after the other; what may not be asked is said."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence

from mwan_hook import config
from mwan_hook.config import Loaded
from mwan_hook.doctor.checks import common as doctorcommon
from mwan_hook.doctor.checks import defaults, dials, dns, kernel, marks, repair, sysctls, widths
from mwan_hook.doctor.checks import managers as doctormanagers
from mwan_hook.doctor.checks import networkd as doctornetworkd
from mwan_hook.doctor.checks import rules as doctorrules
from mwan_hook.doctor.checks import state as doctorstate
from mwan_hook.doctor.checks import units as doctorunits
from mwan_hook.doctor.checks.dials import DialSetup
from mwan_hook.doctor.checks.marks import Flowtable, Marker
from mwan_hook.doctor.checks.rules import Foreign
from mwan_hook.doctor.checks.state import Memory
from mwan_hook.doctor.finding import Case, Finding, ordered, without_systemd
from mwan_hook.doctor.read import kernel as kernelparts
from mwan_hook.doctor.read import resolvers, rulesets
from mwan_hook.doctor.read import widths as widthparts
from mwan_hook.kernel import nft, sockets, sysctl
from mwan_hook.kernel.question import Question
from mwan_hook.machine import dialling, dropins, leases, managers, networkd, units, usbdevice
from mwan_hook.model import MAIN_TABLE, Config, ConfigError, Dial, Family, MwanError, Transition, Uplink
from mwan_hook.run import judge, look
from mwan_hook.run.scene import Judged
from mwan_hook.store import history, published
from mwan_hook.store.files import STATE, under
from mwan_hook.trace import inquiry
from mwan_hook.trace.values import AnyRule, Device

WIDTHS = "how large a packet the lines take: that takes root"
FIREWALL = "marks that nftables and iptables set, and flowtables: that takes root"


def findings(root: str) -> tuple[tuple[Finding, ...], bool]:
    """All of them, the worst first, and whether the configuration is good."""
    found, good = _findings(root)
    return (found if units.runs(root) else tuple(map(without_systemd, found))), good


def _findings(root: str) -> tuple[tuple[Finding, ...], bool]:
    found: list[Finding] = []
    try:
        loaded = config.look(root)
    except ConfigError as error:
        found += doctorstate.check_configuration(tuple(str(error).splitlines()), ())
        found += _system(root, False, frozenset(), ())
        return ordered(found), False
    seen = look.to_read(root, loaded)
    judged = judge.judge(seen)
    case = Case(loaded.config, seen.uplinks, judged.state, seen.snapshot, seen.now)
    required = tuple(
        uplink.interface
        for uplink in (case.present if len(case.uplinks) > 1 else ())
        if networkd.link_facts(root, uplink.index).get("REQUIRED_FOR_ONLINE") == "yes"
    )
    found += _own(root, case, loaded, judged)
    found += dials.check(_dialled(root, uplink, uplink.config.dial) for uplink in case.uplinks if uplink.config.dial)
    found += _system(root, inquiry.has_nexthops(loaded.config.routing.protocol), _channels(loaded.config), required)
    found += _kernel(root, case, judged)
    return ordered(found), True


def _own(root: str, case: Case, loaded: Loaded, judged: Judged) -> Iterator[Finding]:
    """Configuration and memory."""
    yield from doctorstate.check_configuration((), loaded.warnings)
    yield from doctorstate.check_uplinks(case)
    yield from doctorstate.check_order(case)
    yield from doctorstate.check(case, _memory(root, judged))
    yield from doctorstate.check_page(loaded.config.report.html, published.failure(root))
    yield from doctorcommon.check(case, _history(root))
    yield from _repairs(root, case, loaded)


def _history(root: str) -> tuple[Transition, ...]:
    try:
        return history.read(root)
    except MwanError:  # appending says so
        return ()


def _repairs(root: str, case: Case, loaded: Loaded) -> Iterator[Finding]:
    """What their steps lack is asked of the interfaces that are there."""
    usb = frozenset(one.interface for one in case.present if usbdevice.of_interface(root, one.interface))
    refusals: dict[tuple[str, str], str] = {}
    if any(uplink.config.repair for uplink in case.present):
        from mwan_hook.run.steps import STEPS, Work

        for uplink in case.present:
            work = Work(root, loaded, uplink, "")
            refusals |= {(uplink.name, one.step): STEPS[one.step].refusal(work) for one in uplink.config.repair}
    yield from repair.check(case, usb, refusals)


def _dialled(root: str, uplink: Uplink, dial: Dial) -> DialSetup:
    return DialSetup(
        uplink.name,
        uplink.interface,
        dial.on_demand,
        dial.ready_timeout,
        point_to_point=bool(uplink.link and uplink.link.noarp),
        link=dialling.link(root, uplink.index) if uplink.link else None,
        unit=dialling.unit(root, dial.start.partition(":")[2]) if dial.kind == "unit" else None,
        lacks=dialling.lacks(root) if dial.kind == "modem" else (),
        others=dialling.network_manager(root, uplink.interface, dial.kind == "modem"),
    )


def _memory(root: str, judged: Judged) -> Memory:
    path = under(root, STATE)
    try:
        aside: float | None = max(0.0, time.time() - os.stat(f"{path}.bad").st_mtime)
    except OSError:
        aside = None
    return Memory(os.path.exists(path), judged.scene.state, aside, judged.scene.messages)


def _channels(config: Config) -> frozenset[str]:
    """Timers that have something to send."""
    return frozenset(
        timer
        for timer, there in (
            (doctorunits.MAIL, config.mail.to),
            (doctorunits.WEBHOOK, config.webhook.url),
            (doctorunits.RECORD, config.record.keep and config.record.size),
        )
        if there
    )


def _system(root: str, own_nexthops: bool, channels: frozenset[str], required: tuple[str, ...]) -> Iterator[Finding]:
    """systemd, its networkd, and what starts us."""
    setup = units.networkd(root)
    if setup:
        yield from doctornetworkd.check(setup, own_nexthops)
        wait = dropins.wait_online(root, required)
        if wait:
            yield from doctornetworkd.check_wait(wait)
    yield from doctorunits.check(units.installed(root, channels, tuple(doctorunits.UNITS)))


def _kernel(root: str, case: Case, judged: Judged) -> Iterator[Finding]:
    keys = sysctls.keys(case)
    values = {key: value for key in keys if (value := sysctl.read(key)) is not None}
    managed = frozenset(uplink.index for uplink in case.present if managers.has_networkd(root, uplink.index))
    places = dropins.sysctl_places(root, keys)
    yield from sysctls.check(case, values, places, managed)
    yield from sysctls.check_mptcp(case, values, places)
    devices = inquiry.devices(Question(Family.IPV4, "0.0.0.0"))
    rules = tuple(rule for family in case.snapshot.families for rule in inquiry.rules(family))
    yield from doctorrules.check_copied(case)
    yield from _rules(case, rules, devices)
    yield from defaults.check_addresses(case)
    yield from doctormanagers.check(case, _managers(root, case))
    yield from kernel.check(case, kernelparts.kernel(root))
    yield from kernel.check_sockets(case, sockets.unable())
    yield from _netfilter(case, judged)
    yield from _widths(case)
    online = frozenset(uplink.index for uplink in case.present if case.online(uplink))
    yield from dns.check(case, resolvers.servers(root, case.snapshot.links, online))


def _widths(case: Case) -> Iterator[Finding]:
    try:
        yield from widths.check(case, widthparts.narrow(case))
    except MwanError:
        yield doctorstate.unseen(WIDTHS)


def _managers(root: str, case: Case) -> Iterator[doctormanagers.Managed]:
    """Interfaces of uplinks, and all others that have an IPv4 address."""
    uplinks = {uplink.index for uplink in case.present}
    for link in case.snapshot.links:
        addresses = leases.own(case.snapshot.addresses, link.index)
        if link.name == "lo" or not (addresses or link.index in uplinks):
            continue
        lease = networkd.lease(root, link.index)
        leased = lease.gateway4 or leases.lease(root, link.index, link.name, addresses).gateway4
        by, netplan = managers.of(root, link.index, link.name), managers.by_netplan(root, link.index)
        yield doctormanagers.Managed(link.name, link.index, by, netplan, leased)


def _rules(case: Case, rules: Sequence[AnyRule], devices: Mapping[int, Device]) -> Iterator[Finding]:
    protocol, shared = case.config.routing.protocol, case.config.routing.default_table
    foreign = tuple(rule for rule in rules if doctorrules.is_foreign(rule, protocol))
    looked = {(rule.family, rule.table) for rule in foreign if rule.action == "lookup"}
    own = {MAIN_TABLE, shared, *(uplink.table for uplink in case.present)}
    wanted = looked | {(family, table) for family in case.snapshot.families for table in own}
    tables = {(family, table): inquiry.wide(family, table) for family, table in sorted(wanted)}
    yield from doctorrules.check(case, Foreign(foreign, tables, devices))
    yield from marks.check_rules(case, foreign)
    yield from marks.check_room(case)
    yield from defaults.check(case, tables, devices)
    yield from defaults.check_lost(case)
    yield from defaults.check_claims(case)


def _netfilter(case: Case, judged: Judged) -> Iterator[Finding]:
    """nft(8) wants root, and to ask it about a table does, too."""
    root = os.geteuid() == 0
    program = nft.program()
    refusal = nft.refusal(_commands(judged)) if case.config.firewall and program and root else ""
    yield from kernel.check_nft(case, program, refusal)
    if not root:
        yield doctorstate.unseen(FIREWALL)
        return
    markers: list[Marker] = []
    flowtables: list[Flowtable] = []
    try:
        markers, flowtables = rulesets.markers(nft.ruleset() if program else "")
        for name, listing in rulesets.listings():
            markers += rulesets.saved_markers(name, listing)
    except (ValueError, KeyError, TypeError) as error:  # a version that prints otherwise
        yield doctorstate.unseen(f"what nft(8) or iptables-save(8) print: {error!r}")
    yield from marks.check_markers(case, markers)
    yield from marks.check_flowtables(case, flowtables)


def _commands(judged: Judged) -> tuple[str, ...]:
    from mwan_hook.firewall import table as firewall

    seen = judged.scene
    return firewall.wanted(seen.config, seen.uplinks, judged.state, seen.snapshot, seen.bound.policies)
