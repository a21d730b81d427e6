"""How things stand, again and again: with the configuration, or without it for a user who may not read it."""

from __future__ import annotations

import os

from mwan_hook.commands.following import ReloadingConfig
from mwan_hook.config import Loaded, read
from mwan_hook.light import NamedTuple
from mwan_hook.model import Config, ConfigError, Family, Match, UplinkConfig
from mwan_hook.routing.desired import Desired
from mwan_hook.run import judge, look
from mwan_hook.run.scene import Judged, Scene
from mwan_hook.store import published
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


FROM_FILES = ("metric", "weight", "table", "mark", "metered", "enabled", "enabled_by", "quota")
MISSING = "the configuration cannot be read by this user: only what runs have stored is shown"


class Look(NamedTuple):
    """What one look found.  ``known``: the configuration could be read."""

    judged: Judged
    known: bool
    mistakes: tuple[str, ...] = ()  # of a configuration that was edited meanwhile
    notes: tuple[str, ...] = ()  # what is said beside it

    @property
    def seen(self) -> Scene:
        """What there was to be judged."""
        return self.judged.scene


class Looker:
    """The source of looks, one after the other.  Raises ConfigError if there is no good configuration to begin with."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._config: ReloadingConfig | None = None
        self._closed: ConfigError | None = None
        try:
            self._config = ReloadingConfig(root)
        except ConfigError as error:
            if not unreadable(root):
                raise
            self._closed = error
        self._again = False

    def look(self) -> Look:
        """Look now.  Raises MwanError."""
        if self._closed:
            return self._by_state(self._closed)
        assert self._config
        if self._again:
            self._config.again()
        self._again = True
        judged = judge.judge(look.to_read(self._root, self._config.loaded))
        seen = judged.scene
        failed = (seen.state.firewall.failed,) if seen.state.firewall.failed else ()
        page = published.failure(self._root) if self._config.loaded.config.report.html else ""
        notes = (*seen.messages, *self._config.loaded.warnings, *seen.state.errors, *failed, *((page,) if page else ()))
        return Look(judged, True, self._config.mistakes, notes)

    def _by_state(self, error: ConfigError) -> Look:
        seen = look.to_read(self._root, from_state(self._root, error))
        notes = (MISSING, *seen.messages, *seen.state.errors)
        return Look(stored(seen), False, notes=notes)


def unreadable(root: str) -> bool:
    """Whether this user may not read some file of the configuration."""
    return os.geteuid() != 0 and bool(read.closed(root))


def from_state(root: str, error: ConfigError) -> Loaded:
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


def stored(seen: Scene) -> Judged:
    """What the last run has found, not judged again."""
    best = seen.state.best.items()
    online: dict[Family, tuple[str, ...]] = {family: (one.uplink,) for family, one in best if one.uplink}
    return Judged(seen, seen.state, Desired(online=online), ())
