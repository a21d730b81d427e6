"""First, do no harm: what the kernel could route before our first run it can route after it.

Machines are generated with what other programs put into the kernel: rules of every kind, tables, tunnels, moved rules.
The kernel itself is asked where packets go, before and after, in every order of start.  MWAN_HARM_EXAMPLES sets how
many machines are tried, MWAN_HARM_SEED which, MWAN_HARM_SHRINK=yes that a failure is made small.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from difflib import unified_diff

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.lab import Lab
from tests.netns.harm_agent import Question, Reply
from tests.netns.harm_cases import cases
from tests.netns.harm_machine import Machine
from tests.netns.harm_oracle import Standing, faults
from tests.netns.harm_world import Case, questions

EXAMPLES = int(os.environ.get("MWAN_HARM_EXAMPLES", "8"))
SEED = os.environ.get("MWAN_HARM_SEED")
SHRINK = os.environ.get("MWAN_HARM_SHRINK", "no") == "yes"
Test = Callable[..., None]
TRIES = 3  # runs until a busy machine's probes were answered


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Built once."""
    with Lab() as lab:
        yield Machine(lab)


def chosen(test: Test) -> Test:
    """With the seed of the environment, if there is one."""
    return seed(int(SEED))(test) if SEED else test


@chosen
@settings(
    max_examples=EXAMPLES,
    derandomize=SEED is None,
    database=None,
    deadline=None,
    print_blob=False,
    phases=[Phase.generate, *([Phase.shrink] if SHRINK else [])],
    suppress_health_check=list(HealthCheck),
)
@given(case=cases())
def test_what_the_kernel_could_route_it_can_route_after_us(machine: Machine, case: Case) -> None:
    asked = questions(case)
    machine.clear()
    machine.files(case)
    machine.put((*case.base, *case.foreign))
    before, text = machine.ask(asked), machine.text()
    Life(machine, case, asked, before).told(text)


class Life:
    """One machine's story; `before` is what the kernel said without us."""

    def __init__(self, machine: Machine, case: Case, asked: list[Question], before: list[Reply]) -> None:
        self.machine, self.case, self.asked, self.before = machine, case, asked, before

    def told(self, text: str) -> None:
        """First run, second run, a line lost and found, flush, and the other order of start."""
        self.healthy("after the first run")
        self.quiet()
        try:
            for number, when in ((1, "with the first line dead"), (2, "with two lines dead")):
                self.machine.switch(number, False)
                self.run("check", "--now")
                self.judge(when, self.machine.verdicts())
        finally:
            for number in (1, 2):
                self.machine.switch(number, True)
        self.healthy("with the first line back")
        self.run("flush")
        changed = "\n".join(unified_diff(text.splitlines(), self.machine.text().splitlines(), lineterm="", n=0))
        assert not changed, f"flush leaves another kernel\n{changed}"
        self.machine.clear()
        self.machine.files(self.case)
        self.machine.put(self.case.base)
        self.run("check", "--now")
        self.machine.put(self.case.foreign)
        self.healthy("with other programs started after us")

    def run(self, *words: str) -> None:
        """The command, without a complaint."""
        code, said = self.machine.mwan(*words)
        assert code == 0, f"{words}: {code}\n{said}"

    def healthy(self, when: str) -> None:
        """Every line that can be used is."""
        for _ in range(TRIES):
            self.run("check", "--now")
            verdicts = self.machine.verdicts()
            missing = [key for key in self.case.known if verdicts[key] != "online"]
            if not missing:
                break
        assert not missing, f"{when}: not online: {sorted(missing)}\n{self.machine.mwan('status')[1]}"
        self.judge(when, verdicts)

    def quiet(self) -> None:
        """A second run writes nothing."""
        self.machine.call("listen")
        self.run("check", "--now")
        heard = self.machine.call("heard")
        assert not heard, f"the second run writes: {heard}"

    def judge(self, when: str, verdicts: dict[tuple[str, int], str]) -> None:
        """Each look-up against what it was."""
        online = {key for key, verdict in verdicts.items() if verdict == "online"}
        standing = Standing(self.case, frozenset(online))
        now = self.machine.ask(self.asked, self.before)
        found = [
            f"{asked}\n  was {was}\n  is  {one}\n  {why}"
            for asked, was, one in zip(self.asked, self.before, now, strict=True)
            if (why := faults(standing, asked, was, one))
        ]
        shown = "\n".join(found[:4])
        assert not found, f"{when}: {len(found)} look-ups\n{shown}\n{self.rules()}"

    def rules(self) -> str:
        """For who reads of a failure."""
        ns = self.machine.ns
        return "\n".join(ns.ip(f"{flag} {what}") for flag in ("-4", "-6") for what in ("rule", "route show table all"))
