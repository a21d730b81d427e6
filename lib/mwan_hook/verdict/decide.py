"""What a round of probes says of an uplink: fall, rise, hold, pass; and who stands in where nothing is online.

The hold is networkd-connectivity's hysteresis: an uplink that turns good twice within
``hysteresis_backoff`` waits ``hysteresis_delay``.  The round trip is smoothed as in RFC 6298, but for an answer that
came later than a burst waits.
All times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.model import FAMILIES, KEEP, OFFLINE, Connectivity, Family, FamilyState, Status
from mwan_hook.verdict import schedule
from mwan_hook.verdict.facts import recent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import Probe, Round, TargetResult, Uplink, UplinkState

ALPHA = 1 / 8  # RFC 6298, section 2
STOOD_IN = "nothing else is online"  # ends the reason of one that was let in early
FRESH_INTERVALS = 2  # a good round older than so many intervals must be made again before it is trusted


def judge_round(
    state: FamilyState, seen: Round, probe: Probe, now: float, *, begun: float, every: float
) -> FamilyState:
    """One round, judged at ``now`` on a state that the facts have just passed.

    ``begun`` is when its probes were sent, and ``every`` the seconds to the next one in peace.
    """
    if not state.way or state.status is Status.DISABLED:
        return state._replace(probe_bytes=state.probe_bytes + seen.wire_bytes)
    before, measured = state.status, probe.measured
    if measured:
        from mwan_hook.verdict import quality

        state = quality.noted(state, seen, probe)
    if probe.portal_interval <= 0 or not probe.portal_targets:
        state = state._replace(portal=False)  # no target is left to take it back
    state = _noted(state, seen, now, begun)._replace(srtt_ms=_smoothed(state, seen.latency_ms, probe))
    good = _good(state, probe) if seen.connectivity or seen.portal else None
    if good is None:
        after = state._replace(burst=False, bad=0 if seen.ignored and before is Status.ONLINE else state.bad)
    elif good:
        after = _after_good(state, probe, now)
    else:
        after = _after_bad(state, probe, now)
    if after.degraded and measured and after.bad == 0:
        after = after._replace(reason=quality.reason(after))
    if after.status is not before:
        after = after._replace(since=now, portal_due=not seen.portal_checked)
    return after._replace(next_probe_at=_next(after, probe, now, begun + every))


def updated(known: Sequence[TargetResult], fresh: Sequence[TargetResult]) -> tuple[TargetResult, ...]:
    """The last word on every target, in the order they were asked first."""
    return tuple({**{one.target: one for one in known}, **{one.target: one for one in fresh}}.values())


def _noted(state: FamilyState, seen: Round, now: float, begun: float) -> FamilyState:
    """What was seen, before it is judged.  A portal that was found stays until a check finds none."""
    portal = state.portal if seen.portal is None else seen.portal
    connectivity, reason = seen.connectivity, seen.reason
    if seen.portal or (portal and connectivity is Connectivity.FULL):
        if connectivity is not Connectivity.PORTAL:
            reason = f"{reason}; the portal check found a portal"
        connectivity = Connectivity.PORTAL
    return state._replace(
        connectivity=connectivity or state.connectivity,
        portal=portal,
        portal_at=begun if seen.portal_checked else state.portal_at,
        portal_due=state.portal_due and not seen.portal_checked,
        probed_at=begun,
        latency_ms=seen.latency_ms,
        reason=reason,
        probe_bytes=state.probe_bytes + seen.wire_bytes,
        rounds=state.rounds + 1,
        targets=seen.targets,
        held_until=state.held_until if state.held_until is not None and state.held_until > now else None,
    )


def _smoothed(state: FamilyState, latency: float | None, probe: Probe) -> float | None:
    """The smoothed round trip, ms.

    After an answer that came too late for a burst, bursts wait at once twice as long as it took.
    """
    srtt = state.srtt_ms
    if latency is None or srtt is None:
        return srtt if latency is None else latency
    smoothed = srtt + ALPHA * (latency - srtt)
    if latency <= schedule.burst_timeouts(state, probe).echo * 1000:
        return smoothed
    return max(smoothed, 2 * latency / schedule.ROUND_TRIPS)


def _good(state: FamilyState, probe: Probe) -> bool | None:
    """True, False, or None where the round leaves the verdict and its counters as they are."""
    latency = state.latency_ms
    if not _usable(state, probe) or probe.latency_high <= 0 or latency is None or probe.measured:
        return _usable(state, probe)
    if latency <= probe.latency_high and (state.may_pass or not state.judged):
        return True  # before the first verdict there is none to keep: not high is good enough
    if 0 < probe.latency_low <= latency <= probe.latency_high:
        return None
    return latency <= probe.latency_high


def _usable(state: FamilyState, probe: Probe) -> bool:
    if state.connectivity is Connectivity.PORTAL:
        return probe.portal_is_online
    return state.connectivity is Connectivity.FULL


def _after_good(state: FamilyState, probe: Probe, now: float) -> FamilyState:
    held = state.held_until
    if state.good == 0:
        again = state.full_at is not None and now - state.full_at < probe.hysteresis_backoff
        if again and state.status is Status.OFFLINE and probe.hysteresis_delay > 0:
            held = now + probe.hysteresis_delay
        state = state._replace(full_at=now)
    state = state._replace(judged=True, good=state.good + 1, bad=0, held_until=held, lost_at=None, lost_way="")
    if state.status is Status.ONLINE:
        return state._replace(burst=False)
    if state.degraded and probe.degraded == OFFLINE:
        return state._replace(burst=False)
    if state.may_pass:
        return _online(_passed(state, probe, now), state.reason)
    if held is not None:
        twice = f"it came back twice within {probe.hysteresis_backoff:g} s"
        reason = f"{state.reason}; held {probe.hysteresis_delay:g} s: {twice}"
        return state._replace(burst=False, reason=reason)
    reason = f"{state.reason}; {min(state.good, probe.rise)} of {probe.rise} good rounds"
    return _online(state, reason) if state.good >= probe.rise else state._replace(reason=reason)


def _online(state: FamilyState, reason: str) -> FamilyState:
    return state._replace(status=Status.ONLINE, held_until=None, may_pass=False, burst=False, reason=reason)


def _passed(state: FamilyState, probe: Probe, now: float) -> FamilyState:
    """Use up its pass; what we dialled ourselves has used none."""
    passes = state.passes if state.dialled else (*recent(state.passes, probe, now), now)
    return state._replace(may_pass=False, dialled=False, passes=passes)


def _after_bad(state: FamilyState, probe: Probe, now: float) -> FamilyState:
    """Count it.  A pass lasts until ``fall`` of them: the first probes of a fresh link are often lost.

    What we dialled may take its time until packets pass: its first good round is enough whenever it comes.
    """
    reason, bad = state.reason, state.bad + 1
    if _usable(state, probe):
        reason = f"latency of {state.latency_ms:.0f} ms is above {probe.latency_high:g} ms"
    if state.may_pass and not state.dialled and bad >= probe.fall:
        state = _passed(state, probe, now)
    burst = state.burst and state.good == 0 and bad < probe.fall
    status = state.status
    if status is Status.ONLINE:
        reason = f"{reason}; {bad} of {probe.fall} bad rounds"
        burst = bad < probe.fall
        status = Status.ONLINE if burst else Status.OFFLINE
    return state._replace(
        status=status,
        judged=True,
        good=0,
        bad=bad,
        bad_rounds=state.bad_rounds + 1,
        held_until=None,
        burst=burst,
        lost_at=None,
        lost_way="",
        reason=reason,
    )


def _next(state: FamilyState, probe: Probe, now: float, in_peace: float) -> float:
    """When it is probed again: soon in a burst, at the end of a hold, else at its interval."""
    if state.burst and probe.burst_interval > 0:
        return min(in_peace, now + probe.burst_interval)
    return in_peace if state.held_until is None else min(in_peace, state.held_until)


def has_way(memories: Mapping[str, UplinkState], family: Family) -> bool:
    """True if an uplink is online in this family."""
    return any(memory.family(family).status is Status.ONLINE for memory in memories.values())


def with_only_way(memories: Mapping[str, UplinkState], uplinks: Sequence[Uplink], now: float) -> dict[str, UplinkState]:
    """The memories, after facts and rounds, with a stand-in for each family in which nothing is online.

    It is the uplink of the lowest metric whose last round was good: no rise and no hold keeps it out while there is no
    other way.  Where only drained ones are online, one that was put aside because it is degraded stands in for them.
    """
    found, drained = {**memories}, any(uplink.draining for uplink in uplinks)
    for family in FAMILIES:
        has = has_way(found, family)
        if has and (not drained or any(_is_on(u, family, found) for u in uplinks if not u.draining)):
            continue
        able = [u for u in uplinks if _can_stand_in(found[u.name].family(family), u.config.probe, now)]
        if has:
            able = [u for u in able if found[u.name].family(family).degraded and not u.draining]
        if able:
            best = min(able, key=lambda u: (u.draining, _is_demoted(u, family, found), u.metric))
            found[best.name] = found[best.name].with_family(family, _standing_in(found[best.name].family(family), now))
    return found


def _is_on(uplink: Uplink, family: Family, memories: Mapping[str, UplinkState]) -> bool:
    return memories[uplink.name].family(family).status is Status.ONLINE


def _is_demoted(uplink: Uplink, family: Family, memories: Mapping[str, UplinkState]) -> bool:
    return memories[uplink.name].family(family).degraded and uplink.config.probe.degraded != KEEP


def _can_stand_in(state: FamilyState, probe: Probe, now: float) -> bool:
    """True if its last round was good and is young, and nothing of it has changed since then."""
    if state.status is not Status.OFFLINE or not state.way or not state.good or state.next_probe_at is None:
        return False
    return state.probed_at is not None and now - state.probed_at < FRESH_INTERVALS * probe.interval


def _standing_in(state: FamilyState, now: float) -> FamilyState:
    reason = f"{state.reason.partition('; ')[0]}; {STOOD_IN}"
    checked = state.portal_at is not None and state.portal_at == state.probed_at
    return _online(state, reason)._replace(since=now, portal_due=not checked)
