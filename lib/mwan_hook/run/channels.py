"""The channels that are told of what happens, in their order; the same with systemd and without.

A channel is a module with ``wanted(root, config)`` (False: nothing is set up for it; imports no library) and
``deliver(root, loaded, notices)``, which returns False where one could not be told and that was said, or raises
MwanError.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.store import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.model import Config


class Channel(NamedTuple):
    """One row: a name for messages, and the module.

    ``power``: it needs root, and a unit of its own.  ``must``: is told one notice at a time, and what it fails to put
    on record stays in the spool.  The others get several, and keep for themselves what they have not passed on.
    """

    name: str
    module: str
    power: bool
    must: bool = False

    @property
    def code(self) -> Any:
        """The module, imported."""
        return __import__(f"mwan_hook.{self.module}", fromlist=("deliver",))


CHANNELS = (
    Channel("hooks", "notify.hooks", power=True, must=True),
    Channel("mail", "notify.mail.channel", power=False),
    Channel("webhook", "notify.webhook.channel", power=False),
    Channel("prometheus", "run.prometheus", power=False),
    Channel("D-Bus", "notify.bus.announce", power=True),
)


def needed(root: str, config: Config) -> bool:
    """False where notices need not be spooled: no unit takes them out, and no channel is set up."""
    return wake.watched(root) or any(channel.code.wanted(root, config) for channel in CHANNELS)
