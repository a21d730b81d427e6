"""Our rules beside those of other programs: tunnels, and what else takes packets for a purpose, keep them.  Pure.

The shared default's rule stands behind theirs (:mod:`foreign` tells which).  What they send to main, a tunnel's own
packets for one, is led by the shared default, in front of the rule that does so.  What they choose by anything but its
source is not taken by the rules of uplinks' addresses.
"""

from __future__ import annotations

from mwan_hook.model import DEFAULT, LOCAL_TABLE, LOOKUP, MAIN_TABLE, LastResort, Rule
from mwan_hook.others import foreign, jumps
from mwan_hook.others.foreign import Here
from mwan_hook.routing.priorities import BEFORE_DEFAULT, DISGUISED, NETWORKS, REFUSE_EARLY, SOURCES
from mwan_hook.routing.rules import LOOPBACK, numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Config, Snapshot, Uplink
    from mwan_hook.routing.desired import Desired


def with_tunnels(desired: Desired, config: Config, uplinks: Sequence[Uplink], snapshot: Snapshot) -> Desired:
    """What should be in the kernel, with respect to other programs' rules and routes; ``notes`` say what that is."""
    rules: list[Rule] = []
    notes: list[str] = []
    for family in snapshot.families:
        own = [rule for rule in desired.rules if rule.family is family]
        if own:
            here = Here(family, config, uplinks, snapshot, foreign.of_family(family, snapshot))
            own, said = _beside(own, here)
            notes += said
        if own and snapshot.hosts:
            from mwan_hook.others import servers

            led, said = servers.led(here, desired.online.get(family, ()))
            own, notes = [*led, *own], [*notes, *said]
        rules += own
    return desired._replace(rules=tuple(rules), notes=tuple(notes))


def _beside(own: Sequence[Rule], here: Here) -> tuple[list[Rule], list[str]]:
    """Our rules of a family as they stand beside those of others."""
    takers = list(foreign.takers(here))
    if here.pieces or any(interfaces for _, interfaces in takers):
        own = [rule for rule in own if not _refuses_own(rule, here)]
    shared = next((rule for rule in own if _is_shared(rule, here)), None)
    added = [*_networks(here)]
    added = [*jumps.over(own, added, here), *added]
    place = None
    if shared:
        place = foreign.place(here, shared.priority)
        added += _led(here, shared, place)
        own = [_moved(rule, shared.priority, place) for rule in own]
        added += _spared(here, place - 1)
    if _pieces_wait(here):
        own = [_without_pieces(rule, here) for rule in own]
        added += [Rule(here.family, place - 1, MAIN_TABLE, suppress_prefixlength=0)] if place else []
    said = _notes(here, takers, shared.priority if shared else None, place)
    return [*(rule._replace(protocol=here.config.routing.protocol) for rule in added), *own], said


def _pieces_wait(here: Here) -> bool:
    """Whether a default in pieces must not come first with main's networks: other programs have rules before main's."""
    routing = here.config.routing
    return bool(routing.main_first and here.pieces and any(rule.table != LOCAL_TABLE for rule in here.rules))


def _without_pieces(rule: Rule, here: Here) -> Rule:
    """Main's networks, which come first; the default in pieces is reached right before the shared default."""
    first = Rule(here.family, rule.priority, MAIN_TABLE, suppress_prefixlength=0, protocol=rule.protocol)
    if rule != first or rule.priority > here.base + 1:
        return rule
    return rule._replace(suppress_prefixlength=DISGUISED[here.family])


def _is_shared(rule: Rule, here: Here) -> bool:
    table = here.config.routing.default_table
    return table != MAIN_TABLE and rule == Rule(rule.family, rule.priority, table, protocol=rule.protocol)


def _moved(rule: Rule, usual: int, place: int) -> Rule:
    """The shared default's rule, and main's networks in front of it where they do not stand first."""
    before = rule.priority == usual - BEFORE_DEFAULT
    networks = before and rule.table == MAIN_TABLE and rule.suppress_prefixlength is not None
    if networks or (rule.priority == usual and not foreign.selects(rule)):
        return rule._replace(priority=rule.priority + place - usual)
    return rule


def _refuses_own(rule: Rule, here: Here) -> bool:
    """The last resort's refusal in front of the rules of addresses: a tunnel may be a way out with no uplink online."""
    last = here.config.routing.last_resort
    if last not in (LastResort.UNREACHABLE, LastResort.BLACKHOLE):
        return False
    early = Rule(here.family, here.base + REFUSE_EARLY, 0, iif=LOOPBACK, action=last.value, protocol=rule.protocol)
    return rule == early


