"""``mwan-hook probe``: test uplinks now and show every target; changes nothing."""

from __future__ import annotations

from mwan_hook import config
from mwan_hook.commands import screen
from mwan_hook.commands.screen import Sentence
from mwan_hook.commands.status_json import target
from mwan_hook.model import Connectivity, Family, Result, Round, Uplink
from mwan_hook.probes import runner
from mwan_hook.run import look
from mwan_hook.run.naming import chosen
from mwan_hook.say import complain
from mwan_hook.verdict.rounds import jobs_for, summarise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

INDENT = 6  # of a line that a terminal is too narrow for


def run(root: str, names: Sequence[str], as_json: bool) -> int:
    """0 if every family of every uplink named that can be used is full, else 1."""
    loaded = config.look(root)
    seen = look.to_read(root, loaded)
    uplinks = chosen(seen, names)
    rounds = _ask(root, uplinks)
    if as_json:
        screen.document({"version": 1, "uplinks": {one.name: _document(one, rounds) for one in uplinks}})
    else:
        screen.tell(Sentence(line, INDENT) for uplink in uplinks for line in _lines(uplink, rounds))
    tested = [_verdict(uplink, rounds) for uplink in uplinks]
    complain(f"{name}: no interface matches it now" for name in names if not _meant(uplinks, name))
    return 0 if tested and all(tested) else 1


def _meant(uplinks: Sequence[Uplink], name: str) -> bool:
    """False for a template that no interface matches."""
    return any(name in (uplink.name, uplink.interface, uplink.config.name) for uplink in uplinks)


def _ask(root: str, uplinks: Sequence[Uplink]) -> dict[tuple[str, Family], Round]:
    """One round of every family, portal targets too, all at once."""
    jobs = [
        job
        for uplink in uplinks
        for family in uplink.config.families
        for job in jobs_for(uplink, family, uplink.config.probe, with_portal=True)
    ]
    answers: dict[tuple[str, Family], list[Result]] = {}
    for result in runner.run(jobs, root=root):
        answers.setdefault((result.job.uplink, result.job.family), []).append(result)
    required = {uplink.name: uplink.config.probe.required for uplink in uplinks}
    return {key: _seen(summarise(results, required[key[0]])) for key, results in answers.items()}


def _seen(one: Round) -> Round:
    """A portal in the way outweighs what answered beside it."""
    return one._replace(connectivity=Connectivity.PORTAL) if one.portal else one


def _verdict(uplink: Uplink, rounds: dict[tuple[str, Family], Round]) -> bool:
    """Full in every family that has an address; an uplink with none is not."""
    families = [f for f in uplink.config.families if (uplink.name, f) in rounds]
    return bool(families) and all(rounds[uplink.name, f].connectivity is Connectivity.FULL for f in families)


def _lines(uplink: Uplink, rounds: dict[tuple[str, Family], Round]) -> list[str]:
    lines = []
    for family in uplink.config.families:
        one = rounds.get((uplink.name, family))
        way = uplink.way(family)
        if one is None:
            words = way.missing or "no target applies"
            lines.append(f"{uplink.name} {uplink.interface} {family.value} 1 (none) {words}" if way.missing else "")
            continue
        word = f"{int(one.connectivity)} ({one.connectivity.word})"
        lines.append(f"{uplink.name} {uplink.interface} {family.value} {word} {one.reason}; {one.wire_bytes} bytes")
        for seen in one.targets:
            time = f"{seen.rtt_ms:.1f} ms" if seen.rtt_ms is not None else "-"
            lines.append(f"  {seen.target}  {seen.connectivity.word}  {time}  {seen.error or ''}".rstrip())
    return [line for line in lines if line]


def _document(uplink: Uplink, rounds: dict[tuple[str, Family], Round]) -> dict[str, Any]:
    found: dict[str, Any] = {"interface": uplink.interface}
    for family in uplink.config.families:
        one = rounds.get((uplink.name, family))
        if one is None:
            missing = uplink.way(family).missing
            word = Connectivity.NONE.word if missing else Connectivity.UNKNOWN.word
            found[family.value] = {"connectivity": word, "reason": missing or "no target applies", "targets": []}
            continue
        found[family.value] = {
            "connectivity": one.connectivity.word,
            "reason": one.reason,
            "latency_ms": one.latency_ms,
            "wire_bytes": one.wire_bytes,
            "targets": list(map(target, one.targets)),
        }
    words = [value["connectivity"] for key, value in found.items() if key != "interface"]
    found["connectivity"] = max(words, key=lambda word: Connectivity[word.upper()], default="unknown")
    return found
