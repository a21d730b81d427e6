"""Plain, validated values to :class:`Config`: the half of reading a configuration that every run needs.

``plain`` is what the files say after validation, and what the cache keeps: ``{"routing": {...}, "probe":
{...}, "mail": {...}, ..., "uplinks": {name: {..., "metrics": {...}}}}`` with numbers, booleans, text and lists of text.
Only keys that a file sets are in it: defaults stand here and in :mod:`mwan_hook.model`.
"""

from __future__ import annotations

from mwan_hook.config.targets import parse
from mwan_hook.model import (
    Config,
    CopyRoutes,
    Failback,
    Family,
    Hooks,
    LastResort,
    Mail,
    Match,
    Metrics,
    Nat6,
    Probe,
    Prometheus,
    Recording,
    Reporting,
    Router,
    Routing,
    Security,
    Sharing,
    Snmp,
    Target,
    UplinkConfig,
    Webhook,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from mwan_hook.model import Activate, Exercise, Mptcp, Policy, Rung

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

_parsed: dict[str, Target] = {}


def build(plain: Mapping[str, Any]) -> Config:
    """The configuration; without files ``plain`` is empty and the result is the zero configuration."""
    own = plain.get("probe", {})
    probe = with_probe(Probe(), {"targets": TARGETS, "portal_targets": PORTAL_TARGETS, **own})
    return Config(
        routing=Routing(**_made(plain.get("routing", {}))),
        probe=probe,
        uplinks=tuple(_uplink(name, values, probe) for name, values in plain.get("uplinks", {}).items()),
        explicit_probe=frozenset(own),
        hooks=Hooks(**plain.get("hooks", {})),
        mail=_mail(plain.get("mail", {})),
        webhook=Webhook(**_made(plain.get("webhook", {}))),
        prometheus=Prometheus(**plain.get("prometheus", {})),
        snmp=Snmp(**plain.get("snmp", {})),
        router=Router(**_made(plain.get("router", {}))),
        policies=_policies(plain.get("policies", {}), plain.get("uplinks", {})),
        record=Recording(**plain.get("record", {})),
        report=Reporting(**plain.get("report", {})),
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
    return {
        key: _MAKERS[key](value) if key in _MAKERS else tuple(value) if isinstance(value, list) else value
        for key, value in values.items()
    }


def _mail(values: Mapping[str, Any]) -> Mail:
    usual = Security.STARTTLS if values.get("user") else Security.NONE
    own = {"security": usual, **_made(values)}
    return Mail(**{FIELDS.get(key, key): value for key, value in own.items()})


def _uplink(name: str, values: Mapping[str, Any], probe: Probe) -> UplinkConfig:
    own = _made({key: value for key, value in values.items() if key in UplinkConfig._fields})
    own["match"] = tuple(match_of(text) for text in values.get("match", ())) or (Match("name", name),)
    if "mark" in own:
        own["mark"], own["mask"] = values["mark"]
    own["gateways"] = tuple(values.get("gateway", ()))
    own["metrics"] = Metrics(**values.get("metrics", {}))
    own["probe"] = with_probe(probe, values)
    if own.get("metered") and "failback" not in own:
        own["failback"] = Failback.HARD
    own["explicit"] = frozenset(values) & frozenset(Probe._fields)
    if values.get("start"):
        from mwan_hook.model import Dial

        dial = _made({key: value for key, value in values.items() if key in Dial._fields})
        own["dial"] = Dial(**dial, behind="metric" not in values)
    return UplinkConfig(name, **own)


def _policies(plain: Mapping[str, Any], uplinks: Mapping[str, Any]) -> tuple[Policy, ...]:
    return tuple([_policy(name, values, uplinks) for name, values in plain.items()])


def _policy(name: str, values: Mapping[str, Any], uplinks: Mapping[str, Any]) -> Policy:
    from mwan_hook.model import Fallback, Policy
    from mwan_hook.policy.order import entries
    from mwan_hook.routing.protocols import NUMBERS

    marks = [text.partition("/") for text in values.get("mark", ())]
    return Policy(
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
        fallback=Fallback(values.get("fallback", "default")),
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


def _prefixes(words: Iterable[str]) -> tuple[str, ...] | None:
    return None if "auto" in words else tuple(words)


def _activate(word: str) -> Activate:
    from mwan_hook.model import Activate

    return Activate(word)


def _exercise(word: str) -> Exercise:
    from mwan_hook.model import Exercise

    return Exercise(word)


def _segment(value: int | str) -> int | None:
    return None if isinstance(value, str) else value


def _mptcp(word: str | bool) -> Mptcp | bool:
    """One of three words for an uplink; yes or no for [routing]."""
    if isinstance(word, bool):
        return word
    from mwan_hook.model import Mptcp

    return Mptcp(word)


def _rungs(texts: Iterable[str]) -> tuple[Rung, ...]:
    from mwan_hook.repair.steps import rung

    return tuple(rung(text) for text in texts)


# What is made of the value of a key; of others the value itself, or a tuple of it.
_MAKERS: dict[str, Callable[[Any], Any]] = {
    "copy_routes": CopyRoutes,
    "activate": _activate,
    "exercise": _exercise,
    "last_resort": LastResort,
    "nexthops": Sharing,
    "mptcp": _mptcp,
    "nat6": Nat6,
    "failback": Failback,
    "security": Security,
    "masquerade": _families,
    "families": _families,
    "mss": _segment,
    "prefixes": _prefixes,
    "repair": _rungs,
    "targets": _targets,
    "portal_targets": _targets,
}
