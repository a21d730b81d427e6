"""Whether an uplink is degraded: what it loses, how slow and how uneven it is, as far as samples can tell.  Pure.

Each limit is a share: of echoes that may be lost, or half of the round trips (or of the differences between one and
the next) that may be above a number of milliseconds, so that the median decides and a few stray ones do not.  A limit
is broken when the lower bound of Wilson's interval of 95 % is above it; and it is kept again when, over a whole window
with at least ``ENOUGH`` samples, the share is at or below the low limit.  docs/quality.md has the chances.
Times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, KEEP, OFFLINE, Connectivity, Quality, Status
from mwan_hook.verdict import window as windows
from mwan_hook.verdict.rounds import applies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mwan_hook.model import Bucket, Family, FamilyState, Measured, Probe, Round, Uplink, UplinkState
    from mwan_hook.verdict.window import Share

ENOUGH = 100  # samples that lead back
MOST_BURSTS = 5  # in a window
LEAST_BURSTS = 3  # that count against an uplink: one second of trouble decides nothing
GLANCE = 4  # echoes beside each round of an uplink that is not metered
SPACING = 6  # bursts are no nearer than this part of a window, nor than `interval`
PAUSES = 10  # windows between two looks at a degraded uplink ...
LONGEST_PAUSE = 600.0  # ... but no more seconds than this
SPARED = 43200.0  # seconds in which a metered uplink that stands by gets as many bursts as others in a window


class DueEchoes(NamedTuple):
    """Echoes that are due now."""

    echoes: int
    burst: bool


def after(quality: Quality, degraded: bool, seen: Measured, probe: Probe, now: float) -> tuple[Quality, bool]:
    """What is remembered after samples that were just taken, and whether it is degraded then."""
    fresh = windows.bucket(seen, probe, now)
    quality = quality._replace(
        at=now,
        buckets=windows.added(quality.buckets, fresh, probe.window),
        bursts=(*_past(quality, now), now)[-MOST_BURSTS:] if seen.burst else quality.bursts,
        doubted=not seen.burst and (quality.doubted or is_odd(fresh)),
    )
    return _checked(quality, seen, probe, now) if degraded else _judged(quality, probe, now)


def judged(state: FamilyState, seen: Measured, probe: Probe, now: float) -> FamilyState:
    """A family's memory after samples that were just taken."""
    quality, degraded = after(_of(state), state.degraded, seen, probe, now)
    state = state._replace(quality=quality, probe_bytes=state.probe_bytes + seen.wire_bytes)
    if degraded is state.degraded:
        return state
    return state._replace(degraded=degraded, since=now, reason=quality.reason)


def noted(state: FamilyState, seen: Round, probe: Probe) -> FamilyState:
    """A family's memory with what a round, which is yet to be judged, has to say: whether a burst is due."""
    answering = {one.target for one in state.targets if one.connectivity is Connectivity.FULL}
    slow = seen.latency_ms is not None and 0 < probe.latency_high < seen.latency_ms
    if not slow and answering.isdisjoint(seen.lost):  # a target that never answers says nothing of the line
        return state
    return state._replace(quality=_of(state)._replace(doubted=True))


def _of(state: FamilyState) -> Quality:
    """What was measured of it so far, on the way that it has."""
    return state.quality or Quality(state.way)


def reason(state: FamilyState) -> str:
    """Why it is degraded, and what the last round saw."""
    why = state.quality.reason if state.quality else ""
    return f"{why}; {state.reason}" if why else state.reason


def figures(state: FamilyState, probe: Probe, now: float) -> dict[str, float | int | None]:
    """What the last window holds, for people and programs."""
    seen = windows.recent(state.quality.buckets if state.quality else (), now - probe.window)
    timed = seen.sent - seen.lost
    return {
        "samples": seen.sent,
        "loss_percent": round(100 * seen.lost / seen.sent, 1) if seen.sent else None,
        "latency_ms": round(seen.total_ms / timed, 1) if timed else None,
        "jitter_ms": round(seen.jitter_ms / seen.pairs, 1) if seen.pairs else None,
    }


def put_aside(memories: Mapping[str, UplinkState], uplinks: Sequence[Uplink], now: float) -> dict[str, UplinkState]:
    """The memories, with those offline that are to be so while they are degraded, where others are online."""
    found = {**memories}
    for family in FAMILIES:
        online = [u for u in uplinks if found[u.name].family(family).status is Status.ONLINE]
        aside = [u for u in online if u.config.probe.degraded == OFFLINE and found[u.name].family(family).degraded]
        others = [u for u in online if not found[u.name].family(family).degraded and not u.draining]
        for uplink in aside if others else ():
            state = found[uplink.name].family(family)
            state = state._replace(status=Status.OFFLINE, since=now, portal_due=True, burst=False, reason=reason(state))
            found[uplink.name] = found[uplink.name].with_family(family, state)
    return found


def is_odd(seen: Bucket) -> bool:
    """Whether anything in it asks for a closer look."""
    return bool(seen.lost or seen.slow or seen.rough)


def _judged(quality: Quality, probe: Probe, now: float) -> tuple[Quality, bool]:
    """Whether it is degraded: if a limit is surely broken."""
    if len(_within(quality, now, probe.window)) < _least(probe):
        return quality, False
    broken = next((one for one in _now(quality, probe, now) if one.sure), None)
    if broken is None:
        return quality, False
    return quality._replace(doubted=False, checked_at=now, checking=False, reason=broken.words), True


