"""What a user who may not read the configuration can be shown: the state, without what only the configuration says."""

from __future__ import annotations

import os

from mwan_hook.config import Loaded, read
from mwan_hook.model import Config, ConfigError, Family, Match, UplinkConfig
from mwan_hook.routing.desired import Desired
from mwan_hook.run.scene import Judged
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.run.scene import Scene

FROM_FILES = ("metric", "weight", "table", "mark", "metered", "enabled", "enabled_by", "quota")
MISSING = "the configuration cannot be read by this user: only what runs have stored is shown"


def unreadable(root: str) -> bool:
    """Whether this user may not read some file of the configuration."""
    return os.geteuid() != 0 and bool(read.closed(root))


def loaded(root: str, error: ConfigError) -> Loaded:
    """A configuration of the uplinks that the state knows, by name and interface.  Raises ``error`` if it was bad."""
    if not unreadable(root):
        raise error
    state, _ = states.load(root, writes=False)
    uplinks = tuple(UplinkConfig(name, (Match("name", memory.interface),)) for name, memory in state.uplinks.items())
    return Loaded(Config(uplinks=uplinks), (MISSING,), state.config, (), root)


def without_configuration(document: dict[str, Any]) -> dict[str, Any]:
    """``status --json`` with null for what the configuration would say."""
    uplinks = {name: {**values, **dict.fromkeys(FROM_FILES)} for name, values in document["uplinks"].items()}
    return {**document, "uplinks": uplinks, "errors": [*document["errors"], MISSING]}


def judged(seen: Scene) -> Judged:
    """What the last run has found, not judged again."""
    return Judged(seen, seen.state, Desired(online=_carriers(seen)), ())


def _carriers(seen: Scene) -> dict[Family, tuple[str, ...]]:
    return {family: (best.uplink,) for family, best in seen.state.best.items() if best.uplink}
