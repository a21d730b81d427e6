"""Every kind of reason with its sentence in full, and what would change it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import pytest

from mwan_hook.explain import families, notes, why, words
from mwan_hook.explain.carriage import carriages
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.model import (
    FAMILIES,
    MAIN_TABLE,
    Activate,
    Activation,
    Config,
    Connectivity,
    Dial,
    Draining,
    Evidence,
    Fallback,
    Family,
    LastResort,
    Phase,
    Policy,
    Quality,
    Routing,
    Rung,
    Stage,
    Status,
    Turn,
    Uplink,
    Usage,
)
from mwan_hook.policy.policies import BoundPolicy
from mwan_hook.repair.ladder import Due
from tests.frames import NOW, PROBE, frame, line, state, way

BAD: Mapping[str, Any] = {
    "status": Status.OFFLINE,
    "connectivity": Connectivity.LIMITED,
    "good": 0,
    "bad": 5,
    "reason": "0 of 2 targets answered: timed out",
}
BETTER: Mapping[str, Any] = {"status": Status.OFFLINE, "good": 1}
LOSSY = Quality("w", NOW - 20, checked_at=NOW - 100, reason="loss 12 % of 100 (limit 5 %)")
BEYOND: Mapping[str, Any] = {"degraded": True, "quality": LOSSY}
LIMITS = PROBE._replace(loss_high=5)
ON_DEMAND = Dial("networkd", activate=Activate.ON_DEMAND)
FULL = Usage(period="2026-06-01", periods={"2026-06-01": 21_000_000_000}, stage=Stage.EXCEEDED)
DARK: Mapping[str, Any] = {"dark_since": NOW - 30, "dark": ("one", "two")}


@pytest.fixture(autouse=True)
def utc() -> Iterator[None]:
    """Local time is UTC; the view's clock says 02:46:40."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    yield
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


def view(*uplinks: Uplink, more: Mapping[str, Any] | None = None, **changes: Any) -> Situation:
    """How these lines stand.  ``more``: fields of the view, of [routing] or of the state."""
    given = dict(more or {})
    routing = Routing(**{key: given.pop(key) for key in tuple(given) if key in Routing._fields})
    own = {key: given.pop(key) for key in tuple(given) if key in Situation._fields and key != "state"}
    known = state(uplinks, **changes)._replace(**given)
    made = why.view_of(frame(uplinks, known=known), readable=True)
    return made._replace(config=Config(routing, PROBE, tuple(u.config for u in uplinks)), **own)


def one(**changed: Any) -> Uplink:
    return line(1, "one", **changed)


def two(**changed: Any) -> Uplink:
    return line(2, "two", **changed)


def only4() -> Uplink:
    """A line that is meant for IPv4 alone."""
    made = one(ipv6=way(1, Family.IPV6, "ipv6 is not used"))
    return made._replace(config=made.config._replace(families=(Family.IPV4,)))


def gone(number: int, name: str, words: str, **changed: Any) -> Uplink:
    """A line that lacks something in both families."""
    four, six = (way(number, family, words) for family in FAMILIES)
    made = line(number, name, ipv4=four, ipv6=six, **changed)
    return made._replace(link=None) if words == "interface is gone" else made


def dialled(record: Activation, words: str = "interface is gone", **changed: Any) -> Situation:
    """A line that stands by for another one."""
    backup = gone(2, "two", words, **{"dial": ON_DEMAND, **changed})
    return view(one(), backup, more={"dials": {"two": record}})


def policed(fallback: Fallback, *order: str, **changes: Any) -> Situation:
    uplinks = {"one": one(), "two": two()}
    policy = Policy("voip", order=tuple((name,) for name in order), fallback=fallback)
    course = BoundPolicy(policy, 1400, tuple((uplinks[name],) for name in order))
    return view(*uplinks.values(), more={"policies": (course,)}, **changes)


def preferred(passed: Uplink, **changes: Any) -> Situation:
    return view(two(), passed, **changes)


class Case(NamedTuple):
    """What is told of a kind."""

    kind: str
    view: Situation
    words: str


