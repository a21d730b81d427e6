"""Transitions with their reason, one JSON line each, in two files of bounded size.  A log: nothing depends on it."""

from __future__ import annotations

import errno
import fcntl

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.model import MwanError, Transition
from mwan_hook.store import codec, files
from mwan_hook.store.lock import is_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

LARGEST = 256 << 10  # bytes; beyond that the file becomes the older of the two


def append(root: str, happened: Iterable[Transition]) -> tuple[str, ...]:
    """Write them down.  Returns messages and raises nothing: routing does not wait for its own history."""
    lines = b"".join(plainjson.dumps(codec.plain(one)).encode() + b"\n" for one in happened)
    if not lines:
        return ()
    if len(lines) > LARGEST:
        lines = lines[-LARGEST:].partition(b"\n")[2]  # the newest that fit, whole
    path = files.under(root, files.HISTORY)
    try:
        files.make_directory(os.path.dirname(path))
        _append(path, lines)
    except MwanError as error:
        return (str(error),)
    except OSError as error:
        return (f"cannot write {path}: {error.strerror}",)
    return ()


def read(root: str) -> tuple[Transition, ...]:
    """All that is remembered, the newest last; lines that are torn or foreign are left out.  Raises MwanError."""
    path = files.under(root, files.HISTORY)
    found: list[Transition] = []
    for name in (_older(path), path):
        try:
            content = files.read(name) or b""
        except ValueError:
            continue  # not ours
        for line in content.splitlines():
            found += _parsed(line)
    return tuple(found)


def _append(path: str, lines: bytes) -> None:
    """One write(2) with O_APPEND: lines of runs at the same time do not mix."""
    descriptor = files.appending(path)
    try:
        size = os.fstat(descriptor).st_size
        if size + len(lines) > LARGEST and size and _rotated(descriptor, path):
            fresh = files.appending(path)
            os.close(descriptor)
            descriptor = fresh
            size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # the last line was torn: keep it from taking this one with it
        if os.write(descriptor, lines) < len(lines):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    finally:
        os.close(descriptor)


def _rotated(descriptor: int, path: str) -> bool:
    """Make it the older file, unless another run is just doing that."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if is_at(descriptor, path):
        os.rename(path, _older(path))
    return True


def _older(path: str) -> str:
    return f"{path}.1"


def _parsed(line: bytes) -> list[Transition]:
    try:
        return [codec.decoder("Transition")(plainjson.loads(line))]
    except (ValueError, RecursionError):
        return []
