"""Any state and configuration is explained: without an error, and with a reason for what is not used."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.explain import document, reasons, why, words
from mwan_hook.explain.carriage import carriages
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.reasons import CARRIES, ROWS
from mwan_hook.explain.values import Situation
from mwan_hook.model import (
    FAMILIES,
    MAIN_TABLE,
    Activate,
    Activation,
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
    Stage,
    Status,
    Turn,
    Uplink,
    Usage,
)
from mwan_hook.policy.policies import BoundPolicy
from tests.frames import BOOTED, NOW, PROBE, frame, line, state, way

NAMES = ("one", "two", "dsl", "for")
# What says that an uplink is not used.
AGAINST = {*reasons._STANDS_BY, *reasons._FACTS, *reasons._OFFLINE, *reasons._DIALLED}
MISSING = ("", "", "", "interface is gone", "administratively down", "no carrier", "no address", "no gateway", "?")
REASONS = ("", "2 of 2 targets answered", "not probed yet", "hung up: one is online", "no carrier")

moments = st.floats(-5000, 20_000)
maybe = st.none() | moments
families = st.sampled_from(((), (Family.IPV4,), (Family.IPV6,), FAMILIES))


@st.composite
def uplinks(draw: st.DrawFn, number: int) -> Uplink:
    metric = draw(st.sampled_from((100, 200, 200, None)))
    probe = PROBE._replace(
        degraded=draw(st.sampled_from(("", "demote", "keep", "offline"))),
        loss_high=draw(st.sampled_from((0, 5))),
        latency_high=draw(st.sampled_from((0, 200))),
        rise=draw(st.integers(1, 4)),
        hysteresis_delay=draw(st.sampled_from((0, 180))),
        portal_is_online=draw(st.booleans()),
    )
    made = line(
        number + 1,
        NAMES[number],
        metric=metric,
        probe=probe,
        weight=draw(st.integers(1, 3)),
        quota=draw(st.sampled_from((0, 1000))),
        metered=draw(st.booleans()),
        dial=draw(st.sampled_from((None, Dial("networkd", activate=Activate.ON_DEMAND)))),
        behind=draw(families),
        second=draw(families),
        switched=draw(st.sampled_from((None, True, False))),
        draining=draw(st.booleans()),
    )
    made = made._replace(enabled=draw(st.booleans()), metric=made.metric + draw(st.sampled_from((0, 0, 1000))))
    for family in FAMILIES:
        lacking = draw(st.sampled_from(MISSING))
        if lacking:
            lost = way(number + 1, family, lacking)
            made = made._replace(ipv4=lost) if family is Family.IPV4 else made._replace(ipv6=lost)
        if lacking == "interface is gone":
            made = made._replace(link=None)
    return made


memories = st.fixed_dictionaries(
    {
        "status": st.sampled_from(tuple(Status)),
        "connectivity": st.sampled_from(tuple(Connectivity)),
        "judged": st.booleans(),
        "since": moments,
        "good": st.integers(0, 9),
        "bad": st.integers(0, 9),
        "held_until": maybe,
        "full_at": maybe,
        "may_pass": st.booleans(),
        "burst": st.booleans(),
        "portal": st.booleans(),
        "portal_at": maybe,
        "probed_at": maybe,
        "next_probe_at": maybe,
        "latency_ms": st.none() | st.floats(0, 500),
        "srtt_ms": st.none() | st.floats(0, 500),
        "reason": st.sampled_from(REASONS),
        "by_facts": st.booleans(),
        "leads": maybe,
        "degraded": st.booleans(),
        "quality": st.none()
        | st.builds(
            Quality,
            st.just("w"),
            buckets=st.just(()),
            reason=st.sampled_from(("", "loss 12 %")),
            bursts=st.just(()),
            checked_at=moments,
            checking=st.booleans(),
        ),
        "evidence": st.none() | st.just(Evidence(silent=True)),
    }
)
records = st.builds(
    Activation,
    st.sampled_from(tuple(Phase)),
    asked_at=moments,
    tries=st.integers(0, 3),
    next_at=moments,
    linger_until=moments,
    wanted_since=st.just(0.0) | moments,
    ours=st.booleans(),
    hand_until=moments,
    hung=st.booleans(),
    final=st.sampled_from(("", "the SIM is locked")),
    reason=st.sampled_from(("", "one is online", "beyond its quota", "its interface is not there")),
)
usages = st.builds(
    Usage, period=st.sampled_from(("", "2026-06-01")), periods=st.just({}), stage=st.sampled_from(tuple(Stage))
)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(NAMES), values, max_size=4)


@st.composite
def views(draw: st.DrawFn) -> Situation:
    lines = [draw(uplinks(number)) for number in range(draw(st.integers(0, 4)))]
    changes: Any = {f"{one.name}_{family.value}": draw(memories) for one in lines for family in FAMILIES}
    known = state(lines, **changes)
    known = known._replace(
        drains=draw(some(st.builds(Draining, st.just(0.0), moments, st.none() | st.integers(0, 9)))),
        dials=draw(some(records)),
        usage=draw(some(usages)),
        turns={f"{name}/ipv4": Turn("10.0.0.1", {"10.0.0.2": 5.0}) for name in draw(some(st.none()))},
        ignored=draw(st.sampled_from(({}, {"ipv4 icmp://192.0.2.1": 5.0}))),
        dark_since=draw(st.just(0.0) | moments),
        dark=("one",),
    )
    made = why.view_of(frame(lines, known=known), readable=True)
    order = tuple((one,) for one in lines if draw(st.booleans()))
    policy = Policy("p", order=tuple((one.name,) for (one,) in order), fallback=draw(st.sampled_from(tuple(Fallback))))
    return made._replace(
        config=made.config._replace(
            routing=Routing(
                last_resort=draw(st.sampled_from(tuple(LastResort))),
                default_table=draw(st.sampled_from((1000, MAIN_TABLE))),
            )
        ),
        policies=(BoundPolicy(policy, 1400, order, 1099),) if order else (),
        readable=draw(st.sampled_from((True, True, False))),
    )


@given(views())
def test_all_that_can_be_is_explained_with_a_reason_and_without_an_error(view: Situation) -> None:
    found = carriages(view)
    for uplink in view.uplinks:
        for family, told in why.told(view, uplink, found, why.whole):
            used = uplink.name in found[family].names or uplink in found[family].kept
            assert told[0].kind in (CARRIES if used else AGAINST)
            assert told[0].uplink == uplink.name
        assert why.story(view, uplink) and why.brief(view, uplink, found)
    text = "\n".join(words.wrapped(why.overview(view), 80))
    assert text and "{" not in text and not any(len(text_line) > 80 for text_line in text.splitlines())
    made = document.document(view, view.uplinks, {}, (), "")
    assert set(made["default"]) <= {family.value for family in FAMILIES}
    json.dumps(made, allow_nan=False)


def test_families_that_different_lines_carry_are_told_apart() -> None:
    seen = frame((line(1, "one", (Family.IPV4,)), line(2, "two", (Family.IPV6,))))
    four, six, *_ = why.overview(why.view_of(seen, readable=True))
    assert four.startswith("one (eth1) carries the IPv4 default: no other uplink is online.")
    assert six.startswith("two (eth2) carries the IPv6 default: no other uplink is online.")


def test_every_sentence_ends_and_what_would_change_it_does_not() -> None:
    for row in ROWS.values():
        assert row.says.endswith(".") or row.says.endswith("}")
        assert not row.change.endswith(".")


def lines(seen: Frame, name: str, width: int) -> list[str]:
    view = why.view_of(seen, readable=True)
    return why.story_lines(view, why.named(view, name), width)


def test_lines_fit_the_columns_that_there_are() -> None:
    seen = frame((line(1, "fiber"), line(2, "lte")), NOW)
    assert seen.wall == BOOTED + NOW
    for width in (40, 80, 200):
        found = lines(seen, "lte", width)
        assert found[0].startswith("lte (eth2) is online and stands by") and max(map(len, found)) <= width
    assert lines(seen, "eth2", 80) == lines(seen, "lte", 80)
    assert lines(seen, "nothing", 80) == []


def test_all_uplinks_of_a_template_are_told() -> None:
    made = [line(number, f"usb@eth{number}") for number in (1, 2)]
    made = [one._replace(config=one.config._replace(name="usb")) for one in made]
    found = lines(frame(made), "usb", 80)
    assert sum(text.startswith(("usb@eth1 ", "usb@eth2 ")) for text in found) == 2
