"""Hand-made frames of the record, and the lines, memories and states that they are made of.

The number of a line is in its interface (eth1), its addresses and its gateway.  Times are CLOCK_BOOTTIME seconds; the
machine was started when the wall's clock said BOOTED.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mwan_hook.config.targets import parse
from mwan_hook.explain.frame import Frame
from mwan_hook.model import (
    FAMILIES,
    MAIN_TABLE,
    Address,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Link,
    Match,
    Nexthop,
    Probe,
    Route,
    State,
    Status,
    Transition,
    Uplink,
    UplinkConfig,
    UplinkState,
    Way,
)
from mwan_hook.run.scene import ProbedRound
from mwan_hook.verdict.standing import open_to_new, with_ways_out

BOOTED = 1_782_000_000.0  # seconds since the epoch, in June 2026
BOOT = "11111111-2222-3333-4444-555555555555"
NOW = 10_000.0
ANSWERED = "2 of 2 targets answered"
PROBE = Probe(targets=tuple(map(parse, ("icmp://192.0.2.1", "icmp://192.0.2.2", "icmp://2001:db8::1"))))


def line(number: int, name: str = "", families: Sequence[Family] = FAMILIES, **changed: Any) -> Uplink:
    """An uplink that has all it needs in these families.  ``changed``: its configuration, or what that has not."""
    own = {key: changed.pop(key) for key in tuple(changed) if key not in UplinkConfig._fields}
    name, interface = name or f"line{number}", f"eth{number}"
    config = UplinkConfig(name, (Match("name", interface),), **{"metric": 100 * number, "probe": PROBE, **changed})
    link = Link(number, interface, True, True)
    four, six = (way(number, family, "" if family in families else "no address") for family in FAMILIES)
    metric = 0 if config.metric is None else config.metric
    made = Uplink(config, name, interface, number, 1000 + number, metric, 0, 0, config.enabled, link, four, six)
    return made._replace(**own)


def way(number: int, family: Family, missing: str = "") -> Way:
    """The facts of one family of a line; of one that lacks something, nothing is left."""
    if missing:
        return Way(family, missing=missing)
    four = family is Family.IPV4
    gateway = f"10.0.{number}.1" if four else f"fe80::{number}"
    source = f"10.0.{number}.2" if four else f"2001:db8:{number}::2"
    default = Route(family, MAIN_TABLE, metric=100, nexthops=(Nexthop(number, gateway),), protocol=16)
    own = Address(number, family, source, 24 if four else 64, True)
    return Way(family, (own,), gateway, default=default, missing="")


def memory(uplink: Uplink, family: Family, now: float = NOW, **changed: Any) -> FamilyState:
    """What is remembered of one family that has been online for an hour; offline where its way lacks something."""
    found = uplink.way(family)
    if found.missing:
        gone = FamilyState(connectivity=Connectivity.NONE, since=now - 3600, reason=found.missing)
        return gone._replace(**changed)
    good = FamilyState(
        status=Status.ONLINE,
        connectivity=Connectivity.FULL,
        judged=True,
        since=now - 3600,
        good=360,
        full_at=now - 3600,
        way=found.key,
        portal_due=False,
        portal_at=now - 60,
        probed_at=now - 4,
        next_probe_at=now + 6,
        latency_ms=9.0,
        srtt_ms=9.0,
        reason=ANSWERED,
        rounds=360,
        transitions=1,
        known=True,
    )
    return good._replace(**changed)


def state(uplinks: Iterable[Uplink], now: float = NOW, **changes: Mapping[str, Any]) -> State:
    """The memories of all, and who carries then.  ``changes``: by uplink, of both families; NAME_ipv4: of one."""
    uplinks = tuple(uplinks)
    memories = {}
    for uplink in uplinks:
        both = {
            family.value: memory(
                uplink,
                family,
                now,
                **{**changes.get(uplink.name, {}), **changes.get(f"{uplink.name}_{family.value}", {})},
            )
            for family in FAMILIES
        }
        memories[uplink.name] = UplinkState(uplink.interface, uplink.index, came=now - 7200, **both)
    made = State(BOOT, memories)
    return with_ways_out(made, uplinks, open_to_new(FAMILIES, uplinks, made))


def frame(
    uplinks: Sequence[Uplink],
    now: float = NOW,
    *,
    known: State | None = None,
    before: State | None = None,
    config: Config | None = None,
    boot: str = BOOT,
    booted: float = BOOTED,
    rounds: Sequence[ProbedRound] = (),
    happened: Sequence[Transition] = (),
    gap: bool = False,
    moved: Mapping[str, tuple[int, int]] | None = None,
    **changes: Mapping[str, Any],
) -> Frame:
    """What a run left at a moment: ``known``, or what :func:`state` makes of ``changes``."""
    after = known or state(uplinks, now, **changes)
    made = config or Config(probe=PROBE, uplinks=tuple(uplink.config for uplink in uplinks))
    wall = booted + now
    return Frame(
        wall,
        now,
        boot,
        made,
        tuple(uplinks),
        before or after,
        after,
        tuple(rounds),
        tuple(happened),
        gap,
        dict(moved or {}),
    )


def turned(uplink: Uplink, family: Family, old: str, new: str, now: float, reason: str = "words") -> Transition:
    """What the history gets when a verdict turns."""
    return Transition(new, uplink.name, uplink.interface, family, old, new, reason, BOOTED + now)
