"""The channel of the report: after what happened its page is due, and a process that nothing waits for makes it."""

from __future__ import annotations

from mwan_hook.store import published, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice


def deliver(root: str, _loaded: Loaded, _notices: Sequence[Notice]) -> bool:
    """Tell that things have changed.  Raises MwanError."""
    due(root)
    return True


def due(root: str) -> None:
    """Have it made; systemd looks when this process has ended.  Raises MwanError."""
    published.wanted(root)
    wake.report(root)
