"""Asks every target at once, under one deadline that holds whatever the other side does."""

from __future__ import annotations

import select
import time

from mwan_hook.light import TYPE_CHECKING, partial
from mwan_hook.model import Connectivity, Method, Result
from mwan_hook.probes.bound import Answer, guarded, literal, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Steps
    from mwan_hook.probes.late import Asked, Late
    from mwan_hook.probes.resolve import Found

    Done: TypeAlias = Callable[[Any], None]

KEPT = (Method.ICMP, Method.TCP)  # what a late reply may answer
THREADED = (Method.HTTP, Method.HTTPS)


def run(jobs: Sequence[Job], *, root: str = "/", late: Late | None = None) -> list[Result]:
    """Results in the order of the jobs, as soon as all have answered and at the latest when ``job.timeout`` is over.

    ``root`` is where systemd-resolved's socket and resolv.conf are looked for.  ``late`` keeps echo and TCP
    requests that get no answer in time; one that comes within its patience answers the same target of a later call.
    Raises MwanError without CAP_NET_RAW.
    """
    return _Run(jobs, root, late).results()


def _resolver() -> Any:
    """The module that finds addresses of names."""
    from mwan_hook.probes import resolve

    return resolve


def _module(method: Method) -> Any:
    """The module that probes by a method; imported only when such a target is due."""
    if method is Method.ICMP:
        from mwan_hook.probes import icmp

        return icmp
    if method is Method.TCP:
        from mwan_hook.probes import tcp

        return tcp
    if method is Method.GATEWAY:
        from mwan_hook.probes import gateway

        return gateway
    if method is Method.DNS:
        from mwan_hook.probes import dns

        return dns
    from mwan_hook.probes import http

    return http


class _Run:
    """The jobs of one call and what came of them."""

    def __init__(self, jobs: Sequence[Job], root: str, late: Late | None) -> None:
        self.jobs = jobs
        self.root = root
        self.late = late
        self.began = time.monotonic()
        self.answers: dict[int, Answer] = {}
        self.tasks: dict[int, list[_Task]] = {}  # what may answer a job
        self.loop = Loop()

    def results(self) -> list[Result]:
        """Ask them all."""
        named: dict[tuple[str, int, str, float], list[int]] = {}
        known: list[int] = []
        for place, job in enumerate(self.jobs):
            probe = guarded(_module, job.target.method)  # no import between sending and receiving
            if isinstance(probe, Answer):  # a library is missing or broken
                self.answers[place] = probe
            elif job.target.method is Method.GATEWAY or literal(job.target.host, job.family):
                known.append(place)
            else:
                key = (job.uplink, job.family.af, job.target.host.lower(), job.timeout)
                named.setdefault(key, []).append(place)
        try:
            if named:
                self._ask_named(list(named.values()))
            # Threads come last: they would hold up what is sent after them.
            for place in sorted(known, key=lambda place: self.jobs[place].target.method in THREADED):
                self._ask(place, (self.jobs[place].target.host,))
            self._listen()
            self.loop.drain()
        finally:
            self.loop.close()
        return [Result(job, *self.answers[place]) for place, job in enumerate(self.jobs)]

    def _ask(self, place: int, addresses: Sequence[str], spent: int = 0) -> None:
        """Begin one probe; ``spent`` bytes went for its name."""
        job = self.jobs[place]
        if place in self.answers:  # by a late reply, before its name was found
            self._settle(place, Answer(Connectivity.LIMITED, wire_bytes=spent))
            return
        deadline = self.began + job.timeout

        def done(answer: Answer | None) -> None:
            self._settle(place, answer or timed_out(job), spent)

        probe = _module(job.target.method).probe
        keeping = (self.late,) if self.late is not None and job.target.method in KEPT else ()
        self._start(place, probe(job, addresses, deadline, *keeping), done)

    def _start(self, place: int, steps: Steps[Any], done: Done) -> None:
        """Begin what may answer a job."""
        task = self.loop.start(steps, self.began + self.jobs[place].timeout, done)
        if place not in self.answers:
            self.tasks.setdefault(place, []).append(task)

    def _settle(self, place: int, answer: Answer, spent: int = 0) -> None:
        """The first answer of a job holds; whatever else might give one is stopped, and its bytes are added."""
        held = self.answers.get(place)
        spent += answer.wire_bytes + (held.wire_bytes if held else 0)
        self.answers[place] = (held or answer)._replace(wire_bytes=spent)
        for task in self.tasks.pop(place, ()):
            self.loop.stop(task)

    def _listen(self) -> None:
        """Wait for replies to earlier requests, too."""
        for place, job in enumerate(self.jobs):
            if self.late is not None and job.target.method in KEPT and place not in self.answers:
                for asked in self.late.take(job):
                    self._listen_for(place, asked, self.late)

    def _listen_for(self, place: int, asked: Asked, late: Late) -> None:
        """Let an earlier request answer a job, if its reply is not too late; its own bytes were counted then."""
        job = self.jobs[place]

        def done(answer: Answer | None) -> None:
            if answer and answer.rtt_ms is not None and answer.rtt_ms <= late.patience * 1000:
                self._settle(place, answer._replace(wire_bytes=answer.wire_bytes - asked.counted))

        self._start(place, _module(job.target.method).listen(job, asked, self.began + job.timeout, late), done)

    def _ask_named(self, groups: Sequence[list[int]]) -> None:
        """Resolve each name once for all jobs of an uplink and family that want it; then begin those."""
        resolve = guarded(_resolver)
        if isinstance(resolve, Answer):  # its library is missing or broken
            self.answers.update((place, resolve) for places in groups for place in places)
            return
        names = resolve.Names(self.jobs, self.root)
        for places in groups:
            job = self.jobs[places[0]]
            deadline = self.began + job.timeout
            self.loop.start(names.find(job, deadline), deadline, partial(self._named, places))

    def _named(self, places: Sequence[int], found: Found | Answer | None) -> None:
        """Begin the jobs that waited for a name's addresses; without any, their answer is why there are none."""
        addresses: Sequence[str] = ()
        answer = found or timed_out(self.jobs[places[0]])
        if not isinstance(answer, Answer):
            addresses, answer = answer
        for place in places:
            spent = answer.wire_bytes if place == places[0] else 0
            if addresses:
                self._ask(place, addresses, spent)
            else:
                self.answers[place] = answer._replace(wire_bytes=spent)


