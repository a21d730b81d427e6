"""Whether all is in peace, so that the next runs need not judge (:mod:`mwan_hook.run.remember`).

Every key of the configuration, and every part of the state, that this module does not know is a reason against it.
"""

from __future__ import annotations

from mwan_hook.model import Config, FamilyState, Phase, Probe, Routing, State, UplinkConfig
from mwan_hook.run import judge, look
from mwan_hook.run.scene import dialling_rests, limited

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.run.scene import Judged, Scene

LASTS = 300.0  # seconds after which the whole program looks again, though all be the same

# Known to be compared, or to be of no account to a run that changes nothing.
_CONFIG = {"routing", "probe", "uplinks", "explicit_probe", "hooks", "mail", "webhook", "prometheus", "snmp"}
_CONFIG |= {"record", "report", "policies", "router"}  # as far as they ask for no nft table
_ROUTING = {"default_table", "first_table", "rule_priority", "main_first", "copy_routes", "last_resort"}
_ROUTING |= {"mark_mask", "protocol", "nexthops", "prefer", "write_etc", "mptcp"}
_UPLINK = {"name", "match", "metric", "weight", "table", "rule_priority", "mark", "mask", "gateways", "families"}
_UPLINK |= {"enabled", "metered", "metered_interval", "metrics", "probe", "explicit", "failback", "dial", "mptcp"}
_PROBE = {"targets", "required", "portal_targets", "portal_interval", "interval", "timeout", "fall", "rise"}
_PROBE |= {"burst_interval", "hysteresis_delay", "hysteresis_backoff", "portal_is_online"}
_STATE = {"boot_id", "uplinks", "last_online", "best", "tables", "sysctls", "foreign", "config", "warnings", "saved_at"}
_STATE |= {"saved_wall", "run_seconds", "protocols", "sharing", "elsewhere", "dials", "begun", "rest", "rest_until"}
_STATE |= {"follow_at", "followed", "unable", "mptcp"}
_STATE |= {"led", "lead_again", "peers"}
_FAMILY = {"status", "connectivity", "judged", "since", "good", "bad", "held_until", "full_at", "passes", "may_pass"}
_FAMILY |= {"burst", "way", "lost_at", "lost_way", "portal", "portal_at", "portal_due", "probed_at", "next_probe_at"}
_FAMILY |= {"latency_ms", "srtt_ms", "reason", "probe_bytes", "targets", "by_facts", "rounds", "bad_rounds"}
_FAMILY |= {"leads", "transitions", "known", "sources", "ended_at", "aborted", "evidence"}


def is_known(config: Config) -> bool:
    """Whether all that is configured is known to be compared."""
    known = _usual(config, Config(), _CONFIG) and _usual(config.routing, Routing(), _ROUTING)
    return known and not config.firewall and all(map(_is_known_uplink, config.uplinks))


def _is_known_uplink(one: UplinkConfig) -> bool:
    return _usual(one, UplinkConfig(""), _UPLINK) and _usual(one.probe, Probe(), _PROBE)


def at_peace(judged: Judged) -> bool:
    """Whether the whole program would do nothing now, nothing waits for its time, and all that it knows is compared."""
    seen, state = judged.scene, judged.scene.state
    there, memories = seen.snapshot, [memory for one in state.uplinks.values() for memory in (one.ipv4, one.ipv6)]
    others = seen.bound.turns or there.pool or there.firewall or there.delegated or limited(seen) or seen.messages
    same = _is_over(judged) and seen.bound.allotment == seen.allotment and _is_over(judge.judge(_later(seen)))
    known = [_usual(state, State(), _STATE), *(_usual(memory, FamilyState(), _FAMILY) for memory in memories)]
    known += [_is_known_uplink(uplink.config) for uplink in seen.uplinks]
    same = same and _stand_by(judged) and not look.may_be_delegated(seen.bound, state, there)
    return same and all(known) and not others and lasts(seen) > 0


def _stand_by(judged: Judged) -> bool:
    """Whether no uplink is dialled, or will be before the memo's time is over."""
    seen = judged.scene
    if not (seen.config.dials or seen.state.dials):
        return True
    idle = all(one.phase is Phase.IDLE for one in seen.state.dials.values())
    return idle and dialling_rests(judged) and seen.now + LASTS < seen.state.rest_until


def lasts(seen: Scene) -> float:
    """Seconds for which nothing is due by the clock, as far as is known of it beforehand; at most LASTS."""
    due = seen.state.follow_at
    return LASTS if due is None else min(LASTS, due - seen.now)


def _is_over(judged: Judged) -> bool:
    """Whether nothing is to do and nothing new to store."""
    return judged.state == judged.scene.state and not judged.changes


def _later(seen: Scene) -> Scene:
    """The same at the end of the memo's time: what only waits for its time is no peace."""
    return seen._replace(now=seen.now + LASTS, wall=seen.wall + LASTS)


def _usual(thing: Any, usual: Any, known: set[str]) -> bool:
    """Whether every field that is not known here has its default."""
    return all(getattr(thing, name) == getattr(usual, name) for name in thing._fields if name not in known)
