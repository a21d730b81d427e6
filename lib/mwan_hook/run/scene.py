"""What a run looks at, and what follows from it, as values."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import (
    Allotment,
    Change,
    Config,
    Family,
    FamilyState,
    Job,
    Result,
    Round,
    Route,
    Rule,
    Snapshot,
    State,
    Uplink,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Bound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mwan_hook.model import Counted, Measured

OWN = "mwan-own"  # what the table is called that own packets take where forwarded ones go by a group


class ProbedRound(NamedTuple):
    """A round, or what was measured, and what it was seen on; ``begun`` is CLOCK_BOOTTIME seconds."""

    job: Job
    round: Round  # of no account where something else was measured
    begun: float
    results: tuple[Result, ...] = ()  # that the round sums up
    witness: bool = False  # asked because of another uplink's failure: the answers are noted, and no round is judged
    measured: Measured | None = None


class Key(NamedTuple):
    """One family of one uplink."""

    uplink: Uplink
    family: Family

    @property
    def name(self) -> tuple[str, Family]:
        """The uplink's name and the family."""
        return self.uplink.name, self.family


class Scene(NamedTuple):
    """What one look saw.  ``now`` is CLOCK_BOOTTIME seconds, ``wall`` seconds since the epoch."""

    root: str
    config: Config
    fingerprint: str
    state: State  # as stored
    allotment: Allotment  # as stored
    bound: Bound
    snapshot: Snapshot
    now: float
    wall: float
    messages: tuple[str, ...] = ()
    # What our nft table has counted, by UPLINK/FAMILY, as far as it is ours; None: it is not asked to count.
    tally: Mapping[str, Counted] | None = None
    unplaced: tuple[Uplink, ...] = ()  # the uplinks as they were before verdicts placed them; empty: they did not

    @property
    def uplinks(self) -> tuple[Uplink, ...]:
        """The uplinks in order of the configuration."""
        return self.bound.uplinks

    @property
    def dialled(self) -> frozenset[str]:
        """Uplinks whose link is there, or comes, because we dialled it."""
        return frozenset([name for name, one in self.state.dials.items() if one.ours])

    @property
    def named_tables(self) -> dict[int, str]:
        """What tables are called, beside the shared default's."""
        own = self.snapshot.pool.own if self.snapshot.pool and self.snapshot.pool.use else 0
        return {**self.bound.named_tables, own: OWN} if own else self.bound.named_tables


class Judged(NamedTuple):
    """What follows from a scene."""

    scene: Scene
    state: State  # to be stored
    desired: Desired
    changes: tuple[Change, ...]
    deprecated: tuple[str, ...] = ()  # prefixes that hosts of the LAN shall not use
    stamp: tuple[int, int] = (0, 0)  # identity of the state file when it was stored
    basis: State = State()  # what `desired` and `changes` were found from


def memory_of(judged: Judged, key: Key) -> FamilyState:
    """What is known of one family of an uplink."""
    return judged.state.uplinks[key.uplink.name].family(key.family)


def dialling_rests(found: Judged) -> bool:
    """Whether dialling needs no thought: what the last decision rested on is the same, and its time has not come."""
    return found.scene.now < found.state.rest_until and found.state.rest == dialling_basis(found)


def dialling_basis(found: Judged) -> str:
    """What a decision about dialling rests on, beside the clock: verdicts, facts, preferences and configuration."""
    parts = [found.scene.fingerprint]
    for uplink in found.scene.uplinks:
        memory, up = found.state.memory(uplink.name), bool(uplink.link and uplink.link.up)
        drained = "d" * uplink.draining
        parts.append(f"{uplink.name} {uplink.metric} {uplink.enabled:d}{up:d}{drained}")
        for one, way in ((memory.ipv4, uplink.ipv4), (memory.ipv6, uplink.ipv6)):
            known = f"{one.judged:d}{one.known:d}{one.degraded:d}{one.bad >= uplink.config.probe.fall:d}"
            parts.append(f"{one.status.value}{known}{one.transitions > 0:d}{not way.missing:d}")
    return " ".join(parts)


def limited(seen: Scene) -> bool:
    """Whether any uplink has a quota."""
    return any(uplink.config.quota for uplink in seen.uplinks)


class Followed(NamedTuple):
    """What a step of :mod:`follow` has done."""

    state: State  # as it is to be stored: the step remembers there what it has done
    lines: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what is said, and is no failure


def stands(judged: Judged, family: Family) -> bool:
    """Whether routes and rules of a family are as they should be: no connection is touched before."""
    return not any(_leads(change, family) for change in judged.changes)


def _leads(change: Change, family: Family) -> bool:
    what = change.what
    return (
        what.family is family
        if isinstance(what, (Route, Rule))
        else isinstance(what, bytes) and change.family is family
    )
