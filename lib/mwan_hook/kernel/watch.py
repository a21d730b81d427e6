"""Sockets that hear of all that can change what a dump of one table tells, and of no other table.

A run fills the tables of its uplinks while it keeps what it has read of main, so it must not hear itself.
"""

from __future__ import annotations

from _socket import SOL_SOCKET
from _struct import pack
from array import array

from mwan_hook.kernel import netlink, wire
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

_ROUTES = {Family.IPV4: 0x40, Family.IPV6: netlink.RTMGRP_IPV6_ROUTE}
_BESIDE = 0x1 | 0x10 | 0x100 | 0x80000000  # links, addresses of both families, nexthop objects
_SO_ATTACH_FILTER = 26
_LOAD_WORD, _IF_EQUAL, _RETURN = 0x20, 0x15, 0x06  # of BPF, with offsets in a message
_FIRST_ATTRIBUTE, _ITS_VALUE = 28, 32
_HEAR, _DROP = 0xFFFFFFFF, 0


def beside() -> socket:
    """A socket that hears of what may take IPv4 routes along without a word (tests/netns/test_kernel_rereader.py).

    Devices, addresses and nexthop objects are that.
    """
    return netlink.connect(_BESIDE)


def table(family: Family, number: int) -> socket:
    """A socket that hears of changes of a table's routes of one family, as far as they are said."""
    sock = netlink.connect(_ROUTES[family])
    code = array("B", program(number))
    try:  # noqa: SIM105 - contextlib is dear
        sock.setsockopt(SOL_SOCKET, _SO_ATTACH_FILTER, pack("HP", len(code) // 8, code.buffer_info()[0]))
    except OSError:
        pass  # it hears of every table then, and what was read is read again
    return sock


def program(number: int) -> bytes:
    """What drops routes of every table but one.

    The kernel tells a route's table in its first attribute (tests/netns/test_kernel_messages.py).
    """
    steps = (
        (_LOAD_WORD, 0, 0, _FIRST_ATTRIBUTE),
        (_IF_EQUAL, 0, 2, _loaded(pack("=HH", 8, wire.RTA_TABLE))),
        (_LOAD_WORD, 0, 0, _ITS_VALUE),
        (_IF_EQUAL, 0, 1, _loaded(pack("=I", number))),
        (_RETURN, 0, 0, _HEAR),
        (_RETURN, 0, 0, _DROP),
    )
    return b"".join([pack("=HBBI", *step) for step in steps])


def _loaded(value: bytes) -> int:
    """A number of the machine's byte order as BPF loads it, which takes all for the network's."""
    return int.from_bytes(value, "big")
