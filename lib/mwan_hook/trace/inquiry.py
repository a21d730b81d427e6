"""Asking the kernel about one packet: what it holds of the question, and its own answer.  Needs no root."""

from __future__ import annotations

from _socket import inet_pton
from collections.abc import Iterable

from mwan_hook.kernel import dumps, frames, lookup, netlink, sysctl, wire
from mwan_hook.kernel.question import Question
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import partial
from mwan_hook.model import PROTOCOL, Family
from mwan_hook.trace import decode
from mwan_hook.trace.values import AnyRule, Device, KernelAnswer, KernelState, RouteEntry
from mwan_hook.trace.walk import back, local_tables, tables_needed

RTM_GETNEIGH = 30
RTM_F_FIB_MATCH = 0x2000


def ground(asked: Question) -> KernelState:
    """Rules, devices, and of each table that may be looked in the routes that cover the question."""
    host = asked.family.af == 10 and sysctl.read("net/ipv6/conf/all/forwarding") == "0"
    silent = _silent(asked) if host else frozenset()
    made = KernelState(rules(asked.family), {}, devices(asked), silent, host)
    return made._replace(tables=_tables(asked, made))


def rules(family: Family) -> tuple[AnyRule, ...]:
    """All rules, in the kernel's order."""
    return tuple(map(decode.rule, _messages(wire.RTM_GETRULE, bytes((family.af,)) + bytes(11))))


def wide(family: Family, table: int) -> tuple[RouteEntry, ...]:
    """Routes of a table that lead anywhere: defaults, and pieces of one such as 0.0.0.0/1."""
    found: dict[RouteEntry, None] = {}
    with Reader(PROTOCOL) as reader:
        for address in _ANYWHERE[family]:
            entries = _entries(reader, Question(family, address), table, [inet_pton(family.af, address)])
            found.update((entry, None) for entry in entries if entry.length <= _PIECE)
    return tuple(_resolved(Question(family, "::" if family.af == 10 else "0.0.0.0"), {table: tuple(found)})[table])


_ANYWHERE = {Family.IPV4: ("1.0.0.1", "200.0.0.1"), Family.IPV6: ("2600::1",)}
_PIECE = 3  # the longest prefix of IPv6's whole unicast space, 2000::/3


def has_nexthops(protocol: int) -> bool:
    """Whether the kernel holds nexthop objects that carry this number."""
    return any(message[18] == protocol for message in _messages(wire.RTM_GETNEXTHOP, bytes(8)))


def devices(asked: Question) -> dict[int, Device]:
    """Every interface; what only arriving packets meet is read of the one they arrive at."""
    found = dict(map(decode.device, _messages(wire.RTM_GETLINK, bytes(16))))
    if asked.iif in found and asked.family.af == 2:
        found[asked.iif] = _arriving(asked.iif, found[asked.iif])
    return decode.with_vrfs(found)


def _arriving(index: int, one: Device) -> Device:
    here, everywhere = (f"net/ipv4/conf/{name}/" for name in (one.name, "all"))

    def number(base: str, key: str) -> int:
        return int(sysctl.read(base + key) or 0)

    def larger(key: str) -> int:
        return max(number(here, key), number(everywhere, key))

    addressed = any(wire.address(message).index == index for message in _messages(wire.RTM_GETADDR, _AF_INET))
    return one._replace(
        forwarding=bool(number(here, "forwarding")),
        rp_filter=larger("rp_filter"),
        accept_local=bool(larger("accept_local")),
        src_valid_mark=bool(larger("src_valid_mark")),
        route_localnet=bool(larger("route_localnet")),
        addressed=addressed,
    )


_AF_INET = bytes((2,)) + bytes(7)


def _silent(asked: Question) -> frozenset[tuple[int, str]]:
    found = map(decode.silent, _messages(RTM_GETNEIGH, bytes((asked.family.af,)) + bytes(11)))
    return frozenset(one for one in found if one)


def _tables(asked: Question, known: KernelState) -> dict[int, tuple[RouteEntry, ...]]:
    """The way back is asked where the kernel checks the source."""
    questions, rules = [asked], known.rules
    if asked.iif and asked.source:
        questions += [back(asked, index) for index in (0, *known.devices)]
    else:  # a socket that connects asks again, with the source that the kernel chose
        rules += tuple(rule._replace(src=None, inverted=False) for rule in rules if rule.src)
    wanted = tables_needed(questions, rules, known) | local_tables(known)
    af = asked.family.af
    addresses = [inet_pton(af, text) for text in (asked.destination, asked.source) if text]
    with Reader(PROTOCOL) as reader:
        tables = {table: _entries(reader, asked, table, addresses) for table in wanted}
    return _resolved(asked, tables)


def _entries(reader: Reader, asked: Question, table: int, addresses: list[bytes]) -> tuple[RouteEntry, ...]:
    def use(buffers: Iterable[bytes]) -> tuple[RouteEntry, ...]:
        messages = (message for buffer in buffers for message in frames.messages(buffer))
        return tuple(map(decode.entry, decode.covering(messages, addresses)))

    return reader.routes(asked.family, table, use)


def _resolved(asked: Question, tables: dict[int, tuple[RouteEntry, ...]]) -> dict[int, tuple[RouteEntry, ...]]:
    if not any(_bare(entry) for entries in tables.values() for entry in entries):
        return tables
    version = "ipv4" if asked.family.af == 2 else "ipv6"
    names = dict(map(decode.device, _messages(wire.RTM_GETLINK, bytes(16))))
    key = "net/{}/conf/{}/ignore_routes_with_linkdown"
    ignoring = {
        index for index, one in names.items() if "1" in [sysctl.read(key.format(version, n)) for n in ("all", one.name)]
    }
    objects = decode.Objects(_messages(wire.RTM_GETNEXTHOP, bytes(8)), frozenset(ignoring))
    return {
        table: tuple(objects.resolved(entry) if _bare(entry) else entry for entry in entries)
        for table, entries in tables.items()
    }


def _bare(entry: RouteEntry) -> bool:
    return bool(entry.nhid) and not entry.legs


def _messages(kind: int, body: bytes) -> list[bytes]:
    """A whole dump, asked for again if changes ran into it."""
    return dumps.retry_interrupted(partial(_dumped, kind, body))


def _dumped(kind: int, body: bytes, _last: bool) -> list[bytes]:
    sock = netlink.connect()
    try:
        return dumps.split(netlink.dump(sock, kind, body))
    finally:
        sock.close()


def answer(asked: Question) -> KernelAnswer:
    """RTM_GETROUTE, twice: the way of one packet, and the route that it matches."""
    message, error, said = lookup.ask(asked, 0)
    if error:
        return KernelAnswer(error, said)
    kind = wire.KINDS.get(message[23], str(message[23]))
    whole, missing, _ = lookup.ask(asked, RTM_F_FIB_MATCH)
    entry = None if missing else decode.entry(whole)
    return KernelAnswer(0, "", entry, decode.leg(message), decode.source(message), kind)
