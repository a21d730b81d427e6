"""Messages that set up an interface: addresses, up and down, MTU.  Runs that route send none of them."""

from __future__ import annotations

from _struct import pack

from mwan_hook.addresses import packed, split
from mwan_hook.kernel import frames, wire
from mwan_hook.model import Family

RTM_SETLINK, RTM_DELADDR = 19, 21
IFA_F_NODAD, IFA_F_NOPREFIXROUTE = 0x02, 0x200
IFLA_MTU = 4
IFF_UP = 1
_SCOPE_LINK = 253


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
