"""Runs in a namespace, under the interpreter that a test chooses: one call on standard input, its answer on output."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from _socket import SO_RCVBUF, SOL_SOCKET, socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from mwan_hook.kernel import bulk, copywords, netlink, watch, write
from mwan_hook.kernel.copies import CanonicalRoutes, Copier, collect
from mwan_hook.kernel.dumps import request
from mwan_hook.kernel.reader import Reader
from mwan_hook.kernel.rereader import Rereader
from mwan_hook.model import DEFAULT, MAIN_TABLE, PROTOCOL, Change, Copies, CopyRoutes, Family, Op, Route
from mwan_hook.routing import words


def apply(changes: Sequence[Change]) -> list[str]:
    """Make changes."""
    return write.apply(changes)


def read(method: str, *words_: Any) -> Any:
    """One question to a reader."""
    with Reader(PROTOCOL) as reader:
        return getattr(reader, method)(*words_)


def pieces(family: Family) -> tuple[Route, ...]:
    """Main's defaults in pieces, as the search for its defaults meets them."""
    with Reader(PROTOCOL) as reader:
        reader.defaults_of_main(family)
        return reader.pieces_of_main(family)


def compare(mode: CopyRoutes, family: Family, table: int, index: int) -> Copies:
    """What a table lacks."""
    with Reader(PROTOCOL) as reader:
        return Copier(reader, mode).compare(family, table, index, ())


def changes_of(found: Copies) -> list[Change]:
    """As a plan would have them; a default in the table is not a copy, so it stays."""
    put = [Change(Op.ADD, raw, found.table, found.family) for raw in found.add]
    put += [Change(Op.REPLACE, raw, found.table, found.family) for raw in found.replace]
    return put + [Change(Op.DELETE, route, found.table, found.family) for route in found.extra if route.dst != DEFAULT]


def settle(mode: CopyRoutes, family: Family, table: int, index: int) -> tuple[list[str], Copies]:
    """Make a table right; errors, and what is still to do."""
    errors = write.apply(changes_of(compare(mode, family, table, index)))
    return errors, compare(mode, family, table, index)


def reread(family: Family, table: int, turns: Sequence[Sequence[str]]) -> list[tuple[bool, bool, int, int]]:
    """After each turn of lines for ip(8) a look of one reader.

    What it tells: whether the table and main's defaults were taken as they had been read before, and how many routes
    and defaults there are.
    """
    reader, told = Rereader(PROTOCOL), []
    before: tuple[object, object] = (None, None)
    for turn in turns:
        subprocess.run(["ip", family.flag, "-batch", "-"], input="\n".join(turn) + "\n", text=True, check=True)
        with reader:
            defaults = reader.defaults_of_main(family, reader.links())
            routes = reader.whole(family, table, _all_kinds)
        told.append((routes is before[0], defaults is before[1], sum(map(len, routes)), len(defaults)))
        before = routes, defaults
    return told


def _all_kinds(buffers: Iterable[bytes]) -> CanonicalRoutes:
    return collect(buffers, PROTOCOL, oif=0, defaults=True, disguised=0)