CASES = (
    Case(
        "only",
        view(one(), gone(2, "two", "no carrier")),
        "one (eth1) carries the IPv4 and IPv6 default: no other uplink is online. If it fails, packets take what the"
        " main table has (last_resort = main).",
    ),
    Case(
        "best",
        view(one(), two()),
        "one (eth1) carries the IPv4 and IPv6 default: of all that are online its metric is the lowest (100). If it"
        " fails, two takes over.",
    ),
    Case(
        "preferred",
        preferred(one(draining=True)),
        "two (eth2) carries the IPv4 and IPv6 default: one is drained. If it fails, one takes over.",
    ),
    Case(
        "shares",
        view(one(weight=3), two(metric=100)),
        "one (eth1) shares the IPv4 and IPv6 default with two: of all that are online their metric is the lowest"
        " (100). By its weight of 3 it gets 75 % of the new connections.",
    ),
    Case(
        "shared",
        view(one(weight=3), two(metric=100)),
        "one and two share the IPv4 and IPv6 default: of all that are online their metric is the lowest (100). New"
        " connections are spread by weight: one 75 %, two 25 %.",
    ),
    Case(
        "leads",
        view(one(), two(metric=100, second=FAMILIES), one={"leads": NOW - 100}),
        "one (eth1) carries the IPv4 and IPv6 default: two has the same metric (100), and prefer = latency takes the"
        " quickest one. Another one takes the lead when its round trip is shorter by 20 % and at least 5 ms, at the"
        " earliest at 02:50:00 (in 3 min 20 s).",
    ),
    Case(
        "leads",
        view(one(), two(metric=100, second=FAMILIES), line(3, "dsl", metric=100, second=FAMILIES), one={"leads": NOW}),
        "one (eth1) carries the IPv4 and IPv6 default: two and dsl have the same metric (100), and prefer = latency"
        " takes the quickest one. Another one takes the lead when its round trip is shorter by 20 % and at least 5 ms,"
        " at the earliest at 02:51:40 (in 5 min).",
    ),
    Case(
        "kept",
        view(one(), more={"last_resort": LastResort.KEEP}, one=BAD),
        "one (eth1) carries the IPv4 and IPv6 default, although no uplink is online: last_resort = keep leaves it where"
        " it was. The first uplink that is online takes over.",
    ),
    Case(
        "carries",
        view(one(), two(), more={"readable": False}),
        "one (eth1) carries the IPv4 and IPv6 default, and has been online since 01:46 (1 h).",
    ),
    Case(
        "behind",
        view(one(), two()),
        "two (eth2) is online and stands by: one carries the IPv4 and IPv6 default, because a metric of 100 is better"
        " than 200. It takes over when one is no longer online.",
    ),
    Case(
        "behind",
        view(one(), two(metric=100), line(3, "dsl")),
        "dsl (eth3) is online and stands by: one and two carry the IPv4 and IPv6 default, because a metric of 100 is"
        " better than 300. It takes over when none of one and two is online any more.",
    ),
    Case(
        "follows",
        view(one(), two(metric=100, second=FAMILIES), one={"leads": NOW - 100}),
        "two (eth2) is online and waits: one has the same metric (100) and carries the IPv4 and IPv6 default, because"
        " prefer = latency takes the quickest one. It takes the lead when its round trip is shorter by 20 % and at"
        " least 5 ms, at the earliest at 02:50:00 (in 3 min 20 s).",
    ),
    Case(
        "degraded",
        view(one(probe=LIMITS, behind=FAMILIES), two(), one=BEYOND),
        "one (eth1) is online but degraded, and so comes after all that are not: loss 12 % of 100 (limit 5 %). two"
        " carries the IPv4 and IPv6 default. It is good again after a window of 60 s in which at least 100 probes keep"
        " to the low limits, at the earliest at 02:55:59 (in 9 min 19 s).",
    ),
    Case(
        "over_quota",
        view(one(quota=20_000_000_000)._replace(metric=301), two(), more={"usage": {"one": FULL}}),
        "one (eth1) is online, and comes after all others because its quota is used up: 21 GB of 20 GB used (105 %),"
        " resets on 2026-07-01. two carries the IPv4 and IPv6 default. It has its place again when a new period"
        " begins, at 2026-07-01 00:00 (in 9 d 21 h).",
    ),
    Case(
        "drained",
        view(one(draining=True), two(), more={"drains": {"one": Draining(0, NOW + 90, 37)}}),
        "one (eth1) is drained (`mwan-hook drain`): it keeps the 37 connections that it has, and new ones go by two. It"
        " is disabled as soon as it has no connection left, at 02:48:10 (in 1 min 30 s) at the latest.",
    ),
    Case(
        "unshared",
        view(one(), two(metric=100, ipv6=way(2, Family.IPV6)._replace(gateway=None))),
        "two (eth2) is online and cannot share the IPv6 default with one: the kernel shares only among ways with a"
        " gateway of their own. It takes over when one is no longer online.",
    ),
    Case(
        "online",
        view(one()._replace(link=None)),
        "one (eth1) is online, and is not part of the default that the last run left.",
    ),
    Case(
        "unranked",
        view(one(), two(), more={"readable": False}),
        "two (eth2) is online. Whether it shares the default or stands by, only the configuration tells.",
    ),
    Case(
        "gone",
        view(gone(1, "one", "interface is gone")),
        "one (eth1) is not used: its interface eth1 is not there. It is used when that is plugged in or comes up.",
    ),
    Case(
        "down",
        view(gone(1, "one", "administratively down")),
        "one (eth1) is not used: eth1 is administratively down. `ip link set eth1 up` brings it up.",
    ),
    Case(
        "no_carrier",
        view(gone(1, "one", "no carrier")),
        "one (eth1) is not used: eth1 has no carrier. Its cable is out, or what is at the other end is off. It is used"
        " again when the carrier is back and probes get through.",
    ),
    Case(
        "no_address",
        view(gone(1, "one", "no address")),
        "one (eth1) is not used: eth1 has no usable IPv4 or IPv6 address. A lease, an advertisement or a configured"
        " address brings one.",
    ),
    Case(
        "tentative",
        view(one(ipv6=way(1, Family.IPV6, "address is tentative")), one_ipv6={"judged": True}),
        "one (eth1) is not used for IPv6 yet: the kernel still checks that no other machine has its address. That takes"
        " a second or two.",
    ),
    Case(
        "no_gateway",
        view(one(ipv6=way(1, Family.IPV6, "no gateway")), one_ipv6={"judged": True}),
        "one (eth1) is not used for IPv6: eth1 has an address, and no gateway is known. A default route by eth1, a"
        " lease, or `gateway =` in the configuration tells one.",
    ),
    Case(
        "lacks",
        view(one(ipv6=way(1, Family.IPV6, "no luck")), one_ipv6={"judged": True}),
        "one (eth1) is not used for IPv6: no luck.",
    ),
    Case(
        "no_family",
        view(one(ipv6=way(1, Family.IPV6, "ipv6 is not used")), one_ipv6={"judged": True}),
        "one (eth1) is not used for IPv6: this machine has it switched off.",
    ),
    Case(
        "disabled",
        view(one(enabled=False), one={"status": Status.DISABLED}),
        "one (eth1) is disabled: `enabled = no` in the configuration. `mwan-hook enable one` takes it in.",
    ),
    Case(
        "switched_off",
        view(one(switched=False)._replace(enabled=False), one={"status": Status.DISABLED}),
        "one (eth1) is disabled: `mwan-hook disable` or the end of a drain said so. `mwan-hook enable one` takes it"
        " in.",
    ),
    Case(
        "unprobed",
        view(one(), two(), one={**BAD, "probed_at": None, "bad": 0, "judged": False, "reason": "not probed yet"}),
        "one (eth1) is not used yet: it was not probed since it came. 3 good rounds in a row make it online, at the"
        " earliest at 02:46:58 (in 18 s).",
    ),
    Case(
        "bad",
        view(one(), two(), one=BAD),
        "one (eth1) is offline: 0 of 2 targets answered: timed out. 3 good rounds in a row make it online, at the"
        " earliest at 02:47:03 (in 23 s).",
    ),
    Case(
        "bad",
        view(one(), two(), one={**BAD, "full_at": NOW - 100}),
        "one (eth1) is offline: 0 of 2 targets answered: timed out. 3 min of good rounds make it online, at the"
        " earliest at 02:49:45 (in 3 min 5 s).",
    ),
    Case(
        "will_hold",
        view(one(), two(), one={**BAD, "full_at": NOW - 100}),
        "It takes that long because it then has come back twice within 10 min, and is held back for 3 min.",
    ),
    Case(
        "slow",
        view(
            one(probe=PROBE._replace(latency_high=200, latency_low=50)),
            two(),
            one={"status": Status.OFFLINE, "good": 0, "bad": 4, "latency_ms": 120.0},
        ),
        "one (eth1) is offline: a round trip of 120 ms is above latency_low (50 ms), below which it has to come once it"
        " was too slow. 3 good rounds in a row make it online, at the earliest at 02:47:03 (in 23 s).",
    ),
    Case(
        "bad",
        view(
            one(probe=PROBE._replace(latency_high=200, latency_low=50)),
            two(),
            one={**BAD, "latency_ms": 120.0},
        ),
        "one (eth1) is offline: 0 of 2 targets answered: timed out. 3 good rounds in a row make it online, at the"
        " earliest at 02:47:03 (in 23 s).",
    ),
    Case(
        "portal",
        view(one(), two(), one={**BAD, "connectivity": Connectivity.PORTAL, "portal": True}),
        "one (eth1) is offline: a portal stands between it and the internet. Log in on a page that a browser opens"
        " through eth1; then 3 good rounds in a row make it online, at the earliest at 02:47:03 (in 23 s).",
    ),
    Case(
        "held",
        view(one(), two(), one={**BETTER, "good": 4, "held_until": NOW + 100}),
        "one (eth1) answers again and is held back: it came back twice within 10 min, so it has to stay good for 3 min."
        " If it does, it is online, at the earliest at 02:48:20 (in 1 min 40 s).",
    ),
    Case(
        "held_back",
        view(one(), two(), more={"readable": False}, one={**BETTER, "good": 4, "held_until": NOW + 100}),
        "one (eth1) answers again and is held back. If it stays good, it is online, at the earliest at 02:48:20 (in 1"
        " min 40 s).",
    ),
    Case(
        "rising",
        view(one(), two(), one={**BETTER, "good": 4, "held_until": NOW - 1}),
        "one (eth1) answers again, and is not trusted yet: 3 of 3 good rounds in a row. One good round makes it"
        " online, at the earliest with the next run.",
    ),
    Case(
        "rising",
        view(one(), two(), one=BETTER),
        "one (eth1) answers again, and is not trusted yet: 1 of 3 good rounds in a row. 2 good rounds in a row make it"
        " online, at the earliest at 02:46:54 (in 14 s).",
    ),
    Case(
        "aside",
        view(one(probe=LIMITS._replace(degraded="offline")), two(), one={**BETTER, "good": 9, **BEYOND}),
        "one (eth1) is put aside, because it is degraded (degraded = offline): loss 12 % of 100 (limit 5 %). It is good"
        " again after a window of 60 s in which at least 100 probes keep to the low limits, at the earliest at"
        " 02:55:59 (in 9 min 19 s).",
    ),
    Case(
        "offline",
        view(one(), two(), one={"status": Status.OFFLINE, "good": 0, "reason": "the address or the gateway changed"}),
        "one (eth1) is offline: the address or the gateway changed. 3 good rounds in a row make it online, at the"
        " earliest at 02:47:03 (in 23 s).",
    ),
    Case(
        "idle",
        dialled(Activation(reason="one is online")),
        "two (eth2) stands by and is not dialled: one is online. It is dialled when no better uplink is online.",
    ),
    Case(
        "soon",
        dialled(
            Activation(reason="no better uplink is online; dialled in 25 s", wanted_since=NOW - 5),
            dial=ON_DEMAND._replace(activate_delay=30),
        ),
        "two (eth2) stands by: no better uplink is online. It is dialled if that stays so, at the earliest at 02:47:05"
        " (in 25 s).",
    ),
    Case(
        "refused",
        view(
            one(),
            gone(2, "two", "interface is gone", dial=ON_DEMAND, quota=20_000_000_000),
            more={"dials": {"two": Activation(reason="beyond its quota", wanted_since=1.0)}, "usage": {"two": FULL}},
        ),
        "two (eth2) stands by and is not dialled, because its quota is used up (dial_over_quota = no): 21 GB of 20 GB"
        " used (105 %), resets on 2026-07-01. A new period begins, at 2026-07-01 00:00 (in 9 d 21 h).",
    ),
    Case(
        "hung",
        dialled(Activation(hung=True, reason="hung up by `mwan-hook hangup`")),
        "two (eth2) is hung up: `mwan-hook hangup` said so. `mwan-hook dial two` dials it, or the next outage after a"
        " better uplink was online.",
    ),
    Case(
        "dialling",
        dialled(Activation(Phase.DIALLING, asked_at=NOW - 12, tries=2)),
        "two (eth2) is being dialled, since 02:46:28 (12 s) (try 2). It is used when it has an address and a way and a"
        " probe gets through; else this dial has failed, at 02:47:28 (in 48 s) at the latest.",
    ),
    Case(
        "waiting",
        dialled(Activation(Phase.WAITING, tries=3, next_at=NOW + 120, reason="exit code 19: wrong password")),
        "two (eth2) is not up: 3 dials failed (exit code 19: wrong password). It is dialled again, at the earliest at"
        " 02:48:40 (in 2 min).",
    ),
    Case(
        "given_up",
        dialled(Activation(Phase.WAITING, tries=1, final="the SIM is locked")),
        "two (eth2) is not up and not dialled again: the SIM is locked. Mend that; then `mwan-hook dial two` dials it.",
    ),
    Case(
        "stopping",
        dialled(Activation(Phase.STOPPING, reason="one is online")),
        "two (eth2) is being hung up: one is online.",
    ),
    Case(
        "exercising",
        dialled(Activation(Phase.EXERCISING, asked_at=NOW)),
        "two (eth2) is being dialled for an exercise, and hung up after it.",
    ),
    Case(
        "none",
        view(gone(1, "one", "no carrier"), one={"judged": True, "way": ""}),
        "No uplink is online for IPv4 or IPv6.",
    ),
    Case(
        "unjudged",
        view(one(), one={**BAD, "judged": False}),
        "No uplink has a verdict for IPv4 or IPv6 yet: its default stays as it was found.",
    ),
    Case("unused", view(one(families=(Family.IPV4,))), "No uplink has IPv6."),
    Case(
        "no_uplinks",
        view(),
        "There are no uplinks: none is configured, and no interface has a default route.",
    ),
    Case(
        "resort_main",
        view(one(), one=BAD),
        "Packets take what the main table has, if anything (last_resort = main). The first uplink that is online takes"
        " over.",
    ),
    Case(
        "resort_refused",
        view(one(), more={"last_resort": LastResort.BLACKHOLE}, one=BAD),
        "Packets are dropped (last_resort = blackhole). The first uplink that is online takes over.",
    ),
    Case(
        "in_main",
        view(one(), more={"default_table": MAIN_TABLE}),
        "It stands in the main table (default_table = main).",
    ),
    Case(
        "dark",
        view(one(), two(), more=DARK, one=BAD, two=BAD),
        "All uplinks went dead at once (one, two), since 02:46:10 (30 s): what has failed is upstream of them all, the"
        " power, or this machine.",
    ),
    Case(
        "rests",
        view(one(repair=(Rung("renew", 60),)), two(), more=DARK, one=BAD, two=BAD),
        "No line is repaired meanwhile. If it lasts, repair begins all the same, at the earliest at 03:46:10 (in 59 min"
        " 30 s).",
    ),
    Case(
        "ignored",
        view(one(), more={"ignored": {"ipv4 icmp://192.0.2.1": NOW - 60}}),
        "icmp://192.0.2.1 has been dead behind every uplink since 02:45:40 (1 min): no IPv4 verdict follows from it. It"
        " counts when it answers again.",
    ),
    Case(
        "not_meant",
        view(only4()),
        "one (eth1) is not used for IPv6: `families` does not name it. `families` in the configuration decides that.",
    ),
    Case("since", view(one()), "It has been online since 01:46 (1 h)."),
    Case("last_round", view(one()), "Its last round, 4 s ago: 2 of 2 targets answered."),
    Case(
        "doubt",
        view(one(), one={"good": 0, "bad": 1, "reason": "0 of 2 targets answered: timed out; 1 of 3 bad rounds"}),
        "Its last round was bad, 1 of 3 in a row: 0 of 2 targets answered: timed out. With 2 more it is offline.",
    ),
    Case(
        "only_degraded",
        view(one(probe=LIMITS, behind=FAMILIES), one=BEYOND),
        "It is degraded, and there is no better uplink now: loss 12 % of 100 (limit 5 %). It is good again after a"
        " window of 60 s in which at least 100 probes keep to the low limits, at the earliest at 02:55:59 (in 9 min"
        " 19 s).",
    ),
    Case(
        "kept_degraded",
        view(one(probe=LIMITS._replace(degraded="keep")), one=BEYOND),
        "It is degraded, and carries as before (degraded = keep): loss 12 % of 100 (limit 5 %). It is good again after"
        " a window of 60 s in which at least 100 probes keep to the low limits, at the earliest at 02:55:59 (in 9 min"
        " 19 s).",
    ),
    Case(
        "only_over_quota",
        view(one(quota=20_000_000_000), more={"usage": {"one": FULL}}),
        "Its quota is used up, and there is no better uplink now: 21 GB of 20 GB used (105 %), resets on"
        " 2026-07-01. A new period begins, at 2026-07-01 00:00 (in 9 d 21 h).",
    ),
    Case(
        "quota",
        view(
            one(quota=20_000_000_000),
            more={"usage": {"one": FULL._replace(periods={"2026-06-01": 5_000_000_000}, stage=Stage.BELOW)}},
        ),
        "Of its quota 5 GB of 20 GB used (25 %), resets on 2026-07-01.",
    ),
    Case(
        "only_drained",
        view(one(draining=True)),
        "It is drained (`mwan-hook drain`), and carries because no other one is online. It stays until one is.",
    ),
    Case(
        "stood_in",
        view(one(), one={"good": 1, "reason": "2 of 2 targets answered; nothing else is online"}),
        "It is online before its time, because nothing else was.",
    ),
    Case(
        "by_facts",
        view(one(), one={"by_facts": True, "good": 0, "next_probe_at": None}),
        "No target applies to its IPv4 and IPv6, so link, address and gateway alone decide.",
    ),
    Case(
        "portal_counts",
        view(one(probe=PROBE._replace(portal_is_online=True)), one={"connectivity": Connectivity.PORTAL}),
        "A portal stands before it in IPv4 and IPv6, and counts as online (portal_is_online = yes).",
    ),
    Case(
        "switched_on",
        view(one(switched=True)),
        "`mwan-hook enable` has switched it on; the configuration says enabled = no.",
    ),
    Case(
        "turn",
        view(one(), more={"turns": {"one/ipv4": Turn("10.0.1.3", {"10.0.1.1": NOW - 60})}}),
        "Its IPv4 gateway is 10.0.1.3, because 10.0.1.1 did not answer. It goes back when 10.0.1.1 answers, at the"
        " earliest at 02:48:40 (in 2 min).",
    ),
    Case(
        "turn",
        view(one(), more={"turns": {"one/ipv4": Turn("10.0.1.4", {"10.0.1.1": NOW - 60, "10.0.1.3": NOW - 60})}}),
        "Its IPv4 gateway is 10.0.1.4, because 10.0.1.1 and 10.0.1.3 did not answer. It goes back when 10.0.1.1 or"
        " 10.0.1.3 answers, at the earliest at 02:48:40 (in 2 min).",
    ),
    Case(
        "failed_turn",
        view(one(), more={"turns": {"one/ipv4": Turn("10.0.1.3", {}, ("10.0.1.1",))}}),
        "Its IPv4 gateway is 10.0.1.3, because probes got nothing behind 10.0.1.1. It goes back when the others have"
        " failed, too.",
    ),
    Case(
        "sparing",
        view(one(), two(metered=True)),
        "It is metered, and is probed only every 5 min while another one is online.",
    ),
    Case(
        "silent",
        view(one(), one={"evidence": Evidence(silent=True)}),
        "New connections by it get no answer, so only an answer over TCP counts as a good round.",
    ),
    Case(
        "policy",
        policed(Fallback.DEFAULT, "two", "one"),
        "Policy voip sends its IPv4 and IPv6 packets by it.",
    ),
    Case(
        "policy_behind",
        policed(Fallback.DEFAULT, "two", "one"),
        "Policy voip lists it, and sends its IPv4 and IPv6 packets by two.",
    ),
    Case(
        "policy_out",
        policed(Fallback.UNREACHABLE, "two", two=BAD),
        "Policy voip lists it, and none of its uplinks takes its IPv4 and IPv6 packets now: they are refused.",
    ),
    Case(
        "repair",
        view(one(), two(), more={"repairs": {"one": Due(Rung("renew", 60), NOW + 40, 1)}}, one=BAD),
        "The next step of its repair is renew. It is done, at the earliest at 02:47:20 (in 40 s).",
    ),
    Case(
        "lingers",
        view(
            one(),
            two(dial=ON_DEMAND),
            more={
                "dials": {"two": Activation(Phase.LINGERING, ours=True, linger_until=NOW + 60, reason="one is online")}
            },
        ),
        "It is kept up for a while, though one is online. It is hung up, at the earliest at 02:47:40 (in 1 min).",
    ),
    Case(
        "dialled",
        view(
            one(),
            two(dial=ON_DEMAND),
            more={"dials": {"two": Activation(Phase.UP, ours=True, reason="no better uplink is online")}},
            one=BAD,
        ),
        "mwan-hook has dialled it: no better uplink is online.",
    ),
    Case(
        "not_ours",
        view(one(), two(dial=ON_DEMAND), more={"dials": {"two": Activation(Phase.UP)}}),
        "It is up, and mwan-hook has not dialled it: it is left alone.",
    ),
    Case(
        "by_hand",
        view(
            one(),
            two(dial=ON_DEMAND),
            more={
                "dials": {"two": Activation(Phase.UP, ours=True, hand_until=NOW + 600, reason="dialled by a command")}
            },
        ),
        "`mwan-hook dial` keeps it up. That ends, at 02:56:40 (in 10 min).",
    ),
    Case(
        "standby",
        view(one(), two(), two=BAD),
        "When it is online it stands by: one has a better metric (100).",
    ),
    Case(
        "standby",
        view(one(), two(metric=100), line(3, "dsl"), dsl=BAD),
        "When it is online it stands by: one and two have a better metric (100).",
    ),
)
KINDS = [case.kind for case in CASES]


