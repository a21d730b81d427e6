"""What flush has to tell: what waits to be told goes with the state, and hooks give back what they have taken."""

from __future__ import annotations

import time

from mwan_hook import config
from mwan_hook.model import Config, ConfigError, MwanError, Notice, State
from mwan_hook.run import channels
from mwan_hook.say import complain
from mwan_hook.store import outbox, wake
from mwan_hook.verdict.notices import FLUSHED, identity


def notify_flushed(root: str, state: State) -> None:
    """Before the state is forgotten; once.  The caller holds the state lock."""
    if not state.boot_id or not channels.needed(root, _config(root)):
        return
    clock = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    last = Notice(identity(clock), FLUSHED, at=time.time(), boottime=clock / 1e9, reason="flush")
    try:
        outbox.hand_over(root, (*state.outbox, last))
        wake.wake(root)
    except MwanError as error:
        complain((str(error),))


def _config(root: str) -> Config:
    """What is wrong with it was said where it matters."""
    try:
        return config.load(root).config
    except ConfigError:
        return Config()
