"""What our nft table should hold: connections that keep their uplink, sources that become its address, and more.

A connection carries its uplink in its conntrack mark, inside ``mark_mask`` only.  The mark is given where the first
packet comes in or goes out, and copied to every later packet before it is routed, so that the uplink's fwmark rule
takes it.  Nothing here follows verdicts: a dead uplink's rule goes, its connections fall to the shared default, and
going out there gives them the mark of the uplink that they take now.  Only ``failback = hard`` looks at who is online.

Commands are nft(8)'s, one a line.  They name interfaces, not indexes, so that a replug changes nothing.
"""

from __future__ import annotations

from mwan_hook.firewall import segments, translation
from mwan_hook.firewall.match import interface, marking
from mwan_hook.model import UNREAD, Change, Failback, Family, Firewall, Op, Ruleset
from mwan_hook.routing import priorities
from mwan_hook.verdict.standing import is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.firewall.policies import Marked
    from mwan_hook.firewall.translation import Translation
    from mwan_hook.model import Config, Snapshot, State, Uplink
    from mwan_hook.policy.policies import BoundPolicy

TABLE = "inet mwan_hook"
ADD_SET = f"add set {TABLE}"
ABSENT = (f"add table {TABLE}", f"delete table {TABLE}")


def translations(config: Config, uplinks: Sequence[Uplink], snapshot: Snapshot) -> tuple[str, ...]:
    """The commands that make the table with nothing but what hangs on no verdict: sources that become ours."""
    lines = [one.rule for one in translation.translations(config.router, uplinks, snapshot)]
    return _commands({"srcnat": lines}, (), ()) if lines else ()


def wanted(
    config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot, courses: Sequence[BoundPolicy]
) -> tuple[str, ...]:
    """The commands that make the table, or none where nothing needs it.  ``courses``: the policies."""
    rules = _pinning(config, uplinks, state, snapshot) if config.router.pin else {}
    if translated := [one.rule for one in translation.translations(config.router, uplinks, snapshot)]:
        rules["srcnat"] = translated
    if dead := deprecated(config, uplinks, state, snapshot):
        from mwan_hook.firewall import advertised

        rules["advertised"] = list(advertised.rules(dead))
    sets: Sequence[str] = ()
    if any(course.mark for course in courses):
        from mwan_hook.firewall import policies

        made = policies.Marked(tuple(courses), tuple(uplinks), config, state, snapshot)
        rules, sets = _with_policies(rules, made), policies.sets(made)
    counters: Sequence[str] = ()
    if config.router.evidence != "no":
        from mwan_hook.firewall import evidence

        rules, counters = rules | evidence.rules(uplinks, state.firewall.commands), evidence.counters(uplinks)
    if rules and (lowering := segments.rules(config.router, uplinks, snapshot, state.firewall.commands)):
        rules[segments.CHAIN] = list(lowering)
    return _commands(rules, sets, counters) if rules else ()


def _pinning(config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot) -> dict[str, list[str]]:
    """Chains that keep connections on the uplink by which they came."""
    mask = config.routing.mark_mask
    pinned = [uplink for uplink in uplinks if not uplink.mark & ~mask and (uplink.mark or uplink.present)]
    if not any(uplink.mark for uplink in pinned):
        return {}
    free = tunnelled(config, uplinks, snapshot)
    again = [line for one in pinned for line in _restoring(one, mask, uplinks, state, snapshot, free)]
    return {
        "prerouting": [line for uplink in pinned for line in _arriving(uplink, mask)] + again,
        "output": again,
        "postrouting": [_leaving(uplink, mask) for uplink in pinned],
    }


def deprecated(config: Config, uplinks: Sequence[Uplink], state: State, snapshot: Snapshot) -> tuple[str, ...]:
    """Prefixes that hosts of the LAN shall use for nothing new."""
    if not config.router.deprecate_prefixes or not snapshot.delegated:
        return ()
    from mwan_hook.routing import prefixes

    return prefixes.to_deprecate(uplinks, state, snapshot)


def _with_policies(rules: dict[str, list[str]], made: Marked) -> dict[str, list[str]]:
    """The chains with what policies need; where a connection is pinned to both, the policy's mark tells more."""
    from mwan_hook.firewall import policies

    if made.config.router.pin:
        restored = list(policies.restoring(made))
        for chain in ("prerouting", "output"):
            rules[chain] = [*rules.get(chain, ()), *restored]
        rules["postrouting"] = [*policies.leaving(made), *rules.get("postrouting", ())]
    translated = [*policies.translating(made), *rules.pop("srcnat", ())]
    last = {"srcnat": translated} if translated else {}
    return {**policies.chains(made), **rules, **last}


