"""Jobs from targets, and what one round saw from their results.  Pure."""

from __future__ import annotations

from mwan_hook.light import TYPE_CHECKING, NamedTuple
from mwan_hook.model import Connectivity, Family, Job, Method, Round, TargetResult

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Probe, Result, Target, Uplink
    from mwan_hook.verdict.schedule import Timeouts

FACTS = "no target applies: judged by the facts"
PORTS = {Method.HTTP: 80, Method.HTTPS: 443}


class Traits(NamedTuple):
    """What the rest of the program must know of a probe method; what it asks stands in its module."""

    module: str  # below mwan_hook.probes
    measures: int  # its round trip is 0: the line's, 1: that and a server's own work, 2: the nearest router's
    # Methods of which its smoothed round trip tells how soon they answer.  An echo's says nothing of a web server's
    # work, nor of a resolver's that asks others in turn, nor of the way behind the gateway.
    foretells: tuple[Method, ...]
    echo: bool = False  # the kernel or a router answers at once; else that may cost a retransmission, or work
    neighbour: bool = False  # asks the gateway: only where there is one, with a link address
    portal: bool = False  # can tell a portal from the internet
    threaded: bool = False  # begun after all others, which a new thread would hold up
    samples: int = 0  # how well it measures loss and round trips: 2: by echoes, 1: by questions, 0: not
    late: bool = True  # an answer after the round counts in the round that it reaches


_ECHOED = (Method.ICMP, Method.TCP, Method.GATEWAY)
_WEB = (Method.HTTP, Method.HTTPS)
METHODS = {
    Method.ICMP: Traits("icmp", 0, _ECHOED, echo=True, samples=2),
    Method.TCP: Traits("tcp", 0, _ECHOED, samples=1),
    Method.DNS: Traits("dns", 0, (Method.DNS,), samples=1),
    Method.NTP: Traits("ntp", 0, (Method.NTP,), samples=1),
    Method.HTTP: Traits("http", 1, _WEB, portal=True, threaded=True),
    Method.HTTPS: Traits("http", 1, _WEB, portal=True, threaded=True),
    Method.GATEWAY: Traits("gateway", 2, (Method.GATEWAY,), echo=True, neighbour=True),
}
"""Every method; of those that a round has, the first one's round trip foretells."""


def jobs_for(uplink: Uplink, family: Family, probe: Probe, *, with_portal: bool) -> tuple[Job, ...]:
    """What to ask for one round; portal targets last.  Empty where a fact is missing or no target applies."""
    way = uplink.way(family)
    if way.missing or uplink.link is None:
        return ()
    other_source, other_servers = _other_way(uplink, family)
    asked = [(target, False) for target in probe.targets]
    asked += [(target, True) for target in probe.portal_targets if with_portal]
    return tuple(
        Job(
            uplink=uplink.name,
            family=family,
            target=target,
            interface=uplink.interface,
            index=uplink.index,
            source=way.source,
            gateway=way.gateway,
            noarp=uplink.link.noarp,
            timeout=probe.timeout,
            servers=way.servers,
            portal=portal,
            other_source=other_source,
            other_servers=other_servers,
        )
        for target, portal in asked
        if applies(target, uplink, family)
    )


def _other_way(uplink: Uplink, family: Family) -> tuple[str, tuple[str, ...]]:
    """Source and name servers of the other family, whether or not this round asks that one, too."""
    other = Family.IPV6 if family is Family.IPV4 else Family.IPV4
    way = uplink.way(other)
    return (way.source, way.servers) if other in uplink.config.families and not way.missing else ("", ())


def applies(target: Target, uplink: Uplink, family: Family) -> bool:
    """False for a literal address of the other family, and for the gateway where there is none to ask."""
    way, link = uplink.way(family), uplink.link
    neighbours = way.gateway is not None and link is not None and not link.noarp
    return target.applies(family) and (neighbours or not METHODS[target.method].neighbour)


