"""What verdicts were made from, written down by the run that has stored them (:mod:`mwan_hook.model.recording`).

Two files of bounded size below /run.  Everything here is done under the state lock, after the routes stand and the
state is stored; a run that cannot write it is none the worse.
"""

from __future__ import annotations

from binascii import crc32

from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.model import FAMILIES, Connectivity, State
from mwan_hook.store import files
from mwan_hook.store.codec import plain
from mwan_hook.verdict.facts import fits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mwan_hook.model import Config, Probe, Result, Target, Transition, UplinkConfig, Way
    from mwan_hook.run.scene import Judged, ProbedRound, Scene

    Plain = dict[str, Any]

VERSION = 1
LARGEST = 2 << 20  # bytes; beyond that the file becomes the older of the two
SEGMENT = 900.0  # seconds after which a segment begins that can be played alone
TAIL = 320  # bytes; the last field of a run's line is no longer
AT = b'"at":{'
HUNG_UP = "hung up: "  # model.BY_US, which brings all that is dialled
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def keep(judged: Judged, rounds: Sequence[ProbedRound], asked: frozenset[str], happened: Sequence[Transition]) -> None:
    """Write down what has led to the state that is stored now.  ``judged``: as it was, its state as it is stored."""
    path = files.under(judged.scene.root, files.RECORD)
    try:
        run = _seen(judged, rounds, asked)
        _keep(path, judged, {**run, "happened": [plain(one) for one in happened]} if happened else run)
    except Exception:  # noqa: BLE001 - routes stand, and the next failover depends on this run's probes
        return  # the state was written beside it: where there is no room that has said so


def _keep(path: str, judged: Judged, run: Plain) -> None:
    descriptor = _opened(path)
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, TAIL, max(0, size - TAIL))
        lines = _lines(judged, run, last(tail), whole=not size)
        if size + len(lines) > LARGEST and size:
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


def _opened(path: str) -> int:
    """0644 without regard to the umask, where it is made."""
    descriptor = os.open(path, _FLAGS, files.FILE)
    if not os.fstat(descriptor).st_size:
        os.fchmod(descriptor, files.FILE)
        files.give(descriptor, path)
    return descriptor


def last(tail: bytes) -> Plain:
    """The last field of the last line, where that is one of a run; empty where it is not, or is torn."""
    start = tail.rfind(AT)
    if start < 0 or tail[-3:] != b"}}\n" or tail.find(b"\n", start) != len(tail) - 1:
        return {}
    try:
        found = plainjson.loads(tail[start + len(AT) - 1 : -2])
    except (ValueError, RecursionError):
        return {}
    return found if found.get("v") == VERSION else {}


def _lines(judged: Judged, run: Plain, before: Plain, whole: bool) -> bytes:
    """What is to be added behind a run that has left ``before``.  ``whole``: a file begins."""
    seen, state = judged.scene, judged.state
    follows = before.get("boot") == state.boot_id and before["now"] == seen.state.saved_at
    config, facts = _config_id(seen), facts_of(seen)
    facts_id = crc32(plainjson.dumps(facts).encode())
    begins = whole or not follows or before["config"] != config or not 0 <= seen.now - before["base"] < SEGMENT
    lines = []
    if begins:
        lines.append(config_of(seen, config))
    if begins or before["facts"] != facts_id:
        lines.append({"k": "facts", "id": facts_id, **_plain_facts(facts)})
    if begins:
        lines.append(_base(judged, before["now"] if follows else 0.0))
    base = seen.now if begins else before["base"]
    at = {"v": VERSION, "boot": state.boot_id, "config": config, "facts": facts_id, "base": base}
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
    if judged.state.dials and (hung := _hung(judged)):
        found["hung"] = hung
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


def _hung(judged: Judged) -> dict[str, str]:
    """Reasons of what was hung up in this run."""
    found = {}
    for name, memory in judged.state.uplinks.items():
        known = judged.scene.state.uplinks.get(name)
        for family in FAMILIES if known else ():
            reason = memory.family(family).reason
            if reason.startswith(HUNG_UP) and known and known.family(family).reason != reason:
                found[f"{name}/{family.value}"] = reason
    return found


def _config_id(seen: Scene) -> int:
    """Changes with everything in a ConfigRecord: .network files may say more than the configuration."""
    parts = [(one.name, one.config.name, one.config.probe, one.config.metrics) for one in seen.uplinks]
    return crc32(plainjson.dumps([seen.fingerprint, parts]).encode())


def config_of(seen: Scene, number: int) -> Plain:
    """A ConfigRecord."""
    config: Config = seen.config
    return {
        "k": "config",
        "id": number,
        "fingerprint": seen.fingerprint,
        "routing": plain(config.routing),
        "probe": plain(_plain_probe(config.probe)),
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


def facts_of(seen: Scene) -> tuple[Any, ...]:
    """The values of a FactsRecord but its id."""
    uplinks = [_plain_uplink(uplink) for uplink in seen.unplaced or seen.uplinks]
    return uplinks, seen.snapshot.families, dict(seen.bound.drains), sorted(seen.dialled)


def _plain_uplink(one: Any) -> Any:
    """An uplink whose configuration is, in JSON, one with a name alone."""
    return one._replace(config={"name": one.config.name}, ipv4=_plain_way(one.ipv4), ipv6=_plain_way(one.ipv6))


def _plain_way(one: Way) -> Way:
    return one._replace(default=None, servers=(), homes=())


def _plain_facts(facts: tuple[Any, ...]) -> Plain:
    uplinks, families, drains, dialled = facts
    found = {"uplinks": [plain(one) for one in uplinks], "families": families}
    return {**found, "drains": plain(drains), "dialled": dialled}


def _base(judged: Judged, after: float) -> Plain:
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
