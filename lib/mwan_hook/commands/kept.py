"""Connections of this machine to a destination, for ``trace``: which are kept, which are ended, and why."""

from __future__ import annotations

from collections.abc import Iterable

from mwan_hook.connections import foretold, spared
from mwan_hook.kernel import sockets
from mwan_hook.kernel.question import Question
from mwan_hook.light import NamedTuple
from mwan_hook.model import TCP, UDP, MwanError, Socket
from mwan_hook.run.own_sockets import Around
from mwan_hook.run.scene import Judged

SHOWN = 8  # lines; there may be thousands
_NAMES = {TCP: "tcp", UDP: "udp"}


class Foretold(NamedTuple):
    """One connection, and what becomes of it.  ``open``: it is there; else it is one that could be."""

    socket: Socket
    kept: bool
    why: str
    open: bool = True

    def document(self) -> dict[str, object]:
        """The same as JSON."""
        one = self.socket
        return {
            "open": self.open,
            "proto": _NAMES[one.protocol],
            "local": one.local,
            "sport": one.sport or None,
            "dport": one.dport or None,
            "kept": self.kept,
            "why": self.why,
        }


def connections(judged: Judged, asked: Question, source: str | None) -> list[Foretold]:
    """Open ones to the destination; without any, the one that a program would get from this source."""
    if asked.iif:
        return []
    try:
        found, names = list(sockets.everything()), judged.scene.snapshot.names
        around = Around(judged, spared.Surroundings(found, sockets.networks(), names), planned=False)
    except (MwanError, OSError):
        return []  # a kernel without sock_diag
    there = [one for one in found if one.peer == asked.destination and spared.has_peer(one)]
    if there or not source:
        return [_foretold(judged, around, one, is_open=True) for one in there]
    protocol = asked.proto if asked.proto in _NAMES else TCP
    made = Socket(asked.family.af, protocol, spared.ESTABLISHED, source, 0, asked.destination, asked.dport, asked.oif)
    return [_foretold(judged, around, made, is_open=False)]


def _foretold(judged: Judged, around: Around, one: Socket, is_open: bool) -> Foretold:
    by_itself = around.surroundings.kept(one)
    if by_itself:
        return Foretold(one, True, by_itself.why, is_open)
    seen = judged.scene
    told = foretold.foretold(one, seen.uplinks, judged.state, seen.config.router, seen.now)
    elsewhere = around.kept(one, told.left) if told.left else None
    return Foretold(one, True, elsewhere.why, is_open) if elsewhere else Foretold(one, told.kept, told.why, is_open)


def lines(found: Iterable[Foretold]) -> list[str]:
    """Lines for people."""
    every = [_line(one) for one in found]
    return [*every[:SHOWN], *([f"        and {len(every) - SHOWN} more"] if len(every) > SHOWN else [])]


def _line(one: Foretold) -> str:
    sock, fate = one.socket, f"kept: {one.why}" if one.kept else f"ended {one.why}"
    if not one.open:
        return f"socket: none is open; one from {sock.local} would be {fate}"
    return f"socket: {_NAMES[sock.protocol]} {sock.local} port {sock.sport} to port {sock.dport}: {fate}"