def stale(family: Family, table: int, turns: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """The turns of lines for ip(8) after which one reader tells of a table otherwise than another that reads it.

    The kernel goes on for a moment after some of them, between one reader's dump and the other's.
    """
    reader, found = Rereader(PROTOCOL), []
    for turn in turns:
        subprocess.run(["ip", "-batch", "-"], input="\n".join(turn) + "\n", text=True, check=True)
        for patience in (0, 0.02, 0.05, 0.1):
            time.sleep(patience)
            with reader, Reader(PROTOCOL) as fresh:
                told, right = (_told(one, family, table) for one in (reader, fresh))
            if told == right:
                break
        else:
            found.append(turn)
    return found


def _told(reader: Reader, family: Family, table: int) -> tuple[object, ...]:
    links = reader.links()
    defaults = reader.defaults_of_main(family, links)
    hosts = [reader.hosts_of_main(family, link.index) for link in links]
    return defaults, hosts, reader.whole(family, table, _all_kinds)


def changed_while_read(family: Family, table: int, line: str) -> list[int]:
    """How many routes one reader finds in a table, and then, where ip(8) had its turn right after it was read."""
    reader = Rereader(PROTOCOL)
    found: list[int] = []

    def use(buffers: Iterable[bytes]) -> CanonicalRoutes:
        read = _all_kinds(buffers)
        subprocess.run(["ip", *line.split()], check=not found)
        return read

    for _ in range(2):
        with reader:
            found.append(sum(map(len, reader.whole(family, table, use))))
    return found


def beside_defaults(turn: Sequence[str], between: str = "") -> tuple[list[object], list[object], int, int]:
    """What a reader of all of main and another tell of its IPv6 routes beside the copies, after lines for ip(8).

    Then how many routes the first one finds to copy, where one more line is done before, and how often it read main.
    """
    subprocess.run(["ip", "-6", "-batch", "-"], input="\n".join(turn) + "\n", text=True, check=True)
    reader, whole = Rereader(PROTOCOL), request(Family.IPV6, MAIN_TABLE)
    asked: list[bytes] = []
    read = reader._read

    def noting(sock: socket, kind: int, body: bytes, watch: socket | None = None) -> Iterator[bytes]:
        asked.append(body)
        return read(sock, kind, body, watch)

    reader._read = noting  # type: ignore[method-assign]
    with reader, Reader(PROTOCOL) as other:
        told, right = (_beside_defaults(one) for one in (reader, other))
        if between:
            subprocess.run(["ip", "-6", *between.split()], check=True)
        routes = reader.whole(Family.IPV6, MAIN_TABLE, _all_kinds)
    return told, right, sum(map(len, routes)), asked.count(whole)


def _beside_defaults(reader: Reader) -> list[object]:
    found = [reader.defaults_of_main(Family.IPV6, reader.links()), reader.pieces_of_main(Family.IPV6)]
    found += [reader.claims(Family.IPV6), reader.brought(Family.IPV6)]
    return [*map(set, found), set(reader.blocked()), set(reader.networks())]


def strewn(family: Family, turns: Sequence[tuple[Sequence[str], Sequence[int]]]) -> list[list[int]]:
    """After each turn of lines for ip(8) the tables, but for those known, in which one reader finds routes of ours."""
    reader, told = Rereader(PROTOCOL), []
    for turn, known in turns:
        subprocess.run(["ip", family.flag, "-batch", "-"], input="\n".join(turn) + "\n", text=True, check=True)
        with reader:
            told.append(sorted({route.table for route in reader.ours_anywhere(family, but=known)}))
    return told


def lines(changes: Sequence[Change]) -> list[str]:
    """Changes in words."""
    with Reader(PROTOCOL) as reader:
        names = {link.index: link.name for link in reader.links()}
    return [words.line(change, names, copywords.describe) for change in changes]


def send(messages: Sequence[bytes]) -> dict[int, tuple[int, str]]:
    """Raw messages."""
    return bulk.send(messages)


def send_cramped(messages: Sequence[bytes], size: int, room: int) -> dict[int, tuple[int, str]]:
    """The same by a socket that holds few answers, as where net.core.rmem_max is small, until room is made for them."""
    connect = netlink.connect

    def small(groups: int = 0, protocol: int = netlink.NETLINK_ROUTE) -> socket:
        sock = connect(groups, protocol)
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, size)
        return sock

    netlink.connect, bulk.ROOM = small, room
    return bulk.send(messages)


def unfiltered(family: Family, table: int, turns: Sequence[Sequence[str]]) -> list[tuple[bool, bool, int, int]]:
    """What :func:`reread` tells where the kernel takes no filter."""
    watch.program = lambda number: bytes(8)
    return reread(family, table, turns)


def version() -> str:
    """Which pyroute2 this is."""
    from importlib.metadata import version as of

    return of("pyroute2")


CALLS: dict[str, Callable[..., Any]] = {
    call.__name__: call
    for call in (
        apply,
        read,
        pieces,
        compare,
        settle,
        reread,
        unfiltered,
        stale,
        changed_while_read,
        beside_defaults,
        strewn,
        lines,
        send,
        send_cramped,
        version,
    )
}
PATCHING = (send_cramped.__name__, unfiltered.__name__)  # they change the program


def main() -> None:
    """See the module's words."""
    name, arguments = pickle.load(sys.stdin.buffer)
    answer = pickle.dumps(CALLS[name](*arguments))
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