def sparing(jobs: Sequence[Job], required: int, turn: int) -> tuple[Job, ...]:
    """The ``required`` number of targets, another one each ``turn``, and one portal target: enough while all is well.

    Empty where that would save nothing.  If they do not all answer, the round goes on with every target.
    """
    own = [job for job in jobs if not job.portal]
    portal = [job for job in jobs if job.portal]
    needed = max(1, min(required, len(own)))
    if not own or (needed == len(own) and len(portal) <= 1):
        return ()
    start = turn % len(own)
    return (*(own[start:] + own[:start])[:needed], *portal[:1])


def hurried(jobs: Sequence[Job], short: Timeouts, patient: float) -> tuple[Job, ...]:
    """The jobs of one uplink and family with their timeouts (seconds) for a burst, in their order.

    ``short``, which the smoothed round trip gives, are for the methods that this was measured with; ``patient`` is for
    all others and for portal targets.
    """
    methods = {job.target.method for job in jobs if not job.portal}
    soon = next((traits.foretells for method, traits in METHODS.items() if method in methods), ())

    def timeout(job: Job) -> float:
        if job.portal or job.target.method not in soon:
            return patient
        return short.echo if METHODS[job.target.method].echo else short.service

    return tuple(job._replace(timeout=timeout(job)) for job in jobs)


def suffices(results: Sequence[Result]) -> bool:
    """Whether a spared round needs no more: every target it asked is full."""
    return all(result.connectivity is Connectivity.FULL for result in results)


def summarise(results: Sequence[Result], required: int) -> Round:
    """What the results of one uplink and family say together.

    The best of the targets, ``full`` if ``required`` of them are (of those that apply, where they are fewer); else
    ``limited`` at most.  Portal targets do not count: they give ``portal``, False if one of them is full, else True if
    one says portal, else None.  Latency is the median of the full targets (the lower of two): of echo, TCP, DNS where
    there are such, of HTTP or the gateway else.  No target at all: ``full``, as far as this round can tell.
    """
    own = [result for result in results if not result.job.portal and result.connectivity is not Connectivity.UNKNOWN]
    portal = [result for result in results if result.job.portal]
    return Round(
        connectivity=_connectivity(own, portal, required),
        latency_ms=_latency(own),
        reason=_reason(own, required),
        targets=tuple(TargetResult(r.job.target.name, r.connectivity, r.rtt_ms, r.error) for r in results),
        portal=_portal(portal),
        portal_checked=bool(portal),
        wire_bytes=sum(result.wire_bytes for result in results),
    )


def _needed(own: Sequence[Result], required: int) -> int:
    return max(1, min(required, len(own)))


def _full(results: Sequence[Result]) -> list[Result]:
    return [result for result in results if result.connectivity is Connectivity.FULL]


def _connectivity(own: Sequence[Result], portal: Sequence[Result], required: int) -> Connectivity:
    """The best of the targets."""
    if not own:
        # Only a missing fact can be seen here, by the probe that tried to send.
        lost = portal and all(result.connectivity is Connectivity.NONE for result in portal)
        return Connectivity.NONE if lost else Connectivity.FULL
    best = max(result.connectivity for result in own)
    if best is Connectivity.FULL and len(_full(own)) < _needed(own, required):
        return Connectivity.LIMITED
    return best


def _portal(portal: Sequence[Result]) -> bool | None:
    """True if a portal stands in the way; None where the check could not tell."""
    if _full(portal):
        return False
    return True if any(result.connectivity is Connectivity.PORTAL for result in portal) else None


def _latency(own: Sequence[Result]) -> float | None:
    """Median round trip, ms."""
    timed = [(METHODS[r.job.target.method].measures, r.rtt_ms) for r in _full(own) if r.rtt_ms is not None]
    best = min((measured for measured, _ in timed), default=0)
    times = sorted(rtt_ms for measured, rtt_ms in timed if measured == best)
    return times[(len(times) - 1) // 2] if times else None


def _reason(own: Sequence[Result], required: int) -> str:
    """Words for the history: how many answered, and why the others did not where that decided."""
    if not own:
        return FACTS
    full, needed = len(_full(own)), _needed(own, required)
    words = f"{full} of {len(own)} targets answered"
    if full >= needed:
        return words
    if full:
        words += f", {needed} required"
    errors = [result.error for result in own if result.error and result.connectivity is not Connectivity.FULL]
    if not errors:
        return words
    return f"{words}: {max(dict.fromkeys(errors), key=errors.count)}"
