"""What only root may do, asked for by runs that are not root: one file a kind, in a spool of its own.

systemd starts `mwan-hook chores` as root while the spool is not empty.  Without systemd all runs are root's.
"""

from __future__ import annotations

import time

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.store import files, spool, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OWNERS = "owners"  # files of root's in our directories; done with every chore
HOLDERS = "holders"  # runs of root's that hold a lock for too long
CONFIGURATION = "configuration"  # files of it that the services cannot read
NAMES = "names"  # of tables and the protocol, below /etc/iproute2
TEXTFILE = "textfile"  # in a directory of others
REPAIR = "repair"  # a step of a repair ladder is due
REPORT = "report"  # its page, in a directory of others
RECORD = "record"  # the ring of it is half full
DIALS = "dials"  # what units and programs are asked that dial
PATIENCE = 5.0  # seconds until what is waited for is done
POLL = 0.05


def ask(root: str, kind: str, content: Mapping[str, object]) -> bool:
    """Ask for a chore, in place of one of this kind; False where none is done for this user.  Raises MwanError."""
    if os.geteuid() == 0 or not wake.watched(root):
        return False
    spool.add(files.under(root, files.CHORES), dict(content), kind)
    return True


def ask_for(path: str, kind: str) -> bool:
    """Ask for what puts a file of the live system's right; False where it could not be asked for."""
    try:
        return path.startswith(files.under("/", files.RUN)) and ask("/", kind, {})
    except MwanError:
        return False


def done(root: str, kind: str, good: Callable[[], bool]) -> bool:
    """Ask for a chore and wait until it is ``good``; False if that takes too long, or cannot be asked for."""
    try:
        if not ask(root, kind, {}):
            return False
    except MwanError:
        return False
    until = time.monotonic() + PATIENCE
    while not good():
        if time.monotonic() > until:
            return False
        time.sleep(POLL)
    return True