def reasons_of(seen: Situation) -> Iterator[tuple[str, Sequence[Reason]]]:
    """All that is told of anything, with the words for the family."""
    found = carriages(seen)
    yield from words.merged([(family, list(reasons)) for family, reasons in why.defaults(seen, found)])
    yield "", families.in_common(seen)
    for uplink in seen.uplinks:
        yield from words.merged(why.told(seen, uplink, found, why.whole))
        yield from words.merged(why._shortened(seen, uplink, why.told(seen, uplink, found, why.short)))
        yield from words.merged([(family, notes.besides(seen, uplink, family)) for family in FAMILIES])
        yield "", notes.of_both(seen, uplink)


def spelled(seen: Situation, kind: str) -> list[str]:
    """The sentences of every reason of a kind; what speaks for or against an uplink names it."""
    found = []
    for family, reasons in reasons_of(seen):
        for place, reason in enumerate(reasons):
            if reason.kind == kind:
                subject = words.called(seen, reason.uplink) if reason.uplink and not place else "It"
                found.append(words.sentences([reason], seen, subject, family))
    return found


@pytest.mark.parametrize("case", CASES, ids=KINDS)
def test_a_reason_in_full(case: Case) -> None:
    assert case.words in spelled(case.view, case.kind)


def test_one_that_is_taken_out_is_judged_by_nothing() -> None:
    taken = view(one(enabled=False), one={"status": Status.DISABLED, "by_facts": True})
    assert "alone decide" not in "\n".join(why.story(taken, taken.uplinks[0]))


def test_nothing_is_said_twice() -> None:
    told = why.overview(view(one(), two(), more={"readable": False}))
    assert sum("one (eth1) carries" in text for text in told) == 1


def test_one_that_is_out_in_a_family_and_stands_by_in_the_other_names_both() -> None:
    seen = view(one(), two(), two_ipv4=BAD)
    told = why.brief(seen, seen.uplinks[1], carriages(seen))
    assert "two (eth2) is offline for IPv4: " in told
    assert " It is online for IPv6 and stands by: one carries the IPv6 default" in told
