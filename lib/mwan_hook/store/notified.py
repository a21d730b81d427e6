"""How far notices have been told, so that no hook hears one twice.  Guarded by the notifier's lock."""

from __future__ import annotations

from mwan_hook.model import Notified
from mwan_hook.store import codec, files
from mwan_hook.store.state import boot_id


def load(root: str) -> tuple[Notified, tuple[str, ...]]:
    """What was told in this boot, and messages: ids of another one mean nothing.  Raises MwanError."""
    fresh = Notified(boot_id())
    found, messages = codec.load(files.under(root, files.NOTIFIED), "Notified", fresh, None, writes=True)
    return (found if found.boot_id == fresh.boot_id else fresh), messages


def save(root: str, notified: Notified) -> None:
    """Raises MwanError."""
    files.replace(files.under(root, files.NOTIFIED), codec.encode(notified), durable=False)
