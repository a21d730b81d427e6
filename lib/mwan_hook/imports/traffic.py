"""What other programs write for addresses, ports and protocols, in the words of a policy.

Every function raises ValueError, whose words end a sentence that begins with "because".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range

from mwan_hook.config.values_policies import LAST_PORT
from mwan_hook.routing import protocols

MOST = 64  # prefixes of one range
SERVICES = {
    "bootps": 67, "bootpc": 68, "domain": 53, "ftp": 21, "ftp-data": 20, "http": 80, "http-alt": 8080, "https": 443,
    "imap": 143, "imap2": 143, "imaps": 993, "isakmp": 500, "ldap": 389, "ldaps": 636, "ms-wbt-server": 3389,
    "ntp": 123, "openvpn": 1194, "pop3": 110, "pop3s": 995, "rdp": 3389, "rtsp": 554, "sip": 5060, "sips": 5061,
    "smtp": 25, "smtps": 465, "snmp": 161, "snmptrap": 162, "ssh": 22, "submission": 587, "submissions": 465,
    "syslog": 514, "telnet": 23, "tftp": 69, "www": 80,
}  # fmt: skip
"""Ports by name; IANA's, and never those of the machine on which the file is read."""

_NEGATION = "a policy cannot say what is not"


def prefixes(text: str) -> list[str]:
    """An address, a network or a range ``FIRST-LAST``; none for what is everything."""
    text = text.strip()
    if text.startswith("!"):
        raise ValueError(_NEGATION)
    try:
        found = list(_networks(text))
    except (TypeError, ValueError):
        raise ValueError(f"{text!r} is no address, network or range of addresses") from None
    if len(found) > MOST:
        raise ValueError(f"the range {text} is {len(found)} prefixes")
    return [str(one.network_address) if one.prefixlen == one.max_prefixlen else str(one) for one in found]


def _networks(text: str) -> Iterator[IPv4Network | IPv6Network]:
    if "-" not in text:
        return iter([ip_network(text, strict=False)])
    first, last = (ip_address(end.strip()) for end in text.split("-", 1))
    return summarize_address_range(first, last)  # of two families: a TypeError


def ports(text: str, more: Mapping[str, int] = SERVICES) -> list[str]:
    """Ports by number and name, ranges with ``-`` or ``:``, commas between; none for all that there are."""
    if text.strip().startswith("!"):
        raise ValueError(_NEGATION)
    ranges = [_range(one.strip(), more) for one in text.split(",") if one.strip()]
    if any(first <= 1 and last >= LAST_PORT for first, last in ranges):
        return []
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def _range(text: str, more: Mapping[str, int]) -> tuple[int, int]:
    if text.lower() in more:
        return (more[text.lower()],) * 2
    first, _, last = text.replace(":", "-").partition("-")
    numbers = [_port(one.strip(), more) for one in (first, last or first)]
    if numbers[0] > numbers[1] or numbers[0] > LAST_PORT or not numbers[1]:
        raise ValueError(f"{text!r} is no port or range of ports that the kernel's rules know (1 to {LAST_PORT})")
    return max(numbers[0], 1), min(numbers[1], LAST_PORT)


def _port(text: str, more: Mapping[str, int]) -> int:
    if text.lower() in more:
        return more[text.lower()]
    if text.isascii() and text.isdigit() and len(text) < 6 and int(text) < 65536:
        return int(text)
    raise ValueError(f"{text!r} is no port that is known by this name")


_BOTH = {"tcp_udp": ("tcp", "udp"), "tcp/udp": ("tcp", "udp"), "all": (), "any": (), "": (), "0": (), "ip": ()}


def protos(text: str) -> list[str]:
    """One protocol, or two as in ``tcp_udp``; none for all that there are."""
    word = text.strip().lower()
    if word.startswith("!"):
        raise ValueError(_NEGATION)
    if word in _BOTH:
        return [*_BOTH[word]]
    word = protocols.OTHER_WORDS.get(word, word)
    number = word.isascii() and word.isdigit() and len(word) < 4 and 0 < int(word) < 256
    if not number and word not in protocols.NUMBERS:
        raise ValueError(f"{text!r} is no protocol that is known by this name")
    return [word]


def number(text: str, low: int, high: int) -> int:
    """A whole number within bounds.  ValueError names them."""
    if text.isascii() and text.isdigit() and len(text) < 10 and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"{text!r} is no whole number from {low} to {high}")
