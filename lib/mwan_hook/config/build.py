"""Plain, validated values to :class:`Config`: the half of reading a configuration that every run needs.

``plain`` is what the files say after validation, and what the cache keeps: ``{"routing": {...}, "probe":
{...}, "mail": {...}, ..., "uplinks": {name: {..., "metrics": {...}}}}`` with numbers, booleans, text and lists of text.
Only keys that a file sets are in it: defaults stand here and in :mod:`mwan_hook.model`.
"""

from __future__ import annotations

from mwan_hook import model
from mwan_hook.config.targets import parse
from mwan_hook.model import Config, Family, Match, Probe, Target, UplinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from mwan_hook.model import Policy, Rung

TARGETS = (
    "icmp://1.1.1.1",
    "icmp://8.8.8.8",
    "icmp://9.9.9.9",
    "icmp://2606:4700:4700::1111",
    "icmp://2001:4860:4860::8888",
    "icmp://2620:fe::fe",
)
PORTAL_TARGETS = (
    "http://nmcheck.gnome.org/check_network_status.txt=NetworkManager%20is%20online",
    "http://gstatic.com/generate_204",
)
FIELDS = {"from": "sender", "gateway": "gateways"}  # of the model, where a key has another name there
MATCH_KINDS = ("driver", "mac", "path", "id")
PROPERTY = "property"
GLOB = frozenset("*?[")
_SINGLE = ("name", "mac", "path")  # kinds that mean one interface when they hold no glob
# Sections that are nouns with these very keys.
_SECTIONS = ("routing", "hooks", "webhook", "prometheus", "snmp", "router", "record", "report")

_parsed: dict[str, Target] = {}


def build(plain: Mapping[str, Any]) -> Config:
    """The configuration; without files ``plain`` is empty and the result is the zero configuration."""
    own, uplinks = plain.get("probe", {}), plain.get("uplinks", {})
    probe = with_probe(Probe(), {"targets": TARGETS, "portal_targets": PORTAL_TARGETS, **own})
    usual = Config()
    return Config(
        probe=probe,
        uplinks=tuple(_uplink(name, values, probe) for name, values in uplinks.items()),
        explicit_probe=frozenset(own),
        mail=_mail(plain.get("mail", {})),
        policies=tuple([_policy(name, values, uplinks) for name, values in plain.get("policies", {}).items()]),
        **{name: getattr(usual, name)._replace(**_made(plain[name])) for name in _SECTIONS if name in plain},
    )


def with_probe(probe: Probe, values: Mapping[str, Any]) -> Probe:
    """``probe`` with those of ``values`` that are keys of ``[probe]``."""
    return probe._replace(**_made({key: value for key, value in values.items() if key in Probe._fields}))


def overlay(uplink: UplinkConfig, values: Mapping[str, Any], explicit: frozenset[str]) -> UplinkConfig:
    """``values`` (probe keys and ``metrics``, of a .network file) laid beneath what is set in ``explicit``."""
    probe = with_probe(uplink.probe, {key: value for key, value in values.items() if key not in explicit})
    if probe.targets and probe.required > len(probe.targets):
        probe = probe._replace(required=len(probe.targets))
    metrics = uplink.metrics
    for key, value in values.get("metrics", {}).items():
        if getattr(metrics, key) is None:
            metrics = metrics._replace(**{key: value})
    return uplink._replace(probe=probe, metrics=metrics)


def match_of(text: str) -> Match:
    """One alternative of ``match``; ValueError says what was expected."""
    kind, colon, rest = text.partition(":")
    if kind == PROPERTY and colon:
        key, equals, glob = rest.partition("=")
        if not key or not equals or not glob:
            raise ValueError("expected property:KEY=VALUE, with a udev property's name and a glob")
        return Match(PROPERTY, glob, key)
    if kind in MATCH_KINDS and colon:
        if not rest:
            raise ValueError(f"expected a value or a glob after {kind}:")
        return Match(kind, rest)
    words = " or ".join(f"{word}:" for word in (*MATCH_KINDS, PROPERTY))
    longest = 15 + 64 * bool(GLOB & set(text))
    if not 0 < len(text.encode()) <= longest or any(c.isspace() or c in "/:," for c in text):
        raise ValueError(f"expected an interface name (15 characters at most, and 15 bytes), a glob, or {words}")
    return Match("name", text)


def single(matches: Iterable[Match]) -> bool:
    """True if no two interfaces can match: a fixed table or mark may then be given."""
    found = tuple(matches)
    return len(found) == 1 and found[0].kind in _SINGLE and not GLOB & set(found[0].glob)