def _checked(quality: Quality, seen: Measured, probe: Probe, now: float) -> tuple[Quality, bool]:
    """Whether a degraded one still is: not any more, if a whole window was good."""
    stale = not 0 <= now - quality.checked_at < windows.KEPT * probe.window
    if stale or not quality.checking:
        if not seen.burst or 0 <= now - quality.checked_at < probe.window:
            return quality, True
        quality = quality._replace(checking=True, checked_at=now)
    found = windows.recent(quality.buckets, quality.checked_at)
    low = tuple(windows.findings(found, probe, low=True))
    if any(one.sure for one in low):
        return quality._replace(checking=False), True  # hopeless: the rest of the window is spared
    if not is_whole(quality, probe, now) or found.sent < ENOUGH:
        return quality, True
    if any(one.above for one in low):
        return quality._replace(checking=False), True
    words = "; ".join(one.words for one in low)
    return Quality(quality.way, now, bursts=quality.bursts, reason=f"good again: {words}"), False


def is_whole(quality: Quality, probe: Probe, now: float) -> bool:
    """Whether the window that may lead back is over."""
    return now - quality.checked_at >= probe.window - slack(probe)


def slack(probe: Probe) -> float:
    """Seconds that are forgiven: a timer never fires exactly on time."""
    return min(1.0, probe.interval / 10)


def _now(quality: Quality, probe: Probe, now: float) -> Iterator[Share]:
    seen = windows.recent(quality.buckets, now - probe.window)
    return windows.findings(seen, probe, low=False)


def undecided(quality: Quality, probe: Probe, now: float) -> bool:
    """Whether a limit seems to be broken, and is not surely so."""
    return any(one.above for one in _now(quality, probe, now))


def wanted(state: FamilyState, probe: Probe, now: float, metered: bool, spared: bool) -> DueEchoes | None:
    """The echoes that are due.  ``spared``: it is metered, and another one is online.

    A burst where there is doubt or a return is looked into, a few echoes beside each round else.
    """
    quality, ends = _of(state), False
    free = _may_burst(quality, probe, now, spared)
    if state.degraded:
        if free and _asks_back(quality, probe, now, spared):
            return DueEchoes(max(probe.burst_echoes, _share_of_enough(probe)), burst=True)
        ends = quality.checking and is_whole(quality, probe, now)
    elif free and (quality.doubted or undecided(quality, probe, now)):
        return DueEchoes(probe.burst_echoes, burst=True)
    since_round = state.probed_at is not None and not state.probed_at <= quality.at <= now
    return DueEchoes(GLANCE, burst=False) if since_round and (ends or not metered) else None


def _asks_back(quality: Quality, probe: Probe, now: float, spared: bool) -> bool:
    """Whether a burst may help a degraded uplink back."""
    since = now - quality.checked_at
    if quality.checking and 0 <= since < windows.KEPT * probe.window:
        return windows.recent(quality.buckets, quality.checked_at).sent < ENOUGH
    return not 0 <= since < pause(probe, spared)


def pause(probe: Probe, spared: bool) -> float:
    """Seconds between two looks at a degraded uplink."""
    usual = max(probe.window, min(LONGEST_PAUSE, PAUSES * probe.window))
    return max(usual, SPARED) if spared else usual


def _may_burst(quality: Quality, probe: Probe, now: float, spared: bool) -> bool:
    """Whether there were few enough bursts lately."""
    span = max(SPARED, probe.window) if spared else probe.window
    near = min(probe.interval, probe.window / SPACING) - slack(probe)
    return len(_within(quality, now, span)) < MOST_BURSTS and not _within(quality, now, near)


def _within(quality: Quality, now: float, span: float) -> tuple[float, ...]:
    return tuple(at for at in quality.bursts if 0 <= now - at < span)


def _past(quality: Quality, now: float) -> tuple[float, ...]:
    return tuple(at for at in quality.bursts if at <= now)


def _rounds(probe: Probe) -> int:
    """Whole rounds in a window."""
    return int(probe.window // probe.interval)


def _least(probe: Probe) -> int:
    """Bursts that count against an uplink; one where no window has room for two."""
    return max(1, min(LEAST_BURSTS, _rounds(probe) - 1))


def _share_of_enough(probe: Probe) -> int:
    """Echoes of a burst, so that those of one window are enough."""
    return -(-ENOUGH // max(1, min(MOST_BURSTS, _rounds(probe))))


def as_far_as_it_holds(state: FamilyState, uplink: Uplink, family: Family, replugged: bool) -> FamilyState:
    """The memory without what was measured on another way, or for limits that are gone."""
    way, probe, known = uplink.way(family), uplink.config.probe, state.quality
    same = known is None or not way.key or known.way == way.key
    stays = same and probe.measured and any(applies(target, uplink, family) for target in probe.targets)
    if not stays or replugged:
        words = "not measured any more" if state.degraded else state.reason
        return state._replace(degraded=False, quality=None, reason=words)
    kept = probe.degraded == KEEP
    return state if known is None or known.kept is kept else state._replace(quality=known._replace(kept=kept))
