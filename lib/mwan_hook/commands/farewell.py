"""What flush has to tell: what waits to be told goes with the state, and hooks give back what they have taken."""

from __future__ import annotations

import time

from mwan_hook import config
from mwan_hook.light import partial
from mwan_hook.model import Config, ConfigError, MwanError, Notice, State
from mwan_hook.run import channels
from mwan_hook.say import attempted, complain
from mwan_hook.store import outbox, wake
from mwan_hook.verdict.notices import FLUSHED, identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


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


def hang_up(root: str, state: State, another: Callable[[str], bool]) -> None:
    """What we have dialled is hung up where there is ``another`` way than its interface; else it is said to be left."""
    for name, record in state.dials.items():
        if not record.ours:
            continue
        if not another(record.interface):
            complain((f"{name} ({record.interface}) stays up: mwan-hook has dialled it, and it is the only way out",))
            continue
        from mwan_hook.run import activation

        complain(attempted(partial(activation.dismiss, root, _config(root), name, record)))


def _config(root: str) -> Config:
    """What is wrong with it was said where it matters."""
    try:
        return config.load(root).config
    except ConfigError:
        return Config()
