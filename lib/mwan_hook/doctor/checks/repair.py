"""Doctor: repair ladders that lack something, and lines that could have one.  Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from mwan_hook.doctor.finding import NOTE, WARNING, Case, Finding, Fix
from mwan_hook.repair.steps import SUGGESTED, SUGGESTED_DIALLED


def check(case: Case, usb: Collection[str], refusals: Mapping[tuple[str, str], str]) -> Iterator[Finding]:
    """``usb``: interfaces of USB devices; ``refusals``: why a step of an uplink cannot be, where it cannot."""
    for uplink in case.present:
        for rung in uplink.config.repair:
            words = refusals.get((uplink.name, rung.step))
            if words:
                what = f"the step {rung.step} of its repair ladder cannot be done: {words}"
                breaks = "while it is out the step is left out, and the ladder waits for the next one"
                fix = Fix(f"what it needs, or `repair` in [[{uplink.config.name}]] without it")
                yield Finding("repair-step", WARNING, uplink.name, what, breaks, fix)
        if not uplink.config.repair and uplink.interface in usb:
            steps = SUGGESTED_DIALLED if uplink.config.dial else SUGGESTED
            what = f"{uplink.interface} belongs to a USB device, and nothing is done about it while it is out"
            breaks = "a stick whose firmware hangs, or whose lease the other side has forgotten, stays so"
            fix = Fix(f"repair = {', '.join(steps)} in [[{uplink.config.name}]]")
            yield Finding("repair-none", NOTE, uplink.name, what, breaks, fix)
