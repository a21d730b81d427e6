"""How many forwarded connections carry a mark, by the kernel (linux/netfilter/nfnetlink_conntrack.h).

Without pyroute2, which takes a second for some thousand entries; the kernel leaves out other marks by itself
(nf_conntrack_netlink.c).
"""

from __future__ import annotations

from _socket import inet_ntop
from _struct import pack

from mwan_hook.kernel import frames, netlink, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

MOST = 10000  # counted of a mark
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL_INFO, _MARK, _MARK_MASK = 1, 2, 3, 4, 8, 21
_IP, _PROTOCOL = 1, 2  # CTA_TUPLE_*
_SOURCES = {1: 2, 3: 10}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC: address family
_NUMBER, _TCP, _TCP_STATE = 1, 1, 1
_SEEN_REPLY = 1 << 1
_ICMP = (1, 58)
_ENDED = (7, 8)  # TCP_CONNTRACK_TIME_WAIT and TCP_CONNTRACK_CLOSE
_ATTRIBUTES = 20  # behind the headers of netlink and netfilter


def forwarded(marks: Iterable[int], mask: int, local: Collection[str]) -> int:
    """Connections with one of these marks that were answered and have not ended, and no end of which is ``local``.

    At most MOST of a mark.  Raises MwanError or OSError.
    """
    return sum(_forwarded(mark, mask, local) for mark in dict.fromkeys(marks))


def _forwarded(mark: int, mask: int, local: Collection[str]) -> int:
    count = 0
    body = bytes(4) + frames.attribute(_MARK, pack(">I", mark)) + frames.attribute(_MARK_MASK, pack(">I", mask))
    with netlink.connect(protocol=netlink.NETLINK_NETFILTER) as sock:
        for buffer in netlink.dump(sock, _GET, body):
            count += sum(_counts(message, mark, mask, local) for message in frames.split(buffer))
            if count >= MOST:
                break
    return min(count, MOST)


def _counts(message: bytes, mark: int, mask: int, local: Collection[str]) -> bool:
    found = wire.attributes(message, _ATTRIBUTES)
    if int.from_bytes(found.get(_MARK, b""), "big") & mask != mark:
        return False
    if not int.from_bytes(found.get(_STATUS, b""), "big") & _SEEN_REPLY or _has_ended(found.get(_PROTOCOL_INFO, b"")):
        return False
    there, back = _half(found.get(_ORIGINAL, b"")), _half(found.get(_REPLY, b""))
    number = wire.attributes(there.get(_PROTOCOL, b""), 0).get(_NUMBER, b"\0")[0]
    ends = {_source(there.get(_IP, b"")), _source(back.get(_IP, b""))}
    return number not in _ICMP and ends.isdisjoint(local)


def _half(value: bytes) -> dict[int, bytes]:
    return wire.attributes(value, 0)


def _has_ended(info: bytes) -> bool:
    tcp = wire.attributes(wire.attributes(info, 0).get(_TCP, b""), 0)
    return tcp.get(_TCP_STATE, b"\0")[0] in _ENDED


def _source(addresses: bytes) -> str:
    """The address that packets of a direction come from, as text."""
    found = wire.attributes(addresses, 0)
    return next((inet_ntop(af, found[kind]) for kind, af in _SOURCES.items() if kind in found), "")
