"""The channels that are told of what happens, in their order; the same with systemd and without.

A channel is a module with ``deliver(root, loaded, notices)``, which returns False where one could not be told and that
was said, or raises MwanError.  What sets it up is said here, so that a run need not import it for that.
"""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.light import NamedTuple
from mwan_hook.store import files, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.model import Config


class Channel(NamedTuple):
    """One row: a name for messages, the module, and what sets it up: a key, one of these files, else a hook.

    ``power``: it needs root, and a unit of its own.  ``must``: is told one notice at a time, and what it fails to put
    on record stays in the spool.  The others get several, and keep for themselves what they have not passed on.
    """

    name: str
    module: str
    power: bool
    key: str = ""
    places: tuple[str, ...] = ()
    must: bool = False

    @property
    def code(self) -> Any:
        """The module, imported."""
        return __import__(f"mwan_hook.{self.module}", fromlist=("deliver",))

    def wanted(self, root: str, config: Config) -> bool:
        """False where nothing is set up for it."""
        section, _, key = self.key.partition(".")
        if section:
            return bool(getattr(getattr(config, section), key))
        if self.places:
            return any(os.path.exists(files.under(root, place)) for place in self.places)
        return wake.has_hooks(root)


CHANNELS = (
    Channel("hooks", "notify.hooks", power=True, must=True),
    Channel("mail", "notify.mail.deliver", power=False, key="mail.to"),
    Channel("webhook", "notify.webhook.deliver", power=False, key="webhook.url"),
    Channel("prometheus", "run.prometheus", power=False, key="prometheus.textfile"),
    Channel("report", "store.published", power=False, key="report.html"),
    Channel("D-Bus", "notify.bus.announce", power=True, places=files.BUS_POLICIES),
)


def needed(root: str, config: Config) -> bool:
    """False where notices need not be spooled: no unit takes them out, and no channel is set up."""
    return wake.watched(root) or any(channel.wanted(root, config) for channel in CHANNELS)
