"""Whether the page of ``[report] html`` is to be made anew, and why that failed the last time."""

from __future__ import annotations

from mwan_hook.model import MwanError
from mwan_hook.store import files, wake

DUE = files.RUN + "/report.due"  # starts mwan-hook-report.service
FAILED = files.RUN + "/report.failed"


def deliver(root: str, _loaded: object, _notices: object) -> bool:
    """Tell that things have changed: a channel of notices.  Raises MwanError."""
    due(root)
    return True


def due(root: str) -> None:
    """Have it made by a process that nothing waits for; systemd looks when this one has ended.  Raises MwanError."""
    files.replace(files.under(root, DUE), b"", durable=False)
    wake.report(root)


def taken(root: str) -> None:
    """Take the wish: what happens from now on needs another one."""
    files.discard(files.under(root, DUE))


def noted(root: str, words: str) -> bool:
    """Keep what went wrong, or that nothing did; True if that is said for the first time."""
    before = failure(root)
    path = files.under(root, FAILED)
    try:
        if not words:
            files.discard(path)
        elif words != before:
            files.replace(path, words.encode("utf-8", "surrogateescape"), durable=False)
    except MwanError:
        return True
    return bool(words) and words != before


def failure(root: str) -> str:
    """Why the last attempt failed; empty if it did not."""
    try:
        return (files.read(files.under(root, FAILED)) or b"").decode("utf-8", "replace")
    except (MwanError, ValueError):
        return ""
