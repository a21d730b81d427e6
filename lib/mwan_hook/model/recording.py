"""The record of what verdicts were made from: the values of its lines, and what they promise.

A record is JSON, one object a line, ``{"v": 1, "k": KIND, ...}``: the version of this schema, the kind, and the fields
of the value of that kind as every noun is stored (:mod:`mwan_hook.store.codec`: fields at their default are left out).
Runs append them to two files below /run (:mod:`mwan_hook.run.record`); readers get them by
:func:`mwan_hook.store.recording.read` as the values here.

Records come in segments of a quarter of an hour or less.  Each begins with ``config``, ``facts`` and ``base`` and can
be played alone; ``facts`` and ``run`` follow.  A new segment begins each file of the ring, whenever the configuration
has changed, and whenever the stored state is not the one that the last ``run`` led to: then ``base`` says so
(``after`` is not the last run's ``now``), and nothing is known of what was between.

* ``config``: :class:`ConfigRecord`.  What verdicts depend on; nothing that is secret, nothing of what dials.
* ``facts``: :class:`FactsRecord`.  ``Scene.uplinks`` after quotas were counted and before verdicts have placed the
  uplinks, each with an empty configuration of its name (the real one is ``ConfigRecord.uplinks[uplink.name]``), and
  what else :func:`mwan_hook.run.rating.weighed` looks at.  Those of a run are the last ones before it.
* ``base``: :class:`BaseRecord`.  The state before the next ``run``, as far as verdicts depend on it.
* ``run``: :class:`RunRecord`.  One run that has stored the state.  Its new state, as far as verdicts are concerned,
  is that of ``weighed`` for these facts, rounds, counters and interfaces at the time ``now``; ``happened`` is what the
  history got of it.  A run by the short way (:mod:`mwan_hook.run.quiet`) is ``short``: it has counted its rounds, which
  are good (``run.rating.with_round``), and has judged nothing else.  ``hung``: what was hung up by us says so: the
  reasons, by UPLINK/FAMILY, that stand in the memory instead of the verdict's.
* ``bytes``: :class:`BytesRecord`.  Counters of the uplinks' interfaces, as the kernel has them.

Times are CLOCK_BOOTTIME seconds (``now``, ``begun``) or seconds since the epoch (``wall``).
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Connectivity, Family
from mwan_hook.model.probing import Probe
from mwan_hook.model.settings import Routing
from mwan_hook.model.uplinks import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.draining import Draining
    from mwan_hook.model.measuring import Counted, Measured
    from mwan_hook.model.probing import Round
    from mwan_hook.model.settings import UplinkConfig
    from mwan_hook.model.telling import Transition
    from mwan_hook.model.uplinks import Uplink


class ConfigRecord(NamedTuple):
    """A configuration.  Targets are without what may be secret: their text is their name, path and body are empty."""

    id: int
    fingerprint: str
    routing: Routing = Routing()
    probe: Probe = Probe()
    uplinks: dict[str, UplinkConfig] = {}  # by Uplink.name, with what .network files say


class FactsRecord(NamedTuple):
    """What a look saw.  Ways are without their default route, name servers and the tables of others."""

    id: int
    uplinks: tuple[Uplink, ...] = ()
    families: tuple[Family, ...] = ()  # that the kernel has
    drains: dict[str, Draining] = {}
    dialled: tuple[str, ...] = ()  # uplinks whose link is there, or comes, because we dialled it


class BaseRecord(NamedTuple):
    """The stored state before a run: memories, last_online, best, ignored, dark, saved_at and the fingerprint."""

    boot: str
    now: float  # of the run that follows
    wall: float
    after: float = 0.0  # `now` of the run that stored this state; 0: that is not on record
    state: State = State()


class AnswerRecord(NamedTuple):
    """A Result.  In JSON a list of these values, in this order, without the last ones that are at their default."""

    target: str  # its name; a target that is not the uplink's own is named METHOD://HOST:PORT, or `gateway:`
    rtt_ms: float | None = None
    wire_bytes: int = 0
    connectivity: Connectivity = Connectivity.FULL
    error: str | None = None
    portal: bool = False  # asked for the portal check


class RoundRecord(NamedTuple):
    """A ProbedRound, whose Round is ``round`` where that is given.

    Else it is ``verdict.rounds.summarise(results, required)`` (1 for a witness) with ``wire_bytes`` = ``spent`` where
    that is given, ``partial`` and ``lost``.  Where something was ``measured`` there is none.
    """

    uplink: str
    family: Family
    begun: float
    answers: tuple[AnswerRecord, ...] = ()  # ProbedRound.results
    spent: int | None = None
    partial: bool = False
    lost: tuple[str, ...] = ()
    witness: bool = False
    measured: Measured | None = None
    round: Round | None = None  # where more than the answers decided, or others were asked beside them


class At(NamedTuple):
    """When a run was, and what it builds on."""

    v: int  # version of the schema, once more: what writes next reads no more than this
    boot: str
    config: int  # id of the ConfigRecord
    facts: int  # id of the FactsRecord
    base: float  # `now` of the run that began the segment
    wall: float
    now: float  # State.saved_at of what it has stored


class RunRecord(NamedTuple):
    """A run that has stored the state."""

    at: At  # the last field in JSON
    short: bool = False  # by the short way: its rounds were counted, and nothing else was judged
    rounds: tuple[RoundRecord, ...] = ()
    asked: tuple[str, ...] = ()  # interfaces that an event named
    counters: dict[str, Counted] | None = None  # of nft, by UPLINK/FAMILY; None: it is not asked to count
    hung: dict[str, str] = {}
    happened: tuple[Transition, ...] = ()


class BytesRecord(NamedTuple):
    """Bytes that went through the uplinks' interfaces since these came."""

    boot: str
    now: float
    wall: float
    carried: dict[str, tuple[int, ...]] = {}  # by uplink: interface index, received, sent
