"""What a run in peace leaves to the next ones, so that they need not judge (:mod:`mwan_hook.run.quiet`).

One more look, under the lock, with every reply noted.  It is kept only where the whole program would do nothing now,
and where time alone leads to nothing else: what cannot be compared, or is decided by the clock, is left to the whole
program.  So is every key of the configuration, and every part of the state, that this module does not know.
"""

from __future__ import annotations

import time

import mwan_hook
from mwan_hook import plainjson
from mwan_hook import plainos as os
from mwan_hook.config import cache
from mwan_hook.kernel import netlink, sysctl
from mwan_hook.kernel.reader import Reader
from mwan_hook.machine import networkd, udev
from mwan_hook.model import (
    FAMILIES,
    Config,
    Connectivity,
    FamilyState,
    Method,
    Phase,
    Probe,
    Routing,
    State,
    Status,
    UplinkConfig,
)
from mwan_hook.probes.bound import literal
from mwan_hook.run import alike, judge, listening, look, quiet
from mwan_hook.run.prometheus import LOCK as TEXTFILE_LOCK
from mwan_hook.run.scene import dialling_rests, limited
from mwan_hook.store import codec, files, lock
from mwan_hook.verdict import rounds, schedule
from mwan_hook.verdict.facts import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from mwan_hook.config import Loaded
    from mwan_hook.model import Job, Link, Uplink
    from mwan_hook.run.scene import Judged, Scene

LASTS = 300.0  # seconds after which the whole program looks again, though all be the same
ASKED = (Method.ICMP, Method.TCP)
_OF_LINKS = (f"{networkd.LEASES}/", f"{networkd.LINKS}/", f"{udev.DATABASE}/n")

# Known to be compared, or to be of no account to a run that changes nothing.
_CONFIG = {"routing", "probe", "uplinks", "explicit_probe", "hooks", "mail", "webhook", "prometheus", "snmp"}
_CONFIG |= {"policies", "router"}  # as far as they ask for no nft table
_ROUTING = {"default_table", "first_table", "rule_priority", "main_first", "copy_routes", "last_resort"}
_ROUTING |= {"mark_mask", "protocol", "nexthops", "write_etc"}
_UPLINK = {"name", "match", "metric", "weight", "table", "rule_priority", "mark", "mask", "gateways", "families"}
_UPLINK |= {"enabled", "metered", "metered_interval", "metrics", "probe", "explicit", "failback", "dial"}
_PROBE = {"targets", "required", "portal_targets", "portal_interval", "interval", "timeout", "fall", "rise"}
_PROBE |= {"burst_interval", "hysteresis_delay", "hysteresis_backoff", "portal_is_online"}
_STATE = {"boot_id", "uplinks", "last_online", "best", "tables", "sysctls", "foreign", "config", "warnings", "saved_at"}
_STATE |= {"saved_wall", "run_seconds", "protocols", "sharing", "elsewhere", "dials", "begun", "rest", "rest_until"}
_FAMILY = {"status", "connectivity", "judged", "since", "good", "bad", "held_until", "full_at", "passes", "may_pass"}
_FAMILY |= {"burst", "way", "lost_at", "lost_way", "portal", "portal_at", "portal_due", "probed_at", "next_probe_at"}
_FAMILY |= {"latency_ms", "srtt_ms", "reason", "probe_bytes", "targets", "by_facts", "rounds", "bad_rounds"}
_FAMILY |= {"transitions", "known"}


def keep(root: str, loaded: Loaded) -> None:
    """Keep what this run has seen, if the next ones can be compared with it.  Raises MwanError.

    Else an empty file is kept: where something always differs, or is not known here, that must not cost in every run.
    """
    path = files.under(root, quiet.MEMO)
    held = lock.look(root, wait=0)
    if held.acquire():
        try:
            if os.stat(os.path.dirname(path)).st_uid == os.geteuid():
                _keep(path, _seen(root, loaded) if _is_known(loaded.config) else b"")
        except OSError:
            pass  # a setting that this user may not read: the whole program does without it
        finally:
            held.release()


def _keep(path: str, text: bytes | None) -> None:
    if text is not None:
        files.replace(path, text, durable=False)


