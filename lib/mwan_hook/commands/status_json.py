"""``mwan-hook status --json``: the stable document of the contract."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.model import FAMILIES, Connectivity, Family, FamilyState, Sharing, TargetResult, Uplink, UplinkState
from mwan_hook.verdict.events import best_connectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from mwan_hook.run.scene import Judged, Scene


def document(judged: Judged) -> dict[str, Any]:
    """``status --json`` as a value."""
    seen = judged.scene
    return {
        "version": 1,
        "time": dates.utc(seen.wall),
        "default": {family.value: best_tier(judged, family) for family in FAMILIES},
        "uplinks": {
            uplink.name: {
                **_uplink(seen, uplink, judged.state.memory(uplink.name)),
                "quota": _quota(judged, uplink),
                "prefixes": _prefixes(judged, uplink),
                "activation": _activation(judged, uplink),
                "repair": _repair(judged, uplink),
            }
            for uplink in seen.uplinks
        },
        "nexthops": (Sharing.OBJECTS if seen.snapshot.pool and seen.snapshot.pool.use else Sharing.ROUTES).value,
        "policies": _policies(judged),
        **_common(judged),
        "errors": [*seen.state.errors, *filter(None, (seen.state.firewall.failed,)), *seen.bound.short],
    }


def _common(judged: Judged) -> dict[str, Any]:
    if not (judged.state.ignored or judged.state.dark_since):
        return {"ignored": [], "common": None}
    from mwan_hook.commands import common

    return common.document(judged.state, lambda at: dates.utc(judged.scene.wall - judged.scene.now + at))


def _policies(judged: Judged) -> dict[str, Any]:
    if not judged.scene.bound.policies:
        return {}
    from mwan_hook.commands import policies

    return policies.document(judged)


def _quota(judged: Judged, uplink: Uplink) -> dict[str, Any] | None:
    if not uplink.config.quota:
        return None
    from mwan_hook.commands import usage

    return usage.document(judged, uplink)


def _activation(judged: Judged, uplink: Uplink) -> dict[str, Any] | None:
    if not uplink.config.dial:
        return None
    from mwan_hook.commands import dialled

    return dialled.document(judged, uplink)


def _repair(judged: Judged, uplink: Uplink) -> dict[str, Any] | None:
    if not uplink.config.repair:
        return None
    from mwan_hook.repair import words
    from mwan_hook.run.ladders import standing

    seen = judged.scene
    return words.document(*next(standing(seen.root, judged, uplink.name)), seen.wall - seen.now)


def _prefixes(judged: Judged, uplink: Uplink) -> list[dict[str, Any]]:
    """Delegated ones; one that is gone comes back with the line, or another in its place."""
    snapshot = judged.scene.snapshot
    if not snapshot.delegated:
        return []
    from mwan_hook.routing import prefixes

    own = prefixes.of(uplink, snapshot)
    return [
        {"prefix": one.prefix, "present": not one.gone, "deprecated": one.prefix in judged.deprecated}
        for one in snapshot.delegated
        if one.prefix in own
    ]


def best_tier(judged: Judged, family: Family) -> list[str]:
    """Uplinks that share the best default."""
    preferences = {uplink.name: uplink.preference(family) for uplink in judged.scene.uplinks}
    names = [name for name in judged.desired.online.get(family, ()) if name in preferences]
    return [name for name in names if preferences[name] == preferences[names[0]]]


def _uplink(seen: Scene, uplink: Uplink, memory: UplinkState) -> dict[str, Any]:
    link, drained = uplink.link, seen.bound.drains.get(uplink.name)
    return {
        "interface": uplink.interface,
        "present": uplink.present,
        "carrier": bool(link and link.up and link.carrier),
        "enabled": uplink.enabled,
        "draining": uplink.draining,
        "draining_until": dates.utc(seen.wall - seen.now + drained.ends) if drained else None,
        "connections": drained.connections if drained else None,
        "enabled_by": "configuration" if uplink.switched is None else "command",
        "metered": uplink.config.metered,
        "table": uplink.table,
        "metric": uplink.metric,
        "weight": uplink.config.weight,
        "mark": f"{uplink.mark:#x}/{uplink.mask:#x}" if uplink.mark else None,
        "connectivity": best_connectivity(memory).word,
        **{family.value: _family(seen, uplink, family, memory.family(family)) for family in FAMILIES},
    }


def _family(seen: Scene, uplink: Uplink, family: Family, state: FamilyState) -> dict[str, Any]:
    way = uplink.way(family)

    def when(at: float | None) -> str | None:
        return dates.utc(seen.wall - seen.now + at) if at else None

    return {
        "status": state.word,
        "connectivity": state.connectivity.word,
        "addresses": [f"{a.address}/{a.prefixlen}" for a in way.addresses if a.usable],
        "source": way.source or None,
        "gateway": way.gateway,
        "since": when(state.since),
        "good": state.good,
        "bad": state.bad,
        "held_until": when(state.held_until),
        "latency_ms": None if state.latency_ms is None else round(state.latency_ms, 2),
        "reason": state.reason,
        "quality": _quality(uplink, state, seen.now),
        "probed_at": when(state.probed_at),
        "next_probe_at": when(state.next_probe_at),
        "probe_bytes": state.probe_bytes,
        "aborted": state.aborted,
        "evidence": _evidence(state, when),
        "targets": list(map(target, state.targets)),
    }


def target(one: TargetResult) -> dict[str, Any]:
    """What one target answered."""
    return {
        "target": one.target,
        "connectivity": Connectivity(one.connectivity).word,
        "rtt_ms": one.rtt_ms,
        "error": one.error,
    }


def _quality(uplink: Uplink, state: FamilyState, now: float) -> dict[str, Any] | None:
    """What the last window held; None where nothing is measured."""
    if not uplink.config.probe.measured:
        return None
    from mwan_hook.verdict import quality

    return quality.figures(state, uplink.config.probe, now)


def _evidence(state: FamilyState, when: Callable[[float | None], str | None]) -> dict[str, Any] | None:
    """What traffic said last, where that is asked for."""
    known = state.evidence
    if known is None:
        return None
    begun, answered = known.seen
    return {"new": begun, "answered": answered, "silent": known.silent, "at": when(known.seen_at)}
