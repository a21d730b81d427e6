"""What takes notices out of their spool: systemd's path unit, or where there is none, a process that a run starts.

That is so in a namespace with ``--root``, and in a container without systemd: there `mwan-hook notify` is started
when there is something to tell and a channel to tell it, and nothing waits for it.  Whether there are hooks is said
here, so that a run need not import what runs them.
"""

from __future__ import annotations

import sys

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.store import files

SYSTEMD = "/run/systemd/system"  # there while systemd is the manager
SYSTEMCTL, REPAIR_UNIT, RECORD_UNIT = "systemctl", "mwan-hook-repair.service", "mwan-hook-record.service"
LARGEST_LOG = 1 << 16  # bytes of what hooks said; beyond that it is begun anew
# The same interpreter, the same modules, and nothing of the directory that the run stands in.
_CODE = "import sys; sys.path[:] = sys.argv.pop(1).split(':'); from mwan_hook.__main__ import start; start()"


def watched(root: str) -> bool:
    """True where the path unit sees the spool, or the operator has switched it off."""
    return os.path.isdir(SYSTEMD) and files.is_live(root)


def by_systemd() -> bool:
    """True of a process that a unit starts, not of a child of it."""
    return os.variable("SYSTEMD_EXEC_PID") == str(os.getpid())


def hook_places(root: str) -> tuple[str, ...]:
    """Where the directories of hooks are; the first masks the others.

    Those that come with a program that is installed elsewhere lie beside it.
    """
    beside = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    live = files.is_live(root)
    places = (files.under(root, "etc/mwan-hook"), files.under(root, "usr/lib/mwan-hook"))
    return (*places, beside) if live and beside not in places else places


def has_hooks(root: str) -> bool:
    """True where there is a directory for hooks."""
    return any(_has_directory(place) for place in hook_places(root))


def _has_directory(place: str) -> bool:
    try:
        return any(name.endswith(".d") and name != "conf.d" for name in os.listdir(place))
    except OSError:
        return False


def wake(root: str) -> None:
    """Start a process of its own that empties the spool, where no unit does.  Nothing waits for it."""
    if not watched(root):
        _start(root, "notify", "--no-wait")


def remind(root: str) -> None:
    """Start what sends mail and posts that wait until they may go, where no timer looks after them."""
    for command, mark in (("mail", files.MAIL_WAITING), ("webhook", files.WEBHOOK_WAITING)):
        if os.path.exists(files.under(root, mark)) and not watched(root):
            _start(root, command, "--send")


def report(root: str) -> None:
    """Have the page of the report made, where no unit does that after notices.  Raises MwanError."""
    if not watched(root):
        _start(root, "report", "--refresh")


def flush(root: str) -> None:
    """Have the record written to the disk.  As :func:`repair` does.  Raises MwanError."""
    _start_one(root, RECORD_UNIT, "record")


def repair(root: str) -> None:
    """Have the repair steps that are due done by a unit, or without systemd by a process of its own.

    It is not waited for, but systemctl is: what a service leaves behind is killed with its end.  Raises MwanError.
    """
    _start_one(root, REPAIR_UNIT, "repair", "--due")


def _start_one(root: str, unit: str, *words: str) -> None:
    if not watched(root):
        _start(root, *words)
        return
    try:
        pid = os.posix_spawnp(SYSTEMCTL, (SYSTEMCTL, "start", "--no-block", unit), os.environ)
        if os.waitpid(pid, 0)[1]:
            raise MwanError(f"cannot start {unit}; is it installed?")
    except OSError as error:
        raise MwanError(f"cannot start {unit}: {error.strerror}") from error


def _start(root: str, *words: str) -> None:
    """Start it in a session of its own.  Raises MwanError."""
    log = _log(root)
    path = ":".join(os.path.abspath(place) for place in sys.path if place)
    argv = [sys.executable, "-I", "-c", _CODE, path, "--root", root or "/", *words]
    actions: list[tuple[int, int, str, int, int] | tuple[int, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions, setsid=True)
    except OSError as error:
        raise MwanError(f"cannot start mwan-hook {words[0]}: {error.strerror}") from error


def _log(root: str) -> str:
    """Where its words go, since no journal hears them; too long a file is begun anew."""
    path = files.under(root, files.NOTIFY_LOG)
    try:
        if os.stat(path).st_size > LARGEST_LOG:
            os.unlink(path)
    except OSError:
        return path
    return path
