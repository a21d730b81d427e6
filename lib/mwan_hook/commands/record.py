"""``mwan-hook record``: what verdicts were made from goes from the ring below /run to the disk; what the timer starts.

One write an hour, and at shutdown.  A second one finds nothing new and writes nothing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from mwan_hook.commands.following import or_defaults
from mwan_hook.durations import HOUR
from mwan_hook.explain.frames import frames
from mwan_hook.explain.summary import summed
from mwan_hook.model import Hour, MwanError, Recording
from mwan_hook.run import recordlines
from mwan_hook.say import attempted, complain
from mwan_hook.store import days, files, hours, published, recording, thinning
from mwan_hook.store.filelocked import FileLocked

WAIT = 10.0  # seconds for another one
BEFORE = 3600.0  # seconds before an hour in which frames say how things stood when it began


def run(root: str) -> int:
    """0; 1 where it cannot be written, which is said once.  Raises MwanError."""
    loaded = or_defaults(root)  # a bad configuration loses nothing of the record
    if not loaded.config.record.keep:
        return 0
    with FileLocked(files.under(root, files.RECORD_LOCK), WAIT):
        recordlines.sample(root, loaded)
        words = _flushed(root, loaded.config.record, time.time())
        news = _noted(root, words)
    complain([words] if words and news else ())
    if loaded.config.report.html:
        complain(attempted(lambda: published.due(root)))
    return 1 if words and news else 0


def _flushed(root: str, record: Recording, now: float) -> str:
    """What went wrong: nothing is lost by it as long as the ring has it."""
    if not record.size:
        return ""
    try:
        written, summed_up = _append(root, record.size), True
        try:
            summed_up = _sum(root, record, now)
        finally:  # what cannot be summed up must not fill the disk
            if written or summed_up:
                thinning.thin(root, record.keep, record.size, now, _size(files.under(root, hours.PLACE)))
    except OSError as error:
        return f"cannot write below {files.under(root, files.RECORDS)}: {files.why(error)}"
    except MwanError as error:
        return str(error)
    return ""


def _append(root: str, most: int) -> bool:
    """Add what is new to the file of the day; whether there was anything."""
    found = recording.unflushed(root)
    runs = [place for place, line in enumerate(found) if recording.at_of(line)]
    if not runs:
        return False
    end = runs[-1] + 1
    while end < len(found) and found[end].startswith(recording.SAMPLE):
        end += 1
    wall = recording.at_of(found[runs[-1]])["wall"]
    text = b"".join(found[:end])
    while len(days.packed(text)) > most and (rest := _later(text)):
        text = rest
    days.append(root, time.strftime("%Y-%m-%d", time.gmtime(wall)), text)
    return True


def _later(text: bytes) -> bytes:
    """The lines without the first segment; empty if there is no other one."""
    parts = list(recording.segments(text.splitlines(keepends=True)))
    return b"".join(line for part in parts[1:] for line in part)


def _sum(root: str, record: Recording, now: float) -> bool:
    """Add the sums of hours that are over; whether there were any."""
    path, end = files.under(root, hours.PLACE), now // HOUR * HOUR
    oldest = end - thinning.LONGER * record.keep
    known = hours.read(root, 0.0)
    since = max((hour.until for hour in known if hour.until <= end), default=oldest)  # not by a clock that was wrong
    if not end - since > 0:
        return False
    since = max(since, end - record.keep)
    fresh = summed(frames(root, since - BEFORE, end + BEFORE), since, end)
    lines, most = b"".join(map(hours.line, fresh)), min(record.size // 2, hours.MOST)
    kept = _within(known, oldest, end)
    aged = len(kept) < len(known) and known[0].begin < oldest - record.keep / thinning.LONGER
    if aged or _size(path) + len(lines) > most:
        files.replace(path, hours.fitting((*kept, *fresh), most - most // 4), durable=True)
    elif fresh:
        _add(path, lines)
    return bool(fresh)


def _within(known: Sequence[Hour], since: float, until: float) -> Sequence[Hour]:
    """Hours between two moments; all, if few are: the clock may be wrong."""
    kept = [one for one in known if since <= one.begin < until]
    return kept if 2 * len(kept) > len(known) else known


def _add(path: str, lines: bytes) -> None:
    files.make_directory(os.path.dirname(path))
    descriptor = files.appending(path)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            lines = b"\n" + lines  # the last line was torn
        os.write(descriptor, lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _noted(root: str, words: str) -> bool:
    """Remember when this was, and what went wrong; whether that is news.  Raises MwanError."""
    path = files.under(root, files.RECORD_FLUSHED)
    try:
        before = files.read(path)
    except ValueError:
        before = None
    files.replace(path, words.encode(), durable=False)
    return before != words.encode()