def _made(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as fields of the model: enums for words, tuples for lists; the rest stays."""
    return {key: _field(key, value) for key, value in values.items()}


def _field(key: str, value: Any) -> Any:
    if key in _ENUMS:
        return getattr(model, _ENUMS[key])(value)
    if key in _MAKERS:
        return _MAKERS[key](value)
    return tuple(value) if isinstance(value, list) else value


def _mail(values: Mapping[str, Any]) -> model.Mail:
    usual = model.Security.STARTTLS if values.get("user") else model.Security.NONE
    own = {"security": usual, **_made(values)}
    return model.Mail(**{FIELDS.get(key, key): value for key, value in own.items()})


def _uplink(name: str, values: Mapping[str, Any], probe: Probe) -> UplinkConfig:
    own = _made({key: value for key, value in values.items() if key in UplinkConfig._fields})
    own["match"] = tuple(match_of(text) for text in values.get("match", ())) or (Match("name", name),)
    if "mark" in own:
        own["mark"], own["mask"] = values["mark"]
    own["gateways"] = tuple(values.get("gateway", ()))
    own["metrics"] = model.Metrics(**values.get("metrics", {}))
    own["probe"] = with_probe(probe, values)
    if own.get("metered") and "failback" not in own:
        own["failback"] = model.Failback.HARD
    own["explicit"] = frozenset(values) & frozenset(Probe._fields)
    if values.get("start"):
        dial = _made({key: value for key, value in values.items() if key in model.Dial._fields})
        own["dial"] = model.Dial(**dial, behind="metric" not in values)
    return UplinkConfig(name, **own)


def _policy(name: str, values: Mapping[str, Any], uplinks: Mapping[str, Any]) -> Policy:
    from mwan_hook.policy.order import entries
    from mwan_hook.routing.protocols import NUMBERS

    marks = [text.partition("/") for text in values.get("mark", ())]
    return model.Policy(
        name,
        sources=tuple(values.get("from", ())),
        destinations=tuple(values.get("to", ())),
        protocols=tuple([NUMBERS.get(word) or int(word) for word in values.get("proto", ())]),
        sport=tuple([_span(text) for text in values.get("sport", ())]),
        dport=tuple([_span(text) for text in values.get("dport", ())]),
        iif=tuple(values.get("iif", ())),
        marks=tuple([(int(mark, 0), int(mask, 0) if mask else None) for mark, _, mask in marks]),
        uids=tuple([_span(text) for text in values.get("uid", ())]),
        order=entries(values.get("uplinks", ()), uplinks),
        fallback=model.Fallback(values.get("fallback", "default")),
        sticky=values.get("sticky", 0),
        macs=tuple(values.get("mac", ())),
        dscp=tuple(values.get("dscp", ())),
    )


def _span(text: str) -> tuple[int, int]:
    """``5000-5100``, or one number."""
    first, _, last = text.partition("-")
    return int(first), int(last or first)


def _targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """Parsed once each: uplinks share most of them.  Two that differ only in what is hidden get a number."""
    found: list[Target] = []
    names: list[str] = []
    for text in texts:
        target = _parsed.get(text)
        if target is None:
            target = _parsed[text] = parse(text)
        if target.name in names and text not in [other.text for other in found]:
            found.append(target._replace(name=f"{target.name} #{names.count(target.name) + 1}"))
        else:
            found.append(target)
        names.append(target.name)
    return tuple(found)


def _families(words: Iterable[str]) -> tuple[Family, ...]:
    return tuple([Family(word) for word in words])


def _rungs(texts: Iterable[str]) -> tuple[Rung, ...]:
    from mwan_hook.repair.steps import rung

    return tuple(rung(text) for text in texts)


# Enums of the model by the key whose words they have; by name, because few runs have a use for some of them.
_ENUMS = {
    "copy_routes": "CopyRoutes",
    "last_resort": "LastResort",
    "nexthops": "Sharing",
    "nat6": "Nat6",
    "failback": "Failback",
    "activate": "Activate",
    "exercise": "Exercise",
    "security": "Security",
}
# What else is made of the value of a key; of others the value itself, or a tuple of it.
_MAKERS: dict[str, Callable[[Any], Any]] = {
    "mptcp": lambda word: word if isinstance(word, bool) else model.Mptcp(word),  # yes or no for [routing]
    "masquerade": _families,
    "families": _families,
    "mss": lambda value: None if isinstance(value, str) else value,
    "prefixes": lambda words: None if "auto" in words else tuple(words),
    "repair": _rungs,
    "targets": _targets,
    "portal_targets": _targets,
}
