"""When an uplink is probed.  All times are CLOCK_BOOTTIME seconds and are given, never asked for."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Connectivity, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Family, FamilyState, Probe, UplinkConfig

SHORTEST_TIMEOUT = 0.3  # seconds; a burst never waits less for an answer
RETRANSMISSION = 1.3  # or less for one of TCP, HTTP or DNS: a lost SYN is sent again after a second (RFC 6298, 2.1)
ROUND_TRIPS = 4  # and else so many smoothed round trips
PORTAL_ROUNDS = 12  # of a spared uplink: a portal check costs as much as that many echoes


def interval(config: UplinkConfig, another_online: bool) -> float:
    """Seconds between rounds in peace; a metered uplink is spared while another one is online."""
    if config.metered and another_online:
        return max(config.metered_interval, config.probe.interval)
    return config.probe.interval


def due(
    state: FamilyState,
    config: UplinkConfig,
    now: float,
    another_online: bool,
    force_since: float | None = None,
) -> bool:
    """True if a round shall be made.  ``force_since``: all that was not probed since then is due.

    A timer never fires exactly on time: a tenth of the interval, at most a second, is forgiven.
    """
    if not _may_be_probed(state):
        return False
    if state.next_probe_at is None or state.probed_at is None:
        return True
    if force_since is not None and state.probed_at < force_since:
        return True
    if state.held_until is not None and now >= state.held_until:
        return True
    if _hurried(state, config.probe) and now >= state.next_probe_at:
        return True
    every = interval(config, another_online)
    spared_at = state.evidence.spared_at if state.evidence else 0.0
    since = max(state.probed_at, spared_at) if spared_at <= now else state.probed_at
    return now - since >= every - min(1.0, every / 10)


def portal_due(state: FamilyState, config: UplinkConfig, family: Family, now: float, another_online: bool) -> bool:
    """True if a round shall ask the portal targets, too.

    A metered uplink is spared while another one is online: then a portal that was found is asked for as seldom.
    """
    every = portal_every(config, family, another_online)
    if not every:
        return False
    if state.portal_due or state.portal_at is None or (state.portal and not (config.metered and another_online)):
        return True
    return now - state.portal_at >= every


def portal_every(config: UplinkConfig, family: Family, another_online: bool) -> float:
    """Seconds between portal checks in peace; 0 where there are none."""
    probe = config.probe
    if probe.portal_interval <= 0 or not any(target.applies(family) for target in probe.portal_targets):
        return 0.0
    spared = config.metered and another_online
    return max(probe.portal_interval, PORTAL_ROUNDS * interval(config, another_online) if spared else 0.0)


def waits_behind_portal(state: FamilyState, config: UplinkConfig) -> bool:
    """True of a metered uplink that only a portal keeps offline: while another one is online as little is asked of it
    as in peace.
    """
    return config.metered and state.connectivity is Connectivity.PORTAL and not state.burst


def in_doubt(state: FamilyState, probe: Probe) -> bool:
    """True if the run stays to probe it again: an online uplink that failed, or one that earns its rise after a
    link event, or one whose link came, or changed, while others were probed.

    A burst ends by itself: after ``fall`` bad or ``rise`` good rounds, or at a bad one that follows a good one.
    """
    return _may_be_probed(state) and (state.next_probe_at is None or _hurried(state, probe))


def hurries(state: FamilyState, probe: Probe) -> bool:
    """True if a round need not wait the whole time-out: another one follows at once, which hears late answers, too."""
    if probe.burst_interval <= 0:
        return False
    if state.status is not Status.ONLINE:
        return state.burst
    return probe.fall > 1 and (state.burst or in_peace(state))


def in_peace(state: FamilyState) -> bool:
    """True of an online uplink whose last round was good."""
    return state.status is Status.ONLINE and state.bad == 0 and state.good > 0


def is_steady(state: FamilyState) -> bool:
    """Whether one more good round would only be counted."""
    usual = (state.connectivity, state.held_until, state.lost_at, state.lost_way)
    moving = state.burst or state.may_pass or state.portal or state.next_probe_at is None
    measured = state.srtt_ms is not None and state.probed_at is not None and state.targets
    return in_peace(state) and usual == (Connectivity.FULL, None, None, "") and bool(measured) and not moving


class Timeouts(NamedTuple):
    """Seconds that a hurried round waits for an answer."""

    echo: float  # that the kernel or a router gives
    service: float  # that may cost a retransmission, or a program's work


def burst_timeouts(state: FamilyState, probe: Probe) -> Timeouts:
    """How long a hurried round waits.

    The round that could make an uplink offline waits for a service until the first question that was not answered has
    had the whole time-out.
    """
    if state.srtt_ms is None:
        return Timeouts(probe.timeout, probe.timeout)
    round_trips = ROUND_TRIPS * state.srtt_ms / 1000
    service = max(RETRANSMISSION, round_trips)
    if state.status is Status.ONLINE and state.bad + 1 >= probe.fall:
        service = max(service, probe.timeout - state.bad * service)
    return Timeouts(min(probe.timeout, max(SHORTEST_TIMEOUT, round_trips)), min(probe.timeout, service))


def _may_be_probed(state: FamilyState) -> bool:
    return state.way != "" and state.status is not Status.DISABLED and not state.by_facts


def _hurried(state: FamilyState, probe: Probe) -> bool:
    return state.burst and probe.burst_interval > 0 and state.held_until is None
