"""What verdicts were made from, written down by the run that has stored them (:mod:`mwan_hook.model.recording`).

Two files of bounded size below /run.  Everything here is done under the state lock, after the routes stand and the
state is stored; a run that cannot write it is none the worse.
"""

from __future__ import annotations

from binascii import crc32
from errno import EACCES, ELOOP, ENXIO

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.model import Connectivity
from mwan_hook.store import files
from mwan_hook.store.codec import plain
from mwan_hook.verdict.facts import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mwan_hook.model import Result, Transition, Way
    from mwan_hook.run.scene import Judged, ProbedRound, Scene

    Plain = dict[str, Any]

VERSION = 1
LARGEST = 2 << 20  # bytes; beyond that the file becomes the older of the two
SEGMENT = 900.0  # seconds after which a segment begins that can be played alone
TAIL = 320  # bytes; the last field of a run's line is no longer


def keep(judged: Judged, rounds: Sequence[ProbedRound], asked: frozenset[str], happened: Sequence[Transition]) -> bool:
    """Write down what has led to the state that is stored now; whether a file of the ring was full.

    ``judged``: as it was, its state as it is stored.
    """
    path = files.under(judged.scene.root, files.RECORD)
    try:
        run = _seen(judged, rounds, asked)
        return _keep(path, judged, {**run, "happened": [plain(one) for one in happened]} if happened else run)
    except Exception:  # noqa: BLE001 - routes stand, and the next failover depends on this run's probes
        return False  # the state was written beside it: where there is no room that has said so


def _keep(path: str, judged: Judged, run: Plain) -> bool:
    """Add the lines; whether a file of the ring was full, and another one begins."""
    descriptor = _opened(path)
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, TAIL, max(0, size - TAIL))
        try:
            lines = _lines(judged, run, last(tail), whole=not size)
        except (KeyError, TypeError):  # a line that is not ours
            lines = _lines(judged, run, {}, whole=True)
        if full := size > 0 and size + len(lines) > LARGEST:
            os.rename(path, f"{path}.1")
            os.close(descriptor)
            descriptor = -1
            descriptor = _opened(path)
            lines = _lines(judged, run, last(tail), whole=True)
        elif size and tail[-1:] != b"\n":
            lines = b"\n" + lines  # the last line was torn: keep it from taking this one with it
        os.write(descriptor, lines)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    return full


def _opened(path: str) -> int:
    """The file; what lies in its place, a link, a pipe or what another user keeps for himself, goes."""
    try:
        descriptor = files.appending(path)
        if os.S_ISREG(os.fstat(descriptor).st_mode):
            return descriptor
        os.close(descriptor)
    except OSError as error:
        if error.errno not in (ELOOP, EACCES, ENXIO):
            raise
    os.unlink(path)
    return files.appending(path)


def last(tail: bytes) -> Plain:
    """The last field of the last line, where that is one of a run; empty where it is not, or is torn."""
    found = plainjson.last_object(tail, b"at")
    return found if found.get("v") == VERSION else {}


def _lines(judged: Judged, run: Plain, before: Plain, whole: bool) -> bytes:
    """What is to be added behind a run that has left ``before``.  ``whole``: a file begins."""
    seen, state = judged.scene, judged.state
    follows = before.get("boot") == state.boot_id and before["now"] == seen.state.saved_at
    config, facts = _config_id(seen), _facts_id(seen)
    begins = whole or not follows or before["config"] != config or not 0 <= seen.now - before["base"] < SEGMENT
    lines = []
    if begins or before["facts"] != facts:
        lines.append(_facts(seen, facts))
    if begins:
        from mwan_hook.run import recordlines

        after = before["now"] if follows else 0.0
        lines = [recordlines.config(seen, config), *lines, recordlines.base(judged, after)]
        recordlines.flush_if_due(seen)
    base = seen.now if begins else before["base"]
    at = {"v": VERSION, "boot": state.boot_id, "config": config, "facts": facts, "base": base}
    lines.append({**run, "at": {**at, "wall": seen.wall, "now": seen.now}})
    return b"".join([plainjson.dumps({"v": VERSION, **line}).encode() + b"\n" for line in lines])


# ---------------------------------------------------------------- one line each


def _seen(judged: Judged, rounds: Sequence[ProbedRound], asked: frozenset[str]) -> Plain:
    seen = judged.scene
    found: Plain = {"k": "run"}
    if rounds:
        uplinks = {uplink.name: uplink for uplink in seen.uplinks}
        there = [one for one in rounds if one.job.uplink in uplinks and fits(one.job, uplinks[one.job.uplink])]
        found["rounds"] = [round_of(one, verbatim=seen.tally is not None) for one in there]
    if asked:
        found["asked"] = sorted(asked)
    if seen.tally is not None:
        found["counters"] = {key: plain(one) for key, one in seen.tally.items()}
    if judged.state.dials:
        from mwan_hook.run import recordlines

        found.update(recordlines.hung(judged))
    return found


def round_of(one: ProbedRound, verbatim: bool) -> Plain:
    """A RoundRecord.  ``verbatim``: its Round does not follow from the answers."""
    asked, spent = one.round, sum(result.wire_bytes for result in one.results)
    found: Plain = {"uplink": one.job.uplink, "family": one.job.family, "begun": one.begun}
    if one.measured is not None:
        return {**found, "measured": plain(one.measured)}
    found["answers"] = [answer_of(result) for result in one.results]
    if verbatim:
        found["round"] = plain(asked)
    if asked.wire_bytes != spent:
        found["spent"] = asked.wire_bytes
    if asked.partial:
        found["partial"] = True
    if asked.lost:
        found["lost"] = asked.lost
    if one.witness:
        found["witness"] = True
    return found


def answer_of(one: Result) -> list[Any]:
    """An AnswerRecord, without the last values that are usual."""
    name, portal = one.job.target.name, one.job.portal
    if one.connectivity is Connectivity.FULL and one.error is None and not portal:
        return [name, one.rtt_ms, one.wire_bytes]
    return [name, one.rtt_ms, one.wire_bytes, one.connectivity, one.error, portal]


def _config_id(seen: Scene) -> int:
    """Changes with everything in a ConfigRecord: .network files may say more than the configuration."""
    parts = [(one.name, one.config.name, one.config.probe, one.config.metrics) for one in seen.uplinks]
    return crc32(plainjson.dumps([seen.fingerprint, parts]).encode())


def _facts_id(seen: Scene) -> int:
    """Changes with everything in a FactsRecord."""
    uplinks = [one[1:] for one in seen.unplaced or seen.uplinks]  # without their configuration
    parts = [uplinks, seen.snapshot.families, seen.bound.drains, sorted(seen.dialled)]
    return crc32(plainjson.dumps(parts).encode())


def _facts(seen: Scene, number: int) -> Plain:
    """A FactsRecord."""
    uplinks = [plain(_plain_uplink(uplink)) for uplink in seen.unplaced or seen.uplinks]
    found: Plain = {"k": "facts", "id": number, "uplinks": uplinks, "families": seen.snapshot.families}
    if seen.bound.drains:
        found["drains"] = plain(dict(seen.bound.drains))
    return {**found, "dialled": sorted(seen.dialled)} if seen.state.dials else found


def _plain_uplink(one: Any) -> Any:
    """An uplink whose configuration is, in JSON, one with a name alone."""
    return one._replace(config={"name": one.config.name}, ipv4=_plain_way(one.ipv4), ipv6=_plain_way(one.ipv6))


def _plain_way(one: Way) -> Way:
    return one._replace(default=None, servers=(), homes=())
