"""Ask every target at once, each under one deadline that no peer can stretch."""

from __future__ import annotations

from mwan_hook.light import TYPE_CHECKING, partial
from mwan_hook.model import Result
from mwan_hook.probes.bound import Exchange, ProbeAnswer, guarded, literal, timed_out
from mwan_hook.probes.loop import Loop, Task, name_key, target_key
from mwan_hook.verdict.rounds import METHODS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from mwan_hook.model import Job
    from mwan_hook.probes.loop import Key, Late
    from mwan_hook.probes.resolve import Resolved


def run(jobs: Sequence[Job], *, root: str, late: Late | None = None) -> list[Result]:
    """Results in the order of the jobs, as soon as all have answered and at the latest ``job.timeout`` seconds, for
    each, after its first packet has left.

    ``root`` is where systemd-resolved's socket and resolv.conf are looked for.  ``late`` keeps the probes that get no
    answer in time; one that comes within its patience answers the same target of a later call.
    Raises MwanError without CAP_NET_RAW.
    """
    return _Run(jobs, root, late).results()


def _result(job: Job, answer: ProbeAnswer) -> Result:
    """An answer as it is kept: to a thousandth of a millisecond."""
    rtt_ms = None if answer.rtt_ms is None else round(answer.rtt_ms, 3)
    return Result(job, answer.connectivity, rtt_ms, answer.error, answer.wire_bytes)


def _without_secrets(result: Result) -> Result:
    """Words of an error may repeat the URL that was asked for."""
    if not result.error or "?" not in result.job.target.path:
        return result
    from mwan_hook.redact import erased

    return result._replace(error=erased(result.error, result.job.target.path))


def _module(name: str) -> Any:
    """A module of this room, imported only when it is needed: for a method, or to find addresses of names."""
    return __import__(f"mwan_hook.probes.{name}", fromlist=("probe",))


