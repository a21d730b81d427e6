"""Doctor: bits of packets' marks that others use, too, and packets that pass our rules by.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mwan_hook.doctor import known
from mwan_hook.doctor.checks.rules import is_foreign, named
from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.phrases import listed
from mwan_hook.routing.allotting import room
from mwan_hook.routing.priorities import ALL_BITS, MARK_MASKS, WIDER_MARK_MASKS
from mwan_hook.trace.values import AnyRule


class Marker(NamedTuple):
    """A rule of netfilter that sets marks: what it may change, and the value where that is plain."""

    where: str  # as in `nft ip mangle PREROUTING`
    bits: int
    value: int | None = None  # None: computed
    connection: bool = False  # conntrack's mark instead of the packet's
    names: tuple[str, ...] = ()  # table and chain


class Flowtable(NamedTuple):
    """A fast path of nftables."""

    where: str
    devices: tuple[str, ...] = ()


def check_rules(case: Case, rules: Iterable[AnyRule]) -> Iterator[Finding]:
    """Rules of others that ask for marks with bits of ours."""
    taken = _used(case)
    rules = tuple(rule for rule in rules if rule.mask and is_foreign(rule, case.config.routing.protocol))
    for rule in rules:
        mask = rule.mask & _ours(case)
        if not mask:
            continue
        yield _clash(case, f"{rule.family.value} {rule.priority}", named(rule), rule.mark, rule.mask, taken)


def check_markers(case: Case, markers: Iterable[Marker]) -> Iterator[Finding]:
    """Rules of netfilter that set bits of ours; those of connections matter only where we pin."""
    taken = _used(case)
    for one in dict.fromkeys(markers):
        if not one.bits & _ours(case) or (one.connection and not case.config.steers):
            continue
        if one.value == 0 and one.bits == ALL_BITS and not case.config.steers:
            continue  # clears what was never set
        program = known.of_name(*one.names)
        kind = "the connection's mark" if one.connection else "marks"
        value = f"to {one.value:#x}" if one.value is not None else "to what it computes"
        what = f"{one.where}{f', of {program} it seems,' if program else ''} sets {kind} {value} (bits {one.bits:#x})"
        yield _clash(case, one.where, what, one.value, one.bits, taken)


def check_room(case: Case) -> Iterator[Finding]:
    """More uplinks than marks."""
    names = [uplink.name for uplink in case.present if not uplink.mark]
    if not names:
        return
    mask = case.config.routing.mark_mask
    what = f"mark_mask = {mask:#x} has room for {room(mask)} marks, and there is none left for {listed(names)}"
    breaks = "no mark leads packets there"
    breaks += ", and their connections are not pinned" if case.config.router.pin else ""
    wider = next((one for one in WIDER_MARK_MASKS if one & mask == mask and one != mask), 0)
    words = f"[routing] mark_mask = {wider:#x}, unless others use those bits" if wider else "set a wider mark_mask"
    severity = WARNING if case.config.steers else NOTE
    yield Finding("marks-short", severity, "", what, breaks, Fix(words))


def _ours(case: Case) -> int:
    mask = case.config.routing.mark_mask
    for uplink in case.uplinks:
        mask |= uplink.mask if uplink.mark and uplink.config.mark is None else 0
        mask |= uplink.mark if uplink.config.mark is not None else 0
    return mask


def _used(case: Case) -> tuple[tuple[str, int, int], ...]:
    return tuple((uplink.name, uplink.mark, uplink.mask) for uplink in case.uplinks if uplink.mark)


def _clash(
    case: Case, about: str, what: str, mark: int | None, mask: int, taken: Iterable[tuple[str, int, int]]
) -> Finding:
    """Bits alone are a warning; a mark that means one of our uplinks leads packets there."""
    hit = [
        name for name, own, bits in taken if mark is not None and not (mark ^ own) & bits & mask and mark & bits & mask
    ]
    words = f"{what} within {case.config.routing.mark_mask:#x}, the bits that our marks are in ([routing] mark_mask)"
    fix = _other_mask(case, mask)
    if hit:
        breaks = (
            f"such packets are led by uplink {listed(hit)}, and packets that we have marked for it are taken for theirs"
        )
        return Finding("mark-clash", PROBLEM, about, words, breaks, fix)
    if mark is not None and mark & mask & ~_ours(case):  # its other bits tell them apart
        breaks = "little: none of our marks is taken for it, but an uplink that gets such a mark one day would be"
        breaks += "; connections that carry it are not pinned" if case.config.router.pin else ""
        return Finding("mark-overlap", NOTE, about, words, breaks, fix)
    breaks = "packets that carry both marks are led, or let through, by the wrong rule"
    breaks += "; connections that carry theirs are not pinned" if case.config.router.pin else ""
    return Finding("mark-overlap", WARNING, about, words, breaks, fix)


def _other_mask(case: Case, mask: int) -> Fix:
    """Bits that nothing in this finding uses."""
    free = next((one for one in MARK_MASKS if not one & mask), 0)
    if not free or any(uplink.config.mark is not None for uplink in case.uplinks):
        return Fix("choose other bits for theirs, or for ours ([routing] mark_mask, and mark of uplinks)")
    return Fix(f"[routing] mark_mask = {free:#x} in mwan-hook.conf, unless something else uses those bits")


def check_flowtables(case: Case, flowtables: Iterable[Flowtable]) -> Iterator[Finding]:
    """Offloaded connections pass no chain and no rule."""
    interfaces = {uplink.interface: uplink.name for uplink in case.uplinks}
    for one in flowtables:
        through = [interfaces[name] for name in one.devices if name in interfaces]
        if through:
            what = f"{one.where} offloads connections through {listed(through)}"
            breaks = (
                "their packets pass neither rules nor chains: they keep the way of the moment of offloading, "
                "are not pinned anew, and a dead uplink's connections hang until the kernel drops them"
            )
            names = listed(name for name in one.devices if name in interfaces)
            words = f"take {names} out of its devices, or the whole flowtable out"
            yield Finding("flowtable", WARNING, one.where, what, breaks, Fix(words))
