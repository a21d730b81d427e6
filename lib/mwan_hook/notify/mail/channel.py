"""The channel of mail: interruptions are written down at once, and told by :mod:`mwan_hook.notify.mail.deliver`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice


def deliver(root: str, loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Write down what happened, and tell it if it is time.  Raises MwanError.

    Started by systemd it leaves telling to mwan-hook-mail.service, or a hanging server would keep the next hooks
    waiting; by hand only a server that took no mail the last time.
    """
    from mwan_hook.notify.mail import deliver as mailbook
    from mwan_hook.store import wake

    if not mailbook.record(root, loaded.config, notices).failures and not wake.by_systemd():
        mailbook.send_due(root, loaded.config)
    return True