class _Run:
    """The jobs of one call and what came of them."""

    def __init__(self, jobs: Sequence[Job], root: str, late: Late | None) -> None:
        self.jobs = jobs
        self.root = root
        self.late = late
        self.answers: dict[int, ProbeAnswer] = {}
        self.tasks: dict[int, list[Task]] = {}  # what may answer a job
        self.searches: list[tuple[list[int], Task]] = []  # for a name's addresses, and the jobs that wait for them
        self.spent: dict[int, int] = {}  # bytes that a job's name has cost
        self.loop = Loop()

    def results(self) -> list[Result]:
        """Ask them all."""
        named: dict[tuple[str, int, str, float], list[int]] = {}
        known: list[int] = []
        for place, job in enumerate(self.jobs):
            probe = guarded(_module, METHODS[job.target.method].module)  # no import between sending and receiving
            if isinstance(probe, ProbeAnswer):  # a library is missing or broken
                self.answers[place] = probe
            elif METHODS[job.target.method].neighbour or literal(job.target.host, job.family):
                known.append(place)
            else:
                key = (job.uplink, job.family.af, job.target.host.lower(), job.timeout)
                named.setdefault(key, []).append(place)
        try:
            if named:
                self._ask_named(list(named.values()))
            # Threads come last: they would hold up what is sent after them.
            for place in sorted(known, key=lambda place: METHODS[self.jobs[place].target.method].threaded):
                self._ask(place, (self.jobs[place].target.host,), Exchange())
            self._listen()
            self.loop.drain()
        finally:
            self.loop.close()
        return [_without_secrets(_result(job, self.answers[place])) for place, job in enumerate(self.jobs)]

    def _ask(self, place: int, addresses: Sequence[str], exchange: Exchange) -> None:
        """Begin one probe; the exchange knows since when the deadline runs."""
        if place in self.answers:  # by a late reply, before its name was found
            return
        job = self.jobs[place]
        task = Task(_module(METHODS[job.target.method].module).probe(job, addresses, exchange), exchange)
        self.tasks.setdefault(place, []).append(task)
        self.loop.start(task, partial(self._answered, place, task), job.timeout, partial(self._over, place))

    def _answered(self, place: int, task: Task, answer: ProbeAnswer) -> None:
        """Take the answer of a probe that was begun in this call, or was heard too late by an earlier one."""
        bytes_before, task.counted = task.counted, answer.wire_bytes
        self._settle(place, answer._replace(wire_bytes=answer.wire_bytes - bytes_before))

    def _settle(self, place: int, answer: ProbeAnswer) -> None:
        """Hold a job's answer; what else might give one is left for later, and its bytes are added."""
        spent, job = answer.wire_bytes + self.spent.pop(place, 0), self.jobs[place]
        key = target_key(job) if METHODS[job.target.method].late else None
        for task in self.tasks.pop(place, ()):
            spent += self._leave(task, key)
        self.answers[place] = answer._replace(wire_bytes=spent)
        for places, task in self.searches:
            if place in places and all(other in self.answers for other in places):
                self._pay(places[0], self._leave(task, name_key(self.jobs[place])))

    def _leave(self, task: Task, key: Key | None) -> int:
        """Keep a probe for a later call (never, without a key); its bytes that were not counted yet."""
        if not self.loop.leave(task):
            return 0
        spent = task.news()
        if self.late is None or key is None:
            task.steps.close()
        else:
            self.late.keep(key, task)
        return spent

    def _pay(self, place: int, spent: int) -> None:
        """Add bytes to a job's answer, be it there or to come."""
        if place in self.answers:
            answer = self.answers[place]
            self.answers[place] = answer._replace(wire_bytes=answer.wire_bytes + spent)
        else:
            self.spent[place] = self.spent.get(place, 0) + spent

    def _over(self, place: int) -> None:
        self._settle(place, timed_out(self.jobs[place]))

    def _listen(self) -> None:
        """Wait for replies to earlier requests, too."""
        for place, job in enumerate(self.jobs):
            if self.late is not None and place not in self.answers:
                for task in self.late.take(target_key(job)):
                    self.tasks.setdefault(place, []).append(task)
                    self.loop.start(task, partial(self._heard, place, task, self.late.patience))

    def _heard(self, place: int, task: Task, patience: float, answer: ProbeAnswer) -> None:
        """Let an earlier request answer a job, if its reply is not too late; its own bytes were counted then."""
        if answer.rtt_ms is not None and answer.rtt_ms <= patience * 1000:
            self._answered(place, task, answer)

    def _ask_named(self, groups: Sequence[list[int]]) -> None:
        """Find each name's addresses once for all jobs of an uplink and family that want it; then begin those.

        A search that an earlier call has given up goes on.
        """
        resolve = guarded(_module, "resolve")
        if isinstance(resolve, ProbeAnswer):  # its library is missing or broken
            self.answers.update((place, resolve) for places in groups for place in places)
            return
        names = resolve.NameLookups(self.root)
        for places in groups:
            job = self.jobs[places[0]]
            kept = self.late.take(name_key(job)) if self.late is not None else []
            if not kept:
                exchange, patience = Exchange(), self.late.patience if self.late is not None else 0.0
                kept = [Task(names.find(job, exchange, max(job.timeout, patience)), exchange)]
            task = kept.pop()
            for other in kept:
                other.steps.close()
            self.searches.append((places, task))
            self.loop.start(task, partial(self._found, places, task), job.timeout, partial(self._unfound, places, task))

    def _found(self, places: Sequence[int], task: Task, found: Resolved | ProbeAnswer) -> None:
        """Begin the jobs that waited for addresses; without any, their answer is why there are none."""
        self._pay(places[0], task.news())
        addresses, answer = ((), found) if isinstance(found, ProbeAnswer) else found
        for place in places:
            if addresses:
                self._ask(place, addresses, Exchange(self.loop.since(task)))
            elif place not in self.answers:
                self._settle(place, answer._replace(wire_bytes=0))

    def _unfound(self, places: Sequence[int], task: Task) -> None:
        """Say whose answer was waited for in vain."""
        self._pay(places[0], self._leave(task, name_key(self.jobs[places[0]])))
        for place in places:
            if place not in self.answers:
                answer = timed_out(self.jobs[place])
                self._settle(place, answer._replace(error=f"{task.exchange.about}{answer.error}"))
