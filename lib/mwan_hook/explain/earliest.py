"""When an uplink can be online again, found by playing good rounds with the functions that judge real ones.  Pure."""

from __future__ import annotations

from mwan_hook.explain.values import Situation
from mwan_hook.light import NamedTuple
from mwan_hook.model import Connectivity, Family, FamilyState, Round, Status, Uplink, UplinkConfig, UplinkState
from mwan_hook.verdict import leading, quality, schedule
from mwan_hook.verdict import window as windows
from mwan_hook.verdict.decide import judge_round, with_only_way
from mwan_hook.verdict.standing import another_online

MOST = 5000  # rounds that are played; what takes more is no nearer than that


class Comeback(NamedTuple):
    """When an uplink is online at the earliest (CLOCK_BOOTTIME seconds), and after how many good rounds."""

    at: float
    rounds: int
    held: bool = False  # a hold is part of that, one that has not begun


def comeback(view: Situation, uplink: Uplink, family: Family) -> Comeback | None:
    """The earliest moment if each round is good and made as soon as it is due; None where it is not probed.

    All other uplinks stay as they are.
    """
    memories, now = view.memories(), view.now
    state = memories[uplink.name].family(family)
    if not view.readable or not state.way or state.by_facts or state.status is Status.DISABLED:
        return None
    memories, held = with_only_way(memories, view.uplinks, now), False
    for played in range(MOST):
        if memories[uplink.name].family(family).status is Status.ONLINE:
            return Comeback(now, played, held and state.held_until is None)
        now, memories = _played(view, memories, uplink, family, now)
        held = held or memories[uplink.name].family(family).held_until is not None
    return Comeback(now, MOST, held)


def _played(
    view: Situation, memories: dict[str, UplinkState], uplink: Uplink, family: Family, now: float
) -> tuple[float, dict[str, UplinkState]]:
    """When the next round is due, and the memories after it."""
    config, state = uplink.config, memories[uplink.name].family(family)
    another = another_online(memories, uplink.name, view.state.drains)
    now = due_from(state, config, now, another)
    checked = schedule.portal_due(state, config, family, now, another)
    good = Round(Connectivity.FULL, None, "", portal=False if checked else None, portal_checked=checked)
    every = schedule.interval(config, another)
    state = judge_round(state, good, config.probe, now, begun=now, every=every)
    memories = {**memories, uplink.name: memories[uplink.name].with_family(family, state)}
    return now, with_only_way(memories, view.uplinks, now)


def due_from(state: FamilyState, config: UplinkConfig, now: float, another: bool) -> float:
    """The first moment, not before ``now``, at which a round is due: :func:`schedule.due` says yes from then on."""
    if state.next_probe_at is None or state.probed_at is None:
        return now
    moments = [state.probed_at + _every(config, another)]
    if state.evidence and state.evidence.spared_at:
        moments = [max(moments[0], state.evidence.spared_at + _every(config, another))]
    if state.held_until is not None:
        moments.append(state.held_until)
    elif state.burst and config.probe.burst_interval > 0:
        moments.append(state.next_probe_at)
    return max(now, min(moments))


def _every(config: UplinkConfig, another: bool) -> float:
    """Seconds between two rounds, without what a timer is forgiven."""
    every = schedule.interval(config, another)
    return every - min(1.0, every / 10)


def good_again(view: Situation, uplink: Uplink, family: Family) -> float | None:
    """The earliest moment at which a degraded uplink may be good again, if each echo is; None where none is sent."""
    state, probe = view.memory(uplink, family), uplink.config.probe
    known = state.quality
    if known is None or not view.readable or not probe.measured:
        return None
    spared = uplink.config.metered and another_online(view.memories(), uplink.name, view.state.drains)
    since = view.now - known.checked_at
    if known.checking and 0 <= since < windows.KEPT * probe.window:
        begun = known.checked_at
    else:
        begun = max(view.now, known.checked_at + quality.pause(probe, spared)) if since >= 0 else view.now
    return max(view.now, begun + probe.window - quality.slack(probe))


def leads_from(view: Situation, leader: Uplink, family: Family) -> float | None:
    """The earliest moment at which a quicker uplink may take the lead; None where it may at once."""
    since = view.memory(leader, family).leads
    return since + leading.STAY if since is not None and since + leading.STAY > view.now else None
