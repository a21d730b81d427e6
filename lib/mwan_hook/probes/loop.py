"""One poll over the sockets of all probes, their deadlines, and what is still waited for when a round is over.

A deadline begins when a probe's first packet has left.  It is the line's alone: while this process was not run (a
loaded machine, a limit of its control group, SIGSTOP) it stands still, and what has arrived is read before any probe
is given up.
"""

from __future__ import annotations

import select
import time

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.probes.bound import NEVER, Exchange, ProbeAnswer, guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeAlias

    from mwan_hook.model import Family, Job
    from mwan_hook.probes.bound import Steps

    Key: TypeAlias = tuple[str, Family, str, int, str]
    Done: TypeAlias = Callable[[Any], None]

PATIENCE = 3.0  # seconds
PER_TARGET = 12
IN_ALL = 256
SLICE = 0.1  # seconds of one wait: what it takes longer this process was not run
FORGIVEN = 0.02  # of it
STARVED = 10.0  # seconds that a deadline may be moved in all
READS = 64  # packets that are read after a deadline
GRACE = 0.5  # seconds after a deadline for a thread to read what has arrived


class Task:
    """A probe under way, or the search for a name's addresses."""

    __slots__ = (
        *("counted", "done", "events", "exchange", "fd", "lost", "over"),
        *("resumed", "started", "steps", "timeout", "until"),
    )

    done: Done  # gets what the steps return, or an answer that says what they have raised
    over: Callable[[], None]  # called at the deadline
    timeout: float
    lost: float

    def __init__(self, steps: Steps[Any], exchange: Exchange) -> None:
        self.steps = steps
        self.exchange = exchange
        self.started = time.monotonic()
        self.counted = 0  # bytes that earlier rounds have counted
        self.resumed: float | None = None  # when a later round went on with it
        self.fd, self.events, self.until = -1, 0, NEVER

    @property
    def sent(self) -> float:
        """When its first packet left, or when it was begun if none has."""
        return self.started if self.exchange.sent is None else self.exchange.sent

    @property
    def since(self) -> float | None:
        """When its deadline began: in a later round anew; None: no packet has left yet."""
        return self.exchange.sent if self.resumed is None else self.resumed

    def news(self) -> int:
        """Bytes since they were counted last; they are now."""
        before, self.counted = self.counted, self.exchange.total()
        return self.counted - before


def _none() -> None:
    pass


class Loop:
    """A loop of probes (see :mod:`mwan_hook.probes.bound` for what they yield)."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._waiting: dict[int, Task] = {}  # by file descriptor
        self._lost = 0.0  # seconds that this process was not run

    def start(self, task: Task, done: Done, timeout: float = NEVER, over: Callable[[], None] = _none) -> None:
        """Run a probe to its first wait; or go on with one that waits already.

        ``over`` is called ``timeout`` seconds after its first packet has left, if it has not ended then.
        """
        task.done, task.over, task.timeout, task.lost = done, over, timeout, self._lost
        if task.fd < 0:
            self._resume(task, None)
        else:
            task.resumed = time.monotonic()
            self._wait(task)

    def since(self, task: Task) -> float | None:
        """When its deadline began, as if this process had been run all the time; None: no packet has left yet."""
        return None if task.since is None else task.since + self._lost - task.lost

    def leave(self, task: Task) -> bool:
        """Wait for it no longer; False if it was not waited for."""
        if self._waiting.get(task.fd) is not task:
            return False
        self._poll.unregister(task.fd)
        del self._waiting[task.fd]
        return True

    def drain(self) -> None:
        """Return when nothing is waited for."""
        while self._waiting:
            began = time.monotonic()
            wait = max(0.0, min(SLICE, min(map(self._wakes, self._waiting.values())) - began))
            ready = self._poll.poll(wait * 1000 + 1)
            late = time.monotonic() - began - wait
            if late > FORGIVEN:
                self._lost = min(STARVED, self._lost + late)
            for fd, mask in ready:
                self._go_on(self._waiting.get(fd), mask)
            now = time.monotonic()
            for task in list(self._waiting.values()):
                if task.until <= now:
                    self._go_on(task, 0)
                elif self._deadline(task) <= now:
                    self._expire(task, now)

    def close(self) -> None:
        """Give up what is still under way."""
        for task in self._waiting.values():
            task.steps.close()
        self._waiting.clear()

    def _deadline(self, task: Task) -> float:
        since = self.since(task)
        return task.timeout + (task.started + STARVED if since is None else since)

    def _wakes(self, task: Task) -> float:
        return min(task.until, self._deadline(task))

    def _expire(self, task: Task, now: float) -> None:
        """Read what has arrived; then its time is over."""
        busy = task.exchange.busy
        if busy and now < self._deadline(task) + GRACE and busy():
            return
        one = select.poll()
        for _ in range(READS):
            one.register(task.fd, task.events)
            ready = one.poll(0)
            if not ready:
                break
            one.unregister(task.fd)
            self._go_on(task, ready[0][1])
            if self._waiting.get(task.fd) is not task:
                return
        task.over()

    def _go_on(self, task: Task | None, mask: int) -> None:
        """Wake a probe if it waits."""
        if task is not None and self.leave(task):
            self._resume(task, mask)

    def _resume(self, task: Task, mask: int | None) -> None:
        try:
            # None is what a generator that has not begun must be sent.
            wait = guarded(task.steps.send, mask)
        except StopIteration as end:
            task.done(end.value)
            return
        if isinstance(wait, ProbeAnswer):
            task.done(wait)
            return
        task.fd, task.events, task.until = wait
        self._wait(task)

    def _wait(self, task: Task) -> None:
        self._poll.register(task.fd, task.events)
        self._waiting[task.fd] = task


class Late:
    """Probes of earlier rounds that were not answered in time, and may be yet.

    A line whose queue fills (its round trip leaps from 20 ms to 1 s) answers every request, only later than a round of
    a burst waits.  Such an answer counts in the next round.  ``patience``: seconds from request to reply, beyond which
    a reply does not count.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._kept: dict[Key, list[Task]] = {}

    def keep(self, key: Key, task: Task) -> None:
        """Keep a probe that waits."""
        self._expire()
        if sum(map(len, self._kept.values())) >= IN_ALL:
            task.steps.close()
            return
        kept = self._kept.setdefault(key, [])
        kept.append(task)
        if len(kept) > PER_TARGET:
            kept.pop(0).steps.close()

    def take(self, key: Key) -> list[Task]:
        """Hand out what was kept under a key."""
        if not self._kept:
            return []
        self._expire()
        return self._kept.pop(key, [])

    def close(self) -> None:
        """Give up everything."""
        for kept in self._kept.values():
            for task in kept:
                task.steps.close()
        self._kept.clear()

    def _expire(self) -> None:
        """Close what is too old; not yet what may have been answered since the last look."""
        oldest = time.monotonic() - 2 * self.patience
        for key, kept in list(self._kept.items()):
            for task in kept:
                if task.sent < oldest:
                    task.steps.close()
            self._kept[key] = fresh = [task for task in kept if task.sent >= oldest]
            if not fresh:
                del self._kept[key]


def target_key(job: Job) -> Key:
    """What was asked, and by which way."""
    return job.uplink, job.family, job.target.text, job.index, job.source


def name_key(job: Job) -> Key:
    """The name that was asked for, and by which way."""
    return job.uplink, job.family, f" {job.target.host.lower()}", job.index, job.source
