"""The configspec and its checks, as ConfigObj wants them, from the table of keys."""

from __future__ import annotations

from mwan_hook.config import values, values_notify, values_policies, values_uplinks
from mwan_hook.config.keys import KEYS
from mwan_hook.config.places import heading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_MODULES = (values, values_notify, values_policies, values_uplinks)


def lines() -> Iterator[str]:
    """The configspec: every section with its keys and their checks."""
    begun = set()
    for path, rows in KEYS.items():
        for depth, name in enumerate(path, 1):
            if path[:depth] not in begun:
                yield heading(name, depth)
            begun.add(path[:depth])
        for row in rows:
            yield f"{row.name} = {row.check}"


def checks() -> dict[str, Callable[..., object]]:
    """The functions that the rows name, by name."""
    names = {row.check.partition("(")[0] for rows in KEYS.values() for row in rows}
    return {name: getattr(module, name) for module in _MODULES for name in names if hasattr(module, name)}
