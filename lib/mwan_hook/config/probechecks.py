"""What does not fit together in a configuration, and where; and whether the keys of a probe fit one another."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Probe
from mwan_hook.model.probing import DEMOTE
from mwan_hook.verdict.rounds import METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from mwan_hook.model import Config

_LIMITS = ("loss_low", "loss_high"), ("latency_low", "latency_high"), ("jitter_low", "jitter_high")
# How to measure, and what each is where it is not written.
_MEASURING = {**{key: Probe._field_defaults[key] for key in ("window", "burst_echoes")}, "degraded": DEMOTE}
# Keys that must fit one another.
PAIRED = frozenset(("targets", "required", "interval", *_MEASURING, *(key for pair in _LIMITS for key in pair)))


class Contradiction(NamedTuple):
    """A mistake (``fatal``), or a doubt, at a place: section names and key."""

    path: tuple[str, ...]
    words: str
    fatal: bool


def mistake(path: tuple[str, ...], words: str) -> Contradiction:
    """A contradiction that no run takes."""
    return Contradiction(path, words, True)


def doubt(path: tuple[str, ...], words: str) -> Contradiction:
    """A contradiction that is only warned of."""
    return Contradiction(path, words, False)


def probe_checks(probe: Probe, path: tuple[str, ...], own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Findings at ``path``; ``own``: what is written there."""
    asked = len(probe.targets)
    key = "required" if "required" in own or "targets" not in own else "targets"
    if asked and probe.required > asked:
        yield mistake((*path, key), f"required is {probe.required}: expected at most the number of targets ({asked})")
    else:
        for family in Family:
            count = sum(target.applies(family) for target in probe.targets)
            if 0 < count < probe.required:
                words = (
                    f"required is {probe.required}, but {family.value} can ask only {count} of the targets: each counts"
                )
                yield doubt((*path, key), words)
    for low, high in _LIMITS:
        yield from pair(path, probe, own, low, high)
    yield from _measured(probe, path, own)


def measuring_nothing(config: Config, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Doubts about keys of ``[probe]`` that tell how to measure, where no uplink has a limit."""
    if not any(probe.measured for probe in (config.probe, *(uplink.probe for uplink in config.uplinks))):
        yield from _in_vain(("probe",), own)


def _in_vain(path: tuple[str, ...], own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Keys that tell how to measure, beside no limit; one that says what holds anyway misleads no reader."""
    for key, usual in _MEASURING.items():
        if own.get(key, usual) != usual:
            yield doubt((*path, key), "changes nothing without loss_high, latency_high or jitter_high")


def _measured(probe: Probe, path: tuple[str, ...], own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """What is measured has limits, targets that can be asked often, and a window with room for rounds."""
    if not probe.measured:
        if path[0] == "uplinks":
            yield from _in_vain(path, own)
        return
    if probe.window < probe.interval:
        key = "window" if "window" in own or "interval" not in own else "interval"
        yield mistake((*path, key), f"expected window ({probe.window:g}) to be at least interval ({probe.interval:g})")
    written = next((key for key in ("targets", *(high for _, high in _LIMITS), "degraded") if key in own), "loss_high")
    if not any(METHODS[target.method].samples for target in probe.targets):
        words = "nothing is measured: expected an icmp:// target (or tcp://, dns:// or ntp://)"
        yield mistake((*path, written), words)


def pair(path: tuple[str, ...], holder: Any, own: Mapping[str, Any], low: str, high: str) -> Iterator[Contradiction]:
    """Two keys of which the first is at most the second."""
    least, most = getattr(holder, low), getattr(holder, high)
    if least > most:
        key = low if low in own else high
        yield mistake((*path, key), f"expected {low} ({least:g}) to be at most {high} ({most:g})")
