"""Tables and marks of uplinks: fixed ones first, remembered ones next, then the lowest free number.

Names that never come back must not keep numbers for ever: a phone has another interface name each time it is plugged.
Of what is neither there nor in the configuration by its literal name, the one that was there longest ago gives way.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import MAIN_TABLE, RESERVED_TABLES, Allotment, Config, Link, UplinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping, Sequence

    from mwan_hook.model import Config, Policy, Uplink

LARGEST_TABLE = 0xFFFFFFFF
GONE = 16  # uplinks of one template that are gone, and that status and rules still know
REMEMBERED = 256  # names that are gone, and whose table and mark are kept as long as others need none


class Candidate(NamedTuple):
    """An uplink before it has its numbers."""

    name: str
    interface: str
    config: UplinkConfig
    link: Link | None


def allot(config: Config, seats: Sequence[Candidate], old: Allotment) -> Allotment:
    """What every seat has, with the memory of who was there last."""
    needed = {seat.name for seat in seats if _stays(config, seat)}
    seen = _last_seen(old.seen, [seat.name for seat in seats if seat.link and not _is_literal(config, seat)])
    tables = _tables(config, seats, old)
    marks = _marks(config, seats, old, needed, seen)
    given = {**dict.fromkeys(tables), **dict.fromkeys(marks)}
    over = _oldest((name for name in given if name not in needed), seen)[:-REMEMBERED]
    for name in set(over) - {seat.name for seat in seats}:
        tables.pop(name, None)
        marks.pop(name, None)
    return old._replace(tables=tables, marks=marks, seen=tuple(name for name in seen if name not in over))


def recent(gone: Iterable[str], seen: Sequence[str]) -> list[str]:
    """The uplinks that are gone and still known, sorted by name."""
    return sorted(_oldest(gone, seen)[-GONE:])


def without_mark(config: Config, seats: Iterable[Candidate], allotment: Allotment) -> str:
    """What marks are short for, in words."""
    names = [s.name for s in seats if s.config.mark is None and s.name not in allotment.marks and _stays(config, s)]
    if not names:
        return ""
    mask = config.routing.mark_mask
    first = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    lost = "their connections are not pinned" if config.router.pin else "nothing can lead packets there by a mark"
    return f"[routing] mark_mask = {mask:#x} has room for {room(mask)} marks and none for uplinks {first}: {lost}"


def room(mask: int) -> int:
    """How many marks there are."""
    return (1 << mask.bit_count()) - 1


def free_table(first: int, taken: Container[int | None]) -> int:
    """The lowest free number from ``first`` on; where they run out, the next one below."""
    number = first
    while number in taken and number < LARGEST_TABLE:
        number += 1
    if number not in taken:
        return number
    return free_below(first, taken)


def free_below(number: int, taken: Container[int | None]) -> int:
    """The first free number below another one; 0 where there is none."""
    number -= 1
    while number > 0 and (number in taken or number in RESERVED_TABLES):
        number -= 1
    return max(number, 0)


def _is_literal(config: Config, seat: Candidate) -> bool:
    """Named by the configuration; without one a name may be another at the next plug."""
    return bool(config.uplinks) and seat.config.literal is not None


def _stays(config: Config, seat: Candidate) -> bool:
    return seat.link is not None or _is_literal(config, seat)


def _last_seen(old: tuple[str, ...], here: Sequence[str]) -> tuple[str, ...]:
    """Names, the one that was there longest ago first; the same as long as none comes or goes."""
    if set(old[len(old) - len(here) :]) == set(here):
        return old
    return (*(name for name in old if name not in here), *here)


def _oldest(names: Iterable[str], seen: Sequence[str]) -> list[str]:
    """The one that was there longest ago first."""
    places = {name: place for place, name in enumerate(seen)}
    return sorted(names, key=lambda name: places.get(name, -1))


def _tables(config: Config, seats: Sequence[Candidate], old: Allotment) -> dict[str, int]:
    fixed = {entry.table for entry in config.uplinks if entry.table is not None}
    taken = fixed | RESERVED_TABLES | {config.routing.default_table, MAIN_TABLE}
    tables = {name: number for name, number in old.tables.items() if number not in taken}
    for seat in seats:
        if seat.config.table is None and seat.name not in tables:
            others = {*tables.values(), *old.policies.values()}
            tables[seat.name] = free_table(config.routing.first_table, taken | others)
    return tables


def _marks(
    config: Config, seats: Sequence[Candidate], old: Allotment, needed: Collection[str], seen: Sequence[str]
) -> dict[str, int]:
    """Marks for what needs one; policies, which choose nothing without their own, go before uplinks."""
    mask = config.routing.mark_mask
    fixed = {entry.mark for entry in config.uplinks if entry.mark is not None}
    marks = {name: mark for name, mark in old.marks.items() if _is_inside(mark, mask) and mark not in fixed}
    lacking = [s.name for s in seats if s.config.mark is None and s.name in needed and s.name not in marks]
    held, own, pairs = _of_policies(config, seats, old.policy_marks)
    taken = {*(mark for mark in fixed if _is_inside(mark, mask)), *held}
    free = room(mask) - len(taken.union(marks.values()))
    spare = _oldest((name for name in marks if name not in needed), seen)
    for name in spare[: max(0, len(lacking) + own + pairs - free)]:
        del marks[name]
        free += 1
    for name in lacking[: max(0, free - own)]:
        mark = _free_mark(mask, fixed | taken | {*marks.values()})
        if mark:
            marks[name] = mark
    return marks


def _of_policies(config: Config, seats: Sequence[Candidate], given: Mapping[str, int]) -> tuple[set[int], int, int]:
    """Marks that policies have, and how many they lack: of their own, and of their pairs with uplinks."""
    if not any(policy.marked for policy in config.policies):
        return set(), 0, 0
    wanted = [key for policy in config.policies for key in keys(config, policy, seats)]
    held = {given[key] for key in wanted if key in given}
    lacking = ["/" in key for key in wanted if key not in given]
    return held, lacking.count(False), lacking.count(True)


def _is_inside(mark: int, mask: int) -> bool:
    return mark != 0 and mark & ~mask == 0


def _free_mark(mask: int, taken: Container[int]) -> int:
    """The lowest unused value whose bits all lie in the mask; 0 when there is none."""
    mark = mask & -mask
    while mark:
        if mark not in taken:
            return mark
        mark = (mark - mask) & mask  # next larger value inside the mask (counting through its bits)
    return 0


def pairs(config: Config, policy: Policy) -> bool:
    """Whether the policy's sources or connections are held to an uplink."""
    return policy.marked and (policy.sticky > 0 or config.router.pin)


def keys(config: Config, policy: Policy, uplinks: Iterable[Uplink | Candidate]) -> list[str]:
    """What the policy needs marks for."""
    if not policy.marked:
        return []
    named = set(policy.uplinks)
    held = [u.name for u in uplinks if named & {u.name, u.config.name}] if pairs(config, policy) else []
    return [policy.name, *(f"{policy.name}/{name}" for name in held)]
