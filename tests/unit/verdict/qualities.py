"""A line that loses and delays, and the checks that measure it, on a clock of its own."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from mwan_hook.model import DEGRADED, Connectivity, Family, FamilyState, Measured, Probe, Round, Status, TargetResult
from mwan_hook.verdict import quality
from mwan_hook.verdict.decide import judge_round
from mwan_hook.verdict.facts import judge_facts
from mwan_hook.verdict.schedule import due, interval
from tests.unit.verdict.verdicts import probe, uplink

TARGET = "icmp://192.0.2.9"
ECHO = {Family.IPV4: 72, Family.IPV6: 112}  # bytes, there and back


def limited(**settings: object) -> Probe:
    """The limits of the contract's example."""
    return probe(**{"loss_high": 10.0, "loss_low": 3.0, **settings})


class Line:
    """One family of one uplink behind a line; ``loss`` and ``rtt`` may be changed while it runs."""

    def __init__(self, seed: int, loss: float, metered: bool = False, spared: bool = False, **settings: object) -> None:
        self.random = Random(seed)
        self.probe, self.loss = limited(**settings), loss
        self.rtt: Callable[[], float] = lambda: 20.0
        self.metered, self.spared = metered, spared
        self.uplink = uplink(self.probe)
        self.config = self.uplink.config._replace(metered=metered)
        self.state = FamilyState()
        self.now = 1000.0 + self.random.random() * 10
        self.echoes = 0
        self.told: list[tuple[float, str]] = []
        self.bursts: list[float] = []

    @property
    def degraded(self) -> bool:
        """What people are told."""
        return self.state.word == DEGRADED

    def samples(self, number: int) -> list[float]:
        """Round trips of the echoes that come back."""
        self.echoes += number
        return [self.rtt() for _ in range(number) if self.random.random() >= self.loss]

    def check(self, seconds: float = 10.0) -> FamilyState:
        """One check, ``seconds`` after the last one: facts, a round if one is due, and what is measured."""
        self.now += seconds
        before = self.state.word
        self.state = judge_facts(self.state, self.uplink, Family.IPV4, self.now, False, False)
        if due(self.state, self.config, self.now, self.spared):
            self._round()
        for _ in range(2):
            if not (wanted := quality.wanted(self.state, self.probe, self.now, self.metered, self.spared)):
                break
            measured = Measured(wanted.echoes, tuple(self.samples(wanted.echoes)), wanted.burst)
            self.bursts += [self.now] if wanted.burst else []
            self.state = quality.judged(self.state, measured, self.probe, self.now)
        if self.state.word != before:
            self.told.append((self.now, self.state.word))
        return self.state

    def _round(self) -> None:
        """The one that is asked first may be lost; of all that are asked then one answers."""
        first = self.samples(1)
        lost, more = () if first else (TARGET,), first or [self.rtt()]
        self.echoes += 0 if first else 3
        full = Connectivity.FULL
        seen = Round(full, more[0], "1 of 1 targets answered", (TargetResult(TARGET, full, more[0]),), lost=lost)
        every = interval(self.config, self.spared)
        self.state = judge_round(self.state, seen, self.probe, self.now, begun=self.now - 0.05, every=every)

    def run(self, seconds: float) -> Line:
        """Checks of the timer."""
        end = self.now + seconds
        while self.now + 10.0 <= end:
            self.check()
        return self

    def settle(self) -> Line:
        """A minute without trouble, on which it is online."""
        loss, self.loss = self.loss, 0.0
        self.run(70)
        assert self.state.status is Status.ONLINE and not self.degraded
        self.loss, self.told = loss, []
        return self
