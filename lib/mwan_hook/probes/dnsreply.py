"""The addresses that a DNS answer has for a name (RFC 1035), read in a time that its sender cannot choose.

dnspython takes a minute for 64 KiB of answers with long names (2.3.0 and 2.9.2: one CNAME set of 4,000 targets of 126
labels), in which no other probe goes on.  So it reads header and question, and names one at a time.
"""

from __future__ import annotations

import _socket
import struct

import dns.name

from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Family

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = 12  # bytes
MOST_RECORDS = 64  # that are read of an answer
MOST_ALIASES = 16  # that lead from a name to its addresses
CNAME = 5
ADDRESS = {Family.IPV4: (1, 4), Family.IPV6: (28, 16)}  # type A and AAAA, and the length of their data


class Record(NamedTuple):
    """One record: where its data stand."""

    owner: dns.name.Name
    kind: int
    begin: int
    end: int


def addresses(packet: bytes, name: dns.name.Name, family: Family) -> tuple[str, ...]:
    """Addresses of ``name``, by its aliases too.  Raises ValueError or DNSException for an answer that is broken."""
    aliases: dict[dns.name.Name, dns.name.Name] = {}
    found: dict[dns.name.Name, list[str]] = {}
    for one in _records(packet):
        if one.kind == CNAME:
            aliases.setdefault(one.owner, dns.name.from_wire(packet, one.begin)[0])
        elif (one.kind, one.end - one.begin) == ADDRESS[family]:
            found.setdefault(one.owner, []).append(_socket.inet_ntop(family.af, packet[one.begin : one.end]))
    for _ in range(MOST_ALIASES):
        if name in found or name not in aliases:
            break
        name = aliases[name]
    return tuple(found.get(name, ()))


def _records(packet: bytes) -> Iterator[Record]:
    """The first records of the answer."""
    questions, answers = struct.unpack_from("!HH", packet, 4)
    at = HEADER
    for _ in range(min(questions, 1)):
        at += dns.name.from_wire(packet, at)[1] + 4
    for _ in range(min(answers, MOST_RECORDS)):
        owner, length = dns.name.from_wire(packet, at)
        begin = at + length + 10
        if begin > len(packet):
            raise ValueError("it ends in the midst of a record")
        kind, _, _, size = struct.unpack_from("!HHIH", packet, begin - 10)
        at = begin + size
        if at > len(packet):
            raise ValueError("it ends in the midst of a record")
        yield Record(owner, kind, begin, at)
