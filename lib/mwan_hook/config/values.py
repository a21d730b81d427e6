"""The checks that rows of :mod:`mwan_hook.config.keys` name.

A check takes what ConfigObj read (text, or a list of text where there were commas) and returns the plain
value that :mod:`mwan_hook.config.build` builds from; ValueError says what was expected.
"""

from __future__ import annotations

from math import isfinite

from mwan_hook.addresses import is_address
from mwan_hook.config.build import match_of
from mwan_hook.config.targets import parse
from mwan_hook.credible import RESERVED_PROTOCOLS
from mwan_hook.model import DEMOTE, FAMILIES, GUARD_METRIC, KEEP, MAIN_TABLE, OFFLINE, RESERVED_TABLES
from mwan_hook.quota import words as amounts
from mwan_hook.redact import hidden
from mwan_hook.verdict.rounds import METHODS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Value = str | list[str]

YEAR = 31_536_000
_WORDS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}


def one(value: Value) -> str:
    """A single value's text; a comma makes a list."""
    if isinstance(value, str):
        return value.strip()
    raise ValueError("expected one value, not a list (a comma inside a value needs quotes around it)")


def several(value: Value) -> list[str]:
    """One value is a list too; an empty one is the empty list."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    return [text.strip() for text in value]


def _number(value: Value, low: int, high: int, what: str) -> int:
    text = one(value)
    if text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"expected {what}")


def whole(value: Value, low: str, high: str) -> int:
    """A whole number within bounds that the spec gives."""
    return _number(value, int(low), int(high), f"a whole number from {low} to {high}")


def metric(value: Value) -> int:
    """A route's metric; the guard's is not to be had."""
    return _number(value, 0, GUARD_METRIC - 1, f"a metric from 0 to {GUARD_METRIC - 1}")


def boolean(value: Value) -> bool:
    """Yes or no, in ConfigObj's words."""
    found = _WORDS.get(one(value).lower())
    if found is None:
        raise ValueError("expected yes or no")
    return found


def choice(value: Value, *words: str) -> str:
    """One of the words that the spec gives."""
    text = one(value)
    if text not in words:
        raise ValueError(f"expected {', '.join(words[:-1])} or {words[-1]}")
    return text


def degraded(value: Value) -> str:
    """What becomes of a degraded uplink; nothing is `demote`, but that latency alone is then for single rounds."""
    return choice(value, DEMOTE, KEEP, OFFLINE) if one(value) else ""


def table(value: Value) -> int:
    """A routing table that nothing else uses."""
    what = "a table number from 1 to 252 or from 256 to 4294967295 (0, 253, 254 and 255 are the system's)"
    number = _number(value, 1, GUARD_METRIC, what)
    if number in RESERVED_TABLES:
        raise ValueError(f"expected {what}")
    return number


def default_table(value: Value) -> int:
    """A table, or main by name or number."""
    if value in ("main", str(MAIN_TABLE)):
        return MAIN_TABLE
    try:
        return table(value)
    except ValueError as error:
        raise ValueError(f"{error}, or main") from None


def protocol(value: Value) -> int:
    """A protocol number to own; flush takes all routes that carry it, so not one that others use."""
    number = _number(value, 0, 255, "a protocol number from 5 to 255")
    if number in RESERVED_PROTOCOLS:
        raise ValueError(f"expected a protocol number of mwan-hook's own: {number} is `{RESERVED_PROTOCOLS[number]}`")
    return number


def seconds(value: Value) -> float:
    """A time, possibly none."""
    return _decimal(value, YEAR, "seconds, 0 or more (a year at most)")


def some_seconds(value: Value) -> float:
    """A time that is not 0."""
    what = "seconds, more than 0 (a year at most)"
    found = _decimal(value, YEAR, what)
    if found == 0:
        raise ValueError(f"expected {what}")
    return found


def milliseconds(value: Value) -> float:
    """A latency; 0 is off."""
    return _decimal(value, 3_600_000, "milliseconds, 0 or more (0 is off)")


def percent(value: Value) -> float:
    """A share of packets; 0 is off."""
    return _decimal(value, 99, "percent, from 0 to 99 (0 is off)")


def amount(value: Value) -> int:
    """Bytes; 0 is none."""
    return amounts.amount(one(value))


def _decimal(value: Value, high: float, what: str) -> float:
    text = one(value)
    try:
        found = float(text)
    except ValueError:
        raise ValueError(f"expected {what}") from None
    if "_" in text or not isfinite(found) or not 0 <= found <= high:
        raise ValueError(f"expected {what}")
    return found


def _bits(text: str, what: str) -> int:
    """32 bits, not all of them 0, decimal or 0x."""
    try:
        found = int(text, 0)
    except ValueError:
        found = 0
    if not 0 < found <= 0xFFFFFFFF:
        raise ValueError(f"expected {what}")
    return found


def mask(value: Value) -> int:
    """The bits of fwmark that are ours."""
    return _bits(one(value), "a mask of 32 bits that is not 0, as in 0x3f00")


def mark(value: Value) -> list[int | None]:
    """``[mark, mask]``; the mask is None where none is given."""
    number, slash, bits = one(value).partition("/")
    what = "a mark of 32 bits that is not 0, as in 0x4 or 0x4/0xff"
    found, covered = _bits(number, what), _bits(bits, what) if slash else None
    if covered is not None and found & ~covered:
        raise ValueError("expected a mark whose bits all lie in its mask: else no packet matches")
    return [found, covered]


def targets(value: Value) -> list[str]:
    """Texts of the targets; none: judged by the facts alone."""
    return each(value, lambda text: parse(text).text)


def portal_targets(value: Value) -> list[str]:
    """Texts of http and https targets; none: no portal check."""
    return each(value, _web)


def _web(text: str) -> str:
    if not METHODS[parse(text).method].portal:
        raise ValueError("expected an http:// or https:// target: only those can tell a portal")
    return text


def match(value: Value) -> list[str]:
    """Texts of the alternatives, at least one."""
    found = each(value, _alternative)
    if not found:
        raise ValueError("expected an interface name, a glob, or driver: mac: path: id: property:KEY=")
    return found


def _alternative(text: str) -> str:
    match_of(text)
    return text


def gateway(value: Value) -> list[str]:
    """Addresses of routers in the order in which they are tried."""
    found = each(value, _router)
    if not found:
        raise ValueError("expected one address or several, in the order in which they are tried")
    return found


def _router(text: str) -> str:
    first = int(text.partition(".")[0]) if is_address(text) and ":" not in text else 1
    lower = text.lower()
    if not is_address(text) or first in (0, 127) or first >= 224 or lower in ("::", "::1") or lower.startswith("ff"):
        raise ValueError("expected the address of a router, without prefix length or interface")
    return text


def families(value: Value) -> list[str]:
    """A non-empty selection, in our order."""
    known = [family.value for family in FAMILIES]
    found = several(value)
    if not found or set(found) - set(known) or len(set(found)) < len(found):
        raise ValueError("expected ipv4, ipv6 or both")
    return [word for word in known if word in found]


def each(value: Value, read: Callable[[str], str]) -> list[str]:
    """Every item read, all mistakes in one error; twice the same is one."""
    texts = several(value)
    wrong, found = [], list[str]()
    for text in texts:
        try:
            one = read(text)
        except ValueError as error:
            wrong.append(f"{error} (in {hidden(text)!r})" if len(texts) > 1 else str(error))
            continue
        if one in found:
            wrong.append(f"expected {hidden(text)!r} once")
        found.append(one)
    if wrong:
        raise ValueError("; ".join(dict.fromkeys(wrong)))
    return found
