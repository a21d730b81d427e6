"""The checks of [router] and of an uplink: addresses, segments, what dials and what repairs."""

from __future__ import annotations

import shlex
from ipaddress import IPv6Network
from itertools import pairwise

from mwan_hook.config import values
from mwan_hook.config.values import families, one, several
from mwan_hook.dial import modemkeys
from mwan_hook.dial.values import COMMAND, NETWORKD, UNIT
from mwan_hook.model import Family
from mwan_hook.repair.steps import rung

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value

SMALLEST_SEGMENT, LARGEST_SEGMENT = "88", "65495"  # the least that Linux takes; the largest packet without headers
_STARTS = "networkd, unit:NAME, modem:KEY=VALUE,... or command:PROGRAM ARGUMENTS"
_LONGEST = 255  # of a unit's name
_DAY = 24 * 60


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


def start(value: Value) -> str:
    """What dials."""
    text = one(value) if isinstance(value, str) else ",".join(several(value))
    kind, colon, rest = text.partition(":")
    if not text:
        return text
    if kind == modemkeys.KIND and colon:
        modemkeys.settings(rest)
        return text
    text = one(value)
    if kind == COMMAND and colon:
        return _command(text, rest)
    if kind == UNIT and colon:
        return f"{UNIT}:{_unit(rest.strip())}"
    if text != NETWORKD:
        raise ValueError(f"expected {_STARTS}")
    return text


def stop(value: Value) -> str:
    """The program that hangs up."""
    text = one(value)
    kind, _, rest = text.partition(":")
    if not text:
        return text
    if kind != COMMAND:
        raise ValueError("expected command:PROGRAM ARGUMENTS")
    return _command(text, rest)


def window(value: Value) -> list[int]:
    """Two times of the day, in minutes."""
    first, dash, last = one(value).partition("-")
    found = [_minute(first), _minute(last)] if dash else []
    if not found or found[0] == found[1]:
        raise ValueError("expected two times of the day, as in 03:00-05:00")
    return found


def _command(text: str, rest: str) -> str:
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise ValueError(f"expected command:PROGRAM ARGUMENTS, quoted as for a shell ({error})") from None
    if not words or not text.isprintable():
        raise ValueError("expected command:PROGRAM ARGUMENTS")
    return text


def _unit(name: str) -> str:
    good = all(c.isascii() and (c.isalnum() or c in ":-_.\\@") for c in name)
    if not name or not good or len(name) > _LONGEST or name[0] in "-@":
        raise ValueError("expected unit:NAME with the name of a unit of systemd, as in unit:wwan@wwan0.service")
    return name


def _minute(text: str) -> int:
    hour, colon, minute = text.strip().partition(":")
    good = colon and all(part.isascii() and part.isdigit() and len(part) == 2 for part in (hour, minute))
    found = 60 * int(hour) + int(minute) if good else _DAY + 1
    if found > _DAY or int(minute) > 59:
        raise ValueError("expected two times of the day, as in 03:00-05:00")
    return found


def ladder(value: Value) -> list[str]:
    """Texts of the steps in their order, each later than the one before; none: nothing is repaired."""
    found = [text for text in several(value) if text != "none"]
    rungs = [rung(text) for text in found]
    for earlier, later in pairwise(rungs):
        if later.after <= earlier.after:
            raise ValueError(f"expected times that rise: {later.step}@{later.after:g} follows @{earlier.after:g}")
    return found
