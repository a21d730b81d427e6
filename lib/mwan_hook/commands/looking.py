"""How things stand, again and again: with the configuration, or without it for a user who may not read it."""

from __future__ import annotations

from mwan_hook.commands import from_state
from mwan_hook.commands.following import ReloadingConfig
from mwan_hook.light import NamedTuple
from mwan_hook.model import ConfigError
from mwan_hook.run import judge, look
from mwan_hook.store import published

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.run.scene import Judged, Scene


class Look(NamedTuple):
    """What one look found.  ``known``: the configuration could be read."""

    seen: Scene
    judged: Judged
    known: bool
    mistakes: tuple[str, ...] = ()  # of a configuration that was edited meanwhile
    notes: tuple[str, ...] = ()  # what is said beside it


class Looker:
    """The source of looks, one after the other.  Raises ConfigError if there is no good configuration to begin with."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._config: ReloadingConfig | None = None
        self._closed: ConfigError | None = None
        try:
            self._config = ReloadingConfig(root)
        except ConfigError as error:
            if not from_state.unreadable(root):
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
        return Look(seen, judged, True, self._config.mistakes, notes)

    def _by_state(self, error: ConfigError) -> Look:
        seen = look.to_read(self._root, from_state.loaded(self._root, error))
        notes = (from_state.MISSING, *seen.messages, *seen.state.errors)
        return Look(seen, from_state.judged(seen), False, notes=notes)