def _commands(rules: dict[str, list[str]], sets: Sequence[str], counters: Sequence[str]) -> tuple[str, ...]:
    kinds = {
        "prerouting": ("filter", "prerouting", priorities.CHAIN_MANGLE),
        "output": ("route", "output", priorities.CHAIN_MANGLE),
        "postrouting": ("filter", "postrouting", priorities.CHAIN_MANGLE),
        "srcnat": ("nat", "postrouting", priorities.CHAIN_SRCNAT),
        "advertised": ("filter", "output", priorities.CHAIN_ADVERTISED),
        "policies": ("filter", "prerouting", priorities.CHAIN_TRANSLATED),
        "own": ("route", "output", priorities.CHAIN_TRANSLATED),
        "learning": ("filter", "forward", priorities.CHAIN_MANGLE),
        segments.CHAIN: ("filter", "forward", priorities.CHAIN_MANGLE),
        "begun": ("filter", "postrouting", priorities.CHAIN_MANGLE),
        "answered": ("filter", "prerouting", priorities.CHAIN_MANGLE),
    }
    lines = [*ABSENT, f"add table {TABLE}", *(f"{ADD_SET} {one}" for one in sets)]
    lines += [f"add counter {TABLE} {name}" for name in counters]
    lines += [f"add chain {TABLE} {chain}" for chain in rules if chain not in kinds]
    for chain, body in rules.items():
        if chain in kinds:
            kind, hook, priority = kinds[chain]
            lines.append(f"add chain {TABLE} {chain} {{ type {kind} hook {hook} priority {priority}; policy accept; }}")
        lines += [f"add rule {TABLE} {chain} {rule}" for rule in body]
    return tuple(lines)


def _arriving(uplink: Uplink, mask: int) -> Iterator[str]:
    """What comes in by an uplink is answered by it, and needs no mark to be routed itself.

    0 is the mark of those that there was none left for.
    """
    dev = interface("iif", uplink)
    if uplink.mark:
        yield f"{dev} ct direction original ct mark & {mask:#x} == 0 {marking('ct', uplink.mark, mask)}"
    yield f"{dev} return"


def tunnelled(config: Config, uplinks: Sequence[Uplink], snapshot: Snapshot) -> frozenset[Family]:
    """Families of which a rule or a default in pieces of another program leads everything into a tunnel."""
    if not (snapshot.foreign_wide or snapshot.pieces):
        return frozenset()
    from mwan_hook.others import foreign

    heres = [
        foreign.Here(family, config, uplinks, snapshot, foreign.of_family(family, snapshot))
        for family in snapshot.families
    ]
    pieces = config.routing.main_first
    return frozenset(
        here.family for here in heres if (pieces and here.pieces) or any(devices for _, devices in foreign.takers(here))
    )


def _restoring(
    uplink: Uplink,
    mask: int,
    uplinks: Sequence[Uplink],
    state: State,
    snapshot: Snapshot,
    free: frozenset[Family],
) -> Iterator[str]:
    """The connection's mark becomes the packet's, unless it has an uplink's mark already.

    ``free``: families in which what went out is let go, because a tunnel takes all; answers to what came in stay.
    """
    mine = f"ct mark & {mask:#x} == {uplink.mark:#x}"
    if not uplink.mark:
        return
    hard = uplink.config.failback is Failback.HARD and not uplink.draining
    for family in snapshot.families:
        better = hard and _has_better(uplink, family, uplinks, state)
        if better or family in free:
            yield f"meta nfproto {family.value} ct direction original {mine} return"
    yield f"{mine} meta mark & {mask:#x} == 0 {marking('meta', uplink.mark, mask)}"


def _has_better(uplink: Uplink, family: Family, uplinks: Sequence[Uplink], state: State) -> bool:
    """Whether one that is preferred by its metric, or for this one is degraded, takes new connections."""
    mine = uplink.preference(family)[:2]
    better = [one for one in uplinks if one.preference(family)[:2] < mine and not one.draining]
    return any(is_online(one, family, state) for one in better)


def _leaving(uplink: Uplink, mask: int) -> str:
    """The uplink that a connection takes is the one that it keeps; answers do not change what came in."""
    mark = f"ct mark & {mask:#x} != {uplink.mark:#x}"
    return f"{interface('oif', uplink)} ct direction original {mark} {marking('ct', uplink.mark, mask)}"


def added(
    config: Config, uplinks: Sequence[Uplink], snapshot: Snapshot, there: Firewall, known: Firewall
) -> tuple[Translation, ...]:
    """What our table did not translate, as far as it stood there: the whole of it where it did not.

    ``known`` is what was read when it was made last.
    """
    stood = set(known.commands) if stands(there, known) else set()
    present = [one for one in translation.translations(config.router, uplinks, snapshot) if one.index]
    return tuple([one for one in present if f"add rule {TABLE} srcnat {one.rule}" not in stood])


def difference(commands: tuple[str, ...], there: Firewall, known: Firewall) -> tuple[Change, ...]:
    """What makes the kernel's table the one that ``commands`` make.

    ``known`` is what was read when they were made last; nft may spell it in other words, so the words are compared
    with what it said then.  A table that is there and UNREAD may be the same: that is to be read first.
    """
    if not commands:
        return (Change(Op.DELETE, Ruleset(ABSENT)),) if there.listing else ()
    unread = there.listing == UNREAD and not known.failed
    if commands == known.commands and (unread or stands(there, known)):
        return ()
    return (Change(Op.REPLACE, Ruleset(commands)),)


def stands(there: Firewall, known: Firewall) -> bool:
    """True if the table that is there is the one that the known commands have made."""
    return bool(there.listing) and there.listing == known.listing and not known.failed


def remembered(commands: tuple[str, ...], there: Firewall, known: Firewall) -> Firewall:
    """What to keep of a look: the generation that was found right, or what is known of one that is not yet."""
    if there.listing == UNREAD or difference(commands, there, known):
        return known
    return there._replace(commands=commands) if commands else Firewall()
