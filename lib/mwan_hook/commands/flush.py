"""``mwan-hook flush``: everything of ours goes, what it displaced comes back, and nothing else is touched."""

from __future__ import annotations

import os
import sys

from mwan_hook import config
from mwan_hook.lines import shortened
from mwan_hook.model import Change, Link, Op, Route, Rule, State, Sysctl
from mwan_hook.store import files, lock
from mwan_hook.store import state as states
from mwan_hook.system import names, rtnl, sysctl
from mwan_hook.system.look import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PASSES = 3


def run(root: str) -> int:
    """0, or 1 if something of ours could not be taken out.  Raises MwanError."""
    protocol = config.load(root).config.routing.protocol
    with lock.write(root):
        state, _ = states.load(root)
        errors: list[str] = []
        changes, links = _ours(protocol, state)
        for _ in range(PASSES):
            if not changes:
                break
            for line in shortened(links, changes):
                print(f"[#] {line}")
            errors = rtnl.apply(changes)
            changes, links = _ours(protocol, state)
        if not changes:
            _forget(root)
        names.remove(root)
    for line in errors if changes else []:
        print(f"mwan-hook: {line}", file=sys.stderr)
    return 1 if changes else 0


def _ours(protocol: int, state: State) -> tuple[list[Change], Sequence[Link]]:
    """What is to be done: defaults that we displaced come back before ours go, and sysctls get their old values."""
    with Reader(protocol) as reader:
        links = reader.links()
        families = reader.families()
        rules = [rule for family in families for rule in reader.rules(family)]
        routes = [route for family in families for route in reader.ours_anywhere(family)]
        defaults = {route for family in families for route in reader.defaults_of_main(family)}
    up = {link.index for link in links if link.up}
    back = [r for r in state.foreign if r not in defaults and all(hop.index in up for hop in r.nexthops)]
    changes = [_change(Op.APPEND, route) for route in back]
    changes += [_change(Op.DELETE, rule) for rule in rules]
    changes += [_change(Op.DELETE, route) for route in routes]
    changes += [Change(Op.REPLACE, old) for old in state.sysctls if _differs(old)]
    return changes, links


def _change(op: Op, what: Route | Rule) -> Change:
    return Change(op, what, what.table, what.family)


def _differs(old: Sysctl) -> bool:
    return sysctl.read(old.key) not in (None, old.value)


def _forget(root: str) -> None:
    """Without routes the verdicts on them mean nothing."""
    try:
        os.unlink(files.under(root, files.STATE))
    except FileNotFoundError:
        return
