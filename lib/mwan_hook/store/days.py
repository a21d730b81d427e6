"""The record below /var: a file for each day (more of much), of lines that are compressed an hour at a time.

Files are named NUMBER-DATE.xz, so that their order is that in which they were written, and no clock counts; what is
left of one around transitions, when its time is over, is NUMBER-DATE.around.xz.  Each flush adds one xz stream at one
stroke: a torn one is cut off by the next, which writes it again, and one that cannot be read is left out.
"""

from __future__ import annotations

import calendar
import errno
import lzma

from mwan_hook import plainos as os
from mwan_hook.light import NamedTuple
from mwan_hook.model import MwanError
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

END, AROUND = ".xz", ".around.xz"
MOST = 2 << 20  # bytes of a file, beyond which another one of the same day is begun
LARGEST = 256 << 20  # bytes that a file may say: one that says more is not ours
PART = 1 << 20  # bytes that a member says where a file is written anew
DAY = 86400.0
LOST = b"\n"  # a line that is none
MAGIC = lzma.compress(b"", lzma.FORMAT_XZ, lzma.CHECK_CRC32)[:8]  # how a member begins
# Half a megabyte is what fifty uplinks say in a quarter of an hour; packing takes twelve times as much memory.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 19}]
_MEMORY = 32 << 20


class Day(NamedTuple):
    """One file."""

    number: int
    date: str  # YYYY-MM-DD, UTC
    end: float  # of that day, seconds since the epoch
    around: bool  # what is around transitions alone is left
    path: str
    size: int


def listed(root: str) -> list[Day]:
    """The files, the oldest first."""
    directory = files.under(root, files.RECORDS)
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return sorted(day for name in names if (day := _parsed(directory, name)) is not None)


def _parsed(directory: str, name: str) -> Day | None:
    number, _, rest = name.partition("-")
    around = rest.endswith(AROUND)
    date = rest.removesuffix(AROUND if around else END)
    path = f"{directory}/{name}"
    try:
        if not (number.isascii() and number.isdigit() and rest.endswith(END)):
            return None
        year, month, day = map(int, date.split("-"))
        end = calendar.timegm((year, month, day, 0, 0, 0)) + DAY
        return Day(int(number), date, end, around, path, os.stat(path).st_size)
    except (OSError, ValueError, OverflowError):
        return None


def members(path: str) -> Iterator[bytes]:
    """The texts of a file's members, the oldest first; LOST for what cannot be read."""
    raw, start, size = _raw(path), 0, 0
    while 0 <= start < len(raw) and size <= LARGEST:
        text, following = _member(raw, start)
        if text is None:
            start, size = raw.find(MAGIC, start + 1), size + PART
            yield LOST
            continue
        yield text
        start, size = following, size + len(text)


def latest(path: str) -> Iterator[tuple[bytes, int]]:
    """The texts of the members that can be read, the newest first, and where each ends."""
    raw, wrong = _raw(path), 0
    start = raw.rfind(MAGIC)
    while start >= 0 and wrong * PART <= LARGEST:
        text, end = _member(raw, start)
        if text is None:
            wrong += 1
        else:
            yield text, end
        start = raw.rfind(MAGIC, 0, start)


def lines(path: str) -> Iterator[bytes]:
    """All lines of a file, of which no more than one member is in memory."""
    for text in members(path):
        yield from text.splitlines(keepends=True)


def end_of(path: str) -> int:
    """Where the last member that can be read ends."""
    return next(latest(path), (b"", 0))[1]


def _raw(path: str) -> bytes:
    """The file; nothing if it cannot be read."""
    try:
        return files.read(path) or b""
    except (MwanError, ValueError):
        return b""


def _member(raw: bytes, start: int) -> tuple[bytes | None, int]:
    """The text of the member that begins there, and where it ends."""
    try:
        unpacked = lzma.LZMADecompressor(lzma.FORMAT_XZ, _MEMORY)
        text = unpacked.decompress(memoryview(raw)[start:], files.LARGEST)
    except lzma.LZMAError:
        return None, start
    if not unpacked.eof:
        return None, start
    return text, len(raw) - len(unpacked.unused_data)


def packed(text: bytes) -> bytes:
    """One member."""
    return lzma.compress(text, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=_FILTERS)


def append(root: str, date: str, text: bytes) -> None:
    """Add lines to the newest file, if that is of this date, or begin another one.  Raises OSError and MwanError."""
    known = listed(root)
    newest = known[-1] if known else Day(0, "", 0.0, True, "", 0)
    if newest.date == date and not newest.around and newest.size < MOST:
        _add(newest.path, packed(text), end_of(newest.path))
        return
    directory = files.under(root, files.RECORDS)
    files.make_directory(directory)
    if newest.size and (end := end_of(newest.path)) < newest.size:
        _add(newest.path, b"", end)
    _add(f"{directory}/{newest.number + 1:06d}-{date}{END}", packed(text), 0)


def _add(path: str, member: bytes, end: int) -> None:
    """Write a member behind ``end``, and nothing of it if there is no room."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(path, flags, files.FILE)
    try:
        if not end:
            os.fchmod(descriptor, files.FILE)
            files.give(descriptor, path)
        os.ftruncate(descriptor, end)
        if os.pwrite(descriptor, member, end) < len(member):
            os.ftruncate(descriptor, end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def keep_around(day: Day, kept: Iterable[bytes]) -> None:
    """Put what is left of a file in its place, under its other name.  Raises MwanError."""
    found, part, size = [], [], 0
    for line in kept:
        part.append(line)
        size += len(line)
        if size > PART:
            found.append(packed(b"".join(part)))
            part, size = [], 0
    found.append(packed(b"".join(part)) if part else b"")
    if any(found):
        files.replace(day.path.removesuffix(END) + AROUND, b"".join(found), durable=True)
    drop(day)


def drop(day: Day) -> None:
    """Remove a file."""
    files.discard(day.path)


def shorten(day: Day, most: int) -> None:
    """Leave the newest members of a file, at least one, that take no more than ``most`` bytes.  Raises MwanError."""
    kept = [packed(text) for text in members(day.path) if text != LOST]
    while len(kept) > 1 and sum(map(len, kept)) > most:
        del kept[0]
    files.replace(day.path, b"".join(kept), durable=True)
