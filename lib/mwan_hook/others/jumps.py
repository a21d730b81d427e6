"""Jumps over our rules, to rules of other programs that choose by mark, destination, port or user.  Pure.

The kernel asks such a rule before an own packet has a source, and once more with one, when the rules of uplinks'
addresses would take it.  Another program's rule that stands on the way is asked as it was before: a jump leads to the
first one behind rules of ours, and behind that follows the next.
"""

from __future__ import annotations

from mwan_hook.model import Rule
from mwan_hook.others import foreign
from mwan_hook.others.foreign import GOTO, Here
from mwan_hook.routing import priorities
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST = 50  # selectors
CHOSEN = ("dst", "iif", "mark", "mask", "ipproto", "sport", "dport", "uids")


def over(own: Sequence[Rule], networks: Sequence[Rule], here: Here) -> Iterator[Rule]:
    """The jumps of a family; ``networks``: what comes first of other programs' tables.  One without a target does
    nothing."""
    chosen = list(_chosen(here))
    if not chosen:
        return
    legs = list(_legs({*_of_ways(own, here), *(rule.priority for rule in networks)}, here))
    for selector, last in chosen:
        yield from (selector._replace(priority=place, target=to) for place, to in legs if to <= last)


def _legs(ours: Iterable[int], here: Here) -> Iterator[tuple[int, int]]:
    place, left = here.base + priorities.JUMPS, sorted(ours)
    for found in dict.fromkeys(rule.priority for rule in here.rules if rule.priority > place):
        if left and left[0] < found:
            yield place, found
        left = [priority for priority in left if priority > found]
        if not left:
            return
        place = left[0] - 1


def _of_ways(own: Iterable[Rule], here: Here) -> Iterator[int]:
    """Where rules of ours choose a way before those of policies and the shared default, or for an uplink's address."""
    end = priorities.default(here.config) - priorities.BEFORE_DEFAULT
    for rule in own:
        offset = rule.priority - here.base
        policy = priorities.POLICIES <= offset <= priorities.POLICIES_END
        if foreign.selects(rule) and offset > priorities.JUMPS and rule.priority < end and not policy:
            yield rule.priority


def _chosen(here: Here) -> Iterator[tuple[Rule, int]]:
    """Selectors of rules behind those of addresses, with where they stand."""
    seen: set[Rule] = set()
    for rule in here.rules:
        selector = Rule(here.family, 0, 0, action=GOTO, **{field: getattr(rule, field) for field in CHOSEN})
        if selector in seen or not _jumped_to(rule, here):
            continue
        seen.add(selector)
        if foreign.has_own_table(rule) and rule.priority > here.base + priorities.SOURCES and len(seen) <= MOST:
            yield selector, rule.priority


def _jumped_to(rule: Rule, here: Here) -> bool:
    """True if it takes own packets by something else than their source, and none that are marked for an uplink."""
    numbers = rule.mask or rule.ipproto or rule.sport or rule.dport or rule.uids
    own = rule.iif in (None, LOOPBACK) and not rule.oif and not rule.src
    return bool(own and (rule.dst or numbers) and foreign.is_plain(rule)) and not _means_ours(rule, here)


def _means_ours(rule: Rule, here: Here) -> bool:
    """Whether a packet that has nothing but a mark of ours is chosen by its mark."""
    if not rule.mask:
        return False
    mark = rule.mark or 0
    mine = [uplink.mark for uplink in here.uplinks if uplink.mark]
    given = not mark & rule.mask & ~here.config.routing.mark_mask
    return given or any(not (mark ^ one) & rule.mask for one in mine)
