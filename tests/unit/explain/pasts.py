"""Pasts of a machine: runs one after the other, judged as a run does it, from facts, rounds and times by lot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple

from mwan_hook import plainjson
from mwan_hook.config.targets import parse
from mwan_hook.explain.frame import Seen
from mwan_hook.explain.judging import Instant
from mwan_hook.model import (
    FAMILIES,
    Activation,
    Allotment,
    Config,
    Connectivity,
    Counted,
    Draining,
    Family,
    Firewall,
    Measured,
    Nexthop,
    Probe,
    Result,
    Snapshot,
    State,
    Transition,
    Uplink,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import ask, judge, measure, peace, quick_round, quiet, record, remember
from mwan_hook.run.alike import Doubt
from mwan_hook.run.rating import rated, turned
from mwan_hook.run.scene import Judged, ProbedRound, Scene
from mwan_hook.store import codec
from mwan_hook.verdict import rounds
from mwan_hook.verdict.standing import open_to_new, with_ways_out
from tests.unit import builders as b

NAMES = ("fiber", "cable", "lte")
TARGETS = tuple(map(parse, ("icmp://192.0.2.1", "tcp://192.0.2.2:443", "icmp://2001:db8::1", "gateway:")))
PORTAL = (parse("http://portal.example/204"),)
FULL, LIMITED, PORTALLED = Connectivity.FULL, Connectivity.LIMITED, Connectivity.PORTAL
TABLE = Firewall(generation=7, listing="ours")


class Lived(NamedTuple):
    """One run: what it saw, what was stored before and after it, and what it told."""

    config: Config
    seen: Seen
    rounds: tuple[ProbedRound, ...]
    at: Instant
    before: State
    after: State
    uplinks: tuple[Uplink, ...]
    told: tuple[Transition, ...]
    short: bool = False


@dataclass
class Plug:
    """What an interface has."""

    present: bool = True
    carrier: bool = True
    last: int = 2  # number of its address
    later: int = 0  # how much its index is beyond the usual one


class Machine:
    """Three uplinks whose luck a lot decides.  ``root``: where its runs are recorded; empty: nowhere."""

    def __init__(self, lot: Random, root: str = "") -> None:
        self.lot, self.root = lot, root
        self.restless = lot.choice((0.0, 0.1, 1.0))
        self.state = State("boot")
        self.full = 0  # files of the record's ring
        self.now, self.wall = 1000.0, 1_700_000_000.0
        self.dead: set[str] = set()  # targets that answer by no uplink
        self.links = {name: Plug() for name in NAMES}
        self.luck = dict.fromkeys(NAMES, 0.9)
        self.counts = {(name, family): [0, 0] for name in NAMES for family in FAMILIES}
        self.config = self._config()

    def _config(self) -> Config:
        lot = self.lot
        prefer, metrics = lot.choice(("weight", "latency")), lot.choice(((100,), (100, 200)))
        entries = []
        for name in NAMES:
            how = lot.choice(("demote", "keep", "offline"))
            limits: dict[str, Any] = {"latency_high": lot.choice((0, 30)), "loss_high": 20, "degraded": how}
            targets = TARGETS[: lot.randint(1, 4 if self.restless == 1 else 2)]
            probe = Probe(
                targets=targets,
                required=lot.randint(1, min(2, len(targets))),
                portal_targets=PORTAL * lot.randint(0, 1) if self.restless == 1 else (),
                fall=lot.randint(1, 3),
                rise=lot.randint(1, 3),
                hysteresis_delay=lot.choice((0, 40)),
                latency_low=lot.choice((0, 20)),
                **(
                    limits
                    if self.restless == 1 and lot.random() < 0.4
                    else {"latency_high": lot.choice((0, 40)) * (self.restless == 1)}
                ),
            )
            metric = lot.choice(metrics)
            enabled = lot.random() < 0.9
            entries.append(b.uplink(name, probe=probe, metric=metric, enabled=enabled, metered=name == "lte"))
        return b.config(*entries, prefer=prefer)._replace(probe=Probe(targets=TARGETS, portal_targets=PORTAL))

    def live(self, runs: int) -> Iterator[Lived]:
        """So many runs, and some by the short way between them."""
        for _ in range(runs):
            yield self._run()
            if self.root and self.restless < 1:
                yield from self._short_runs()

    def _run(self) -> Lived:
        lot = self.lot
        step = lot.choice((0.5, 3.0, 10.0, 10.0, 75.0))
        self.now, self.wall = self.now + step, self.wall + step
        self._happen()
        scene = self._scene()
        made = () if lot.random() < 0.2 else tuple(self._rounds(scene))
        made = tuple(map(self._perhaps_late, made))
        asked = frozenset(name for name in NAMES if not made and lot.random() < 0.3)  # a run looks at events first
        if scene.tally is None:
            judged = judge.judge(scene, made, asked)
        else:  # an nft table would have to be made for what follows in the kernel
            seen, after = rated(scene, made, asked)
            after = with_ways_out(after, seen.uplinks, open_to_new(seen.snapshot.families, seen.uplinks, after))
            judged = Judged(seen, after, Desired(), ())
        uplinks, after = judged.scene.uplinks, judged.state
        told = turned(scene.state, after, self.wall)
        seen_then = Seen(
            scene.uplinks,
            scene.snapshot.families,
            dict(scene.bound.drains),
            tuple(sorted(scene.dialled)),
            tuple(asked),
            dict(scene.tally) if scene.tally is not None else None,
        )
        self.state = after._replace(saved_at=self.now, saved_wall=self.wall, firewall=Firewall())
        if self.root:
            self.full += record.keep(judged._replace(state=self.state), made, asked, told)
        return Lived(self.config, seen_then, made, Instant(self.now, self.wall), scene.state, after, uplinks, told)

    def _short_runs(self) -> Iterator[Lived]:
        """Runs that find all as it was, and every answer good, as long as that may be believed."""
        if self.restless == 0:
            self.luck = dict.fromkeys(NAMES, 1.0)
        self.now, self.wall = self.now + 1, self.wall + 1
        judged = judge.judge(self._scene(calm=True))
        known = peace.is_known(self.config) and peace._usual(self.state, State(), peace._STATE)
        asked = remember._rounds(judged) if known and judged.state == judged.scene.state else None
        if not asked:
            return
        memo = {"state": quiet.at_rest(plainjson.loads(codec.encode(self.state))), "rounds": asked}
        while self.lot.random() < 0.9 and self.now < judged.scene.now + peace.LASTS:
            self.now, self.wall = self.now + 10, self.wall + 10
            try:
                yield self._short(memo, judged)
            except Doubt:
                return

    def _short(self, memo: dict[str, Any], judged: Judged) -> Lived:
        before = self.state
        state = plainjson.loads(codec.encode(before))
        due = quiet.due_rounds(memo, state, self.now, False)
        at, told, begun = quick_round.last(self.root, state), [], self.now - 0.01
        for one in due:
            memory = state["uplinks"][one["uplink"]][one["family"]]
            times = [(target["name"], self.lot.uniform(1, 80), 72) for target in quick_round.chosen(one, memory)]
            memory.update(quick_round.after_good(memory, one, times, begun))
            told.append(quick_round.round_of(one, times, begun))
        if not due:
            raise Doubt
        state.update(saved_at=self.now, saved_wall=self.wall)
        quick_round.add(self.root, told, {**at, "wall": self.wall, "now": self.now})
        self.state = codec.decoder("State")(state)
        at_then = Instant(self.now, self.wall)
        return Lived(self.config, Seen(), (), at_then, before, self.state, judged.scene.uplinks, (), short=True)

    def _perhaps_late(self, one: ProbedRound) -> ProbedRound:
        """Some rounds come back to another address than they left by."""
        return one._replace(job=one.job._replace(source="192.0.2.77")) if self.lot.random() < 0.03 else one

    def _happen(self) -> None:
        """Something may change of the links, of their luck, and of what is configured."""
        lot = self.lot
        if lot.random() >= self.restless:
            return
        for name in NAMES:
            link = self.links[name]
            if lot.random() < 0.08:
                link.present = not link.present
                link.later += 10 if link.present and lot.random() < 0.5 else 0
            if lot.random() < 0.08:
                link.carrier = not link.carrier
            if lot.random() < 0.05:
                link.last = lot.randint(2, 4)
            if lot.random() < 0.3:
                self.luck[name] = lot.choice((0.0, 0.0, 0.6, 1.0, 1.0))
        if lot.random() < 0.1:
            self.dead = self.dead ^ {lot.choice(TARGETS[:3]).name}
        if lot.random() < 0.1:
            self.luck = dict.fromkeys(NAMES, 0.0)  # all at once
        if lot.random() < 0.03:
            self.config = self._config()
        if lot.random() < 0.1:
            dials = {} if lot.random() < 0.5 else {"lte": Activation(ours=True)}
            self.state = self.state._replace(dials=dials)

    def _snapshot(self) -> Snapshot:
        whole = b.snapshot(*(name for name in NAMES if self.links[name].present), families=FAMILIES)
        index = {b.NAMES[name]: b.NAMES[name] + self.links[name].later for name in NAMES}
        name_of = {number: name for name, number in b.NAMES.items()}

        def last(one: Any) -> Any:
            number = self.links[name_of[one.index]].last
            return one._replace(index=index[one.index], address=f"{one.address[:-1]}{number}")

        def moved(route: Any) -> Any:
            hops = tuple(Nexthop(index[hop.index], hop.gateway) for hop in route.nexthops)
            return route._replace(nexthops=hops)

        return whole._replace(
            links=tuple(
                one._replace(index=index[one.index], carrier=self.links[one.name].carrier) for one in whole.links
            ),
            addresses=tuple(map(last, whole.addresses)),
            defaults=tuple(map(moved, whole.defaults)),
        )

    def _scene(self, calm: bool = False) -> Scene:
        there = self._snapshot()
        bound = b.bound(self.config, Inputs(there, self.state, Allotment()))
        if not calm and self.lot.random() < 0.2 * self.restless:
            drained = tuple(one._replace(draining=one.name == "cable") for one in bound.uplinks)
            bound = bound._replace(uplinks=drained, drains={"cable": Draining(self.wall + 60, self.now + 60)})
        state, tally = self.state._replace(firewall=Firewall()), None
        if self.lot.random() < 0.3:
            state, there = state._replace(firewall=TABLE), there._replace(firewall=TABLE)
            tally = self._tally()
        return Scene(
            self.root or "/",
            self.config,
            "print",
            state,
            bound.allotment,
            bound,
            there,
            self.now,
            self.wall,
            tally=tally,
        )

    def _tally(self) -> dict[str, Counted]:
        for counts in self.counts.values():
            begun = self.lot.choice((0, 0, 5, 100))
            counts[0] += begun
            counts[1] += begun if self.lot.random() < 0.7 else 0
        return {f"{name}/{family.value}": Counted(*counts) for (name, family), counts in self.counts.items()}

    def _rounds(self, scene: Scene) -> Iterator[ProbedRound]:
        for uplink in scene.uplinks:
            for family in FAMILIES:
                if uplink.enabled and not uplink.way(family).missing and self.lot.random() < 0.8:
                    yield from self._asked(uplink, family)

    def _asked(self, uplink: Uplink, family: Family) -> Iterator[ProbedRound]:
        lot, probe = self.lot, uplink.config.probe
        jobs = rounds.jobs_for(uplink, family, probe, with_portal=lot.random() < 0.2)
        if not jobs:
            return
        begun = self.now - 0.1
        spared = rounds.sparing(jobs, probe.required, lot.randint(0, 3)) if lot.random() < 0.5 else ()
        questions = ask.Questions(spared, jobs)
        first = [self._result(job) for job in questions.spared or questions.whole]
        second = [self._result(job) for job in questions.after(first)]
        whole = ask.merged(questions, first, second, probe.required)
        yield ProbedRound(jobs[0], whole, begun, tuple(ask._newest(first, second)))
        if lot.random() < 0.1:
            witness = [self._result(job) for job in jobs[:1]]
            told = rounds.summarise(witness, 1)
            yield ProbedRound(jobs[0], told, begun, tuple(witness), witness=True)
        if probe.measured and lot.random() < 0.8:
            sent = lot.choice((4, 20))
            came = tuple(lot.uniform(5, 50) for _ in range(sent) if lot.random() < self.luck[uplink.name])
            seen = Measured(sent, came, sent > 4, 84 * sent)
            yield ProbedRound(jobs[0], measure.BESIDE, begun, measured=seen)

    def _result(self, job: Any) -> Result:
        if self.lot.random() < self.luck[job.uplink] and job.target.name not in self.dead:
            return Result(job, FULL, round(self.lot.uniform(3, 45), 3), wire_bytes=72)
        if job.portal and self.lot.random() < 0.5:
            return Result(job, PORTALLED, 20.0, "302 elsewhere", 600)
        return Result(job, LIMITED, error="no answer within 3 s", wire_bytes=36)
