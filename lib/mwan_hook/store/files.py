"""Where files are, and how one is replaced whole.  Errors are :class:`MwanError` with words for the operator."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.model import MwanError

RUN = "run/mwan-hook"
LIB = "var/lib/mwan-hook"
STATE = RUN + "/state.json"
STATE_LOCK = STATE + ".lock"
PROBE_LOCK = RUN + "/probe.lock"
EVENTS = RUN + "/events"
NOTIFY = RUN + "/notify"
NOTIFY_LOCK = RUN + "/notify.lock"
HOOKS = RUN + "/hooks"  # notices that hooks and the bus have not heard
CHORES = RUN + "/chores"  # what only root may do, asked for by runs that are not root
ROOTS = RUN + "-root"  # root's alone, where the rest belongs to the user of the services
ROOTS_LIB = LIB + "-root"  # the same across boots
DIALS = ROOTS + "/dials"  # what was asked of what dials
HOOKS_LOCK = ROOTS + "/hooks.lock"
REPAIR_LOCK = ROOTS + "/repair.lock"
BOUNCED = ROOTS + "/bounced"  # routes to be put back
REPLUGGED = ROOTS + "/replugged"  # a USB device to be given back
NOTIFIED = RUN + "/notified.json"
AGAIN = RUN + "/again"
NOTIFY_LOG = RUN + "/notify.log"
ALLOTMENT = LIB + "/allotment.json"
MAIL_WAITING = LIB + "/mail.waiting"
WEBHOOK_WAITING = LIB + "/webhook.waiting"
USAGE = LIB + "/usage.json"
REPAIRS = LIB + "/repairs.json"
DIALLED = LIB + "/dials.json"
HISTORY = LIB + "/history.jsonl"
RECORD = RUN + "/record"  # what verdicts were made from
RECORD_SAMPLES = RUN + "/record.bytes"  # counters of interfaces
RECORD_FLUSHED = RUN + "/record.flushed"  # when it went to RECORDS last, and what was wrong with that
RECORD_LOCK = RUN + "/record.lock"
RECORDS = LIB + "/record"  # the same by days
_BUS_PLACES = ("etc", "usr/share", "run/current-system/sw/share")  # the last is NixOS's
BUS_POLICIES = tuple([f"{place}/dbus-1/system.d/mwan-hook.conf" for place in _BUS_PLACES])
LARGEST = 8 << 20  # bytes; nothing of ours comes near
DIRECTORY, FILE = 0o755, 0o644  # modes, without regard to the umask
TEMPORARY = ".new"  # end of the names of files that are not whole yet
_ANEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_APPENDING = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
OURS = tuple(f"/{path}" for path in (RUN, LIB, EVENTS, NOTIFY, HOOKS, CHORES, ROOTS, DIALS))  # directories


def under(root: str, path: str) -> str:
    """``path`` (without leading slash) below ``--root``."""
    return os.path.join(root or "/", path)


def is_live(root: str) -> bool:
    """Whether ``--root`` is this system's own."""
    if root in ("", "/"):
        return True
    try:
        return os.path.samestat(os.stat(root), os.stat("/"))
    except OSError:
        return False


def why(error: OSError) -> str:
    """The reason in words, with the cure where there is one."""
    words = error.strerror or str(error)
    return f"{words}; this needs root" if isinstance(error, PermissionError) and os.geteuid() else words


def make_directory(path: str) -> None:
    """Make it, and its parents, 0755 without regard to the umask; one of ours that has another mode gets this one.

    Raises MwanError.
    """
    try:
        status = os.stat(path)
    except OSError:
        status = None
    if status and os.S_ISDIR(status.st_mode):
        _mend(path, status)
        return
    parent = os.path.dirname(path)
    if parent and parent != path:
        make_directory(parent)
    try:
        os.mkdir(path)
        _own(path, owner_of(parent) if os.geteuid() == 0 else None)
    except FileExistsError:
        if not os.path.isdir(path):
            raise MwanError(f"{path} is in the way: a directory of that name is needed") from None
    except OSError as error:
        raise MwanError(f"cannot make the directory {path}: {why(error)}") from error


