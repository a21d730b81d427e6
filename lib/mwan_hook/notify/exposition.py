"""The uplinks as Prometheus reads them: the text format, without timestamps.  Pure.

Names follow Prometheus' conventions: base units (seconds, bytes), ``_total`` for what only grows (until a boot),
``_timestamp_seconds`` for moments since the epoch, ``_info`` for facts that are text, always 1.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Activation, Phase, UplinkState
from mwan_hook.notify.metrics import OF_FAMILY, OF_QUALITY, OF_QUOTA, OF_UPLINK, One, moment
from mwan_hook.verdict.standing import is_online, taking, uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mwan_hook.model import Family, State, Uplink
    from mwan_hook.notify.metrics import Number

    Sample = tuple[dict[str, str], Number]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Metric(NamedTuple):
    """One name with all its samples; a sample of None is left out."""

    name: str
    help: str
    samples: Sequence[Sample]

    @property
    def kind(self) -> str:
        """What its name says."""
        return "counter" if self.name.endswith("_total") else "gauge"


def text(
    version: str,
    uplinks: Sequence[Uplink],
    state: State,
    now: float,
    wall: float,
    repairs: Mapping[str, Mapping[str, int]],
) -> str:
    """The whole file.  ``now`` is CLOCK_BOOTTIME seconds, ``wall`` seconds since the epoch, of the same moment.

    ``repairs``: steps done, by uplink and step; without ladders nothing is told of them.
    """
    told = metrics(version, uplinks, state, wall - now, repairs)
    return "".join(line for metric in told for line in _lines(metric))


def metrics(
    version: str, uplinks: Sequence[Uplink], state: State, epoch: float, repairs: Mapping[str, Mapping[str, int]]
) -> list[Metric]:
    """Everything that is told, in the order of the file."""
    return [
        *_program(version, state),
        *_uplinks(uplinks, state, epoch),
        *_quotas(uplinks, state),
        *_dials(uplinks, state),
        _default(state),
        *_qualities(uplinks, state),
        *_repairs(uplinks, repairs),
    ]


def _program(version: str, state: State) -> Iterator[Metric]:
    yield Metric("mwan_build_info", "The program that wrote this; always 1.", [({"version": version}, 1)])
    words = "From the start of the last run that had something to remember to its last save, its probes included."
    yield Metric("mwan_run_duration_seconds", words, [({}, state.run_seconds if state.boot_id else None)])
    words = "When a run last had something to remember, as each that probes has."
    yield Metric("mwan_last_run_timestamp_seconds", words, [({}, moment(state.saved_wall or None))])
    yield Metric("mwan_errors", "What the last run could not do.", [({}, len(state.errors))])


def _uplinks(uplinks: Sequence[Uplink], state: State, epoch: float) -> Iterator[Metric]:
    words = "The uplink's routing table, and whether it is probed sparingly; always 1."
    yield Metric("mwan_uplink_info", words, [(_info(uplink), 1) for uplink in uplinks])
    for name, words, of_uplink in OF_UPLINK:
        yield Metric(f"mwan_uplink_{name}", words, [(_place(uplink), of_uplink(uplink)) for uplink in uplinks])
    ones = [
        One(uplink, family, _memory(state, uplink).family(family), uplink.name in _tier(uplinks, family, state), epoch)
        for uplink, family in _used(uplinks)
    ]
    for name, words, of in OF_FAMILY:
        samples = [(_place(one.uplink, family=one.family.value), of(one)) for one in ones]
        yield Metric(f"mwan_uplink_{name}", words, samples)


def _quotas(uplinks: Sequence[Uplink], state: State) -> Iterator[Metric]:
    limited = [uplink for uplink in uplinks if uplink.config.quota and uplink.name in state.usage]
    for name, words, of in OF_QUOTA:
        yield Metric(f"mwan_uplink_{name}", words, [(_place(one), of(one, state.usage[one.name])) for one in limited])


def _dials(uplinks: Sequence[Uplink], state: State) -> Iterator[Metric]:
    """What becomes of uplinks that are dialled."""
    dialled = [(uplink, state.dials.get(uplink.name, Activation())) for uplink in uplinks if uplink.config.dial]
    phases = [
        (_place(uplink, state=phase.value), int(record.phase is phase)) for uplink, record in dialled for phase in Phase
    ]
    yield Metric("mwan_uplink_dial_state", "How far a dialled uplink is: 1 for the state that it is in.", phases)
    results = [
        (_place(uplink, result=result), count)
        for uplink, record in dialled
        for result, count in (("dialled", record.dialled), ("failed", record.failed))
    ]
    yield Metric("mwan_uplink_dials_total", "Dials in this boot, by what came of them.", results)
    seconds = [(_place(uplink), round(dialled_seconds(record, state.saved_at), 3)) for uplink, record in dialled]
    yield Metric("mwan_uplink_dialled_seconds_total", "Seconds that it was up by our dialling in this boot.", seconds)


def dialled_seconds(record: Activation, now: float) -> float:
    """Seconds up by our dialling, with those that are not over."""
    going_on = record.ours and record.ready_at and record.phase in (Phase.UP, Phase.LINGERING, Phase.EXERCISING)
    return record.seconds + (max(0.0, now - record.ready_at) if going_on else 0.0)


def _default(state: State) -> Metric:
    samples: list[Sample] = []
    for family, way in state.best.items():
        if way.uplink:
            labels = {"family": family.value, "uplink": way.uplink, "interface": way.interface}
            samples.append(({**labels, "address": way.address, "gateway": way.gateway}, 1))
    return Metric("mwan_default_route_info", "The best way out of each family that has one; always 1.", samples)


def _qualities(uplinks: Sequence[Uplink], state: State) -> Iterator[Metric]:
    """What is measured; nothing where no uplink has limits."""
    measured = list(_used([uplink for uplink in uplinks if uplink.config.probe.measured]))
    if not measured:
        return
    from mwan_hook.verdict.quality import figures

    for name, words, of in OF_QUALITY:
        samples = []
        for uplink, family in measured:
            memory = _memory(state, uplink).family(family)
            seen = of(memory, figures(memory, uplink.config.probe, state.saved_at))
            samples.append((_place(uplink, family=family.value), seen))
        yield Metric(f"mwan_uplink_{name}", words, samples)


def _repairs(uplinks: Sequence[Uplink], repairs: Mapping[str, Mapping[str, int]]) -> Iterator[Metric]:
    """Steps of ladders, only where an uplink has one."""
    if any(uplink.config.repair for uplink in uplinks):
        samples: list[Sample] = [
            (_place(uplink, step=step), count)
            for uplink in uplinks
            for step, count in repairs.get(uplink.name, {}).items()
        ]
        yield Metric("mwan_uplink_repair_steps_total", "Repair steps begun, over boots.", samples)


def _used(uplinks: Sequence[Uplink]) -> Iterator[tuple[Uplink, Family]]:
    """Each uplink with each family that it is used for."""
    return ((uplink, family) for uplink in uplinks for family in FAMILIES if family in uplink.config.families)


def _memory(state: State, uplink: Uplink) -> UplinkState:
    return state.uplinks.get(uplink.name, UplinkState())


def _place(uplink: Uplink, **more: str) -> dict[str, str]:
    return {"uplink": uplink.name, "interface": uplink.interface, **more}


def _info(uplink: Uplink) -> dict[str, str]:
    return _place(uplink, table=str(uplink.table), metered="yes" if uplink.config.metered else "no")


def _tier(uplinks: Sequence[Uplink], family: Family, state: State) -> frozenset[str]:
    """The online uplinks that share the best default."""
    online = taking(u for u in uplinks if u.present and uses(u, family, state) and is_online(u, family, state))
    best = min([uplink.preference(family) for uplink in online], default=None)
    return frozenset(uplink.name for uplink in online if uplink.preference(family) == best)


def _lines(metric: Metric) -> Iterator[str]:
    """Lines of a metric; HELP and TYPE stand without a sample too, so that readers see what there could be."""
    yield f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
    for labels, value in metric.samples:
        if value is not None:
            yield f"{metric.name}{_braced(labels)} {value!r}\n"


def _braced(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{value.translate(_ESCAPES)}"' for key, value in labels.items()) + "}"
