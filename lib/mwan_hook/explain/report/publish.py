"""The page of ``[report] html``, made anew every hour and after transitions, by a process that nothing waits for."""

from __future__ import annotations

import socket
import time

from mwan_hook import __version__
from mwan_hook import plainos as os
from mwan_hook.config import Loaded
from mwan_hook.explain.report import figures, gather
from mwan_hook.explain.report.figures import About
from mwan_hook.explain.report.page import page
from mwan_hook.model import Busy, MwanError
from mwan_hook.store import chores, files, foreign, published
from mwan_hook.store.filelocked import FileLocked

LOCK = files.RUN + "/report.lock"
WAIT = 30.0  # seconds for another process that is just making it
MONTH = 30 * 86400


def refreshed(root: str, loaded: Loaded) -> tuple[str, ...]:
    """Make it, if the configuration names a file; what went wrong, once."""
    published.taken(root)
    words = write(root, loaded)
    return (words,) if published.noted(root, words) else ()


def write(root: str, loaded: Loaded) -> str:
    """Make it now; what went wrong.  Raises nothing."""
    place = loaded.config.report.html
    if not place:
        return ""
    path = files.under(root, place.lstrip("/"))
    try:
        if not os.access(os.path.dirname(path), os.W_OK) and chores.ask(root, chores.REPORT, {}):
            return published.failure(root)  # of the last time: root's process will say how it goes
        with FileLocked(files.under(root, LOCK), WAIT):
            if not os.path.isdir(os.path.dirname(path)):
                raise MwanError(f"there is no directory {os.path.dirname(path)}; make it, or name another one")
            foreign.replace(path, content(root, loaded).encode("utf-8", "replace"))
    except Busy:
        return ""
    except MwanError as error:
        return f"[report] html: {error}"
    except OSError as error:
        return f"[report] html: cannot write {path}: {files.why(error)}"
    return ""


def content(root: str, loaded: Loaded) -> str:
    """The page of the last thirty days.  Raises MwanError."""
    now = time.time()
    found = gather.gathered(root, now - MONTH, None)
    order = [one.name for one in loaded.config.uplinks]
    made = figures.report(found.hours, found.since, found.until, order)
    return page(made, About(socket.gethostname(), __version__, now))
