"""The validated configuration as plain data in ``run/mwan-hook/config.cache``, so that most runs need not parse it.

It is believed only if root or ourselves wrote it, this version of the program did, with the keys that it knows, nothing
in it was changed since, and every file and directory that was looked at, the absent ones too, is still what it was.
"""

from __future__ import annotations

import os
import time
from binascii import crc32
from stat import S_ISREG

from mwan_hook import __version__, model, plainjson
from mwan_hook.model import MwanError
from mwan_hook.store.files import RUN, make_directory, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Stamp = list[int] | None

PATH = RUN + "/config.cache"
FORMAT = 2
SUM = len('{"sum":') + 10 + len(",")  # bytes before what the sum is of
# Nouns whose fields are keys of the files: a program that knows others does not believe what this one kept.
KEYS = ("Routing", "Router", "Probe", "Hooks", "Mail", "Prometheus", "Snmp", "UplinkConfig", "Metrics", "Policy")
RACY_NS = 20_000_000  # a file changed again within a tick of the kernel's clock may look the same
_NOT_OTHERS = 0o022


def stamp(path: str) -> Stamp:
    """What changes when a file or directory does; None when it is not there (or not for us to see)."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


class Watch:
    """Remembers how everything that was looked at stood before it was read."""

    def __init__(self) -> None:
        self.seen: dict[str, Stamp] = {}
        self.mode = 0o644

    def look(self, path: str) -> None:
        """Note ``path`` as it stands now."""
        self.seen.setdefault(path, stamp(path))

    def private(self, mode: int) -> None:
        """Let the cache be readable by no more people than a file of this mode that went into it."""
        self.mode &= mode | 0o600

    def settled(self) -> bool:
        """Wait until a further change of anything here would show; False if one came meanwhile."""
        now = time.time_ns()
        ages = [abs(now - found[1]) for found in self.seen.values() if found]
        if ages and min(ages) < RACY_NS:
            time.sleep((RACY_NS - min(ages)) / 1e9)
        return all(stamp(path) == kept for path, kept in self.seen.items())


def read(root: str) -> dict[str, Any] | None:
    """What :func:`write` kept, if that still holds."""
    try:
        text = _trusted(under(root, PATH))
        record = plainjson.loads(text) if text[:SUM] == _sum(text[SUM:]) else None
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(record, dict) or record.get("stamp") != _stamp(root):
        return None
    inputs = record.get("inputs")
    if not isinstance(inputs, dict) or any(stamp(path) != kept for path, kept in inputs.items()):
        return None
    return record


def write(root: str, record: dict[str, Any], watch: Watch) -> None:
    """Keep ``record``; where that cannot be, the next run parses again."""
    if not watch.settled():
        return
    path = under(root, PATH)
    draft = f"{path}.{os.getpid()}"
    text = plainjson.dumps({**record, "stamp": _stamp(root), "inputs": watch.seen})[1:].encode()
    try:
        make_directory(os.path.dirname(path))
        _draft(draft, _sum(text) + text, watch.mode)
        os.replace(draft, path)
    except (OSError, MwanError):
        _remove(draft)


def _stamp(root: str) -> list[object]:
    return [FORMAT, __version__, root, crc32(repr([getattr(model, name)._fields for name in KEYS]).encode())]


def _sum(rest: bytes) -> bytes:
    """The beginning of the file: a sum over the rest of it, so that what was changed there is not believed."""
    return b'{"sum":%10d,' % crc32(rest)


def _trusted(path: str) -> bytes:
    """The file's bytes; none if somebody else could have written them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not S_ISREG(found.st_mode) or found.st_mode & _NOT_OTHERS or found.st_uid not in (0, os.geteuid()):
            return b""
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)


def _draft(path: str, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        written = os.write(descriptor, content)
        if written != len(content):
            raise OSError("short write")
    finally:
        os.close(descriptor)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return
