"""A trace as JSON; fields may be added, never taken away."""

from __future__ import annotations

import json

from mwan_hook.trace import words
from mwan_hook.trace.compare import agree, shares
from mwan_hook.trace.values import KernelAnswer, Leg, Outcome, Step, Trace
from mwan_hook.trace.words import Names


def document(
    done: Trace, answer: KernelAnswer | None, names: Names, name: str, connections: list[dict[str, object]]
) -> str:
    """The whole trace.  ``connections``: of this machine to the destination."""
    asked = done.question
    devices = {"iif": names.device(asked.iif) if asked.iif else None}
    devices["oif"] = names.device(asked.oif) if asked.oif else None
    values = {"version": 1, "name": name, "question": {**asked._asdict(), **devices}}
    values["steps"] = [_step(step, names) for step in done.steps]
    values["not_reached"] = [rule.priority for rule in done.beyond]
    values["result"] = _outcome(done.outcome, names)
    values["nft"] = list(names.notes)
    values["kernel"] = _answer(answer, names) if answer else None
    values["agrees"] = agree(done.outcome, answer) if answer else None
    values["connections"] = connections
    return json.dumps(values, indent=1)


def _step(step: Step, names: Names) -> dict[str, object]:
    found = step.found
    return {
        "priority": step.rule.priority,
        "rule": words.rule(step.rule, names),
        "matched": step.matched,
        "why": step.why,
        "table": step.table or None,
        "table_name": names.table(step.table) if step.table else None,
        "route": words.entry(found.entry, names) if found and found.entry else None,
        "suppressed": step.suppressed or None,
        "passed": [{"route": words.entry(one.entry, names), "why": one.why} for one in found.passed] if found else [],
        "decided": step.decided,
    }


def _outcome(outcome: Outcome, names: Names) -> dict[str, object]:
    return {
        "error": outcome.error or None,
        "why": outcome.why or None,
        "table": outcome.table or None,
        "kind": outcome.entry.route.kind if outcome.entry else None,
        "route": words.entry(outcome.entry, names) if outcome.entry else None,
        "legs": [
            {**_leg(leg, names), "weight": leg.weight, "share": round(share, 4)}
            for leg, share in zip(outcome.legs, shares(outcome), strict=True)
        ],
        "otherwise": _outcome(outcome.otherwise, names) if outcome.otherwise else None,
    }


def _leg(leg: Leg, names: Names) -> dict[str, object]:
    uplink, status = names.uplinks.get(leg.index, (None, None))
    return {"interface": names.device(leg.index), "gateway": leg.gateway, "uplink": uplink, "status": status}


def _answer(answer: KernelAnswer, names: Names) -> dict[str, object]:
    return {
        "error": answer.error or None,
        "said": answer.said or None,
        "kind": None if answer.error else answer.kind,
        "table": answer.entry.route.table if answer.entry else None,
        "route": words.entry(answer.entry, names) if answer.entry else None,
        "leg": _leg(answer.leg, names) if answer.leg else None,
        "source": answer.source,
    }
