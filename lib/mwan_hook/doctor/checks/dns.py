"""Doctor: name servers that are asked over a dead line.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook.doctor.finding import PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Status
from mwan_hook.phrases import listed
from mwan_hook.verdict.standing import is_online

LEASE = "lease of "  # its servers need not be asked


class Resolver(NamedTuple):
    """A name server as the machine would ask it."""

    address: str
    place: str  # who names it
    index: int = 0  # type: ignore[assignment]  # not tuple.index: the interface that the kernel takes
    error: str = ""  # why there is no way to it


def check(case: Case, servers: Sequence[Resolver]) -> Iterator[Finding]:
    """Which of them cannot answer; if none is left, no name is found."""
    judged = [(server, _why_dead(case, server)) for server in servers]
    dead = [(server, why) for server, why in judged if why]
    places = dict.fromkeys(server.place for server, _ in dead)
    for place in places:
        here = [(server, why) for server, why in dead if server.place == place]
        left = [server.address for server, why in judged if server.place == place and not why]
        what = "; ".join(f"{server.address} ({place}) {why}" for server, why in here)
        breaks, severity = "no name is found: no server is left", PROBLEM
        if left:
            breaks, severity = f"look-ups wait for it before {listed(left)} is asked", WARNING
        elif place.startswith(LEASE):
            breaks, severity = "who asks it (a forwarder, dnsmasq) waits for nothing", WARNING
        words = "use a server that every uplink reaches (DNS= in .network files, or a public one), or systemd-resolved"
        yield Finding("dns-dead-link", severity, place, what, breaks, Fix(words))


def _why_dead(case: Case, server: Resolver) -> str:
    if server.error:
        return f"cannot be reached: {server.error}"
    family = Family.of(server.address)
    for uplink in case.present:
        memory = case.state.memory(uplink.name).family(family)
        if uplink.index != server.index or is_online(uplink, family, case.state) or not memory.judged:
            continue
        if any(case.online(other) for other in case.uplinks) or memory.status is not Status.ONLINE:
            return f"is asked through {uplink.interface}, uplink {uplink.name}, which is {memory.status.value}"
    return ""