def _seen(root: str, loaded: Loaded) -> bytes | None:
    """The memo; empty where there is none to be had, None where there may be one in a moment.

    Files come first: what is changed after that is not the same.
    """
    listeners, ears = listening.known(root), netlink.connect(netlink.EVERYTHING)
    reader = Listener(loaded.config.routing.protocol)
    noted = _files(root, loaded, reader.links())
    if noted is None:
        return None
    judged = judge.judge(look.through(reader, root, loaded))
    asked = _rounds(judged) if _at_peace(judged) else None
    values = _values(judged)
    if asked is None or values is None or netlink.any_change((ears,)):
        return b""
    dumps = list(reader.dumps.values())
    comparable = reader.able and sum(len(one.reply) for one in dumps) <= alike.LARGEST
    if not comparable:
        if not listeners:
            return b""
        dumps = [one for one in dumps if one.kind not in listening.REQUESTS]
    prometheus, now = loaded.config.prometheus, judged.scene.now
    memo = {
        "program": quiet.program(root),
        "made": now,
        "until": now + LASTS,
        "files": noted,
        "values": values,
        "listening": listeners,
        "comparable": comparable,
        "textfile": [files.under(root, TEXTFILE_LOCK), prometheus.interval] if prometheus.textfile else None,
        "state": quiet.at_rest(plainjson.loads(codec.encode(judged.scene.state))),
        "dumps": [[one.kind, one.body.hex(), len(one.reply), one.whole] for one in dumps],
        "rounds": asked,
    }
    text, replies = plainjson.dumps(memo).encode() + b"\n", b"".join([one.reply for one in dumps])
    return text + replies if max(len(text), len(replies)) <= alike.LARGEST else b""


class Dump:
    """One request and what of the reply was read."""

    def __init__(self, kind: int, body: bytes) -> None:
        self.kind, self.body = kind, body
        self.buffers: list[bytes] = []
        self.whole = False

    @property
    def reply(self) -> bytes:
        """All that was read, to be compared."""
        return alike.plainly(self.buffers)


class Listener(Reader):
    """A reader that notes every reply.  ``able``: each can be compared; else systemd has to listen."""

    def __init__(self, protocol: int) -> None:
        super().__init__(protocol)
        self.dumps: dict[tuple[int, bytes], Dump] = {}
        self.able = True

    def _read(self, sock: socket, kind: int, body: bytes, watch: socket | None = None) -> Iterator[bytes]:
        noted = Dump(kind, body)
        known = self.dumps.setdefault((kind, body), noted)
        for buffer in super()._read(sock, kind, body, watch):
            noted.buffers.append(buffer)
            yield buffer
        noted.whole = True
        if not known.whole:
            self.dumps[kind, body] = noted

    def _defaults6_by_link(self, links: Iterable[Any], dead: bool) -> list[bytes]:
        self.able = False  # it depends on how much there is of a table that is not read
        return super()._defaults6_by_link(links, dead)


def _is_known(config: Config) -> bool:
    """Whether all that is configured is known to be compared."""
    known = _usual(config, Config(), _CONFIG) and _usual(config.routing, Routing(), _ROUTING)
    return known and not config.firewall and all(map(_is_known_uplink, config.uplinks))


def _is_known_uplink(one: UplinkConfig) -> bool:
    return _usual(one, UplinkConfig(""), _UPLINK) and _usual(one.probe, Probe(), _PROBE)


def _at_peace(judged: Judged) -> bool:
    """Whether the whole program would do nothing now, nothing waits for its time, and all that it knows is compared."""
    seen, state = judged.scene, judged.scene.state
    there, memories = seen.snapshot, [memory for one in state.uplinks.values() for memory in (one.ipv4, one.ipv6)]
    others = seen.bound.turns or there.pool or there.firewall or there.delegated or limited(seen) or seen.messages
    same = _is_over(judged) and seen.bound.allotment == seen.allotment and _is_over(judge.judge(_later(seen)))
    known = [_usual(state, State(), _STATE), *(_usual(memory, FamilyState(), _FAMILY) for memory in memories)]
    known += [_is_known_uplink(uplink.config) for uplink in seen.uplinks]
    same = same and _stand_by(judged) and not look.may_be_delegated(seen.bound, state, there)
    return same and all(known) and not others


def _stand_by(judged: Judged) -> bool:
    """Whether no uplink is dialled, or will be before the memo's time is over."""
    seen = judged.scene
    if not (seen.config.dials or seen.state.dials):
        return True
    idle = all(one.phase is Phase.IDLE for one in seen.state.dials.values())
    return idle and dialling_rests(judged) and seen.now + LASTS < seen.state.rest_until


def _is_over(judged: Judged) -> bool:
    """Whether nothing is to do and nothing new to store."""
    return judged.state == judged.scene.state and not judged.changes


