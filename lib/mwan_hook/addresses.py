"""Arithmetic of addresses and prefixes, and which of its addresses an uplink sends from: nowhere else is either."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from mwan_hook.light import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import Address, Route

GLOBAL = ("2", "3")  # how IPv6 addresses of the internet begin; others (ULA) are understood nearby only
VIA_IPV6 = "inet6 "  # before an IPv6 gateway of an IPv4 route, as ip(8) writes it
LOCAL_USE = ("fc", "fd")  # how ULAs begin
LINK_LOCAL = ("fe8", "fe9", "fea", "feb")  # and addresses of a link, of IPv6


def preferred(addresses: Sequence[Address], default: Route | None) -> tuple[Address, ...]:
    """The same addresses, the one to send from first.

    The default's own source; else what is not deprecated, of IPv6 global before ULA and lasting before temporary (RFC
    8981), then what is in the gateway's network, then what the kernel lists first.  Unusable ones keep out of the way.
    """
    if sum(one.usable for one in addresses) < 2:
        return tuple(addresses)
    gateway = default.nexthops[0].gateway if default and default.nexthops else None
    return tuple(sorted(addresses, key=partial(_rank, default.src if default else None, gateway)))


def elsewhere(source: str | None, own: Iterable[Address], everywhere: Iterable[Address]) -> str:
    """The default's own source where another interface has it (a loopback, a LAN); empty where the uplink has it."""
    if source is None or any(one.address == source for one in own):
        return ""
    return source if any(one.usable and one.address == source for one in everywhere) else ""


def _rank(source: str | None, gateway: str | None, one: Address) -> tuple[bool, ...]:
    return (
        not one.usable,
        one.address != source,
        one.deprecated,
        not is_global(one.address),
        one.temporary,
        gateway is None or not holds(one, gateway),
    )


def is_global(address: str) -> bool:
    """Whether the internet can answer it, as far as its looks say."""
    return ":" not in address or address.startswith(GLOBAL)


def holds(one: Address, gateway: str) -> bool:
    """Whether a gateway is in an address's network."""
    if (":" in gateway) is not (":" in one.address) or gateway.startswith(VIA_IPV6):
        return False
    return leading(one.address, one.prefixlen) == leading(gateway, one.prefixlen)


def network_of(addresses: Sequence[Address]) -> str:
    """The IPv6 network of the address to send from; where that is a host's (DHCPv6), of the next one of its kind."""

    usable = [one for one in addresses if one.usable]
    for one in usable:
        if one.prefixlen <= 64 and is_global(one.address) is is_global(usable[0].address):
            return network(one.address, one.prefixlen)
    return ""


def near(gateway: str) -> bool:
    """Whether a gateway needs no network: a link-local one is on every link."""
    return gateway.removeprefix(VIA_IPV6).lower().startswith(LINK_LOCAL)


def is_address(text: str) -> bool:
    """True for an IPv4 or IPv6 address as such: no brackets, no prefix length, no zone."""
    try:
        packed(text)
    except (OSError, ValueError):
        return False
    return True


def packed(address: str) -> bytes:
    """The bytes of an address."""
    return inet_pton(_af(address), address)


def _af(address: str) -> int:
    return AF_INET6 if ":" in address else AF_INET


def width(address: str) -> int:
    """The bits of an address."""
    return 128 if ":" in address else 32


def leading(address: str, length: int) -> int:
    """The first bits of an address."""
    return first_bits(packed(address), length)


def first_bits(number: bytes, length: int) -> int:
    """The first bits of an address in bytes."""
    return int.from_bytes(number, "big") >> 8 * len(number) - length


def network(address: str, length: int) -> str:
    """The prefix of that length that an address lies in."""
    number = packed(address)
    shift = 8 * len(number) - length
    bits = int.from_bytes(number, "big") >> shift << shift
    return f"{inet_ntop(_af(address), bits.to_bytes(len(number), 'big'))}/{length}"


def split(prefix: str) -> tuple[str, int]:
    """Address and length of a prefix; an address is the longest one."""
    address, _, length = prefix.partition("/")
    return address, int(length) if length else width(address)


def covers(outer: str, inner: str) -> bool:
    """Whether one prefix lies in another, or is it."""
    (wide, length), (address, longer) = split(outer), split(inner)
    if length > longer or (":" in wide) is not (":" in address):
        return False
    return leading(wide, length) == leading(address, length)


def covered(prefix: str, by: Iterable[str]) -> bool:
    """Whether a prefix lies in any of them."""
    return any(covers(outer, prefix) for outer in by)
