"""The checks of keys of routers: what translates addresses, and the size of segments."""

from __future__ import annotations

from ipaddress import IPv6Network

from mwan_hook.config import values
from mwan_hook.config.values import families, one
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value

SMALLEST_SEGMENT, LARGEST_SEGMENT = "88", "65495"  # the least that Linux takes; the largest packet without headers


def nat_families(value: Value) -> list[str]:
    """Families whose sources become the uplink's address; yes is IPv4, which has too few of its own."""
    try:
        return [Family.IPV4.value] if values.boolean(value) else []
    except ValueError:
        pass
    try:
        return families(value)
    except ValueError:
        raise ValueError("expected yes (IPv4), no, ipv4, ipv6 or both families") from None


def segment(value: Value) -> int | str:
    """Bytes of TCP in a packet; 0: as it comes."""
    text = one(value)
    if text in ("auto", "no", "off", "false", "0"):
        return "auto" if text == "auto" else 0
    try:
        return values.whole(value, SMALLEST_SEGMENT, LARGEST_SEGMENT)
    except ValueError:
        raise ValueError(f"expected auto, no, or bytes from {SMALLEST_SEGMENT} to {LARGEST_SEGMENT}") from None


def prefix6(value: Value) -> str:
    """An IPv6 prefix that an uplink brings."""
    text = one(value)
    try:
        found = IPv6Network(text)
    except ValueError as error:
        raise ValueError(f"expected an IPv6 prefix, as in 2001:db8:5::/56 ({error})") from None
    if not 16 <= found.prefixlen <= 64 or found.is_multicast or found.is_link_local:
        raise ValueError("expected the prefix of a network that can be routed, from /16 to /64")
    return str(found)


def delegations(value: Value) -> list[str]:
    """Prefixes that a provider has delegated to an uplink, none, or all that can be found out."""
    words = values.several(value)
    if words == ["auto"]:
        return words
    try:
        if not values.boolean(value):
            return []
    except ValueError:
        pass
    try:
        return [prefix6(word) for word in words]
    except ValueError as error:
        raise ValueError(f"expected auto, no or IPv6 prefixes ({error})") from None
