"""Asks every target at once, under one deadline that holds whatever the other side does."""

from __future__ import annotations

import select
import time

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Method, Result
from mwan_hook.probes.bound import Answer, literal, timed_out

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeAlias

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Steps

    Done: TypeAlias = Callable[[Any], None]


def run(jobs: Sequence[Job], *, root: str = "/") -> list[Result]:
    """Results in the order of the jobs, as soon as all have answered and at the latest when ``job.timeout`` is over.

    ``root`` is where systemd-resolved's socket and resolv.conf are looked for.  Raises MwanError without CAP_NET_RAW.
    """
    return _Run(jobs, root).results()


def _probe(method: Method) -> Callable[[Job, Sequence[str], float], Steps[Answer]]:
    """The function that probes by a method; its module is imported only when such a target is due."""
    if method is Method.ICMP:
        from mwan_hook.probes import icmp

        return icmp.probe
    if method is Method.TCP:
        from mwan_hook.probes import tcp

        return tcp.probe
    if method is Method.GATEWAY:
        from mwan_hook.probes import gateway

        return gateway.probe
    if method is Method.DNS:
        from mwan_hook.probes import dns

        return dns.probe
    from mwan_hook.probes import http

    return http.probe


class _Run:
    """The jobs of one call and what came of them."""

    def __init__(self, jobs: Sequence[Job], root: str) -> None:
        self.jobs = jobs
        self.root = root
        self.began = time.monotonic()
        self.answers: dict[int, Answer] = {}
        self.loop = Loop()

    def results(self) -> list[Result]:
        """Ask them all."""
        named: dict[tuple[str, int, str, float], list[int]] = {}
        known: list[int] = []
        for place, job in enumerate(self.jobs):
            _probe(job.target.method)  # no import between sending and receiving
            if job.target.method is Method.GATEWAY or literal(job.target.host, job.family):
                known.append(place)
            else:
                key = (job.uplink, job.family.af, job.target.host.lower(), job.timeout)
                named.setdefault(key, []).append(place)
        try:
            if named:
                self._ask_named(list(named.values()))
            for place in known:
                self._ask(place, (self.jobs[place].target.host,))
            self.loop.drain()
        finally:
            self.loop.close()
        return [Result(job, *self.answers[place]) for place, job in enumerate(self.jobs)]

    def _ask(self, place: int, addresses: Sequence[str], spent: int = 0) -> None:
        """Begin one probe; ``spent`` bytes went for its name."""
        job = self.jobs[place]

        def done(answer: Answer | None) -> None:
            answer = answer or timed_out(job)
            self.answers[place] = answer._replace(wire_bytes=answer.wire_bytes + spent) if spent else answer

        deadline = self.began + job.timeout
        self.loop.start(_probe(job.target.method)(job, addresses, deadline), deadline, done)

    def _ask_named(self, groups: Sequence[list[int]]) -> None:
        """Resolve each name once for all jobs of an uplink and family that want it; then begin those."""
        from mwan_hook.probes import resolve

        names = resolve.Names(self.jobs, self.root)

        def begin(places: list[int]) -> Done:
            def done(found: resolve.Found | None) -> None:
                found = found or resolve.Found((), timed_out(self.jobs[places[0]]))
                for place in places:
                    spent = found.answer.wire_bytes if place == places[0] else 0
                    if found.addresses:
                        self._ask(place, found.addresses, spent)
                    else:
                        self.answers[place] = found.answer._replace(wire_bytes=spent)

            return done

        for places in groups:
            job = self.jobs[places[0]]
            deadline = self.began + job.timeout
            self.loop.start(names.find(job, deadline), deadline, begin(places))


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

    def start(self, steps: Steps[Any], deadline: float, done: Done) -> None:
        """Run to its first wait; ``done`` gets what it returns, None if it does not end at its deadline."""
        self._resume(_Task(steps, deadline, done), None)

    def drain(self) -> None:
        """Return when all that was started is done."""
        while self._waiting:
            first = min(task.until for task in self._waiting.values())
            for fd, mask in self._poll.poll(max(0.0, (first - time.monotonic()) * 1000 + 1)):
                self._take(self._waiting[fd], mask)
            now = time.monotonic()
            for task in [task for task in self._waiting.values() if task.until <= now]:
                self._take(task, 0)

    def close(self) -> None:
        """Give up what is still under way."""
        for task in self._waiting.values():
            task.steps.close()
        self._waiting.clear()

    def _take(self, task: _Task, mask: int) -> None:
        """Wake a waiting probe; after its deadline with nothing but that."""
        self._poll.unregister(task.fd)
        del self._waiting[task.fd]
        self._resume(task, 0 if time.monotonic() >= task.deadline else mask)

    def _resume(self, task: _Task, mask: int | None) -> None:
        try:
            # None is what a generator that has not begun must be sent.
            fd, events, until = task.steps.send(mask)  # type: ignore[arg-type]
        except StopIteration as end:
            task.done(end.value)
            return
        if mask == 0 and time.monotonic() >= task.deadline:
            task.steps.close()
            task.done(None)
            return
        task.fd, task.until = fd, min(until, task.deadline)
        self._poll.register(fd, events)
        self._waiting[fd] = task
