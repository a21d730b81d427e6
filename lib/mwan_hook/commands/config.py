"""``mwan-hook config``: whether the files are good, the files as read, or every key in force."""

from __future__ import annotations

import os

from mwan_hook import config
from mwan_hook.config import Loaded, keep, read
from mwan_hook.kernel import nft
from mwan_hook.model import MwanError
from mwan_hook.policy import order
from mwan_hook.say import complain, say
from mwan_hook.store import state as states
from mwan_hook.verdict import switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.read import Reading


def run(root: str, check: bool, effective: bool) -> int:
    """Print; warnings go to stderr.  Raises ConfigError when the files are wrong."""
    loaded = config.look(root)
    reading = read.read(root, keep.Watch())
    for warning in loaded.warnings:
        complain((warning,))
    if check:
        say((checked(reading),))
        complain((nft.MISSING,) if loaded.config.firewall and not nft.program() else ())
        complain((*_ordered(loaded), *_stumbles(root, loaded)))
    elif effective:
        from mwan_hook.commands.effective import in_force

        stored, messages = states.load_allotment(root, writes=False)
        complain(messages)
        say(in_force(loaded, reading, switches.standing(stored, loaded.config.uplinks).enabled))
    else:
        say(as_read(reading).expandtabs().split("\n"))
    return 0


def _ordered(loaded: Loaded) -> list[str]:
    """Notes on policies that shared before there was a +."""
    metrics = {uplink.name: uplink.metric for uplink in loaded.config.uplinks if uplink.metric is not None}
    found = order.formerly_shared(loaded.config.policies, metrics)
    return [f"note: [policies] [[{name}]] uplinks: {order.only_ordered(names)}" for name, names in found.items()]


def _stumbles(root: str, loaded: Loaded) -> tuple[str, ...]:
    """What marks do not reach for with what is plugged in, and what nft(8) says against the table of a run."""
    from mwan_hook.firewall import table
    from mwan_hook.run import judge, look

    try:
        seen = look.to_read(root, loaded)
        state = judge.judge(seen).state
    except MwanError:
        return ()  # what is there cannot be asked for: the files are good all the same
    commands = table.wanted(loaded.config, seen.uplinks, state, seen.snapshot, seen.bound.policies)
    asked = commands and nft.program() and os.geteuid() == 0
    return (*seen.bound.short, *filter(None, (nft.refusal(commands) if asked else "",)))


def checked(reading: Reading) -> str:
    """One line: which files are good."""
    names = [source.path for source in reading.sources]
    return f"{', '.join(names)}: good" if names else "no configuration file: zero configuration"


def as_read(reading: Reading) -> str:
    """The files one after the other, each below a comment with its path."""
    if not reading.sources:
        return "# no configuration file: every interface with a default route is an uplink"
    return "\n\n".join("\n".join((f"# {source.path}", *source.lines)).rstrip() for source in reading.sources)
