"""Setting up an interface: addresses, up and down, MTU.  And taking a link down and up, and back what others had there.

With a link that goes down the kernel drops its IPv6 addresses and every route through it (IPv4 addresses stay;
tests/netns/test_repair.py).  Ours are laid again by the next run, and what leases and advertisements brought comes by
itself; the rest is read before and put back after.  Runs that route do none of it.
"""

from __future__ import annotations

import time
from _struct import pack, unpack_from
from errno import EEXIST

from mwan_hook.addresses import packed, split
from mwan_hook.kernel import bulk, frames, wire
from mwan_hook.kernel.canonical import OF_A_HOP
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import PROTOCOL, Family, MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

RTM_SETLINK, RTM_DELADDR = 19, 21
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
IFLA_MTU = 4
IFF_UP = 1
_SCOPE_LINK = 253
PATIENCE = 15.0  # seconds in which the gateways of routes are there again
SETTLED = 2.0  # seconds for which it has to stay: who has a lease there takes the address away when the carrier goes, a
# moment after it is back, and with its last IPv4 address a link loses all IPv4 routes (tests/netns/test_repair.py)
STEP = 0.25
BY_ITSELF = frozenset((1, 2, 9, 16))  # protocols of what comes back: redirects, the kernel's own, RA, DHCP
_PERMANENT, _KEPT = 0x80, 0x02 | 0x10 | 0x200  # IFA_F_*: nodad, homeaddress and noprefixroute are the operator's
_LINK = 253  # scope
_PROTOCOL = 21  # offset of rtm_protocol in a message


def address(index: int, prefix: str, add: bool) -> bytes:
    """Add ``ADDRESS/LENGTH`` without a route to its network, or delete it; add one that is there: EEXIST.

    A link-local IPv6 address keeps its route: neighbours and routers are spoken to by it.
    """
    text, length = split(prefix)
    family, value = Family.of(text), packed(text)
    local = family is Family.IPV6 and value[0] == 0xFE and value[1] & 0xC0 == 0x80
    flags = (0 if local else IFA_F_NOPREFIXROUTE) | (IFA_F_NODAD if family is Family.IPV6 else 0)
    body = pack("=BBBBI", family.af, length, 0, _SCOPE_LINK if local else 0, index)
    body += frames.attribute(wire.IFA_LOCAL, value) + frames.attribute(wire.IFA_ADDRESS, value)
    if not add:
        return frames.request(RTM_DELADDR, 0, body)
    body += frames.number(wire.IFA_FLAGS, flags)
    return frames.request(wire.RTM_NEWADDR, wire.NLM_F_CREATE | wire.NLM_F_EXCL, body)


def switched(index: int, up: bool) -> bytes:
    """Set an interface up or down."""
    return frames.request(RTM_SETLINK, 0, pack("=BBHiII", 0, 0, 0, index, IFF_UP if up else 0, IFF_UP))


def resized(index: int, mtu: int) -> bytes:
    """Set an interface's MTU."""
    return frames.request(RTM_SETLINK, 0, pack("=BBHiII", 0, 0, 0, index, 0, 0) + frames.number(IFLA_MTU, mtu))


def foreign(index: int, ours: Iterable[int]) -> tuple[bytes, ...]:
    """Messages that put back what others have on a link; ``ours``: protocols of routes that the next run lays."""
    left = BY_ITSELF | {*ours}
    with Reader(PROTOCOL) as reader:
        families = reader.families()
        there = [m for family in families for m in reader.unicast(family, 0, index, _whole)]
        addresses = reader.addresses_of(Family.IPV6, index) if Family.IPV6 in families else []
    routes = [_route(message) for message in there if message[_PROTOCOL] not in left and not _stays(message, index)]
    return (*filter(None, map(_address, addresses)), *routes)


def bounce(index: int) -> None:
    """Set the link down and up: one send(2), so that no kill comes in between.  Raises MwanError."""
    refused = bulk.send((switched(index, up=False), switched(index, up=True)))
    if refused:
        raise MwanError(f"the kernel refuses: {next(iter(refused.values()))[1] or 'the link cannot be set'}")


def put_back(messages: Sequence[bytes]) -> int:
    """Put back what is missing until all of it stays; how many cannot be put back within PATIENCE."""
    now = time.monotonic()
    until, calm = now + PATIENCE, now
    left = len(messages)
    while messages:
        refused = bulk.send(messages)
        left = sum(code != EEXIST for code, _ in refused.values())
        now = time.monotonic()
        calm = now + SETTLED if left or len(refused) < len(messages) else calm
        if now >= min(calm, until):
            break
        time.sleep(STEP)
    return left


def _whole(buffers: Iterable[bytes]) -> list[bytes]:
    return [message for buffer in buffers for message in frames.split(frames.checked(buffer))]


def _stays(message: bytes, index: int) -> bool:
    """Whether a route has a leg through another link: the kernel keeps it, and its other legs come to life again."""
    legs = wire.legs(wire.attributes(message, 28).get(wire.RTA_MULTIPATH, b""))
    return any(leg[2] != index for leg in legs)


def _route(message: bytes) -> bytes:
    """RTM_NEWROUTE of the same, its legs in their order; appended, so that what exists is equal."""
    found = list(wire.each_attribute(message, 28))
    by_object = any(kind == wire.RTA_NH_ID for kind, _ in found)
    left = {wire.RTA_CACHEINFO, *(OF_A_HOP if by_object else ())}
    body = message[16:24] + bytes((message[24] & wire.RTNH_F_ONLINK,)) + bytes(3)
    for kind, value in found:
        if kind == wire.RTA_MULTIPATH:
            legs = [frames.leg(leg[0] & wire.RTNH_F_ONLINK, *leg[1:]) for leg in wire.legs(value)]
            body += frames.attribute(kind, b"".join(legs))
        elif kind not in left:
            body += frames.attribute(kind, value)
    return frames.request(wire.RTM_NEWROUTE, wire.NLM_F_CREATE | wire.NLM_F_APPEND, body)


def _address(message: bytes) -> bytes:
    """RTM_NEWADDR of a permanent address that is not link-local; empty for another."""
    family, length, flags, scope, index = unpack_from("=BBBBI", message, 16)
    found = wire.attributes(message, 24)
    flags = int.from_bytes(found.get(wire.IFA_FLAGS, bytes((flags,))), "little")
    if not flags & _PERMANENT or scope >= _LINK:
        return b""
    body = pack("=BBBBI", family, length, 0, scope, index)
    given = [frames.attribute(kind, found[kind]) for kind in (wire.IFA_ADDRESS, wire.IFA_LOCAL) if kind in found]
    body += b"".join(given) + frames.number(wire.IFA_FLAGS, flags & _KEPT)
    return frames.request(wire.RTM_NEWADDR, wire.NLM_F_CREATE | wire.NLM_F_EXCL, body)
