"""``mwan-hook chores``: what runs that are not root have asked root for.  What they say is checked, not believed."""

from __future__ import annotations

import os
import signal
import stat
import time

from mwan_hook import config
from mwan_hook.config import read
from mwan_hook.machine import names
from mwan_hook.model import MwanError
from mwan_hook.say import complain, say
from mwan_hook.store import chores, files, holder, spool, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.store.spool import SpoolFile

BACKOFF = 1.0  # seconds before a spool that cannot be emptied makes systemd start us again
POLL = 0.1  # seconds between two looks while a page is made
LONGEST = 45.0  # seconds that it may take: less than the unit, so that no other chore is cut off


def run(root: str) -> int:
    """0, or 1 if something could not be done; that is said, and not tried again before it is asked for again.

    A page takes seconds on a small machine, and a failover may wait for another chore: the page is made beside them,
    one at a time.  Another one that is asked for meanwhile stays in the spool, for which systemd starts us again.
    """
    directory = files.under(root, files.CHORES)
    files.make_directory(directory)
    user = files.owner_of(files.under(root, files.RUN))
    code, page = 0, _Page(root)
    while True:
        entries, messages = spool.entries_of(directory)
        complain(messages)
        for place in (files.RUN, files.LIB) if user else ():
            _give(files.under(root, place))
        others = [entry for entry in entries if entry.name != chores.REPORT]
        code |= _all_done(root, others, user[1] if user else 0)
        if len(others) < len(entries) and not page.child:
            spool.drop(directory, chores.REPORT)
            page.begin()
        code |= page.look()
        if not (page.runs or others):
            time.sleep(BACKOFF if messages else 0)
            return code
        time.sleep(0 if others else BACKOFF if messages else POLL)


def _all_done(root: str, entries: Sequence[SpoolFile], group: int) -> int:
    code = 0
    for entry in entries:
        spool.drop(files.under(root, files.CHORES), entry.name)
        failed = _done(root, entry, group)
        complain(failed)
        code |= bool(failed)
    return code


class _Page:
    """The page of the report, made by a process of its own, after all others that want the processor."""

    def __init__(self, root: str) -> None:
        self._root, self._until = root, 0.0
        self.child, self.runs = 0, False

    def begin(self) -> None:
        """Have it made."""
        self._until = time.monotonic() + LONGEST
        self.child, self.runs = os.fork(), True
        if not self.child:
            self._make()

    def _make(self) -> None:
        try:
            os.nice(10)
            failed = _done(self._root, spool.SpoolFile(chores.REPORT, {}), 0)
        except BaseException as error:  # noqa: BLE001 - nothing of the parent's is to be done twice
            failed = [f"{chores.REPORT}: {error!r}"]
        finally:
            complain(failed)
            os._exit(bool(failed))

    def look(self) -> bool:
        """Whether it has failed just now.  It is given up when its time is over."""
        found, status = os.waitpid(self.child, os.WNOHANG) if self.runs else (0, 0)
        if self.runs and not found and time.monotonic() > self._until:
            os.kill(self.child, signal.SIGKILL)
            complain([f"{chores.REPORT}: the page took longer than {LONGEST:.0f} s, and was given up"])
            found, status = os.waitpid(self.child, 0)
        self.runs = self.runs and not found
        return bool(status)


def _done(root: str, entry: SpoolFile, group: int) -> Sequence[str]:
    """Do one; what went wrong."""
    try:
        found = _KINDS[entry.name](root, entry.content, group) if entry.name in _KINDS else None
    except (MwanError, OSError, ValueError) as error:
        return (f"{entry.name}: {error}",)
    return found or ()


def _open(root: str, group: int) -> Sequence[str]:
    opened = _opened if _may_write(root) else _closed
    return [words for path in read.places(root) if (words := opened(path, group))]


def _attend(root: str) -> None:
    found = [holder.attend(files.under(root, path)).words for path in (files.STATE_LOCK, files.PROBE_LOCK)]
    complain(filter(None, found))


def _textfile(root: str) -> None:
    from mwan_hook.run import prometheus

    complain(prometheus.write(root, config.load(root)))


def _report(root: str) -> None:
    from mwan_hook.explain.report import publish

    complain(publish.refreshed(root, config.load(root)))


def _dial(root: str) -> None:
    from mwan_hook.run import activation

    activation.serve(root, config.load(root))


# What is done for each kind; the owners of files are put right with all of them.
_KINDS: dict[str, Callable[[str, dict[str, object], int], Sequence[str] | None]] = {
    chores.HOLDERS: lambda root, *_: _attend(root),
    chores.CONFIGURATION: lambda root, _, group: _open(root, group),
    chores.NAMES: lambda root, content, _: names.asked_for(root, content) if _may_write(root) else (),
    chores.TEXTFILE: lambda root, *_: _textfile(root),
    chores.REPAIR: lambda root, *_: wake.repair(root),
    chores.RECORD: lambda root, *_: wake.flush(root),
    chores.REPORT: lambda root, *_: _report(root),
    chores.DIALS: lambda root, *_: _dial(root),
}


def _may_write(root: str) -> bool:
    return config.load(root).config.routing.write_etc


def _closed(path: str, group: int) -> str:
    """Why a file or directory stays closed to the group of the services, where nothing in /etc is written."""
    return "" if _readable(os.stat(path), group) else f"{path} cannot be read by the services (write_etc = no)"


def _readable(found: os.stat_result, group: int) -> bool:
    wanted = _wanted(found) if found.st_gid == group else _wanted(found) >> 3
    return found.st_mode & wanted == wanted


def _wanted(found: os.stat_result) -> int:
    return 0o050 if stat.S_ISDIR(found.st_mode) else 0o040


def _opened(path: str, group: int) -> str:
    """Let the group of the services read a file or directory; why not, if so."""
    found = os.stat(path)
    wanted = _wanted(found)
    if _readable(found, group):
        return ""
    if found.st_gid not in (0, group) and found.st_mode & 0o070:
        return f"{path} cannot be read by the services, and belongs to another group: setfacl -m u:mwan-hook:rX {path}"
    os.chown(path, -1, group)
    os.chmod(path, stat.S_IMODE(found.st_mode) & ~0o020 | wanted)
    say((f"{path}: readable for the services' group now",), at_once=True)
    return ""


def _give(directory: str) -> None:
    """Give what root has left there to the directory's owner: plain files and directories that have no other name."""
    try:
        owner = files.owner_of(directory)
        names_there = os.listdir(directory) if owner else []
    except OSError:
        return
    for name in names_there:
        try:
            descriptor = os.open(f"{directory}/{name}", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # the services replace their files meanwhile
        try:
            found = os.fstat(descriptor)
            plain = stat.S_ISDIR(found.st_mode) or (stat.S_ISREG(found.st_mode) and found.st_nlink == 1)
            if owner and plain and not found.st_uid:
                os.chown(f"/proc/self/fd/{descriptor}", *owner)
        finally:
            os.close(descriptor)
