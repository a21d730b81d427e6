"""Builders for the tests of verdicts: an uplink by its facts, and rounds."""

from __future__ import annotations

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Address,
    Connectivity,
    Family,
    FamilyState,
    Link,
    Match,
    Probe,
    Round,
    Status,
    Uplink,
    UplinkConfig,
    Way,
)
from mwan_hook.verdict.decide import judge_round
from mwan_hook.verdict.facts import judge_facts

PING = parse("icmp://192.0.2.9")
PORTAL = parse("http://portal.example/204")
START = 1000.0
FULL, PORTALLED, LIMITED, NONE = Connectivity.FULL, Connectivity.PORTAL, Connectivity.LIMITED, Connectivity.NONE
ONLINE, OFFLINE, DISABLED = Status.ONLINE, Status.OFFLINE, Status.DISABLED


def probe(**settings: object) -> Probe:
    """One target of each kind, and the defaults."""
    return Probe(**{"targets": (PING,), "portal_targets": (PORTAL,), **settings})  # type: ignore[arg-type]


def uplink(
    settings: Probe,
    missing: str = "",
    index: int = 7,
    gateway: str | None = "192.168.7.1",
    enabled: bool = True,
    noarp: bool = False,
) -> Uplink:
    """IPv4 by these facts, no IPv6."""
    address = Address(index, Family.IPV4, "192.168.7.2", 24, True)
    return Uplink(
        config=UplinkConfig("fiber", (Match("name", "eth7"),), probe=settings, enabled=enabled),
        name="fiber",
        interface="eth7",
        index=index,
        table=1001,
        metric=100,
        mark=0,
        mask=0,
        enabled=enabled,
        link=Link(index, "eth7", True, True, noarp=noarp) if index else None,
        ipv4=Way(Family.IPV4, (address,), gateway, missing=missing),
    )


def judged_at_once(state: FamilyState, round_: Round, settings: Probe, now: float) -> FamilyState:
    """After a round that took no time, of a line that is not spared."""
    return judge_round(state, round_, settings, now, begun=now, every=settings.interval)


def seen(connectivity: Connectivity = FULL, latency: float | None = 10.0, portal: bool | None = None) -> Round:
    """A round; ``portal`` not None makes a portal check of it."""
    return Round(connectivity, latency, "words", portal=portal, portal_checked=portal is not None, wire_bytes=72)


class Line:
    """One family of one uplink, as a caller drives it: facts first, then the round."""

    def __init__(self, **settings: object) -> None:
        self.probe = probe(**settings)
        self.state = FamilyState()
        self.replugged = False
        self.uplink = uplink(self.probe)

    def facts(self, at: float, **facts: object) -> FamilyState:
        """Other facts, judged ``at`` seconds after START; without any the present ones again."""
        if facts:
            old = self.uplink.index
            self.uplink = uplink(self.probe, **facts)  # type: ignore[arg-type]
            self.replugged = old != self.uplink.index
        self.state = judge_facts(self.state, self.uplink, Family.IPV4, START + at, self.replugged, False)
        self.replugged = False
        return self.state

    def round(self, at: float, connectivity: Connectivity = FULL, latency: float | None = 10.0) -> FamilyState:
        """A look at the facts and a round."""
        self.facts(at)
        self.state = judged_at_once(self.state, seen(connectivity, latency), self.probe, START + at)
        return self.state

    def rounds(self, *times_and_words: tuple[float, Connectivity]) -> FamilyState:
        """Several."""
        for at, connectivity in times_and_words:
            self.round(at, connectivity)
        return self.state
