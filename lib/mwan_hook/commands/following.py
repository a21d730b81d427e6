"""The configuration for commands that do without a good one, or that go on for long."""

from __future__ import annotations

from mwan_hook import config
from mwan_hook.config import Loaded
from mwan_hook.model import Config, ConfigError


def or_defaults(root: str) -> Loaded:
    """The configuration; where it is bad the defaults, and check runs say what is wrong."""
    try:
        return config.load(root)
    except ConfigError:
        return Loaded(Config(), (), "", (), root)


class ReloadingConfig:
    """The last good configuration.  Raises ConfigError if there is none to begin with."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.loaded = config.look(root)
        self.mistakes: tuple[str, ...] = ()  # of what is there now

    def again(self) -> Loaded:
        """Read it anew, mostly from the cache.  A bad one changes nothing but ``mistakes``."""
        try:
            self.loaded, self.mistakes = config.look(self._root), ()
        except ConfigError as error:
            self.mistakes = tuple(str(error).splitlines())
        return self.loaded
