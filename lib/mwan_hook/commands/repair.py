"""``mwan-hook repair``: the ladders, one step by hand, and what the service runs."""

from __future__ import annotations

import os
import time

from mwan_hook import columns, config
from mwan_hook.commands import screen
from mwan_hook.config import Loaded
from mwan_hook.model import MwanError, Uplink
from mwan_hook.repair import words
from mwan_hook.repair.steps import NAMES
from mwan_hook.run import judge, look
from mwan_hook.run.ladders import standing
from mwan_hook.run.naming import chosen
from mwan_hook.run.steps import STEPS, Work
from mwan_hook.say import say
from mwan_hook.store import filelocked

WAIT = 60.0  # seconds for a step that another process is doing
HEADER = ("UPLINK", "INTERFACE", "STEP", "AFTER", "NEXT", "WHY NOT")


class RepairUsageError(MwanError):
    """A step that is unknown, or a name that means several uplinks."""

    code = 2


class StepRefusedError(MwanError):
    """A step that cannot be, or must not be without the operator's yes."""


def run(root: str, name: str | None, step: str | None, yes: bool, due: bool) -> int:
    """Show, or do.  Raises MwanError."""
    if due and (name or step):
        raise RepairUsageError("repair --due goes without UPLINK and --step")
    if step and not name:
        raise RepairUsageError("repair --step needs an UPLINK")
    if due:
        return do_due(root)
    return by_hand(root, name, step, yes) if step and name else show(root, name)


def do_due(root: str) -> int:
    """Do what is due; nothing where another process is at it.  Raises MwanError."""
    from mwan_hook.run.mending import Mender

    lock = filelocked.repairer(root, 0.0)
    if not lock.acquire():
        return 0
    try:
        return Mender(root, config.load(root)).work()
    finally:
        lock.release()


def by_hand(root: str, name: str, step: str, yes: bool) -> int:
    """Do one step now; 0, or 1 if it failed.  Raises MwanError where it cannot be."""
    from mwan_hook.run import mending, operators

    if step not in NAMES:
        raise RepairUsageError(f"there is no step {step}; there are {', '.join(NAMES)}")
    if os.geteuid():
        raise StepRefusedError("a repair step needs root")
    loaded = config.load(root)
    with filelocked.repairer(root, WAIT):
        work = Work(root, loaded, _one(root, loaded, name), "by hand")
        if refusal := STEPS[step].refusal(work):
            raise StepRefusedError(f"{work.uplink.name}: the step {step} cannot be done: {refusal}")
        if not yes and (way := operators.operators_way(work.uplink)):
            raise StepRefusedError(f"{work.uplink.name}: {way}; --yes does it all the same")
        begun = time.monotonic()
        code = mending.Mender(root, loaded).by_hand(work, step)
        say((f"{work.uplink.name}: {step} {'failed' if code else 'is done'} after {time.monotonic() - begun:.1f} s",))
        return code


def _one(root: str, loaded: Loaded, name: str) -> Uplink:
    found = chosen(look.to_read(root, loaded), [name])
    if not found:
        raise RepairUsageError(f"no interface matches {name} now")
    if len(found) > 1:
        raise RepairUsageError(
            f"{name} means several uplinks ({', '.join(uplink.name for uplink in found)}): name one of them"
        )
    return found[0]


def show(root: str, name: str | None) -> int:
    """Print every ladder, or one uplink's: each step, when it comes, and why it cannot be."""
    loaded = config.look(root)
    judged = judge.judge(look.to_read(root, loaded))
    named = [uplink.name for uplink in (chosen(judged.scene, [name]) if name else judged.scene.uplinks)]
    rows: list[tuple[str, ...]] = []
    for one in standing(root, judged):
        if one.uplink.name in named:
            work = Work(root, loaded, one.uplink, "")
            for rung in one.uplink.config.repair:
                next_one = one.due is not None and one.due.rung == rung
                when = words.short(one.due, judged.scene.now) if next_one else "-"
                refusal = STEPS[rung.step].refusal(work) or "-"
                rows.append((one.uplink.name, one.uplink.interface, rung.step, f"{rung.after:g} s", when, refusal))
    if rows:
        screen.show(columns.plain(HEADER, rows))
    else:
        say(("no uplink here has a ladder (`repair` in its section)",))
    return 0
