"""``mwan-hook config``: the files as read, or every key in force with the place each value came from."""

from __future__ import annotations

import os
from _socket import if_nameindex

from mwan_hook import config
from mwan_hook.config import build, keep, read
from mwan_hook.config.networks import network_for
from mwan_hook.kernel import nft
from mwan_hook.machine.networkd import Network
from mwan_hook.model import (
    MAIN_TABLE,
    Config,
    Family,
    Hooks,
    Link,
    Mail,
    Match,
    Metrics,
    MwanError,
    Probe,
    Prometheus,
    Router,
    Snmp,
    UplinkConfig,
    Webhook,
)
from mwan_hook.quota import words
from mwan_hook.say import complain, say
from mwan_hook.store import allotment
from mwan_hook.verdict import switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mwan_hook.config import Loaded
    from mwan_hook.config.read import Reading

DEFAULT = "default"
_WIDTH = 40  # where the comments begin, if a value leaves room
_UPLINK_KEYS = ("metric", "weight", "table", "rule_priority", "mark", "gateway", "families", "enabled", "metered")
_ROUTER_KEYS = ("masquerade", "nat6", "nat6_prefix", "failback", "prefixes")
_QUOTA_KEYS = ("quota", "quota_reset_day", "quota_warn")
_OURS = {  # what an uplink has when the files leave it to us
    "metric": "that of its route in main",
    "table": "the next free one",
    "rule_priority": "[routing] rule_priority + 200",
    "mark": "the next free one inside mark_mask",
    "gateway": "found",
    "masquerade": "that of [router]",
    "nat6": "that of [router]",
    "nat6_prefix": "the network of the IPv6 address that the uplink sends from",
}


def run(root: str, check: bool, effective: bool) -> int:
    """Print; warnings go to stderr.  Raises ConfigError when the files are wrong."""
    loaded = config.look(root)
    reading = read.read(root, keep.Watch())
    for warning in loaded.warnings:
        complain((warning,))
    if check:
        say((checked(reading),))
        complain((nft.MISSING,) if loaded.config.firewall and not nft.program() else ())
        complain(_stumbles(root, loaded))
    elif effective:
        stored, messages = allotment.load(root, writes=False)
        complain(messages)
        say(in_force(loaded, reading, switches.standing(stored, loaded.config.uplinks).enabled))
    else:
        say(as_read(reading).expandtabs().split("\n"))
    return 0


def _stumbles(root: str, loaded: Loaded) -> tuple[str, ...]:
    """What marks do not reach for with what is plugged in, and what nft(8) says against the table of a run."""
    from mwan_hook.firewall import table
    from mwan_hook.run import judge, look

    try:
        seen = look.to_read(root, loaded)
        state = judge.judge(seen).state
    except MwanError:
        return ()  # what is there cannot be asked for: the files are good all the same
    commands = table.wanted(loaded.config, seen.uplinks, state, seen.snapshot, seen.bound.policies)
    asked = commands and nft.program() and os.geteuid() == 0
    return (*seen.bound.short, *filter(None, (nft.refusal(commands) if asked else "",)))


def checked(reading: Reading) -> str:
    """One line: which files are good."""
    names = [source.path for source in reading.sources]
    return f"{', '.join(names)}: good" if names else "no configuration file: zero configuration"


def as_read(reading: Reading) -> str:
    """The files one after the other, each below a comment with its path."""
    if not reading.sources:
        return "# no configuration file: every interface with a default route is an uplink"
    return "\n\n".join("\n".join((f"# {source.path}", *source.lines)).rstrip() for source in reading.sources)


