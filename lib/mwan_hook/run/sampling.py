"""Bytes that went through the uplinks' interfaces, written down beside the record: at transitions, and with each flush.

Imported only by what tells of transitions, and by what flushes the record.
"""

from __future__ import annotations

import time

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.kernel import counters
from mwan_hook.model import BytesRecord, MwanError
from mwan_hook.store import codec, files
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config import Loaded

VERSION = 1
LARGEST = 64 << 10  # bytes; beyond that the file becomes the older of the two


def sample(root: str, loaded: Loaded) -> None:
    """Read the counters now, if a record is kept.  What cannot be read or written is not recorded."""
    if not loaded.config.record.keep:
        return
    try:
        state, _ = states.load(root, writes=False)
        indexes = {name: one.index for name, one in state.uplinks.items() if one.index}
        there = counters.read_both(indexes.values())
        carried: dict[str, tuple[int, ...]] = {
            name: (index, *there[index]) for name, index in indexes.items() if index in there
        }
        if carried:
            _append(files.under(root, files.RECORD_SAMPLES), _line(state.boot_id, carried))
    except (MwanError, OSError):
        return


def _line(boot: str, carried: dict[str, tuple[int, ...]]) -> bytes:
    now, wall = round(time.clock_gettime(time.CLOCK_BOOTTIME), 6), round(time.time(), 3)
    values = codec.plain(BytesRecord(boot, now, wall, carried))
    return plainjson.dumps({"v": VERSION, "k": "bytes", **values}).encode() + b"\n"


def _append(path: str, line: bytes) -> None:
    descriptor = files.appending(path)
    try:
        size = os.fstat(descriptor).st_size
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if size > LARGEST:
        os.rename(path, f"{path}.1")
