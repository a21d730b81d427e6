"""What a run in peace leaves to the next ones, so that they need not judge (:mod:`mwan_hook.run.quiet`).

One more look, under the lock, with every reply noted.  It is kept only where the whole program would do nothing now,
and where time alone leads to nothing else: what cannot be compared, or is decided by the clock, is left to the whole
program (:mod:`mwan_hook.run.peace`).
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
    Family,
    FamilyState,
    Method,
    Status,
)
from mwan_hook.probes.bound import literal
from mwan_hook.routing.gateways import strays
from mwan_hook.run import alike, judge, listening, look, quiet
from mwan_hook.run.peace import at_peace, is_known, lasts
from mwan_hook.run.prometheus import LOCK as TEXTFILE_LOCK
from mwan_hook.store import codec, files, lock
from mwan_hook.verdict import rounds, schedule
from mwan_hook.verdict.standing import another_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from mwan_hook.config import Loaded
    from mwan_hook.model import Job, Link, Uplink
    from mwan_hook.run.scene import Judged, Scene

ASKED = (Method.ICMP, Method.TCP)
_OF_LINKS = (f"{networkd.LEASES}/", f"{networkd.LINKS}/", f"{udev.DATABASE}/n")


def keep(root: str, loaded: Loaded) -> None:
    """Keep what this run has seen, if the next ones can be compared with it.  Raises MwanError.

    Else an empty file is kept: where something always differs, or is not known here, that must not cost in every run.
    """
    path = files.under(root, quiet.MEMO)
    held = lock.look(root, wait=0)
    if held.acquire():
        try:
            if os.stat(os.path.dirname(path)).st_uid == os.geteuid():
                _keep(path, _seen(root, loaded) if is_known(loaded.config) else b"")
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
    generic = _generic(loaded)
    judged = judge.judge(look.through(reader, root, loaded))
    noted |= _leases(root, judged.scene)
    if not _are_settled(noted):
        return None
    asked = _rounds(judged) if at_peace(judged) else None
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
        "until": now + lasts(judged.scene),
        "files": noted,
        "values": values,
        "listening": listeners,
        "comparable": comparable,
        "generic": generic,
        "record": bool(loaded.config.record.keep),
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
            if not (jobs and schedule.is_steady(memory) and all(map(_is_cheap, jobs))):
                return None
            one = _round(uplink, jobs, memory, another_online(memories, uplink.name, judged.state.drains))
            if one["portal_every"] and (memory.portal_due or memory.portal_at is None):
                return None
            found.append(one)
    return found


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
    return noted if _are_settled(noted) and not any(noted[path] for path in waiting) else None


def _are_settled(noted: dict[str, Any]) -> bool:
    """Whether none was changed so lately that the next change may leave the same stamp."""
    latest: int = max(found[-1] for found in noted.values() if found)
    return latest < time.time_ns() - cache.RACY_NS


def _leases(root: str, seen: Scene) -> dict[str, Any]:
    """Files of other managers that tell a gateway where main and networkd do not.

    They are stamped after they were read: one that was changed in between is not settled.
    """
    lost = [uplink for family, uplink in strays(seen.uplinks, seen.snapshot, seen.state) if family is Family.IPV4]
    if not lost:
        return {}
    from mwan_hook.machine import leases

    return {path: alike.stamp(path) for uplink in lost for path in leases.places(root, uplink.index, uplink.interface)}


def _generic(loaded: Loaded) -> list[Any] | None:
    """What generic netlink replies, with the question: MPTCP's endpoints; None where nothing is asked."""
    if not loaded.config.routing.mptcp:
        return None
    from mwan_hook.kernel import endpoints, generic

    return [*endpoints.SEEN, generic.replies(*endpoints.SEEN).hex()] if endpoints.usable() else None


def _values(judged: Judged) -> dict[str, str | None] | None:
    """Settings of the kernel, and what tells which families and features it has; None if they are not as looked at."""
    there, desired = judged.scene.snapshot, judged.desired
    keys = [one.key for one in (*desired.sysctls, *desired.originals, *there.sysctls)]
    places = [*keys, "net/vrf", *(f"net/{family.value}/conf" for family in FAMILIES)]
    places += [sysctl.MPTCP] if judged.scene.config.routing.mptcp else []
    found = {sysctl.ROOT + key: alike.value_of(sysctl.ROOT + key) for key in places}
    seen = {sysctl.ROOT + one.key: one.value for one in there.sysctls}
    same = all((found[path] or "").strip() == value for path, value in seen.items())
    return found if same and there.vrfs is (found[f"{sysctl.ROOT}net/vrf"] is not None) else None
