"""What the facts say of an uplink: link, address, gateway, device.  They act at once; a probe only counts.

All times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.model import FAMILIES, Connectivity, Family, FamilyState, Status, UplinkState
from mwan_hook.verdict.rounds import applies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Job, Probe, Uplink

PASSES = 3  # at most so many within hysteresis_backoff
BACK_WITHIN = 15.0  # seconds in which an online way must be back, the same, to get a pass
BY_FACTS = "no target applies: judged by link, address and gateway"


def judge_uplink(state: UplinkState, uplink: Uplink, now: float, dialled: bool) -> UplinkState:
    """The facts of both families.  ``state`` is ``UplinkState()`` for an uplink never seen in this boot.

    ``dialled``: its link is there because we have dialled it.
    """
    replugged = uplink.present and state.interface != "" and state.index != uplink.index
    families = {
        family.value: judge_facts(state.family(family), uplink, family, now, replugged, dialled) for family in FAMILIES
    }
    came = min(state.came, now) if state.index == uplink.index else now
    return UplinkState(uplink.interface or state.interface, uplink.index, **families, came=came)


def judge_facts(
    state: FamilyState, uplink: Uplink, family: Family, now: float, replugged: bool, dialled: bool
) -> FamilyState:
    """One family: it leaves at once if a fact is missing, and may come back by a pass or by earning it.

    ``replugged``: the interface has another index than the state was seen on.  ``dialled``: what comes now was dialled
    by us, and what went was hung up or is dialled anew: that is no flap.
    """
    way, probe = uplink.way(family), uplink.config.probe
    state = sane(state, probe, now)
    if state.quality is not None:
        from mwan_hook.verdict import quality

        state = quality.as_far_as_it_holds(state, uplink, family, replugged)
    if replugged:
        state = _lost(state, now)._replace(judged=False, lost_at=None, lost_way="", portal=False, srtt_ms=None)
    if way.missing:
        state = _lost(state, now)._replace(reason=way.missing)
    if not uplink.enabled:
        by = "`enabled = no` in the configuration" if uplink.switched is None else "disabled by `mwan-hook disable`"
        return _disabled(state, way.key, by, now)
    if way.missing:
        return _status(state, Status.OFFLINE, now)
    if not probed(uplink, family):
        return _by_facts(state, way.key, now)
    if state.by_facts:
        state = state._replace(by_facts=False)
    if not state.way or state.status is Status.DISABLED:
        return _admitted(state, way.key, probe, now, dialled)
    return state if state.way == way.key else _moved(state, way.key)


def probed(uplink: Uplink, family: Family) -> bool:
    """False for a family that no target applies to: the facts alone judge it."""
    return any(applies(target, uplink, family) for target in uplink.config.probe.targets)


def fits(job: Job, uplink: Uplink) -> bool:
    """False if the link changed under a probe: its result is thrown away."""
    way = uplink.way(job.family)
    return (
        not way.missing
        and uplink.enabled
        and (job.index, job.source, job.gateway) == (uplink.index, way.source, way.gateway)
    )


def recent(passes: tuple[float, ...], probe: Probe, now: float) -> tuple[float, ...]:
    """The passes that still count."""
    return tuple(at for at in passes if now - at < probe.hysteresis_backoff)


def sane(state: FamilyState, probe: Probe, now: float) -> FamilyState:
    """Times that cannot be (a state file from elsewhere, a shorter delay since) are pulled to what can."""
    past = (state.since, state.full_at, state.lost_at, state.portal_at, state.probed_at, *state.passes)
    held = state.held_until
    if all(at is None or at <= now for at in past) and (held is None or held - now <= probe.hysteresis_delay):
        return state
    return state._replace(
        since=min(state.since, now),
        full_at=_until(state.full_at, now),
        lost_at=_until(state.lost_at, now),
        portal_at=_until(state.portal_at, now),
        probed_at=_until(state.probed_at, now),
        passes=tuple(min(at, now) for at in state.passes),
        held_until=_until(held, now + probe.hysteresis_delay),
    )


def _until(at: float | None, limit: float) -> float | None:
    return None if at is None else min(at, limit)


def _status(state: FamilyState, status: Status, now: float) -> FamilyState:
    if state.status is status and state.since:
        return state
    return state._replace(status=status, since=now)


def _lost(state: FamilyState, now: float) -> FamilyState:
    """Take the family offline because a fact is missing.  A pending hold is kept, and a pass can be had anew."""
    if state.connectivity is Connectivity.NONE and not state.way:
        return state
    if state.status is Status.ONLINE or state.may_pass:
        since = now if state.status is Status.ONLINE else state.since
        state = state._replace(status=Status.OFFLINE, since=since, lost_at=now, lost_way=state.way)
    return _unprobed(state)._replace(connectivity=Connectivity.NONE, way="", good=0, portal_due=True)


def _unprobed(state: FamilyState) -> FamilyState:
    """The memory without what probes alone can say."""
    return state._replace(
        bad=0, may_pass=False, dialled=False, burst=False, next_probe_at=None, latency_ms=None, targets=()
    )


def _disabled(state: FamilyState, key: str, reason: str, now: float) -> FamilyState:
    """Stop probing; the memory stays, so that switching off and on launders nothing."""
    if key != state.way:
        state = state._replace(way=key, good=0)
    return _unprobed(_status(state, Status.DISABLED, now))._replace(
        connectivity=Connectivity.UNKNOWN if key else Connectivity.NONE,
        lost_at=None,
        lost_way="",
        portal_due=True,
        reason=reason,
    )


def _by_facts(state: FamilyState, key: str, now: float) -> FamilyState:
    return _unprobed(_status(state, Status.ONLINE, now))._replace(
        connectivity=Connectivity.FULL,
        judged=True,
        way=key,
        good=0,
        held_until=None,
        lost_at=None,
        lost_way="",
        portal=False,
        reason=BY_FACTS,
        by_facts=True,
    )


def _admitted(state: FamilyState, key: str, probe: Probe, now: float, dialled: bool) -> FamilyState:
    """Admit what has all it needs (again): one good round is enough, or the rise is earned.

    In burst, if it was the link that took it out, or a hand; one that probes took out gets nothing by a bounce.
    """
    same = state.lost_at is not None and key == state.lost_way and now - state.lost_at <= BACK_WITHIN
    free = len(recent(state.passes, probe, now)) < PASSES
    appeared = state.connectivity is Connectivity.NONE and not state.judged
    if key != state.way:
        state = state._replace(way=key, good=0, portal_due=True)
    return _status(state, Status.OFFLINE, now)._replace(
        bad=0,
        may_pass=dialled or (free and (same or not state.judged)),
        dialled=dialled,
        burst=dialled or appeared or state.lost_at is not None or state.status is Status.DISABLED,
        next_probe_at=None,
        reason="not probed yet" if not state.judged else "back, not probed yet",
    )


def _moved(state: FamilyState, key: str) -> FamilyState:
    """Another address or gateway, none missing: the verdict stays, what was seen on the old way is void."""
    online = state.status is Status.ONLINE
    return state._replace(
        way=key,
        good=state.good if online else 0,
        bad=state.bad if online else 0,
        burst=state.burst or not online,
        portal=False,
        portal_due=True,
        next_probe_at=None,
        latency_ms=None,
        srtt_ms=None,
        targets=(),
        reason="the address or the gateway changed",
    )


def with_sources(memory: UplinkState, uplink: Uplink) -> UplinkState:
    """The memory with the addresses that an online uplink has, which it keeps while it is offline."""
    for family in FAMILIES:
        one = memory.family(family)
        if one.status is Status.ONLINE:
            sources = uplink.way(family).sources
            if sources != one.sources:
                memory = memory.with_family(family, one._replace(sources=sources))
    return memory
