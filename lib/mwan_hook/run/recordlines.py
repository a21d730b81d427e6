"""Lines of the record that few runs write: the configuration and the state that a segment begins with.

Imported only by a run that writes one of them.
"""

from __future__ import annotations

import time

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.model import FAMILIES, MwanError, State, turn_key
from mwan_hook.store import chores, files, wake
from mwan_hook.store import state as states
from mwan_hook.store.codec import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mwan_hook.config import Loaded
    from mwan_hook.model import Probe, Target, UplinkConfig
    from mwan_hook.run.scene import Judged, Scene

    Plain = dict[str, Any]

HOUR = 3600.0  # seconds after which the record goes to the disk where there is no timer for it
LARGEST = 64 << 10  # bytes of samples; beyond that the file becomes the older of the two
HUNG_UP = "hung up: "  # model.BY_US, which brings all that is dialled


def config(seen: Scene, number: int) -> Plain:
    """A ConfigRecord."""
    return {
        "k": "config",
        "id": number,
        "fingerprint": seen.fingerprint,
        "routing": plain(seen.config.routing),
        "probe": plain(_plain_probe(seen.config.probe)),
        "uplinks": {uplink.name: plain(_plain_config(uplink.config)) for uplink in seen.uplinks},
    }


def _plain_config(one: UplinkConfig) -> UplinkConfig:
    dial = one.dial and one.dial._replace(start=one.dial.by, stop="", reset="")
    return one._replace(match=(), explicit=frozenset(), probe=_plain_probe(one.probe), dial=dial)


def _plain_probe(one: Probe) -> Probe:
    targets, portal_targets = map(_plain_targets, (one.targets, one.portal_targets))
    return one._replace(targets=targets, portal_targets=portal_targets)


def _plain_targets(targets: Sequence[Target]) -> tuple[Target, ...]:
    return tuple([one._replace(text=one.name, path="", body="") for one in targets])


def base(judged: Judged, after: float) -> Plain:
    """A BaseRecord."""
    seen, known = judged.scene, judged.scene.state
    state = State(
        boot_id=judged.state.boot_id,
        uplinks=known.uplinks,
        last_online=known.last_online,
        best=known.best,
        config=known.config,
        saved_at=known.saved_at,
        ignored=known.ignored,
        dark_since=known.dark_since,
        dark=known.dark,
        light_at=known.light_at,
    )
    found = {"k": "base", "boot": judged.state.boot_id, "now": seen.now, "wall": seen.wall}
    return {**found, "after": after, "state": plain(state)}


def flush_if_due(seen: Scene) -> None:
    """Have the record written to the disk, where no timer does it, once an hour.  Raises MwanError, OSError."""
    if not seen.config.record.size or wake.watched(seen.root):
        return
    path = files.under(seen.root, files.RECORD_FLUSHED)
    try:
        due = not 0 <= time.time() - os.stat(path).st_mtime < HOUR
    except FileNotFoundError:
        due = False
    if due:
        wake.flush(seen.root)
    else:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.FILE)
        os.close(descriptor)


def flush(seen: Scene) -> None:
    """Have it written at once: half of the ring is full, and the other half is written over next.

    Raises MwanError, OSError.
    """
    if seen.config.record.size and not chores.ask(seen.root, chores.RECORD, {}):
        wake.flush(seen.root)


def hung(judged: Judged) -> dict[str, dict[str, str]]:
    """Reasons of what was hung up in this run, if anything was."""
    found = {}
    for name, memory in judged.state.uplinks.items():
        known = judged.scene.state.uplinks.get(name)
        for family in FAMILIES if known else ():
            reason = memory.family(family).reason
            if reason.startswith(HUNG_UP) and known and known.family(family).reason != reason:
                found[turn_key(name, family)] = reason
    return {"hung": found} if found else {}


def sample(root: str, loaded: Loaded) -> None:
    """Write down beside the record how many bytes went through the uplinks' interfaces, if one is kept.

    At transitions, and with each flush.  What cannot be read or written is not recorded.
    """
    if not loaded.config.record.keep:
        return
    from mwan_hook.kernel import counters

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
    from mwan_hook.model import BytesRecord

    values = plain(BytesRecord(boot, now, wall, carried))
    return plainjson.dumps({"v": 1, "k": "bytes", **values}).encode() + b"\n"


def _append(path: str, line: bytes) -> None:
    descriptor = files.appending(path)
    try:
        size = os.fstat(descriptor).st_size
        os.write(descriptor, line)
    finally:
        os.close(descriptor)
    if size > LARGEST:
        os.rename(path, f"{path}.1")
