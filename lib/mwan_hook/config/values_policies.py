"""The checks of [policies]."""

from __future__ import annotations

from _socket import getprotobyname, inet_ntop
from ipaddress import ip_network

from mwan_hook.config.names import uplink_name
from mwan_hook.config.values import boolean, each, mark, one
from mwan_hook.policy import order
from mwan_hook.routing import protocols

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.config.values import Value

LAST_PORT = 65534  # fib_rules of the kernel take no 65535
LAST_UID = 0xFFFFFFFE  # -1 is no user's
LONGEST_NAME = 15
STICKY = 600  # seconds that a plain yes means
LONGEST_STICKY = 604800  # a week
MULTICAST = 1  # the bit of a MAC address that no sender has
DSCP = {"be": 0, "cs0": 0, "ef": 46, "va": 44, "le": 1}
DSCP |= {f"cs{n}": 8 * n for n in range(1, 8)}
DSCP |= {f"af{n}{drop}": 8 * n + 2 * drop for n in range(1, 5) for drop in range(1, 4)}
LAST_DSCP = 63
_AF = {4: 2, 6: 10}
_HEX = frozenset("0123456789abcdef")


def prefixes(value: Value) -> list[str]:
    """Addresses and prefixes as the kernel spells them."""
    return each(value, _prefix)


def _prefix(text: str) -> str:
    try:
        found = ip_network(text)
    except ValueError as error:
        try:
            meant = f": did you mean {ip_network(text, strict=False)}?" if "/" in text else ""
        except ValueError:
            meant = ""
        raise ValueError(f"expected an address or a prefix, as in 192.168.99.0/24 ({error}{meant})") from None
    address = inet_ntop(_AF[found.version], found.network_address.packed)
    return address if found.prefixlen == found.max_prefixlen else f"{address}/{found.prefixlen}"


def protos(value: Value) -> list[str]:
    """Protocols above IP, by name or number."""
    return each(value, _proto)


def _proto(text: str) -> str:
    word = protocols.OTHER_WORDS.get(text.lower(), text.lower())
    if word in protocols.NUMBERS:
        return word
    try:
        number = int(word) if word.isascii() and word.isdigit() and len(word) < 4 else getprotobyname(word)
    except (OSError, ValueError):
        number = 0
    if not 0 < number < 256:
        names = ", ".join(protocols.NUMBERS)
        raise ValueError(f"expected a protocol by name or number from 1 to 255 (known are {names})")
    return protocols.NAMES.get(number, str(number))


def ports(value: Value) -> list[str]:
    """Ports and ranges of them."""
    what = f"ports from 1 to {LAST_PORT}, as in 443 or 5000-5100"
    return each(value, lambda text: _range(text, 1, LAST_PORT, what, str))


def uids(value: Value) -> list[str]:
    """Users by name or number, and ranges of numbers."""
    return each(value, lambda text: _range(text, 0, LAST_UID, "users by name or number, as in 1000-1999", _user))


def _user(text: str) -> str:
    """The number of a user of this machine."""
    if text.isascii() and text.isdigit():
        return text
    from pwd import getpwnam

    try:
        return str(getpwnam(text).pw_uid)
    except (KeyError, UnicodeError):
        raise ValueError(f"expected users by name or number, as in 1000-1999: there is no user {text!r}") from None


def _range(text: str, low: int, high: int, what: str, read: Callable[[str], str]) -> str:
    """``FIRST-LAST`` or one, in plain numbers."""
    first, dash, last = text.partition("-")
    if dash and not (first.strip().isdigit() and last.strip().isdigit()):
        first, dash = text, ""  # a name with a dash
    words = [read(first.strip()), read(last.strip() if dash else first.strip())]
    if not all(word.isascii() and word.isdigit() and len(word) < 11 and low <= int(word) <= high for word in words):
        raise ValueError(f"expected {what}")
    start, end = map(int, words)
    if start > end:
        raise ValueError(f"expected {what}, the lower number first")
    return str(start) if start == end else f"{start}-{end}"


def interfaces(value: Value) -> list[str]:
    """Names of interfaces; they need not exist yet."""
    return each(value, _interface)


def _interface(text: str) -> str:
    if (
        not 0 < len(text.encode()) <= LONGEST_NAME
        or "/" in text
        or any(c.isspace() for c in text)
        or text in (".", "..")
    ):
        raise ValueError(f"expected the name of an interface ({LONGEST_NAME} characters at most)")
    if set(text) & set("*?["):
        raise ValueError("expected the name of an interface: the kernel's rules know no globs")
    return text


def marks(value: Value) -> list[str]:
    """Marks, with or without a mask."""
    return each(value, _mark)


def _mark(text: str) -> str:
    number, mask = mark(text)
    return f"{number:#x}" if mask is None else f"{number:#x}/{mask:#x}"


def sticky(value: Value) -> int:
    """Seconds that a source keeps its uplink; yes and no too."""
    what = f"yes ({STICKY} seconds), no, or whole seconds from 1 to {LONGEST_STICKY}"
    text = one(value).lower()
    if text == "0" or (text.isascii() and text.isdigit() and 0 < int(text[:9]) <= LONGEST_STICKY and len(text) < 9):
        return int(text)
    try:
        return STICKY if boolean(text) else 0
    except ValueError:
        raise ValueError(f"expected {what}") from None


def macs(value: Value) -> list[str]:
    """MAC addresses of senders."""
    return each(value, _mac)


def _mac(text: str) -> str:
    parts = text.lower().replace("-", ":").split(":")
    if not (len(parts) == 6 and all(len(part) == 2 and set(part) <= _HEX for part in parts)):
        raise ValueError("expected a MAC address, as in 02:00:5e:10:00:01")
    if int(parts[0], 16) & MULTICAST:
        raise ValueError(f"expected the MAC address of a sender: {text} is a group's")
    return ":".join(parts)


def dscps(value: Value) -> list[int]:
    """Code points of differentiated services, by name or number."""
    return [int(text) for text in each(value, _dscp)]


def _dscp(text: str) -> str:
    if text.lower() in DSCP:
        return str(DSCP[text.lower()])
    try:
        number = int(text, 0)
    except ValueError:
        number = -1
    if not 0 <= number <= LAST_DSCP:
        raise ValueError(f"expected a code point from 0 to {LAST_DSCP}, or a name as in ef, af41, cs1")
    return str(number)


def uplinks(value: Value) -> list[str]:
    """Names of uplinks and templates, at least one, and ``TEMPLATE@INTERFACE``; a + between those that share."""
    found = each(value, _entry)
    if not found:
        raise ValueError("expected at least one uplink")
    return found


def _entry(text: str) -> str:
    """Names with ``+`` between them, which may be a part of a name where it has no blank beside it."""
    entry = order.spelled(text)
    for part in entry.split(order.SHARING):
        try:
            _uplink(part)
        except ValueError:
            list(map(_uplink, part.split(order.PLUS)))
    return entry


def _uplink(text: str) -> str:
    name, at, interface = text.partition("@")
    uplink_name(name)
    return f"{name}@{_interface(interface)}" if at else name