def in_force(loaded: Loaded, reading: Reading, switched: Mapping[str, bool]) -> Iterator[str]:
    """Every key in the syntax of the files; the comment says which file, or .network file, or that it is a default.

    ``switched``: what commands say of uplinks and templates.
    """
    for section, values in _sections(loaded.config).items():
        yield f"[{section}]"
        for key, value in values.items():
            yield _line(1, key, value, _origin(reading, (section, key)))
        yield ""
    if loaded.config.policies:
        yield "[policies]"
        for policy, own in reading.plain["policies"].items():
            yield f"  [[{policy}]]"
            for key, value in ({"fallback": "default", "sticky": "no"} | own).items():
                text = _list(map(str, value)) if isinstance(value, list) else str(value)
                yield _line(2, key, text, _origin(reading, ("policies", policy, key)))
        yield ""
    yield "[uplinks]"
    if not loaded.config.uplinks:
        yield "  # none: every interface with a default route in main is one"
        yield from (_by_command("", name, word) for name, word in switched.items())
    links = {name: index for index, name in if_nameindex()}
    for uplink in loaded.config.uplinks:
        yield from _uplink(loaded, reading, uplink, links, switched)
    for network in loaded.networks:
        if network.values:
            yield f"# {network.path}: beneath the keys set here, for the interfaces it matches"


def _by_command(indent: str, name: str, word: bool) -> str:
    return f"{indent}  # {name}: enabled = {_text(word)}, by {switches.COMMANDS[word]}"


def _uplink(
    loaded: Loaded, reading: Reading, uplink: UplinkConfig, links: Mapping[str, int], switched: Mapping[str, bool]
) -> Iterator[str]:
    link = _link(uplink.literal or "", links)
    network = network_for(loaded.root, loaded.networks, link) if link and loaded.networks else None
    over = config.for_interface(loaded, uplink, link) if link else uplink
    path = ("uplinks", uplink.name)
    yield f"  [[{uplink.name}]]"
    yield _line(2, "match", _list(_match(match) for match in uplink.match), _origin(reading, (*path, "match")))
    own = _own(uplink)
    origins = {key: _origin(reading, (*path, key)) for key in own}
    if uplink.name in switched:
        word = switched[uplink.name]
        origins["enabled"] = f"{switches.COMMANDS[word]}; {own['enabled']} by {origins['enabled']}"
        own["enabled"] = _text(word)
    for key, value in own.items():
        origin = origins[key]
        yield _line(2, key, value, origin) if value else f"    # {key}: {_OURS[key]}"
    for name, word in switched.items():
        if name.startswith(f"{uplink.name}@"):
            yield _by_command("  ", name, word)
    before, after = _probe(uplink.probe), _probe(over.probe)
    for key, value in after.items():
        origin = _origin(reading, (*path, key), ("probe", key))
        if network and origin == DEFAULT and (value != before[key] or key in network.values):
            origin = network.places.get(key, network.path)
        yield _line(2, key, value, origin)
    yield from _metrics(reading, uplink, over.metrics, network)


def _metrics(reading: Reading, uplink: UplinkConfig, metrics: Metrics, network: Network | None) -> Iterator[str]:
    if metrics == Metrics():
        return
    yield "    [[[metrics]]]"
    for key, value in metrics._asdict().items():
        origin = _origin(reading, ("uplinks", uplink.name, "metrics", key))
        if network and getattr(uplink.metrics, key) is None:
            origin = network.places.get(f"metrics.{key}", network.path)
        yield f"      # {key}: changes nothing" if value is None else _line(3, key, _text(value), origin)


def _sections(wanted: Config) -> dict[str, dict[str, str]]:
    """The sections that hold nothing but keys."""
    return {
        "routing": _routing(wanted),
        "probe": _probe(wanted.probe),
        "router": _router(wanted.router),
        "hooks": _texts(wanted.hooks),
        "mail": _mail(wanted.mail),
        "webhook": _texts(wanted.webhook) | {"events": _list(iter(wanted.webhook.events))},
        "prometheus": _texts(wanted.prometheus),
        "snmp": _texts(wanted.snmp),
    }


def _texts(values: Hooks | Prometheus | Snmp | Webhook) -> dict[str, str]:
    return {key: _quoted(_text(value)) for key, value in values._asdict().items()}


