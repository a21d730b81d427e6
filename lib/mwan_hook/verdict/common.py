"""Targets that are dead behind every uplink: that is their fault and no uplink's.  Pure.

A target is ignored once two uplinks at least that are alive otherwise have missed it often enough, and none has an
answer of it; until it answers through any of them.  An uplink is alive otherwise if another target of it answers, or,
where it has no other one, its gateway.  An uplink that is dead itself, or behind a portal, tells nothing of a target.
"""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model import FAMILIES, Connectivity, Family, FamilyState, Method, Status, Target, UplinkState
from mwan_hook.verdict import rounds
from mwan_hook.verdict.decide import updated
from mwan_hook.verdict.rounds import METHODS, applies

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
    from typing import TypeAlias

    from mwan_hook.model import Probe, Result, Round, TargetResult, Uplink

    Name: TypeAlias = tuple[str, Family]
    Question: TypeAlias = tuple[Uplink, Family, Target]

NEEDED = 3  # misses in a row, through each uplink that is alive
WITNESSES = 2  # such uplinks
BAD = (Connectivity.NONE, Connectivity.LIMITED)  # rounds
FAILED = Connectivity.LIMITED  # a target: what lacks a fact, or finds a portal, is the line's
GATEWAY = Target("gateway:", Method.GATEWAY, name="gateway:")


class Testimony(str, Enum):
    """What one uplink tells of a target."""

    ANSWERED = "answered"  # now
    UNASKED = "unasked"  # it may answer, as it did when it was asked last
    UNPROVEN = "unproven"  # missed; whether the uplink is alive has to be asked of its gateway
    PENDING = "pending"  # missed by an uplink that is alive, not often enough
    MISSED = "missed"  # often enough
    SILENT = "silent"  # nothing


class Site(NamedTuple):
    """All uplinks, what is remembered of them, and what they have answered now, in that order."""

    uplinks: Sequence[Uplink]
    memories: Mapping[str, UplinkState]
    answers: Mapping[Name, Sequence[Result]]
    ignored: Mapping[str, float]  # FAMILY TARGET: since when

    def memory(self, uplink: Uplink, family: Family) -> FamilyState:
        """What is remembered of one family of an uplink."""
        return self.memories.get(uplink.name, UplinkState()).family(family)


def key(family: Family, target: str) -> str:
    """What an ignored target is remembered by."""
    return f"{family.value} {target}"


def names_of(ignored: Iterable[str], family: Family) -> list[str]:
    """The targets of one family that are ignored."""
    return [name.partition(" ")[2] for name in ignored if name.startswith(f"{family.value} ")]


def with_gateway(probe: Probe, ignored: Iterable[str], family: Family) -> Probe:
    """Where all targets of a line are ignored its gateway is asked, too: it may tell that the line is dead."""
    names = names_of(ignored, family)
    left = any(target.applies(family) and target.name not in names for target in probe.targets)
    return probe if left or not names else probe._replace(targets=(*probe.targets, GATEWAY))


def ignored(site: Site, now: float) -> dict[str, float]:
    """Which targets are ignored after these answers."""
    found: dict[str, float] = {}
    for family in FAMILIES:
        for target in dict.fromkeys((*names_of(site.ignored, family), *_missed_in(site, family))):
            told = [testimony(site, uplink, family, target) for uplink in asking_now(site, family, target)]
            since = site.ignored.get(key(family, target))
            if Testimony.ANSWERED in told or (since is not None and not _is_configured(site, target)):
                continue
            if may_move(site, family, target):
                continue
            if since is not None or _is_common(told):
                found[key(family, target)] = now if since is None else since
    return found


def may_move(site: Site, family: Family, target: str) -> bool:
    """Whether gateways alone speak for those that ask a target, while another uplink carries, or could be dialled.

    What is dead behind these gateways may be more than the target, and a verdict takes no way out away then.
    """
    asking = asking_now(site, family, target)
    if any(own_targets(uplink, family).keys() - {target} for uplink in asking):
        return False
    names = {uplink.name for uplink in asking}
    others = [one for one in site.uplinks if one.name not in names and one.enabled and not one.draining]
    others = [one for one in others if family in one.config.families]
    carrying = [one for one in others if site.memory(one, family).status is Status.ONLINE]
    return any(not one.way(family).missing for one in carrying) or any(one.config.dial for one in others)


def _is_common(told: Sequence[Testimony]) -> bool:
    return told.count(Testimony.MISSED) >= WITNESSES and set(told) <= {Testimony.MISSED, Testimony.SILENT}


def _is_configured(site: Site, target: str) -> bool:
    return any(one.name == target for uplink in site.uplinks for one in uplink.config.probe.targets)


def _missed_in(site: Site, family: Family) -> Iterator[str]:
    for (_, asked), results in site.answers.items():
        if asked is family:
            yield from missed(results)


def missed(results: Iterable[Result]) -> Iterator[str]:
    """Names of the targets that failed; a gateway is each uplink's own."""
    for one in results:
        if one.connectivity is FAILED and not one.job.portal and not METHODS[one.job.target.method].neighbour:
            yield one.job.target.name


def asking_now(site: Site, family: Family, target: str) -> list[Uplink]:
    """The uplinks that can ask it now."""
    return [
        uplink
        for uplink in site.uplinks
        if uplink.enabled and uplink.link and not uplink.way(family).missing and target in own_targets(uplink, family)
    ]


