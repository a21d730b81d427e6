"""``mwan-hook enable`` and ``disable``: remembered across boots, in force at once."""

from __future__ import annotations

from mwan_hook import config, scene, tick
from mwan_hook.commands.naming import chosen
from mwan_hook.store import allotment, lock


def run(root: str, name: str, enabled: bool) -> int:
    """Switch one uplink, or all of a template by the template's name; then a run."""
    loaded = config.load(root)
    with lock.look(root):
        seen = scene.look_to_write(root, loaded)
        stored = seen.bound.allotment
        names = {uplink.name for uplink in chosen(seen, [name])}
        if any(entry.name == name for entry in loaded.config.uplinks):
            names = {name}
        kept = {known: value for known, value in stored.enabled.items() if not _below(known, names)}
        allotment.save(root, stored._replace(enabled={**kept, **dict.fromkeys(names, enabled)}))
    return tick.tick(root, loaded, tick.Wish())


def _below(known: str, names: set[str]) -> bool:
    """An earlier word about one interface of a template that is switched as a whole."""
    return known.partition("@")[0] in names
