"""``mwan-hook enable`` and ``disable``: remembered across boots, in force at once."""

from __future__ import annotations

from mwan_hook import config
from mwan_hook.run import look, tick
from mwan_hook.run.naming import chosen
from mwan_hook.run.wish import Request
from mwan_hook.store import allotment, lock
from mwan_hook.verdict import switches


def run(root: str, name: str, enabled: bool) -> int:
    """Switch one uplink, or all of a template by the template's name; then a run."""
    loaded = config.load(root)
    with lock.look(root):
        seen = look.to_write(root, loaded)
        named = chosen(seen, [name])
        entries = loaded.config.uplinks or [uplink.config for uplink in seen.uplinks]
        names = {uplink.name for uplink in named}
        if any(entry.name == name for entry in loaded.config.uplinks):
            names = {name}
        allotment.save(root, switches.said(seen.bound.allotment, entries, names, enabled))
    return tick.tick(root, loaded, Request())