def owner_of(directory: str) -> tuple[int, int] | None:
    """User and group of a directory that is not root's; None if it is.  Raises OSError."""
    found = os.stat(directory or "/")
    return (found.st_uid, found.st_gid) if found.st_uid else None


def give(descriptor: int, path: str) -> None:
    """Give a new file of root's to the owner of its directory, which the services have to write it as.

    Raises OSError.
    """
    if os.geteuid() == 0 and (owner := owner_of(os.path.dirname(path))):
        os.fchown(descriptor, *owner)


def _mend(path: str, status: os.stat_result) -> None:
    wrong = path.endswith(OURS) and os.S_IMODE(status.st_mode) != DIRECTORY and not os.path.islink(path)
    if wrong and status.st_uid == os.geteuid():
        try:
            _own(path, None)
        except OSError as error:
            raise MwanError(f"cannot change the mode of {path}: {why(error)}") from error


def _own(directory: str, owner: tuple[int, int] | None) -> None:
    """Set mode and owner of what is there now, never of what a link there points to.  Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, DIRECTORY)
        if owner:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def read(path: str) -> bytes | None:
    """The whole file; None if there is none.  Raises MwanError, ValueError if it is too large to be ours."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MwanError(f"cannot read {path}: {why(error)}") from error
    try:
        if not os.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no plain file")
        return _all(descriptor)
    except OSError as error:
        raise MwanError(f"cannot read {path}: {why(error)}") from error
    finally:
        os.close(descriptor)


def _all(descriptor: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := os.read(descriptor, 1 << 18):
        parts.append(part)
        size += len(part)
        if size > LARGEST:
            raise ValueError(f"it is larger than {LARGEST} bytes")
    return b"".join(parts)


def is_empty(directory: str) -> bool:
    """True if nothing lies there, or there is no such directory; False where it cannot be read."""
    try:
        return not os.listdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def replace(path: str, content: bytes, *, durable: bool, mode: int = FILE) -> None:
    """Put ``content`` in the place of ``path`` at one stroke, its directory too if it is not there.

    Raises MwanError, the old file is whole then.

    The caller holds the lock that guards ``path``: the temporary file has a fixed name, so that a run
    killed in the midst leaves at most one.  ``durable`` survives a power cut; below /run nothing has to.
    """
    make_directory(os.path.dirname(path))
    replace_by(f"{path}{TEMPORARY}", path, content, durable=durable, mode=mode)


def keep(path: str, content: bytes, *, durable: bool) -> bool:
    """Replace a file unless it has that content already; True if it was replaced.  Raises MwanError."""
    try:
        if read(path) == content:
            return False
    except ValueError:
        pass  # not ours
    replace(path, content, durable=durable)
    return True


def replace_by(temporary: str, path: str, content: bytes, *, durable: bool, mode: int) -> None:
    """Put a new file in the place of another by the name that it has until it is whole.  Raises MwanError."""
    try:
        write(temporary, content, durable=durable, mode=mode)
        os.rename(temporary, path)
        if durable:
            _sync(os.path.dirname(path))
    except OSError as error:
        discard(temporary)
        raise MwanError(f"cannot write {path}: {why(error)}") from error


def discard(path: str) -> None:
    """Remove a temporary file after a failure that is reported; it may never have been made."""
    try:
        os.unlink(path)
    except OSError:
        return


def write(path: str, content: bytes, *, durable: bool, mode: int = FILE) -> None:
    """Make a file in the place of what has this name.  Raises OSError.

    What exists is never opened: it may be a FIFO, which nothing is read from, or a link to another file.
    """
    try:
        descriptor = os.open(path, _ANEW, mode)
    except FileExistsError:
        os.unlink(path)
        descriptor = os.open(path, _ANEW, mode)
    try:
        os.fchmod(descriptor, mode)
        give(descriptor, path)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def appending(path: str) -> int:
    """Open a file of ours to add to it; a new one is 0644 without regard to the umask.  Raises OSError."""
    descriptor = os.open(path, _APPENDING, FILE)
    if not os.fstat(descriptor).st_size:
        os.fchmod(descriptor, FILE)
        give(descriptor, path)
    return descriptor


def _sync(directory: str) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
