"""Spools: a directory of small JSON files, oldest first by name.  No lock: each file is whole once it has its name.

A shell script writes an event as a line of text, ``ACTION INTERFACE``: an interface's name may hold what JSON escapes.

A name that begins with a dot is a file in the making; systemd's ``DirectoryNotEmpty=`` does not see it either.
"""

from __future__ import annotations

import time

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError
from mwan_hook.store import files

MOST = 4096  # entries taken at a time; the rest waits for the next run
LARGEST = 1 << 18  # bytes
LEFTOVER = 60.0  # seconds after which a file in the making was left by a killed process
BAD = "bad"  # beside the spools: what can only be moved out of one
_NAME = 70  # characters of a name there; no longer than 255 bytes
_TEXT = 256  # characters of an interface's name, at most


class SpoolFile(NamedTuple):
    """One file of a spool; ``name`` sorts by age."""

    name: str
    content: dict[str, object]


def put(root: str, action: str, interface: str) -> None:
    """Spool an event.  Raises MwanError."""
    add(files.under(root, files.EVENTS), {"action": action, "interface": interface})


def take(root: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The interfaces that spooled events name, oldest first, and messages; the events are gone from the spool.

    An event is a hint, since a run looks at everything anyway; one that says nothing names the interface "".
    """
    directory = files.under(root, files.EVENTS)
    entries, messages = entries_of(directory)
    for entry in entries:
        try:
            drop(directory, entry.name)
        except MwanError as error:  # it is an event all the same
            messages = (*messages, str(error))
    return tuple([_interface(entry) for entry in entries]), messages


def add(directory: str, content: dict[str, object], name: str = "") -> str:
    """Spool ``content``, in the place of one of that name; the entry's name.  Raises MwanError."""
    files.make_directory(directory)
    if not name:  # a step of the clock changes no order
        name = f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME):020d}-{os.getpid()}"
    path, hidden = os.path.join(directory, name), os.path.join(directory, f".{name}")
    try:
        files.write(hidden, plainjson.dumps(content).encode(), durable=False)
        os.rename(hidden, path)
    except OSError as error:
        files.discard(hidden)
        raise MwanError(f"cannot write {path}: {files.why(error)}") from error
    return name


def entries_of(directory: str, most: int = MOST) -> tuple[tuple[SpoolFile, ...], tuple[str, ...]]:
    """The oldest entries, left where they are, and messages about files that were no entries and are removed."""
    try:
        names = sorted(os.listdir(directory))
    except FileNotFoundError:
        return (), ()
    except OSError as error:
        raise MwanError(f"cannot read {directory}: {files.why(error)}") from error
    found: list[SpoolFile] = []
    messages: list[str] = []
    for name in names:
        if name.startswith("."):
            _sweep(os.path.join(directory, name))
        elif len(found) + len(messages) < most:
            entry = _entry(directory, name, messages)
            found += [entry] if entry else []
    return tuple(found), tuple(messages)


def drop(directory: str, name: str) -> None:
    """Take an entry out; one that is gone is no error.  Raises MwanError."""
    path = os.path.join(directory, name)
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        if not _moved(path):
            raise MwanError(f"cannot remove {path}: {files.why(error)}") from error


def _entry(directory: str, name: str, messages: list[str]) -> SpoolFile | None:
    path = os.path.join(directory, name)
    try:
        raw = _read(path)
        content = None if raw is None else _content(raw)
    except (ValueError, RecursionError, OSError) as error:
        messages.append(_removed(path, str(error)))
        return None
    if raw is None:
        return None  # another run was faster
    return SpoolFile(name, content or {})


def _content(raw: bytes) -> dict[str, object]:
    """A JSON object, or a line of text.  Raises ValueError if it is neither."""
    if raw[:1] != b"{":
        return _line(raw)
    content: dict[str, object] = plainjson.loads(raw)
    return content


def _line(raw: bytes) -> dict[str, object]:
    action, space, interface = raw.removesuffix(b"\n").decode("utf-8", "surrogateescape").partition(" ")
    if not (action and space) or "\n" in interface or " " in interface:
        raise ValueError("it is neither a JSON object nor ACTION INTERFACE")
    return {"action": action, "interface": interface}


def _read(path: str) -> bytes | None:
    """None if it is gone.  Raises ValueError if it is no file of a spool."""
    try:
        status = os.lstat(path)
        if not os.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise ValueError("it is no small file")
        return files.read(path)
    except FileNotFoundError:
        return None


def _removed(path: str, why: str) -> str:
    """What is no entry must go, or systemd would start a run for it again and again."""
    try:
        if os.S_ISDIR(os.lstat(path).st_mode):
            os.rmdir(path)
        else:
            os.unlink(path)
    except OSError as error:
        place = _moved(path)
        done = f"; moved to {place}" if place else f", nor can it be removed: {error.strerror}"
        return f"{path} is no entry of the spool ({why}){done}"
    return f"{path} is no entry of the spool ({why}); removed"


def _moved(path: str) -> str:
    """Where something is now that cannot be removed, as a directory with content; empty if it cannot be moved either.

    Each under another name: it is looked at no more, and kept for the operator.
    """
    directory, name = os.path.split(path)
    aside = os.path.join(os.path.dirname(directory), BAD)
    place = os.path.join(aside, f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME):020d}-{name}"[:_NAME])
    try:
        files.make_directory(aside)
        os.rename(path, place)
    except (OSError, MwanError):
        return ""
    return place


def _sweep(path: str) -> None:
    """Remove what a killed process left in the making."""
    try:
        if abs(time.time() - os.lstat(path).st_mtime) > LEFTOVER:
            os.unlink(path)
    except OSError:
        return  # it has its name now, or is not ours; systemd does not look at it


def _interface(entry: SpoolFile) -> str:
    value = entry.content.get("interface")
    return value[:_TEXT] if isinstance(value, str) else ""