class _Task:
    """A generator under way."""

    __slots__ = ("deadline", "done", "fd", "steps", "until")

    def __init__(self, steps: Steps[Any], deadline: float, done: Done) -> None:
        self.steps = steps
        self.deadline = deadline
        self.done = done
        self.fd = -1
        self.until = deadline


class Loop:
    """One poll over the sockets of all probes (see :mod:`mwan_hook.probes.bound` for what they yield)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._waiting: dict[int, _Task] = {}  # by file descriptor

    def start(self, steps: Steps[Any], deadline: float, done: Done) -> _Task:
        """Run to its first wait; ``done`` gets what it returns, None if it does not end at its deadline.

        Of a probe that raises it gets an :class:`Answer` that says so.
        """
        task = _Task(steps, deadline, done)
        self._resume(task, None)
        return task

    def stop(self, task: _Task) -> None:
        """Tell a probe that its time is over."""
        self._take(task, 0)

    def drain(self) -> None:
        """Return when all that was started is done."""
        while self._waiting:
            first = min(task.until for task in self._waiting.values())
            ready = self._poll.poll(max(0.0, (first - time.monotonic()) * 1000 + 1))
            for task, mask in [(self._waiting[fd], mask) for fd, mask in ready]:
                self._take(task, mask)
            now = time.monotonic()
            for task in [task for task in self._waiting.values() if task.until <= now]:
                self._take(task, 0)

    def close(self) -> None:
        """Give up what is still under way."""
        for task in self._waiting.values():
            task.steps.close()
        self._waiting.clear()

    def _take(self, task: _Task, mask: int) -> None:
        """Wake a probe if it waits; after its deadline with nothing but that."""
        if self._waiting.get(task.fd) is not task:
            return
        self._poll.unregister(task.fd)
        del self._waiting[task.fd]
        self._resume(task, 0 if time.monotonic() >= task.deadline else mask)

    def _resume(self, task: _Task, mask: int | None) -> None:
        try:
            # None is what a generator that has not begun must be sent.
            wait = guarded(task.steps.send, mask)
        except StopIteration as end:
            task.done(end.value)
            return
        if isinstance(wait, Answer):
            task.done(wait)
            return
        if mask == 0 and time.monotonic() >= task.deadline:
            task.steps.close()
            task.done(None)
            return
        task.fd, events, until = wait
        task.until = min(until, task.deadline)
        self._poll.register(task.fd, events)
        self._waiting[task.fd] = task
