"""Whether a run of ours can have stored it: values that decode, and yet would crash a run or lead to what is others'.

What names an object of the kernel or a file is held against what we write.  Each function says what cannot be; an
empty text is for what can.  Every run asks, so it is cheap.
"""

from __future__ import annotations

from _socket import inet_pton

from mwan_hook.addresses import VIA_IPV6
from mwan_hook.model import (
    DEFAULT,
    FAMILIES,
    MAIN_TABLE,
    RESERVED_TABLES,
    Allotment,
    Family,
    Route,
    State,
    Sysctl,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from mwan_hook.model import Delegated, Notice, PathManager, Usage, Usages

RESERVED_PROTOCOLS = {0: "unspec", 1: "redirect", 2: "kernel", 3: "boot", 4: "static", 9: "ra", 16: "dhcp"}
LARGEST = 0xFFFFFFFF  # 32 bits: tables, metrics, marks
LAST_INDEX = 0x7FFFFFFF  # of an interface
_BYTE = 0xFF
_NOT_IN_NAMES = frozenset("/ \t\n\v\f\r\0")  # of interfaces, uplinks and events
_IDENTITY = 20  # digits of a notice's id before its dash
_SYSCTLS = {*((family, "ignore_routes_with_linkdown") for family in FAMILIES), (Family.IPV4, "rp_filter")}  # ours
_SHARING = ("", "routes", "objects")  # what `nexthops = auto` finds
_INTERFACE_LENGTH = 15  # bytes
_NO_INTERFACES = ("", ".", "..", "all", "default")
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_VALUE_LENGTH = 11  # of 32 bits with their sign


def state(stored: State) -> str:
    """The state file's values."""
    for number in stored.protocols:
        if not 0 < number <= _BYTE or number in RESERVED_PROTOCOLS:
            return f"{number} is no protocol number of ours"
    for number in stored.tables:
        if number != MAIN_TABLE and not _is_table(number):
            return f"{number} is no table of ours"
    for name, memory in stored.uplinks.items():
        if not _is_name(name) or memory.index > LAST_INDEX:
            return f"{name!r:.80} with index {memory.index} is no uplink"
    for one in stored.sysctls:
        if not _is_original(one):
            return f"{one.key!r:.80} = {one.value!r:.20} is no value from before us"
    for route in stored.foreign:
        if not _is_displaced(route):
            return f"{route.dst!r:.50} of table {route.table} is no default that ours could stand for"
    odd = "" if stored.sharing in _SHARING else f"{stored.sharing!r:.20} is no way to share"
    endpoints = _endpoints(stored.mptcp) if stored.mptcp else ""
    carried = _usage(stored.usage) if stored.usage else ""
    common = _common(stored) if stored.ignored or stored.dark else ""
    doubts = (odd, endpoints, _gateways(stored), _prefixes(stored), carried, common, *map(notice, stored.outbox))
    return next(filter(None, doubts), "")


def _common(stored: State) -> str:
    """Ignored targets are named with their family."""
    families = [family.value for family in FAMILIES]
    odd = next((name for name in stored.ignored if name.partition(" ")[0] not in families), "")
    return f"{odd!r:.80} is no target of a family" if odd else _names(stored.dark)


def _endpoints(stored: PathManager) -> str:
    """Numbers that MPTCP knows: ids are bytes, and so small are limits."""
    for number in (*stored.ids.values(), *stored.raised, stored.before or 0):
        if number > _BYTE or (number == 0 and number in stored.ids.values()):
            return f"{number} is no id and no limit of MPTCP"
    return ""


def usages(stored: Usages) -> str:
    """What was carried: days that the calendar has."""
    return _usage(stored.uplinks)


def _usage(stored: Mapping[str, Usage]) -> str:
    for name, one in stored.items():
        if one.index > LAST_INDEX or not 0 < one.reset_day <= max(_MONTHS) or one.at < 0:
            return f"{name!r:.80} with index {one.index} and reset day {one.reset_day} has no quota"
        for day in (one.period, one.first, *one.periods):
            if day and not _is_day(day):
                return f"{day!r:.40} is no day"
    return _names(stored)


def days(year: int, month: int) -> int:
    """Number of days in a month."""
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return _MONTHS[month - 1] + leap


def _is_day(text: str) -> bool:
    """YYYY-MM-DD."""
    digits = text.replace("-", "")
    if len(text) != 10 or len(digits) != 8 or text[4] + text[7] != "--" or not (text.isascii() and digits.isdigit()):
        return False
    year, month, day = int(text[:4]), int(text[5:7]), int(text[8:])
    return year > 0 and 0 < month <= len(_MONTHS) and 0 < day <= days(year, month)


def allotment(stored: Allotment) -> str:
    """The allotment's values: no number is given twice."""
    for number in (*stored.tables.values(), *stored.policies.values()):
        if not _is_table(number):
            return f"{number} is no table of ours"
    for number in (*stored.marks.values(), *stored.policy_marks.values()):
        if not 0 < number <= LARGEST:
            return f"{number} is no mark"
    if _has_twins(stored.tables.values()) or _has_twins((*stored.marks.values(), *stored.policy_marks.values())):
        return "one number for two uplinks"
    policies = [part for name in stored.policy_marks for part in name.split("/", 1)]
    words = (*stored.enabled, *stored.configured, *stored.draining)
    return _names((*stored.tables, *stored.marks, *words, *stored.seen, *policies))


def notice(stored: Notice) -> str:
    """An id can name a file, and an event a directory."""
    number, dash, place = stored.id[:_IDENTITY], stored.id[_IDENTITY : _IDENTITY + 1], stored.id[_IDENTITY + 1 :]
    if not (stored.id.isascii() and number.isdigit() and dash == "-" and place.isdigit()):
        return f"{stored.id!r:.80} is no id of a notice"
    return event(stored.event)


def event(word: str) -> str:
    """Hooks are looked for in a directory of its name."""
    return "" if _is_name(word) else f"{word!r:.80} is no event"


def _is_table(number: int) -> bool:
    return number <= LARGEST and number not in RESERVED_TABLES


def _has_twins(numbers: Collection[int]) -> bool:
    return len(set(numbers)) < len(numbers)


def _names(names: Iterable[str]) -> str:
    return next((f"{name!r:.80} is no uplink" for name in names if not _is_name(name)), "")


def _is_name(name: str) -> bool:
    return name != "" and _NOT_IN_NAMES.isdisjoint(name)


def _is_original(stored: Sysctl) -> bool:
    """A value that we set for an interface, as it was before; the kernel takes any number there."""
    parts = stored.key.split("/")
    if len(parts) != 5 or (parts[0], parts[2]) != ("net", "conf") or (parts[1], parts[4]) not in _SYSCTLS:
        return False
    length = len(parts[3].encode("utf-8", "surrogateescape"))
    named = parts[3] not in _NO_INTERFACES and length <= _INTERFACE_LENGTH and _is_name(parts[3])
    digits = stored.value.removeprefix("-")
    number = digits.isascii() and digits.isdigit() and len(stored.value) <= _VALUE_LENGTH
    return named and number and stored.index <= LAST_INDEX


def _gateways(stored: State) -> str:
    for key, turn in stored.turns.items():
        if not all(_is_router(one) for one in (turn.gateway, *turn.silent, *turn.failed)):
            return f"{key!r:.80} has no gateway {turn.gateway!r:.40}"
    return next((f"{number} is no table" for number in stored.elsewhere if number > LARGEST), "")


def _prefixes(stored: State) -> str:
    for one in stored.delegated:
        if not _is_delegated(one):
            return f"{one.prefix!r:.80} is no prefix that came by {one.interface!r:.20}"
    if any(not _is_prefix6(prefix) for prefix in (*stored.deprecated, *stored.to_repeat)):
        return "what was deprecated is no prefix"
    return ""


def _is_delegated(stored: Delegated) -> bool:
    named = not stored.interface or (stored.interface not in _NO_INTERFACES and _is_name(stored.interface))
    inside = all(0 < lan.index <= LAST_INDEX and _is_prefix6(lan.prefix) for lan in stored.lans)
    return named and inside and _is_prefix6(stored.prefix)


def _is_prefix6(prefix: str) -> bool:
    address, _, length = prefix.partition("/")
    return length.isascii() and length.isdigit() and 16 <= int(length[:4]) <= 64 and _is_of(Family.IPV6, address)


def _is_displaced(route: Route) -> bool:
    """A default of main through one nexthop, that another program has made."""
    plain = (route.table, route.dst, route.kind, route.tos, route.from_) == (MAIN_TABLE, DEFAULT, "unicast", 0, None)
    if not plain or route.nhid or len(route.nexthops) != 1 or max(route.metric, route.mtu) > LARGEST:
        return False
    hop = route.nexthops[0]
    fits = max(route.scope, route.protocol) <= _BYTE and 0 < hop.index <= LAST_INDEX and hop.weight == 1
    return fits and _is_gateway(route.family, hop.gateway) and (route.src is None or _is_of(route.family, route.src))


def _is_gateway(family: Family, gateway: str | None) -> bool:
    if gateway is None:
        return True
    if family is Family.IPV4 and gateway.startswith(VIA_IPV6):
        return _is_of(Family.IPV6, gateway[len(VIA_IPV6) :])
    return _is_of(family, gateway)


def _is_router(gateway: str) -> bool:
    return gateway == "" or any(_is_gateway(family, gateway) for family in FAMILIES)


def _is_of(family: Family, address: str) -> bool:
    try:
        inet_pton(family.af, address)
    except (OSError, ValueError):
        return False
    return True
