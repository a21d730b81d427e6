"""What traffic says of an uplink: answers stand for a round, and many connections without one call for probes.

Only new TCP connections count.  Their answers, as many as there should be, are a good round for which no packet is
sent; an online uplink alone is spared so, and not for ever.  Where many have none the uplink is in doubt at once, and
until that is over a round is good only with an answer over TCP, though echoes are answered.  Traffic alone takes
nothing offline: probes do.

Pure.  All times are CLOCK_BOOTTIME seconds and are given, never asked for.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Connectivity, Counted, Evidence, FamilyState, Method, Status, Target
from mwan_hook.verdict.schedule import in_peace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from mwan_hook.model import Family, Probe, Result, Round, TargetResult

MANY = 3  # connections without an answer
UNDER_WAY = 50  # one in so many may be: what began in the last fifth of a second of ten
SETTLES = 2.0  # seconds after a round, or a fifth of the time between rounds, in which nothing is said against it
LONGEST = 900.0  # seconds without a probe
AGAIN = 600.0  # seconds until targets are made up anew, where none has answered
MOST_MADE = 6
REFUSED = "connection refused"  # the answer of a machine where nothing listens: packets pass both ways


class Pace(NamedTuple):
    """When a family is weighed."""

    now: float
    every: float  # seconds between its rounds in peace
    due: bool  # a round, and no portal check with it


def since(before: Counted, now: Counted) -> Counted:
    """What was counted in between; smaller counters have begun anew."""
    if now.begun < before.begun or now.answered < before.answered:
        return now
    return Counted(now.begun - before.begun, now.answered - before.answered)


def answers(seen: Counted) -> bool:
    """Whether connections are answered, as far as there was time to."""
    return seen.answered > 0 and seen.begun - seen.answered <= seen.begun // UNDER_WAY


def is_silent(seen: Counted, due: bool) -> bool:
    """Whether many are not; ``due``: a round is to be made anyway, which any of them makes one over TCP, too."""
    lacking = seen.begun - seen.answered
    return lacking > seen.begun // UNDER_WAY and (due or lacking >= MANY)


def weighed(state: FamilyState, probe: Probe, counters: Counted, pace: Pace) -> FamilyState:
    """The memory of a family, after its facts, with what was counted since its last round."""
    known = state.evidence
    if known is None or known.way != state.way:
        return state._replace(evidence=Evidence(state.way, counters)) if state.way else state
    if not in_peace(state) or state.burst or state.next_probe_at is None or state.probed_at is None:
        return state
    seen = since(known.counters, counters)
    last = max(state.probed_at, known.spared_at)
    if is_silent(seen, pace.due) and pace.now - last >= min(SETTLES, pace.every / 5):
        return _in_doubt(state, known._replace(seen=seen, seen_at=pace.now), probe)
    if pace.due and may_spare(probe) and answers(seen) and pace.now - state.probed_at < LONGEST:
        return _spared(state, known._replace(seen=seen, seen_at=pace.now, counters=counters), pace)
    return state


def may_spare(probe: Probe) -> bool:
    """Whether rounds can be spared: what has a limit has to be measured."""
    return not probe.measured and probe.latency_high <= 0


def _in_doubt(state: FamilyState, known: Evidence, probe: Probe) -> FamilyState:
    deciding = (*_proven(probe, state.targets), *_one_a_host(known.proven))
    known = known._replace(silent=bool(deciding), deciding=deciding)
    return state._replace(burst=True, next_probe_at=None, evidence=known)


def _proven(probe: Probe, targets: Iterable[TargetResult]) -> list[str]:
    """Targets over TCP that answered when they were asked last."""
    own = {one.name for one in probe.targets if one.method is Method.TCP}
    return [one.target for one in targets if one.target in own and one.connectivity is Connectivity.FULL]


def _one_a_host(names: Iterable[str]) -> list[str]:
    """The first of each host's."""
    return list({name.rpartition(":")[0]: name for name in reversed([*names])}.values())[::-1]


def _spared(state: FamilyState, known: Evidence, pace: Pace) -> FamilyState:
    begun, answered = known.seen
    words = f"{answered} new connections answered" if answered > begun else f"{answered} of {begun} new connections"
    words += "; not probed" if answered > begun else " answered; not probed"
    return state._replace(
        good=state.good + 1,
        rounds=state.rounds + 1,
        next_probe_at=pace.now + pace.every,
        reason=words,
        evidence=known._replace(spared_at=pace.now),
    )


def closed(state: FamilyState, counters: Counted, results: Sequence[Result], now: float, judged: bool) -> FamilyState:
    """The memory after a round: what it asked itself is not counted, and made-up targets that answered are known.

    ``judged``: it was a round, and not some other question.
    """
    known = state.evidence
    if known is None or known.way != state.way:
        known = Evidence(state.way)
    over = judged and state.status is Status.ONLINE and state.good > 0
    known = known._replace(counters=counters, silent=known.silent and not over)
    names = {one.target for one in state.targets}
    made = [one for one in results if one.job.target.method is Method.TCP and one.job.target.name not in names]
    if made and not known.silent:
        full = [one.job.target.name for one in made if one.connectivity is Connectivity.FULL]
        refused = [one.job.target.name for one in made if one.error == REFUSED]
        known = known._replace(tried_at=now, proven=tuple(full or refused))
    return state._replace(evidence=known)


def made_up(probe: Probe, family: Family) -> tuple[Target, ...]:
    """Targets over TCP at the hosts that are asked otherwise, as far as the configuration has none."""
    own = [one for one in probe.targets if one.applies(family)]
    if any(one.method is Method.TCP for one in own):
        return ()
    ports = {Method.HTTP: (), Method.HTTPS: (), Method.GATEWAY: ()}
    places = [(one.host, port) for one in own for port in ports.get(one.method, (443, 53))]
    places += [(one.host, one.port) for one in own if one.method in (Method.HTTP, Method.HTTPS)]
    return tuple(_target(host, port) for host, port in dict.fromkeys(places))[:MOST_MADE]


def _target(host: str, port: int) -> Target:
    name = f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"
    return Target(name, Method.TCP, host, port, name=name)


def wanted(state: FamilyState, probe: Probe, family: Family, now: float) -> tuple[Target, ...]:
    """Made-up targets that this round asks beside its own: those that decide, or all until one has answered."""
    known = state.evidence
    if known is None or known.way != state.way:
        return made_up(probe, family)
    if known.silent:
        return tuple(one for one in made_up(probe, family) if one.name in known.deciding)
    return () if known.proven or now - known.tried_at < AGAIN else made_up(probe, family)


def decided(one: Round, results: Iterable[Result], known: Evidence, ignored: Collection[str]) -> Round:
    """A round while connections get no answer: it is good only if one over TCP does.  ``ignored``: names of targets."""
    names = [name for name in known.deciding if name not in ignored]
    asked = [result for result in results if result.job.target.name in names and not result.job.portal]
    if not asked or one.connectivity is not Connectivity.FULL or any(map(_passes, asked)):
        return one
    dead = ", ".join(dict.fromkeys(result.job.target.name for result in asked))
    lacking = known.seen.begun - known.seen.answered
    words = f"no answer to {lacking} of {known.seen.begun} new connections, nor from {dead}"
    return one._replace(connectivity=Connectivity.LIMITED, reason=words)


def _passes(result: Result) -> bool:
    return result.connectivity is Connectivity.FULL or result.error == REFUSED
