"""Writing the cache of :mod:`mwan_hook.config.cache`, after the files were read."""

from __future__ import annotations

import os
import time

from mwan_hook import plainjson
from mwan_hook.config.cache import RACY_NS, place, stamp, summed, version
from mwan_hook.model import MwanError
from mwan_hook.store.files import discard, make_directory
from mwan_hook.store.files import write as write_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from mwan_hook.config.cache import Stamp


class Watch:
    """How each file that was looked at stood before it was read."""

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


def write(root: str, record: dict[str, Any], watch: Watch) -> None:
    """Keep ``record``; where that cannot be, the next run parses again."""
    if not watch.settled():
        return
    path = place(root)
    draft = f"{path}.{os.getpid()}"
    text = plainjson.dumps({**record, "stamp": version(root, record["plain"]), "inputs": watch.seen})[1:].encode()
    try:
        make_directory(os.path.dirname(path))
        write_file(draft, summed(text) + text, durable=False, mode=watch.mode)
        os.replace(draft, path)
    except (OSError, MwanError):
        discard(draft)