def own_targets(uplink: Uplink, family: Family) -> dict[str, Target]:
    """The targets of an uplink by name, without its gateway."""
    return {
        one.name: one
        for one in uplink.config.probe.targets
        if applies(one, uplink, family) and not METHODS[one.method].neighbour
    }


def testimony(site: Site, uplink: Uplink, family: Family, target: str) -> Testimony:
    """What an uplink tells of a target by what it answered now, or else last."""
    fresh = results_of(site, uplink, family, target)
    if any(one.connectivity is Connectivity.FULL for one in fresh):
        return Testimony.ANSWERED
    known = _known(site.memory(uplink, family).targets, target)
    last = fresh[-1].connectivity if fresh else known.connectivity if known else Connectivity.FULL
    if last is Connectivity.FULL:
        return Testimony.UNASKED
    alive = _alive(site, uplink, family, target) if last is FAILED else False
    if not alive:
        return Testimony.UNPROVEN if alive is None else Testimony.SILENT
    return Testimony.MISSED if misses(site, uplink, family, target) >= NEEDED else Testimony.PENDING


def results_of(site: Site, uplink: Uplink, family: Family, target: str) -> list[Result]:
    found = site.answers.get((uplink.name, family), ())
    return [one for one in found if one.job.target.name == target and not one.job.portal]


def _known(targets: Iterable[TargetResult], target: str) -> TargetResult | None:
    return next((one for one in targets if one.target == target), None)


def misses(site: Site, uplink: Uplink, family: Family, target: str) -> int:
    """How often in a row it was missed through an uplink, up to now."""
    known = _known(site.memory(uplink, family).targets, target)
    return sum(one.connectivity is FAILED for one in results_of(site, uplink, family, target)) + (
        known.misses if known else 0
    )


def _alive(site: Site, uplink: Uplink, family: Family, target: str) -> bool | None:
    """Whether something else answers by this uplink; None where its gateway has to be asked."""
    others = own_targets(uplink, family).keys() - {target}
    if not others:
        return _gateway_answers(site, uplink, family, target)
    now = [one for one in site.answers.get((uplink.name, family), ()) if one.job.target.name in others]
    if now:
        return any(one.connectivity is Connectivity.FULL and not one.job.portal for one in now)
    before = site.memory(uplink, family).targets
    return any(one.target in others and one.connectivity is Connectivity.FULL for one in before)


def _gateway_answers(site: Site, uplink: Uplink, family: Family, target: str) -> bool | None:
    """A gateway tells little: nothing of a line whose probes have failed alone, and nothing against one that it has."""
    if site.memory(uplink, family).status is not Status.ONLINE and not is_new(site, family, target):
        return False
    answers = [one for one in site.answers.get((uplink.name, family), ()) if not one.job.portal]
    asked = [one for one in answers if METHODS[one.job.target.method].neighbour]
    if any(one.error and one.error.endswith(f", says {one.job.gateway}") for one in answers):
        return False  # a router that says there is no way behind it
    if asked or not applies(GATEWAY, uplink, family):
        return any(one.connectivity is Connectivity.FULL for one in asked)
    return None


def is_new(site: Site, family: Family, target: str) -> bool:
    """Whether no uplink that asks it was online in this boot yet."""
    asking = [site.memory(uplink, family) for uplink in asking_now(site, family, target)]
    return all(one.status is not Status.ONLINE and not one.transitions for one in asking)


def counted(targets: Sequence[TargetResult], known: Sequence[TargetResult]) -> tuple[TargetResult, ...]:
    """What was answered now, with how often in a row each was missed; ``known``: what was answered before."""
    before = {one.target: one.misses for one in reversed(known)}
    return tuple(
        one._replace(misses=before.get(one.target, 0) + 1) if one.connectivity is FAILED else one for one in targets
    )


def without(one: Round, results: Sequence[Result], probe: Probe, names: Collection[str], by_facts: bool) -> Round:
    """A round without the targets that are ignored; ``by_facts``: where nothing else is left its line may carry.

    Where only the gateway is left, its silence is a bad round, and its answer none: it tells nothing of what is
    behind it.  Where something is left, a gateway that is no target of the line has no say.
    """
    left = [result for result in results if result.job.portal or result.job.target.name not in names]
    judging = [r for r in left if not (r.job.portal or METHODS[r.job.target.method].neighbour)]
    if judging:
        own = {target.name for target in probe.targets}
        left = [result for result in left if result.job.portal or result.job.target.name in own]
    if len(left) == len(results):
        return one
    gone = ", ".join(dict.fromkeys(r.job.target.name for r in results if r.job.target.name in names))
    words = f"ignored, dead behind every uplink: {gone}" if gone else ""
    again = rounds.summarise(left, probe.required)
    again = again._replace(targets=one.targets, wire_bytes=one.wire_bytes, partial=one.partial, lost=one.lost)
    if judging or again.connectivity in BAD:
        return again._replace(reason=f"{again.reason}; {words}") if words else again
    seen = Connectivity.FULL if by_facts else Connectivity.UNKNOWN
    return again._replace(connectivity=seen, latency_ms=None, reason=words, ignored=True)


def noted(state: FamilyState, seen: Round, probe: Probe) -> FamilyState:
    """What was asked only because of another uplink's failure: it is no round."""
    own = {target.name for target in probe.targets}
    targets = updated(state.targets, [one for one in seen.targets if one.target in own])
    return state._replace(targets=targets, probe_bytes=state.probe_bytes + seen.wire_bytes)
