"""What Prometheus is told of an uplink, of a family of it and of its quota: a row each.  Pure.

A row has the name behind ``mwan_uplink_``, the help and the value.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import DEGRADED, FamilyState, Stage, Status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mwan_hook.model import Family, Uplink, Usage

    Number = int | float | None


class One(NamedTuple):
    """One family of one uplink; ``epoch`` is what makes a boot time seconds since the epoch."""

    uplink: Uplink
    family: Family
    memory: FamilyState
    carries: bool  # it is of the best default
    epoch: float


def moment(seconds: float | None) -> float | None:
    """A moment to the millisecond: what comes of two clocks is no surer than that."""
    return None if seconds is None else round(seconds, 3)


def _seconds(ms: float | None) -> float | None:
    return None if ms is None else round(ms / 1000, 6)


def _since(one: One, boottime: float | None) -> float | None:
    return moment(boottime + one.epoch) if boottime else None


# fmt: off
OF_UPLINK: tuple[tuple[str, str, Callable[[Uplink], Number]], ...] = (
    ("present", "Whether the interface is there.", lambda u: int(u.present)),
    ("carrier", "Whether the interface is up and has a carrier.",
        lambda u: int(bool(u.link and u.link.up and u.link.carrier))),
    ("enabled", "Whether the uplink may carry traffic at all.", lambda u: int(u.enabled)),
    ("draining", "Whether the uplink keeps the connections that it has and gets no new ones.",
        lambda u: int(u.draining)),
    ("metric", "Preference: lower is better, equals share.", lambda u: u.metric),
    ("weight", "Share among equals.", lambda u: u.config.weight),
)
OF_FAMILY: tuple[tuple[str, str, Callable[[One], Number]], ...] = (
    ("connectivity", "What the last round saw: 0 unknown, 1 none, 2 portal, 3 limited, 4 full.",
        lambda one: int(one.memory.connectivity)),
    ("online", "The verdict that routing obeys.", lambda one: int(one.memory.status is Status.ONLINE)),
    ("default", "Whether the uplink carries, alone or with its equals, what is not bound elsewhere.",
        lambda one: int(one.carries)),
    ("held", "Whether the uplink came back too often and is kept offline for a while.",
        lambda one: int(one.memory.held_until is not None)),
    ("latency_seconds", "Median round trip of the last round; missing where nothing answered.",
        lambda one: _seconds(one.memory.latency_ms)),
    ("rounds_total", "Rounds of probes judged in this boot.", lambda one: one.memory.rounds),
    ("bad_rounds_total", "Rounds that counted against the uplink: not full, or too slow.",
        lambda one: one.memory.bad_rounds),
    ("consecutive_bad_rounds", "Bad rounds since the last good one.", lambda one: one.memory.bad),
    ("transitions_total", "Changes of the verdict, to online or from it, in this boot.",
        lambda one: one.memory.transitions),
    ("probe_bytes_total", "Bytes that probes have cost in this boot, both ways, from the IP header up.",
        lambda one: one.memory.probe_bytes),
    ("last_probe_timestamp_seconds", "When the last round began; missing before the first.",
        lambda one: _since(one, one.memory.probed_at)),
    ("verdict_timestamp_seconds", "Since when the verdict stands.", lambda one: _since(one, one.memory.since)),
)
OF_QUALITY: tuple[tuple[str, str, Callable[[FamilyState, Mapping[str, Number]], Number]], ...] = (
    ("degraded", "Whether the uplink is online and beyond a limit of loss, latency or jitter.",
        lambda memory, _: int(memory.word == DEGRADED)),
    ("loss_percent", "Percentage of echoes that were lost in the last window.", lambda _, seen: seen["loss_percent"]),
    ("jitter_seconds", "Mean difference of successive round trips in the last window.",
        lambda _, seen: _seconds(seen["jitter_ms"])),
)
"""Of uplinks with such limits only; the figures are those of :func:`mwan_hook.verdict.quality.figures`."""

OF_QUOTA: tuple[tuple[str, str, Callable[[Uplink, Usage], Number]], ...] = (
    ("quota_bytes", "What the uplink may carry in a period, if that is limited.",
        lambda uplink, _: uplink.config.quota),
    ("quota_used_bytes", "What it has carried in this period, both ways, as the kernel counts.",
        lambda _, usage: usage.periods.get(usage.period, 0)),
    ("quota_exceeded", "Whether it is beyond its quota and preferred last.",
        lambda _, usage: int(usage.stage is Stage.EXCEEDED)),
)
# fmt: on
