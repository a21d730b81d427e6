"""Rules of other programs, told apart by what they mean to the shared default.  Pure.

One that takes packets for a purpose (a tunnel, a VPN of one user, a refusal) comes before the shared default.  One that
leads everything to an uplink, or to main, is only where the default route stood before us, and comes behind it.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import DEFAULT, DEFAULT_TABLE, LOCAL_TABLE, LOOKUP, MAIN_TABLE, Config, Family, Rule, Snapshot
from mwan_hook.routing.priorities import KERNEL_MAIN, LAST
from mwan_hook.routing.rules import addresses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Route, Uplink

COMMON = (LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE)  # tables of no program in particular
GOTO, NOP = "goto", "nop"


class Here(NamedTuple):
    """One family: what others have, and what is ours."""

    family: Family
    config: Config
    uplinks: Sequence[Uplink]
    snapshot: Snapshot
    rules: tuple[Rule, ...]  # of others, in order, up to the kernel's for main

    @property
    def base(self) -> int:
        """Our first priority."""
        return self.config.routing.rule_priority

    @property
    def sources(self) -> frozenset[str]:
        """Addresses of uplinks, which have rules of their own."""
        present = [uplink for uplink in self.uplinks if uplink.present]
        return frozenset(address for uplink in present for address in addresses(uplink, self.family))

    @property
    def interfaces(self) -> frozenset[int]:
        """Indexes of the uplinks' interfaces."""
        return frozenset(uplink.index for uplink in self.uplinks if uplink.present)

    @property
    def pieces(self) -> tuple[Route, ...]:
        """A default of main in pieces that leads elsewhere than by an uplink."""
        uplinks = self.interfaces
        claims = self.snapshot.claims
        found = (route for route in self.snapshot.pieces if route.family is self.family and route not in claims)
        return tuple(route for route in found if route.nexthops and not _only(route, uplinks))


def of_family(family: Family, snapshot: Snapshot) -> tuple[Rule, ...]:
    """Rules of others in the order that the kernel asks them, up to its own for main."""
    return tuple(rule for rule in snapshot.foreign_rules if rule.family is family and rule.priority <= LAST)


def selects(rule: Rule) -> bool:
    """Whether a rule asks for anything."""
    numbers = rule.mask or rule.ipproto or rule.sport or rule.dport or rule.uids
    return bool(rule.src or rule.dst or rule.iif or rule.oif or numbers or rule.narrowed or rule.l3mdev)


def takes_all(rule: Rule) -> bool:
    """Whether a rule means every packet, or all but a few."""
    return rule.inverted or not selects(rule)


def is_plain(rule: Rule) -> bool:
    """Whether a rule of ours can choose the same packets."""
    return not (rule.inverted or rule.narrowed or rule.l3mdev)


def to_main(rule: Rule) -> bool:
    """Whether main's default is what a rule leads to, at once or by jumping there."""
    if rule.action == GOTO:
        return rule.target >= KERNEL_MAIN
    return rule.action == LOOKUP and rule.table == MAIN_TABLE and rule.suppress_prefixlength is None


def has_own_table(rule: Rule) -> bool:
    """Whether a rule leads to the table of one program."""
    return rule.action == LOOKUP and rule.table not in COMMON and not rule.l3mdev


def tables(rules: Iterable[Rule]) -> tuple[tuple[Family, int], ...]:
    """Tables whose defaults tell what a rule for all packets means."""
    return tuple(dict.fromkeys((rule.family, rule.table) for rule in rules if _leads_all(rule)))


def _leads_all(rule: Rule) -> bool:
    tabled = rule.action == LOOKUP and rule.table not in (LOCAL_TABLE, MAIN_TABLE) and not rule.l3mdev
    return tabled and takes_all(rule) and rule.suppress_prefixlength is None and rule.priority <= LAST


def wide(rule: Rule, snapshot: Snapshot) -> list[Route]:
    """The routes by which a rule for all packets leads anywhere: pieces of everything, else the best default."""
    if not _leads_all(rule):
        return []
    found = [r for r in snapshot.foreign_wide if r.family is rule.family and r.table == rule.table]
    best = min((route.metric for route in found if route.dst == DEFAULT), default=0)
    pieces = [route for route in found if route.dst != DEFAULT and route.kind == "unicast"]
    return pieces or [route for route in found if route.dst == DEFAULT and route.metric == best]


def was_default(rule: Rule, here: Here) -> bool:
    """Whether everything went to main, or by an uplink alone, by this rule: ours stands in front of it."""
    if not takes_all(rule):
        return False
    if to_main(rule):
        return True
    ways, uplinks = wide(rule, here.snapshot), here.interfaces
    return bool(ways) and all(route.nexthops and _only(route, uplinks) for route in ways)


def _only(route: Route, uplinks: frozenset[int]) -> bool:
    return all(hop.index in uplinks for hop in route.nexthops)


def takers(here: Here) -> Iterator[tuple[Rule, tuple[int, ...]]]:
    """Rules that lead everything elsewhere, with the interfaces: none for one that refuses.

    Behind what was the default before us nothing is reached.
    """
    for rule in here.rules:
        if was_default(rule, here):
            return
        ways = wide(rule, here.snapshot)
        refuses = takes_all(rule) and rule.action not in (LOOKUP, GOTO, NOP)
        if ways or refuses:
            yield rule, tuple(dict.fromkeys(hop.index for route in ways for hop in route.nexthops))


def place(here: Here, usual: int) -> int:
    """The priority of the shared default's rule: behind all that come first, before what stood for it.

    Of equal priority the kernel asks first what was there first: ours comes because of the others.
    """
    last = usual
    for rule in here.rules:
        if rule.priority < usual:
            continue
        if was_default(rule, here):
            return min(last, rule.priority - 1)
        if _counts(rule, here):
            last = rule.priority + 2  # something of ours may have to stand between (main's networks, own packets)
    return min(last, LAST)


def _counts(rule: Rule, here: Here) -> bool:
    """Whether the shared default would take anything from a rule."""
    if rule.action == NOP or (takes_all(rule) and rule.action == LOOKUP and rule.table == LOCAL_TABLE):
        return False
    if rule.table == MAIN_TABLE and rule.suppress_prefixlength is not None:
        return False
    return rule.inverted or rule.src not in here.sources
