"""``mwan-hook wait-online``: for units that need a way out.  It only reads; the timer and events do the work."""

from __future__ import annotations

import time

from mwan_hook.commands.following import ReloadingConfig
from mwan_hook.model import FAMILIES
from mwan_hook.run import judge, look
from mwan_hook.say import complain, say
from mwan_hook.verdict.standing import is_online

AGAIN, LATER = 0.25, 1.0  # seconds between two looks, in the first ten seconds and then
SOON = 10.0


def run(root: str, timeout: float | None) -> int:
    """0 when an uplink is online; 1 when ``timeout`` seconds are over before that.

    The configuration may be mended while the command waits.  Raises ConfigError if it is bad at the beginning.
    """
    begun = time.monotonic()
    until = None if timeout is None else begun + timeout
    configuration = ReloadingConfig(root)
    while True:
        judged = judge.judge(look.to_read(root, configuration.loaded))
        for uplink in judged.scene.uplinks:
            for family in FAMILIES:
                if is_online(uplink, family, judged.state):
                    say((f"{uplink.name} {uplink.interface} {family.value} online",))
                    return 0
        if until is not None and time.monotonic() >= until:
            complain((f"no uplink came online within {timeout:g} s", *judged.scene.bound.told))
            return 1
        time.sleep(AGAIN if time.monotonic() < begun + SOON else LATER)
        said = configuration.mistakes
        configuration.again()
        complain(line for line in configuration.mistakes if line not in said)