def _led(here: Here, shared: Rule, place: int) -> Iterator[Rule]:
    """The shared default for what others send to main.

    A rule by mark for main in front of a tunnel's is how the tunnel's own packets get around it, wherever they stand.
    """
    first = here.base if here.config.routing.main_first else shared.priority
    for number, rule in enumerate(here.rules):
        if foreign.takes_all(rule) or not foreign.to_main(rule) or not foreign.is_plain(rule):
            continue
        beside = shared.priority <= rule.priority < place
        if beside or (rule.mask and rule.priority > 2 and _tunnel_behind(here.rules[number + 1 :])):
            led = rule._replace(priority=rule.priority - 1, action=LOOKUP, target=0, table=shared.table)
            if rule.priority <= first or here.pieces:
                yield led._replace(priority=rule.priority - 2, table=MAIN_TABLE, suppress_prefixlength=0)
            yield led


def _tunnel_behind(rules: Iterable[Rule]) -> bool:
    return any(foreign.takes_all(rule) and foreign.has_own_table(rule) for rule in rules)


def _networks(here: Here) -> Iterator[Rule]:
    """What tables that are asked for everything reach besides a default, as main's networks come first.

    Behind a default for all but a few (wg-quick's) only those few are led there.
    """
    known = {here.config.routing.default_table, *(uplink.table for uplink in here.uplinks)}
    place, asking = NETWORKS, Rule(here.family, 0, 0)
    for rule in here.rules:
        if not foreign.takes_all(rule) or not foreign.has_own_table(rule):
            continue
        if rule.priority > here.base + SOURCES and rule.table not in known and not rule.inverted:
            known.add(rule.table)
            widest = max(rule.suppress_prefixlength or 0, DISGUISED[here.family])
            yield asking._replace(priority=here.base + place, table=rule.table, suppress_prefixlength=widest)
            place = min(place + 1, 99)
        if any(route.dst == DEFAULT for route in foreign.wide(rule, here.snapshot)):
            if not rule.inverted or rule.narrowed or foreign.selects(asking):
                return  # it answers everything
            asking = rule._replace(inverted=False, target=0)


def _spared(here: Here, priority: int) -> list[Rule]:
    """Rules for addresses of lines that have a default in main and are no uplinks: main is asked where they go.

    Without them the shared default would take such packets, and they would leave by a line of another address.
    """
    snapshot, ours = here.snapshot, here.interfaces
    others = (r for r in snapshot.defaults if r.family is here.family and r.protocol != snapshot.protocol)
    lines = {hop.index for route in others for hop in route.nexthops} - ours
    own = [a.address for a in snapshot.addresses if a.index in lines and a.family is here.family and a.usable]
    sources = [address for address in dict.fromkeys(own) if address not in here.sources]
    return [Rule(here.family, priority, MAIN_TABLE, src=source) for source in sources]


def _notes(
    here: Here, takers: Sequence[tuple[Rule, tuple[int, ...]]], usual: int | None, place: int | None
) -> list[str]:
    """What is said, once, of other programs' rules that come before the shared default.

    ``usual`` and ``place``: of the shared default's rule, where there is one.
    """
    said = [numbered(here.family, rule.priority) + _taker(here, rule, interfaces) for rule, interfaces in takers]
    if here.pieces:
        where = ", ".join(sorted(route.dst for route in here.pieces))
        into = _names(here, tuple(hop.index for route in here.pieces for hop in route.nexthops))
        said.append(f"main has {where} dev {into}: a default in pieces, which comes before the shared default")
    if place is not None and place != usual:
        mine = f"{numbered(here.family, place)} is the shared default's, instead of {usual}"
        said.append(f"{mine}: rules of other programs come first")
    return said


def _taker(here: Here, rule: Rule, interfaces: tuple[int, ...]) -> str:
    if rule.action != LOOKUP:
        return f" of another program refuses everything ({rule.action})"
    into = _names(here, interfaces) or "nowhere"
    return f" of another program leads all traffic into {into} (table {rule.table})"


def _names(here: Here, interfaces: Sequence[int]) -> str:
    names = here.snapshot.names
    return " and ".join(dict.fromkeys(names.get(index, str(index)) for index in interfaces))
