"""``mwan-hook enable``, ``disable`` and ``drain``: remembered across boots, in force at once."""

from __future__ import annotations

from collections.abc import Sequence

from mwan_hook import config
from mwan_hook.config import Loaded
from mwan_hook.model import Uplink
from mwan_hook.run import look, tick
from mwan_hook.run.naming import chosen, entries
from mwan_hook.run.wish import Request
from mwan_hook.say import say
from mwan_hook.store import lock
from mwan_hook.store import state as states
from mwan_hook.verdict import switches

ONLY_OWN = "[router] pin is not set: only this machine's own connections are counted, and forwarded ones move now"


def run(root: str, name: str, enabled: bool) -> int:
    """Switch one uplink, or all of a template by the template's name; then a run."""
    loaded = config.load(root)
    with lock.look(root):
        seen = look.to_write(root, loaded)
        names = _names(loaded, chosen(seen, [name]), name)
        states.save_allotment(root, switches.said(seen.bound.allotment, entries(loaded, seen), names, enabled))
    return tick.tick(root, loaded, Request())


def drain(root: str, name: str, wait: float) -> int:
    """Give one uplink, or all of a template, no new connections; runs disable it when the old ones have ended."""
    loaded = config.load(root)
    with lock.look(root):
        seen = look.to_write(root, loaded)
        named = chosen(seen, [name])
        if not any(uplink.enabled for uplink in named):
            say((f"{name} is disabled already" if named else f"{name} has no interface: there is nothing to drain",))
            return 0
        from mwan_hook.model import Drain

        names, what = _names(loaded, named, name), Drain(seen.wall + wait, wait)
        states.save_allotment(root, switches.drained(seen.bound.allotment, entries(loaded, seen), names, what))
    say(() if loaded.config.router.pin else (ONLY_OWN,))
    return tick.at_once(root, loaded)


def _names(loaded: Loaded, named: Sequence[Uplink], name: str) -> set[str]:
    """What the words are kept under: uplinks, or the template that was named."""
    if any(entry.name == name for entry in loaded.config.uplinks):
        return {name}
    return {uplink.name for uplink in named}
