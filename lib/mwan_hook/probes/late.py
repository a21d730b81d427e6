"""Requests of earlier rounds that were not answered in time, and may be yet.

A line whose queue fills (its round trip leaps from 20 ms to 1 s) answers every request, only later than a round of a
burst waits.  The sockets stay open, so that such an answer counts in the next round.
"""

from __future__ import annotations

import time

from mwan_hook.light import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import TypeAlias

    from mwan_hook.model import Family, Job
    from mwan_hook.probes.bound import Bound

    Key: TypeAlias = tuple[str, Family, str, int, str]

PATIENCE = 3.0  # seconds
PER_TARGET = 12
IN_ALL = 256


class Asked(NamedTuple):
    """A request that went out: its socket, when (``time.monotonic()``), by what its reply is known, and the bytes that
    its own round has counted."""

    sock: Bound
    sent: float
    token: bytes = b""
    counted: int = 0


class Late:
    """What is still waited for.  ``patience``: seconds from request to reply, beyond which a reply does not count."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self.patience = patience
        self._asked: dict[Key, list[Asked]] = {}

    def keep(self, job: Job, asked: Asked) -> None:
        """Keep a request and its socket, which its owner may close: it is moved."""
        asked = asked._replace(sock=asked.sock.moved())
        self._expire()
        if sum(map(len, self._asked.values())) >= IN_ALL:
            asked.sock.close()
            return
        kept = self._asked.setdefault(_key(job), [])
        kept.append(asked)
        if len(kept) > PER_TARGET:
            kept.pop(0).sock.close()

    def take(self, job: Job) -> list[Asked]:
        """Hand out all that was asked of the same target by the same way; the caller closes or keeps them."""
        if not self._asked:
            return []
        self._expire()
        return self._asked.pop(_key(job), [])

    def close(self) -> None:
        """Give up everything."""
        for kept in self._asked.values():
            for asked in kept:
                asked.sock.close()
        self._asked.clear()

    def _expire(self) -> None:
        """Close what is too old; not yet what may have been answered while nobody looked."""
        oldest = time.monotonic() - 2 * self.patience
        for key, kept in list(self._asked.items()):
            for asked in kept:
                if asked.sent < oldest:
                    asked.sock.close()
            self._asked[key] = fresh = [asked for asked in kept if asked.sent >= oldest]
            if not fresh:
                del self._asked[key]


def _key(job: Job) -> Key:
    return job.uplink, job.family, job.target.text, job.index, job.source
