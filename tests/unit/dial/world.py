"""A simulated machine: lines that live or die, and diallers that work, fail, hang, give no address or lose the session.

A run looks, decides, stores and asks, as the program does; it may be killed before or after it has asked.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mwan_hook.dial import happenings
from mwan_hook.dial.decide import Clock, decide, key_of, verb_of
from mwan_hook.dial.values import Decision, DialRequest, Sight, Verb
from mwan_hook.dial.wanted import Field
from mwan_hook.model import (
    Activate,
    Activation,
    Address,
    Dial,
    Family,
    FamilyState,
    Link,
    Match,
    Policy,
    Status,
    Transition,
    Uplink,
    UplinkConfig,
    UplinkState,
    Way,
)

NOON = 12 * 60
EPOCH = 1_800_000_000.0


@dataclass
class Line:
    """A way to the internet and, where it is dialled, what dials it."""

    metric: int
    dial: Dial | None = None
    mode: str = "ok"  # ok, fail, hang, noaddr, silent (connected, no data)
    code: int = 5
    final: bool = False
    slow: float = 3.0  # seconds until it has an address
    up: bool = False
    works: bool = True  # packets get through
    probed: bool = True
    enabled: bool = True
    draining: bool = False
    families: tuple[Family, ...] = (Family.IPV4,)
    had6: bool = False
    by_hand: bool = False  # brought up by another hand
    asked: float | None = None  # when what dials it was started
    dead: bool = False  # that has failed
    calls: list[tuple[float, Verb]] = field(default_factory=list)
    reset: float = 0.0  # key of the last one that was started
    done: set[float] = field(default_factory=set)  # keys that arrived


@dataclass
class World:
    """All of it, and the clock."""

    lines: dict[str, Line]
    now: float = 1000.0
    records: dict[str, Activation] = field(default_factory=dict)
    begun: float = 900.0
    policies: tuple[Policy, ...] = ()
    exceeded: frozenset[str] = frozenset()
    minute: int = NOON
    told: list[Transition] = field(default_factory=list)

    def run(self, killed: str = "") -> Decision:
        """One run; ``killed``: `stored` (nothing was asked) or `asked` (that it was asked is not on record)."""
        self.advance()
        before = self.records
        clock = Clock(EPOCH + self.now, self.minute)
        taken = decide(self._field(), before, self._sights(), self.exceeded, clock, True)
        self.records = dict(taken.records)
        self.told += happenings.transitions(before, self.records, EPOCH + self.now)
        if taken.request and killed != "stored":
            self._ask(taken.request, marked=killed != "asked")
        return taken

    def runs(self, seconds: float, every: float = 1.0) -> None:
        """Let time pass, with a run every so often."""
        until = self.now + seconds
        while self.now < until:
            self.now += every
            self.run()

    def events(self, name: str) -> list[str]:
        """What was told of an uplink."""
        return [one.event for one in self.told if one.uplink == name]

    def verbs(self, name: str) -> list[Verb]:
        """What reached its dialler."""
        return [verb for _, verb in self.lines[name].calls]

    def phase(self, name: str) -> str:
        """How far it is."""
        return self.records.get(name, Activation()).phase.value

    def _ask(self, request: DialRequest, marked: bool) -> None:
        """What does the request looks at the record as it is, and does the same one once."""
        line, record = self.lines[request.uplink], self.records[request.uplink]
        key, verb = key_of(record), verb_of(record)
        assert (key, verb) == (request.key, request.verb)
        started = line.asked is not None and not line.dead if verb is Verb.DIAL else key == line.reset
        if key in line.done or started:
            line.done.add(key)
            return
        line.calls.append((self.now, request.verb))
        if marked:
            line.done.add(key)
        if verb is Verb.DIAL:
            line.asked, line.dead = self.now, False
        elif verb is Verb.RESET:
            line.reset = key
        else:
            line.asked, line.up = None, False
        self.advance()

    def advance(self) -> None:
        """Let what dials come as far as it has time to."""
        for line in self.lines.values():
            if line.asked is None:
                continue
            line.dead = line.dead or (line.mode == "fail" and self.now >= line.asked + line.slow)
            if not line.dead and line.mode in ("ok", "silent") and self.now >= line.asked + line.slow:
                line.up, line.works = True, line.mode == "ok"

    def _sights(self) -> dict[str, Sight]:
        found = {}
        for name, line in self.lines.items():
            if not line.dial:
                continue
            record = self.records.get(name, Activation())
            failed = line.asked is not None and line.dead
            others = any(one.up and one.works and one is not line for one in self.lines.values())
            found[name] = Sight(
                families=line.families if line.up else (),
                alive=line.asked is not None and not failed,
                sent=key_of(record) in line.done,
                code=line.code if failed else None,
                final=failed and line.final,
                online=line.up and line.works,
                silent=line.up and not line.works,
                carried=others,
            )
        return found

    def _field(self) -> Field:
        uplinks = [_uplink(name, line, number) for number, (name, line) in enumerate(self.lines.items(), 1)]
        memories = {name: _memory(line) for name, line in self.lines.items()}
        return Field(uplinks, memories, self.policies, self.begun, self.now)


def _memory(line: Line) -> UplinkState:
    status = Status.ONLINE if line.up and line.works else Status.OFFLINE
    known = line.probed if line.up or not line.dial else False
    four, six = (
        FamilyState(status if family in line.families else Status.OFFLINE, known=known, judged=known, transitions=times)
        for family, times in ((Family.IPV4, 1), (Family.IPV6, int(line.had6)))
    )
    return UplinkState("x", 1, four, six)


def _uplink(name: str, line: Line, index: int) -> Uplink:
    link = Link(index, name, line.up, line.up)
    missing = "" if line.up else "the link is down"
    address = Address(index, Family.IPV4, f"10.{index}.0.2", 24, True)
    lacking = {family: missing if family in line.families else "-" for family in Family}
    there = (address,) if line.up else ()
    four, six = (Way(family, there, "10.0.0.1", missing=lacking[family]) for family in Family)
    config = UplinkConfig(name, (Match("name", name),), metric=line.metric, dial=line.dial)
    made = Uplink(config, name, name, index, 1000 + index, line.metric, 0, 0, line.enabled, link, four, six)
    return made._replace(draining=line.draining)


def on_demand(**settings: object) -> Dial:
    """A unit that is dialled when nothing better is online."""
    return Dial(**{"start": "unit:lte", "activate": Activate.ON_DEMAND, "linger": 60.0, **settings})  # type: ignore[arg-type]


def two(mode: str = "ok", **settings: object) -> World:
    """A fibre line that works, and a backup that stands by."""
    return World({"fiber": Line(100, up=True), "lte": Line(200, on_demand(**settings), mode)})


def three(first: str = "ok", second: str = "ok", **settings: object) -> World:
    """The same with two backups."""
    return World(
        {
            "fiber": Line(100, up=True),
            "lte": Line(200, on_demand(**settings), first),
            "gsm": Line(300, on_demand(**settings), second),
        }
    )
