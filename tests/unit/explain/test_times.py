"""Times that are said of drains, dials, quotas, gateways and repair: what was said happens then, and not before."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from mwan_hook.connections import drain
from mwan_hook.dial import course
from mwan_hook.dial.values import Need, Occasion, Outlook, Sight, Verb
from mwan_hook.explain import families, notes, why
from mwan_hook.explain.carriage import carriages
from mwan_hook.explain.values import Reason, Situation
from mwan_hook.model import (
    FAMILIES,
    Activate,
    Activation,
    Allotment,
    Dial,
    Drain,
    Draining,
    Family,
    Phase,
    Rung,
    Stage,
    Status,
    Turn,
    Usage,
)
from mwan_hook.quota import usage as quotas
from mwan_hook.routing.turns import turn
from mwan_hook.verdict import dark
from tests.frames import NOW, PROBE, frame, line, state, way

DIAL = Dial("networkd", activate=Activate.ON_DEMAND, activate_delay=30, linger=60)
JUST = 0.001


def said(view: Situation, kind: str) -> float:
    """The time of the one reason of a kind."""
    found, reasons = carriages(view), list[Reason](families.in_common(view))
    for uplink in view.uplinks:
        reasons += [one for _, told in why.told(view, uplink, found, why.whole) for one in told]
        reasons += notes.of_both(view, uplink)
    until = next(reason.until for reason in reasons if reason.kind == kind)
    assert until is not None
    return until


def standing_by(record: Activation, *, up: bool) -> Situation:
    """A line that is dialled, behind one that is online."""
    lines = [line(1, "one"), line(2, "two", dial=DIAL)]
    if not up:
        four, six = (way(2, family, "interface is gone") for family in FAMILIES)
        lines[1] = lines[1]._replace(link=None, ipv4=four, ipv6=six)
    return why.view_of(frame(lines, known=state(lines)._replace(dials={"two": record})), readable=True)


def asked(record: Activation, now: float, outlook: Outlook, *, up: bool) -> Verb | None:
    """What the course of dialling asks for then."""
    sight = Sight(FAMILIES if up else (), sent=True, alive=True, online=up, carried=True)
    return course.step(record, Occasion(now, DIAL, Need(outlook, "words"), sight), free=True).verb


@pytest.mark.parametrize(
    ("kind", "record", "outlook", "up"),
    [
        (
            "waiting",
            Activation(Phase.WAITING, tries=1, next_at=NOW + 120, wanted_since=NOW - 500),
            Outlook.WANTED,
            False,
        ),
        ("waiting", Activation(Phase.WAITING, tries=1, next_at=NOW + 9, wanted_since=NOW - 1), Outlook.WANTED, False),
        ("soon", Activation(wanted_since=NOW - 5, reason="words"), Outlook.WANTED, False),
        ("dialling", Activation(Phase.DIALLING, ours=True, asked_at=NOW - 5), Outlook.WANTED, False),
        ("lingers", Activation(Phase.LINGERING, ours=True, linger_until=NOW + 40), Outlook.PEACE, True),
    ],
)
def test_dialling_does_then_what_was_said(kind: str, record: Activation, outlook: Outlook, up: bool) -> None:
    until = said(standing_by(record, up=up), kind)
    assert asked(record, until - JUST, outlook, up=up) is None
    assert asked(record, until, outlook, up=up) is not None


def test_a_drain_ends_then_at_the_latest() -> None:
    lines = (line(1, "one", draining=True), line(2, "two"))
    known = Draining(1.0, NOW + 90, 7)
    made = state(lines)._replace(drains={"one": known})
    until = said(why.view_of(frame(lines, known=made), readable=True), "drained")
    allotment = Allotment(draining={"one": Drain(1.0, 600)})

    def over(now: float) -> bool:
        return bool(drain.over(lines, allotment, made, {"one": known}, now, now))

    assert (over(until - JUST), over(until)) == (False, True)


def test_a_new_period_of_a_quota_begins_then() -> None:
    usage = Usage(period="2026-06-01", periods={"2026-06-01": 2000}, stage=Stage.EXCEEDED, first="2026-05-01")
    lines = (line(1, "one", quota=1000), line(2, "two"))
    lines = (lines[0]._replace(metric=301), lines[1])
    view = why.view_of(frame(lines, known=state(lines)._replace(usage={"one": usage})), readable=True)
    until = said(view, "over_quota")

    def stage(now: float) -> Stage:
        year, month, day = time.localtime(view.wall - view.now + now)[:3]
        moment = quotas.Moment(year, month, day, now)
        return quotas.stage(lines[0], quotas.counted(usage, None, moment, 1))

    assert (stage(until - 1), stage(until)) == (Stage.EXCEEDED, Stage.BELOW)


def test_a_gateway_that_answers_again_is_used_then() -> None:
    lines, before = (line(1, "one"),), Turn("10.0.1.3", {"10.0.1.1": NOW - 60})
    view = why.view_of(frame(lines, known=state(lines)._replace(turns={"one/ipv4": before})), readable=True)
    until, memory = said(view, "turn"), view.memory(lines[0], Family.IPV4)
    answers = {"10.0.1.1": True, "10.0.1.3": True}

    def gateway(now: float) -> str:
        return turn(before, ("10.0.1.1", "10.0.1.3"), answers, memory, PROBE, now).gateway

    assert (gateway(until - JUST), gateway(until)) == ("10.0.1.3", "10.0.1.1")


def test_repair_begins_then_although_all_lines_are_out() -> None:
    lines = (line(1, "one", repair=(Rung("renew", 60),)), line(2, "two"))
    out = {"status": Status.OFFLINE, "good": 0}
    made = state(lines, one=out, two=out)._replace(dark_since=NOW - 30, dark=("one", "two"))
    until = said(why.view_of(frame(lines, known=made), readable=True), "rests")
    keeps: Callable[[float], bool] = lambda now: dark.keeps_back(made, now)  # noqa: E731
    assert (keeps(until - JUST), keeps(until)) == (True, False)
