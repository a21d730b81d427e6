"""The validated configuration as plain data in ``run/mwan-hook/config.cache``, so that most runs need not parse it.

It is believed only if root or ourselves wrote it, this version of the program did, with the keys that it knows, nothing
in it was changed since, and every file and directory that was looked at, the absent ones too, is still what it was.
"""

from __future__ import annotations

from binascii import crc32

from mwan_hook import __version__, model, plainjson
from mwan_hook import plainos as os
from mwan_hook.model import Config, UplinkConfig
from mwan_hook.store.files import ROOTS, RUN, owner_of, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Stamp = list[int] | None

PATH = RUN + "/config.cache"
ROOT_PATH = ROOTS + "/config.cache"  # root's where the services are not root: it believes none of theirs
FORMAT = 2
SUM = len('{"sum":') + 10 + len(",")  # bytes before what the sum is of
RACY_NS = 20_000_000  # a file changed again within a tick of the kernel's clock may look the same
_NOT_OTHERS = 0o022


def stamp(path: str) -> Stamp:
    """What changes when a file or directory does; None when it is not there (or not for us to see)."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino]


def read(root: str) -> dict[str, Any] | None:
    """What :func:`write` kept, if that still holds."""
    try:
        text = _trusted(place(root))
        record: dict[str, Any] = plainjson.loads(text) if text[:SUM] == summed(text[SUM:]) else {}
        holds = record["stamp"] == version(root, record["plain"])
        same = holds and all(stamp(path) == kept for path, kept in record["inputs"].items())
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError):
        return None
    return record if same else None


def place(root: str) -> str:
    """Where this user's cache is."""
    try:
        own = os.geteuid() == 0 and owner_of(under(root, RUN)) is not None
    except OSError:
        own = False
    return under(root, ROOT_PATH if own else PATH)


def version(root: str, plain: dict[str, Any]) -> list[object]:
    """What must be the same for the cache to be believed, the fields of all that these values are made to among it."""
    nouns = [UplinkConfig, *Config._field_defaults.values(), *UplinkConfig._field_defaults.values()]
    nouns += [model.Policy] if plain.get("policies") else []
    nouns += [model.Dial] if any(uplink.get("start") for uplink in plain.get("uplinks", {}).values()) else []
    fields = [getattr(noun, "_fields", ()) for noun in nouns]
    return [FORMAT, __version__, root, crc32(repr(fields).encode())]


def summed(rest: bytes) -> bytes:
    """The beginning of the file: a sum over the rest of it, so that what was changed there is not believed."""
    return b'{"sum":%10d,' % crc32(rest)


def _trusted(path: str) -> bytes:
    """The file's bytes; none if another user could have written them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        found = os.fstat(descriptor)
        if not os.S_ISREG(found.st_mode) or found.st_mode & _NOT_OTHERS or found.st_uid not in (0, os.geteuid()):
            return b""
        return os.read(descriptor, found.st_size)
    finally:
        os.close(descriptor)
