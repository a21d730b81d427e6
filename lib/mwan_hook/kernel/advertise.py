"""What this machine says on the LAN itself: that a prefix is deprecated, and that advertisements are wanted.

No advertiser of the system is touched.  A word of ours deprecates at once, also what an advertiser has forgotten;
what advertisers go on saying is corrected on its way out (:mod:`mwan_hook.firewall.advertised`).  When a prefix is good
again they are asked, as a host would ask them, and say themselves how long it is.
"""

from __future__ import annotations

from _socket import (
    AF_INET6,
    IPPROTO_IPV6,
    IPPROTO_RAW,
    IPV6_MULTICAST_IF,
    IPV6_MULTICAST_LOOP,
    SOCK_CLOEXEC,
    SOCK_RAW,
    SOL_SOCKET,
    inet_ntop,
    socket,
)
from _struct import pack, unpack

from mwan_hook.addresses import packed, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.model import OnLink

# An address of no router: from that of one of the LAN, a router lifetime of 0 would end that router's service.
SENDER = packed("fe80::6d77:616e")
ROUTERS, HOSTS = packed("ff02::2"), packed("ff02::1")
COPIES = 2  # of what is said: multicast gets lost in the air
_SOLICITATION, _ADVERTISEMENT, _ICMPV6 = 133, 134, 58
_PREFIX_INFORMATION, _AUTONOMOUS = 3, 0x40
_SO_BINDTOIFINDEX = 62


def deprecate(lans: Iterable[OnLink]) -> None:
    """Tell hosts to use addresses of these networks for nothing new.

    Lifetime 0 leaves an address valid as long as it was, two hours at most (RFC 4862, 5.5.3); without the flag L the
    route to the network is left alone.
    """
    for index, prefixes in _by_index(lans).items():
        message = bytes((_ADVERTISEMENT, 0, 0, 0, 0, 0)) + bytes(10)
        for prefix in prefixes:
            address, length = split(prefix)
            option = pack("!BBBBIII", _PREFIX_INFORMATION, 4, length, _AUTONOMOUS, 0, 0, 0)
            message += option + packed(address)
        for _ in range(COPIES):
            _send(index, SENDER, HOSTS, message)


def solicit(lans: Iterable[OnLink]) -> None:
    """Ask advertisers, those of this machine too: what goes to all routers comes back to them."""
    for index in _by_index(lans):
        for _ in range(COPIES):
            _send(index, bytes(16), ROUTERS, bytes((_SOLICITATION, 0, 0, 0, 0, 0, 0, 0)))


def _by_index(lans: Iterable[OnLink]) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for lan in lans:
        found.setdefault(lan.index, []).append(lan.prefix)
    return found


def _send(index: int, source: bytes, target: bytes, message: bytes) -> None:
    """Send to a LAN; an interface that is gone or down is passed over."""
    summed = message[:2] + pack("!H", _checksum(source, target, message)) + message[4:]
    packet = pack("!IHBB", 6 << 28, len(summed), _ICMPV6, 255) + source + target + summed
    try:
        with_header = socket(AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)
    except OSError:
        return
    try:
        with_header.setsockopt(SOL_SOCKET, _SO_BINDTOIFINDEX, index)
        with_header.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_IF, index)
        # Advertisers of this machine would complain that they disagree.
        with_header.setsockopt(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, int(target == ROUTERS))
        with_header.sendto(packet, (inet_ntop(AF_INET6, target), 0, 0, index))
    except OSError:
        pass
    finally:
        with_header.close()


def _checksum(source: bytes, target: bytes, message: bytes) -> int:
    covered = source + target + pack("!II", len(message), _ICMPV6) + message
    total: int = sum(unpack(f"!{len(covered) // 2}H", covered))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