def _mail(mail: Mail) -> dict[str, str]:
    found = {("from" if key == "sender" else key): _quoted(_text(value)) for key, value in mail._asdict().items()}
    return found | {"to": _list(iter(mail.to))}


def _routing(wanted: Config) -> dict[str, str]:
    found = {key: _text(value) for key, value in wanted.routing._asdict().items()}
    found["mark_mask"] = hex(wanted.routing.mark_mask)
    if wanted.routing.default_table == MAIN_TABLE:
        found["default_table"] = "main"
    return found


def _router(router: Router) -> dict[str, str]:
    return {
        "pin": _text(router.pin),
        "masquerade": _masquerade(router.masquerade),
        "nat6": _text(router.nat6.value),
        "deprecate_prefixes": _text(router.deprecate_prefixes),
    }


def _masquerade(families: tuple[Family, ...]) -> str:
    return _list(family.value for family in families) if families else "no"


def _probe(probe: Probe) -> dict[str, str]:
    found = {key: _text(value) for key, value in probe._asdict().items()}
    for key, targets in (("targets", probe.targets), ("portal_targets", probe.portal_targets)):
        found[key] = _list(target.text for target in targets)
    return found


def _own(uplink: UplinkConfig) -> dict[str, str]:
    """Keys of an uplink that [probe] has not; empty where we choose."""
    mark = "" if uplink.mark is None else hex(uplink.mark) + (f"/{uplink.mask:#x}" if uplink.mask is not None else "")
    special = {
        "mark": mark,
        "gateway": ", ".join(uplink.gateways),
        "families": _list(family.value for family in uplink.families),
        "masquerade": "" if uplink.masquerade is None else _masquerade(uplink.masquerade),
        "nat6": "" if uplink.nat6 is None else uplink.nat6.value,
        "nat6_prefix": uplink.nat6_prefix or "",
        "failback": uplink.failback.value,
        "prefixes": "auto" if uplink.prefixes is None else _list(iter(uplink.prefixes)) if uplink.prefixes else "no",
        "quota": words.spelled(uplink.quota),
    }
    keys = (*_UPLINK_KEYS, *_ROUTER_KEYS, *_QUOTA_KEYS)
    found = {key: special[key] if key in special else _text(getattr(uplink, key)) for key in keys}
    return found | {"metered_interval": _text(uplink.metered_interval)}


def _text(value: object) -> str:
    """A plain value as the files spell it; None is empty."""
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(getattr(value, "value", value))


def _list(texts: Iterator[str]) -> str:
    """A list as ConfigObj reads it; a lone comma is the empty one."""
    return ", ".join(_quoted(text) for text in texts) or ","


def _quoted(text: str) -> str:
    if not set(text) & set(",#'\"") and text == text.strip():
        return text
    return f"'{text}'" if '"' in text else f'"{text}"'


def _match(match: Match) -> str:
    if match.kind == "name":
        return match.glob
    return f"{build.PROPERTY}:{match.key}={match.glob}" if match.key else f"{match.kind}:{match.glob}"


def _line(depth: int, key: str, value: str, origin: str) -> str:
    setting = f"{'  ' * depth}{key} = {value}"
    return f"{setting:<{_WIDTH}}  # {origin}"


def _origin(reading: Reading, *paths: tuple[str, ...]) -> str:
    """``FILE:LINE`` of the first of the keys that a file sets."""
    for path in paths:
        if path in reading.origins:
            file, line = reading.origins[path]
            return f"{file}:{line}"
    return DEFAULT


def _link(name: str, links: Mapping[str, int]) -> Link | None:
    """The interface of that name as far as [Match] needs it."""
    if name not in links:
        return None
    try:
        with open(f"/sys/class/net/{name}/address", encoding="ascii") as stream:
            mac = stream.read().strip()
    except OSError:
        mac = ""
    return Link(links[name], name, True, True, mac)
