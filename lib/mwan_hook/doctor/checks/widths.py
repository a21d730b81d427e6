"""Doctor: uplinks whose way takes smaller packets than their interface says.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook.doctor.finding import NOTE, WARNING, Case, Finding, Fix
from mwan_hook.firewall.segments import HEADERS, LEAST
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Uplink


class Narrow(NamedTuple):
    """A family of an uplink in which echoes above a size get no answer."""

    uplink: str
    family: Family
    says: int  # the interface's MTU
    takes: int  # at least
    loses: int  # at least so many; more than one byte above `takes` where the time did not suffice to know
    target: str  # that was asked
    told: bool  # a router has said so


def check(case: Case, narrow: Sequence[Narrow]) -> Iterator[Finding]:
    """One finding an uplink: its MTU is one for both families."""
    for uplink in case.present:
        seen = [one for one in narrow if one.uplink == uplink.name]
        if seen:
            yield _finding(case, uplink, seen)


def _finding(case: Case, uplink: Uplink, seen: Sequence[Narrow]) -> Finding:
    told = all(one.told for one in seen)
    router = case.config.router
    lowered = case.config.firewall and all((router.mss or one.takes) <= _segment(one) for one in seen)
    ways = "; ".join(
        f"by {one.family.value} {one.target} answers echoes of {one.takes} bytes and none of {one.loses}"
        for one in seen
    )
    says = "routers on the way say so" if told else "no router on the way says so"
    what = f"{uplink.interface} says that it takes {max(one.says for one in seen)} bytes; {ways}; {says}"
    breaks = "connections open, and hang with the first full packet"
    if told:
        breaks = "each connection loses its first full packets; a program that does not hear why hangs"
    if lowered:
        breaks = "UDP, and connections of this machine itself; [router] mss lowers what is forwarded"
    severity = NOTE if told or lowered else WARNING
    return Finding("path-mtu", severity, uplink.name, what, breaks, Fix(_fix(case, uplink, seen, lowered)))


def _fix(case: Case, uplink: Uplink, seen: Sequence[Narrow], lowered: bool) -> str:
    if any(one.loses - one.takes > 1 for one in seen):
        return f"measure what it takes (ping -M do -s SIZE -I {uplink.interface}), and set its MTU to that"
    mtu = min(one.takes for one in seen)
    words = (
        f"set the MTU of {uplink.interface} to {mtu}: MTUBytes={mtu} in [Link] of its .network file; of pppd, mtu {mtu}"
    )
    if mtu < LEAST[Family.IPV6]:
        words += f" (which leaves no IPv6 on it: that needs {LEAST[Family.IPV6]})"
    if lowered:
        return words
    also = "" if case.config.firewall else ", beside pin, masquerade or nat6"
    return f"{words}; or, for what is forwarded, [router] mss = {min(map(_segment, seen))}{also}"


def _segment(one: Narrow) -> int:
    return one.takes - HEADERS[one.family]
