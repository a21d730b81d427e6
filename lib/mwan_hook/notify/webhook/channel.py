"""The channel of a webhook: each notice is written down at once, and posted by ``deliver``."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice


def deliver(root: str, loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Write down what happened, and post it if it is time; as for mail, a unit posts under systemd.

    Raises MwanError.
    """
    from mwan_hook.notify.webhook import deliver as webhookbook
    from mwan_hook.store import wake

    hook = loaded.config.webhook
    if not webhookbook.record(root, hook, notices).failures and not wake.by_systemd():
        webhookbook.send_due(root, hook)
    return True
