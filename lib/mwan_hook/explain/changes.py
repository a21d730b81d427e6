"""``--with KEY=VALUE``: another configuration for what is on record, by the same checks as that of the files."""

from __future__ import annotations

from mwan_hook.config import build, read
from mwan_hook.config.keys import KEYS, UPLINK
from mwan_hook.config.places import near
from mwan_hook.config.probechecks import PAIRED, probe_checks
from mwan_hook.light import NamedTuple
from mwan_hook.model import Config, ConfigError, Probe, UplinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any


_JUDGING = (
    *("targets", "required", "fall", "rise", "hysteresis_delay", "hysteresis_backoff", "portal_is_online"),
    *("latency_high", "latency_low", "loss_high", "loss_low", "jitter_high", "jitter_low", "window", "degraded"),
)
MATTER: dict[str, tuple[str, ...]] = {
    "probe": _JUDGING,
    "routing": ("prefer",),
    "uplinks": ("metric", "metered", "enabled", *_JUDGING),
}
"""Keys that may be given, by section; those of an uplink begin with its name."""
_ASKING = (
    *("interval", "timeout", "burst_interval", "portal_targets", "portal_interval"),
    *("metered_interval", "burst_echoes"),
)
_ASKED = "it says what is asked and when, and what was not asked is not on record"
_NOTHING = "no verdict follows from it"


class Option(NamedTuple):
    """One ``--with``: a section's name, or an uplink's or a template's, and the plain value of a key."""

    text: str
    place: str
    key: str
    value: Any

    @property
    def shared(self) -> bool:
        """Whether it is for all uplinks."""
        return self.place in ("probe", "routing")


def parsed(texts: Sequence[str], names: Collection[str]) -> tuple[Option, ...]:
    """The options.  ``names``: of the uplinks on record.  Raises ConfigError with all mistakes, a line each."""
    found, wrong = [], []
    for text in texts:
        try:
            found.append(_option(text, names))
        except ValueError as error:
            wrong += [f"--with {text}: {line}" for line in str(error).split("\n")]
    if wrong:
        raise ConfigError("\n".join(wrong))
    return tuple(found)


def _option(text: str, names: Collection[str]) -> Option:
    """ValueError with what is wrong."""
    left, equals, value = text.partition("=")
    place, dot, key = left.strip().rpartition(".")
    if not (equals and dot and place and key):
        raise ValueError("expected KEY=VALUE with a KEY as in probe.fall or fiber.latency_high")
    if "\n" in value:
        raise ValueError("expected one line")
    templates = {name.partition("@")[0] for name in names}
    if place in ("probe", "routing"):
        lines = [f"[{place}]", f"{key} = {value.strip()}"]
    elif place in names or place in templates:
        lines = ["[uplinks]", f"[[{place.partition('@')[0]}]]", f"{key} = {value.strip()}"]
    else:
        raise ValueError(_unknown(place, {*names, *templates}))
    plain, wrong = read.piece("\n".join(lines))
    section = plain.get("uplinks", plain)
    values: dict[str, Any] = next(iter(section.values()), {})
    if wrong or values.get(key) is None:
        raise ValueError("\n".join(wrong) or f"expected a value for {key}")
    if key not in MATTER.get(place, MATTER["uplinks"]):
        raise ValueError(f"replay cannot change this key: {_ASKED if key in _ASKING else _NOTHING}")
    return Option(text, place, key, values[key])


def _unknown(place: str, names: Collection[str]) -> str:
    other = place in [path[0] for path in KEYS if path != UPLINK] or place.partition(".")[0] in ("uplinks", "policies")
    if other or place.removesuffix(".metrics") in names:
        return f"replay cannot change this section: {_NOTHING}"
    meant = near(place, ("probe", "routing", *names))
    hint = f" (did you mean {meant}?)" if meant else ""
    return f"no uplink {place} is on record{hint}; expected probe, routing or one of {', '.join(sorted(names))}"


def changed(config: Config, options: Sequence[Option]) -> Config:
    """A configuration of the record with the options.  Raises ConfigError where its keys do not fit then."""
    ordered = sorted(options, key=lambda one: (not one.shared, "@" in one.place))  # the narrower one wins
    routing = config.routing._replace(**{one.key: one.value for one in ordered if one.place == "routing"})
    shared = {one.key: one.value for one in ordered if one.place == "probe"}
    uplinks = tuple(_changed(uplink, config.probe, shared, ordered) for uplink in config.uplinks)
    wrong = [*_contradictions(uplinks, config.uplinks)]
    if wrong:
        raise ConfigError("\n".join(dict.fromkeys(wrong)))
    return config._replace(routing=routing, probe=build.with_probe(config.probe, shared), uplinks=uplinks)


def _changed(uplink: UplinkConfig, usual: Probe, shared: dict[str, Any], options: Iterable[Option]) -> UplinkConfig:
    """What is ``shared`` is for an uplink that has the ``usual`` value of [probe], and so none of its own."""
    mine = (uplink.name, uplink.name.partition("@")[0])
    own = {one.key: one.value for one in options if not one.shared and one.place in mine}
    common = {key: value for key, value in shared.items() if getattr(uplink.probe, key) == getattr(usual, key)}
    values = {key: value for key, value in own.items() if key not in Probe._fields}
    probe = build.with_probe(uplink.probe, {**common, **own})
    known = {target.name: target for target in uplink.probe.targets}  # of which secrets are not on record
    targets = tuple([known.get(target.name, target) for target in probe.targets])
    return uplink._replace(probe=probe._replace(targets=targets), **values)


def _contradictions(uplinks: Sequence[UplinkConfig], before: Sequence[UplinkConfig]) -> Iterator[str]:
    """What does not fit any more, and targets that nothing is known of."""
    for uplink, old in zip(uplinks, before, strict=True):
        if uplink.probe == old.probe:
            continue
        unasked = {one.name for one in uplink.probe.targets} - {one.name for one in old.probe.targets}
        for name in sorted(unasked):
            yield f"--with: uplink {uplink.name} was not asked {name}: replay can only leave targets out"
        own = {key: None for key in PAIRED if getattr(uplink.probe, key) != getattr(old.probe, key)}
        path = ("uplinks", uplink.name)
        for finding in {*probe_checks(uplink.probe, path, own)} - {*probe_checks(old.probe, path, own)}:
            if finding.fatal:
                yield f"--with: [uplinks] [[{uplink.name}]] {finding.path[-1]}: {finding.words}"


def idle(options: Sequence[Option], configs: Iterable[Config]) -> list[str]:
    """The options that change nothing of what is on record."""
    known = list(configs)
    return [one.text for one in options if all(changed(config, (one,)) == config for config in known)]


def unmeasured(options: Sequence[Option], configs: Iterable[Config]) -> list[str]:
    """Names of uplinks that would be measured with the options, and were not."""
    found: dict[str, None] = {}
    for config in configs:
        for now, was in zip(changed(config, options).uplinks, config.uplinks, strict=True):
            if now.probe.measured and not was.probe.measured:
                found[now.name] = None
    return [*found]
