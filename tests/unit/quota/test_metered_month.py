"""Thirty days of a metered uplink that stands by: the program's own schedule, questions and verdicts."""

from __future__ import annotations

import pytest

from mwan_hook.config import build
from mwan_hook.model import (
    FAMILIES,
    Allotment,
    Connectivity,
    Family,
    FamilyState,
    Job,
    Method,
    Result,
    Snapshot,
    State,
    Status,
    Uplink,
    UplinkState,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound
from mwan_hook.run import ask, rating, wish
from mwan_hook.run.scene import Judged, Key, ProbedRound, Scene
from mwan_hook.verdict import schedule, standing
from mwan_hook.verdict.facts import judge_uplink
from tests.unit.builders import address, link

MB = 10**6
DAY, TIMER = 86400, 10
# Both ways, as the program counts them and the kernel, too (tests/netns/test_quota.py): the dearest that were seen.
COSTS = {
    (Method.ICMP, Family.IPV4): 72,
    (Method.ICMP, Family.IPV6): 112,
    (Method.HTTP, Family.IPV4): 840,  # the name's lookup included
    (Method.HTTP, Family.IPV6): 1100,
}
GOOD = FamilyState(Status.ONLINE, Connectivity.FULL, judged=True)
FIBER = UplinkState("fiber", 2, GOOD, GOOD)


class Month:
    """An uplink `lte` with the defaults beside `fiber`, which is online but where a day says otherwise."""

    def __init__(self, says: Connectivity = Connectivity.FULL, portal: Connectivity = Connectivity.FULL) -> None:
        plain = {"uplinks": {"lte": {"metered": True}}}
        self.config = build.build(plain)
        self.says, self.portal = says, portal
        self.memory, self.fiber, self.now, self.rounds = UplinkState(), FIBER, 1000.0, 0
        self.facts(True)

    @property
    def spent(self) -> int:
        return sum(self.memory.family(family).probe_bytes for family in FAMILIES)

    def facts(self, carrier: bool) -> None:
        """The line has a carrier, or none."""
        self.uplink = _uplink(self.config.uplinks[0], carrier)
        self.memory = judge_uplink(self.memory, self.uplink, self.now, False)

    def run(self, days: float, fiber: bool = True) -> None:
        """The timer, every ten seconds."""
        self.fiber = FIBER if fiber else UplinkState("fiber", 2)
        end = self.now + days * DAY
        while self.now < end:
            self.tick()
            self.now += TIMER

    def tick(self) -> None:
        """What is due, and what is in doubt in a burst."""
        online = standing.another_online(self.memories, "lte", ())
        began = self.now
        wanted = [f for f in FAMILIES if schedule.due(self.memory.family(f), self.uplink.config, began, online)]
        while wanted:
            for family in wanted:
                self.round(family)
            self.now += self.uplink.config.probe.burst_interval
            probe = self.uplink.config.probe
            longest = wish.LONGEST_COMEBACK if self.now - began < wish.LONGEST_COMEBACK else 0
            wanted = [f for f in FAMILIES if longest and schedule.in_doubt(self.memory.family(f), probe)]
        self.now = began

    @property
    def memories(self) -> dict[str, UplinkState]:
        return {"fiber": self.fiber, "lte": self.memory}

    def round(self, family: Family) -> None:
        """One, as tick makes it."""
        seen = Scene(
            "", self.config, "", State(), Allotment(), Bound((self.uplink,), Allotment()), Snapshot(), self.now, 0.0
        )
        judged = Judged(seen, State(uplinks=self.memories), Desired(), ())
        questions = ask.questions_for(judged, Key(self.uplink, family))
        first = [self.answer(job) for job in questions.spared or questions.whole]
        second = [self.answer(job) for job in questions.after(first)]
        one = ask.merged(questions, first, second, self.uplink.config.probe.required)
        told = ProbedRound(first[0].job, one, self.now)
        self.memory = rating.with_round(self.memories, self.uplink, told, self.now, ())
        self.rounds += 1

    def answer(self, job: Job) -> Result:
        """Of the line as it is; what is not answered costs what was sent."""
        says = self.portal if job.portal else self.says
        cost = COSTS[job.target.method, job.family]
        return Result(job, says, 50.0, None, cost if says > Connectivity.LIMITED else cost // 2)


def _uplink(config: object, carrier: bool) -> Uplink:
    from mwan_hook.routing.uplinks import Inputs, bind
    from tests.unit.builders import config as made
    from tests.unit.builders import foreign

    there = Snapshot(
        links=(link("lte", carrier=carrier),),
        addresses=tuple(address("lte", family) for family in FAMILIES),
        defaults=tuple(foreign("lte", 100, family) for family in FAMILIES),
    )
    return bind(made(config), Inputs(there, State(), Allotment())).uplinks[0]  # type: ignore[arg-type]


def test_a_metered_uplink_that_stands_by_costs_less_than_5_mb_in_thirty_days() -> None:
    month = Month()
    month.run(10)
    for pause in (5, 60, 900):  # a cable re-seated, a modem restarted, a mast out of order
        month.facts(False)
        month.now += pause
        month.facts(True)
        month.run(5)
    month.run(4)
    assert all(month.memory.family(family).status is Status.ONLINE for family in FAMILIES)
    assert month.rounds == pytest.approx(2 * 29 * DAY / 300, rel=0.05)
    assert 2 * MB < month.spent < 5 * MB
    before = month.spent
    month.run(1 / 24, fiber=False)  # an hour in which it is needed: as often as any other
    hour = month.spent - before
    assert hour == pytest.approx(360 * (72 + 112) + 6 * (840 + 1100), rel=0.05)
    month.run(23 / 24)
    assert month.spent < 5 * MB


@pytest.mark.parametrize(
    ("says", "portal"),
    [
        pytest.param(Connectivity.LIMITED, Connectivity.LIMITED, id="its line is dead"),
        pytest.param(Connectivity.FULL, Connectivity.PORTAL, id="behind a portal that lets echoes through"),
    ],
)
def test_one_that_is_offline_all_the_time_costs_no_more(says: Connectivity, portal: Connectivity) -> None:
    month = Month(says, portal)
    month.run(10)
    assert all(month.memory.family(family).status is Status.OFFLINE for family in FAMILIES)
    assert month.spent < 5 * MB / 3
