"""Choice among several gateways of an uplink: the first that answers its neighbours, then probes.

One that falls silent is left at once, and used again ``hysteresis_delay`` later if it answers then.  One that answers,
but behind which probes get nothing, is left for the next when the uplink is offline by it; it has its turn again when
all others have failed, too.  So nothing swings while a gateway works.
"""

from __future__ import annotations

from mwan_hook.model import Status, Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.model import FamilyState, Probe

    Answers = Mapping[str, bool | None]  # None: not known yet


def turn(before: Turn, choices: Sequence[str], answers: Answers, memory: FamilyState, probe: Probe, now: float) -> Turn:
    """The gateway whose turn it is now.  ``memory``: of the probes, as stored."""
    current = before.gateway if before.gateway in choices else ""
    silent = {one: min(at, now) for one, at in before.silent.items() if one in choices}
    failed = _failed(current, before.failed, choices, answers, memory, probe)
    able = [one for one in choices if answers.get(one) and one not in failed]
    rested = [one for one in able if one not in silent or now - silent[one] >= probe.hysteresis_delay]
    works = current != "" and answers.get(current) is not False and current not in failed
    if works:
        earlier = [one for one in rested if choices.index(one) < choices.index(current)]
        chosen = (earlier or [current])[0]
    else:
        chosen = (rested or able or [current or choices[0]])[0]
    passed = [one for one in choices[: choices.index(chosen)] if one not in failed and not answers.get(one)]
    for one in (*passed, *([current] if current and answers.get(current) is False and chosen != current else [])):
        silent.setdefault(one, now)
    silent.pop(chosen, None)
    return Turn(chosen, silent, failed)


def _failed(
    current: str, before: Sequence[str], choices: Sequence[str], answers: Answers, memory: FamilyState, probe: Probe
) -> tuple[str, ...]:
    """Gateways that had a fair chance; when all that answer have had one, only the last one is passed over."""
    failed = [one for one in before if one in choices]
    if not current or current in failed or not _gone_bad(current, memory, probe):
        return tuple(failed)
    others = [one for one in choices if one != current and answers.get(one)]
    if not others:
        return tuple(failed)
    return (current,) if all(one in failed for one in others) else (*failed, current)


def _gone_bad(gateway: str, memory: FamilyState, probe: Probe) -> bool:
    used = memory.way.rpartition(" ")[2] == gateway
    return used and memory.judged and memory.status is Status.OFFLINE and memory.bad >= probe.fall