def _later(seen: Scene) -> Scene:
    """The same at the end of the memo's time: what only waits for its time is no peace."""
    return seen._replace(now=seen.now + LASTS, wall=seen.wall + LASTS)


def _usual(thing: Any, usual: Any, known: set[str]) -> bool:
    """Whether every field that is not known here has its default."""
    return all(getattr(thing, name) == getattr(usual, name) for name in thing._fields if name not in known)


def _rounds(judged: Judged) -> list[dict[str, Any]] | None:
    """What a round asks of each family that is probed; None where not all of them are online and in peace."""
    found = []
    memories = judged.scene.state.uplinks
    for uplink in judged.scene.uplinks:
        for family in FAMILIES:
            memory = memories[uplink.name].family(family)
            if not memory.way or memory.status is Status.DISABLED or memory.by_facts:
                continue
            jobs = rounds.jobs_for(uplink, family, uplink.config.probe, with_portal=False)
            if not (jobs and _is_steady(memory) and all(map(_is_cheap, jobs))):
                return None
            one = _round(uplink, jobs, memory, another_online(memories, uplink.name))
            if one["portal_every"] and (memory.portal_due or memory.portal_at is None):
                return None
            found.append(one)
    return found


def _is_steady(memory: FamilyState) -> bool:
    """Whether one more good round would only be counted."""
    usual = (memory.connectivity, memory.held_until, memory.lost_at, memory.lost_way)
    moving = memory.burst or memory.may_pass or memory.portal or memory.next_probe_at is None
    measured = memory.srtt_ms is not None and memory.probed_at is not None and memory.targets
    return schedule.in_peace(memory) and usual == (Connectivity.FULL, None, None, "") and bool(measured) and not moving


def _is_cheap(job: Job) -> bool:
    return job.target.method in ASKED and literal(job.target.host, job.family)


def _round(uplink: Uplink, jobs: tuple[Job, ...], memory: FamilyState, others: bool) -> dict[str, Any]:
    probe, first = uplink.config.probe, jobs[0]
    every = schedule.interval(uplink.config, others)
    return {
        "uplink": uplink.name,
        "family": first.family.value,
        "af": first.family.af,
        "index": first.index,
        "source": first.source,
        "every": every,
        "timeout": probe.timeout,
        "portal_every": schedule.portal_every(uplink.config, first.family, others),
        "needed": max(1, min(probe.required, len(jobs))),
        "spares": bool(rounds.sparing(jobs, probe.required, memory.good)),
        "targets": [
            {
                "name": job.target.name,
                "method": job.target.method.value,
                "host": job.target.host,
                "port": job.target.port,
            }
            for job in jobs
        ],
    }


def _files(root: str, loaded: Loaded, links: Sequence[Link]) -> dict[str, Any] | None:
    """Every file that a run in peace reads, as it is; None where one may be changed again unseen, or asks for work."""
    record = cache.read(root)
    if record is None or record["fingerprint"] != loaded.fingerprint:
        return None
    waiting = [files.under(root, one) for one in (files.AGAIN, files.MAIL_WAITING, files.WEBHOOK_WAITING)]
    places = [cache.place(root), *record["inputs"], mwan_hook.__file__, __file__, files.under(root, files.ALLOTMENT)]
    for link in links:
        places += [files.under(root, f"{one}{link.index}") for one in _OF_LINKS]
    noted = {path: alike.stamp(path) for path in (*places, *waiting)}
    latest = max(found[-1] for found in noted.values() if found)
    settled = latest < time.time_ns() - cache.RACY_NS
    return noted if settled and not any(noted[path] for path in waiting) else None


def _values(judged: Judged) -> dict[str, str | None] | None:
    """Settings of the kernel, and what tells which families and features it has; None if they are not as looked at."""
    there, desired = judged.scene.snapshot, judged.desired
    keys = [one.key for one in (*desired.sysctls, *desired.originals, *there.sysctls)]
    places = [*keys, "net/vrf", *(f"net/{family.value}/conf" for family in FAMILIES)]
    found = {sysctl.ROOT + key: alike.value_of(sysctl.ROOT + key) for key in places}
    seen = {sysctl.ROOT + one.key: one.value for one in there.sysctls}
    same = all((found[path] or "").strip() == value for path, value in seen.items())
    return found if same and there.vrfs is (found[f"{sysctl.ROOT}net/vrf"] is not None) else None
