"""``mwan-hook config``: whether the files are good, the files as read, or every key in force."""

from __future__ import annotations

import os
from _socket import if_nameindex
from collections.abc import Iterator, Mapping

from mwan_hook import config
from mwan_hook.config import Loaded, keep, read
from mwan_hook.config.keys import KEYS, METRICS, POLICY, UPLINK, Row
from mwan_hook.config.networks import network_for
from mwan_hook.config.read import Reading
from mwan_hook.config.spelling import listed, spelled, text
from mwan_hook.kernel import nft
from mwan_hook.machine.networkd import Network
from mwan_hook.model import Dial, Link, Metrics, MwanError, Probe, UplinkConfig
from mwan_hook.policy import order
from mwan_hook.say import complain, say
from mwan_hook.store import state as states
from mwan_hook.store.foreign import contents
from mwan_hook.verdict import switches

DEFAULT = "default"
_WIDTH = 40  # where the comments begin, if a value leaves room


def run(root: str, check: bool, effective: bool) -> int:
    """Print; warnings go to stderr.  Raises ConfigError when the files are wrong."""
    loaded = config.look(root)
    reading = read.read(root, keep.Watch())
    for warning in loaded.warnings:
        complain((warning,))
    if check:
        say((checked(reading),))
        complain((nft.MISSING,) if loaded.config.firewall and not nft.program() else ())
        complain((*_ordered(loaded), *_stumbles(root, loaded)))
    elif effective:
        stored, messages = states.load_allotment(root, writes=False)
        complain(messages)
        say(in_force(loaded, reading, switches.standing(stored, loaded.config.uplinks).enabled))
    else:
        say(as_read(reading).expandtabs().split("\n"))
    return 0


def _ordered(loaded: Loaded) -> list[str]:
    """Notes on policies that shared before there was a +."""
    metrics = {uplink.name: uplink.metric for uplink in loaded.config.uplinks if uplink.metric is not None}
    found = order.formerly_shared(loaded.config.policies, metrics)
    return [f"note: [policies] [[{name}]] uplinks: {order.only_ordered(names)}" for name, names in found.items()]


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


# ---------------------------------------------------------------- every key in force


def in_force(loaded: Loaded, reading: Reading, switched: Mapping[str, bool]) -> Iterator[str]:
    """Every key in the syntax of the files; the comment says which file, or .network file, or that it is a default.

    ``switched``: what commands say of uplinks and templates.
    """
    for path, rows in KEYS.items():
        if len(path) == 1:
            holder = getattr(loaded.config, path[0])
            yield f"[{path[0]}]"
            for row in rows:
                yield _line(1, row.name, spelled(row, holder), _origin(reading, (*path, row.name)))
            yield ""
    yield from _policies(reading)
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


def _policies(reading: Reading) -> Iterator[str]:
    """Policies have few keys of many: those that are set, and those that have a default."""
    policies = reading.plain.get("policies", {})
    if policies:
        yield "[policies]"
    defaults = {row.name: row.default for row in KEYS[POLICY] if row.default}
    for policy, own in policies.items():
        yield f"  [[{policy}]]"
        for key, value in (defaults | own).items():
            words = listed(map(str, value)) if isinstance(value, list) else str(value)
            yield _line(2, key, words, _origin(reading, ("policies", policy, key)))
    if policies:
        yield ""


def _by_command(indent: str, name: str, word: bool) -> str:
    return f"{indent}  # {name}: enabled = {text(word)}, by {switches.COMMANDS[word]}"


def _uplink(
    loaded: Loaded, reading: Reading, uplink: UplinkConfig, links: Mapping[str, int], switched: Mapping[str, bool]
) -> Iterator[str]:
    link = _link(uplink.literal or "", links)
    network = network_for(loaded.root, loaded.networks, link) if link and loaded.networks else None
    over = config.for_interface(loaded, uplink, link) if link else uplink
    yield f"  [[{uplink.name}]]"
    for row in KEYS[UPLINK]:
        value, origin = _value(row, over), _origin(reading, ("uplinks", uplink.name, row.name), ("probe", row.name))
        if network and origin == DEFAULT and (value != _value(row, uplink) or row.name in network.values):
            origin = network.places.get(row.name, network.path)
        if row.name == "enabled" and uplink.name in switched:
            word = switched[uplink.name]
            value, origin = text(word), f"{switches.COMMANDS[word]}; {value} by {origin}"
        yield _line(2, row.name, value, origin) if value else f"    # {row.name}: {row.unset}"
        if row.name == "enabled":
            instances = [name for name in switched if name.startswith(f"{uplink.name}@")]
            yield from (_by_command("  ", name, switched[name]) for name in instances)
    yield from _metrics(reading, uplink, over.metrics, network)


def _value(row: Row, uplink: UplinkConfig) -> str:
    if row.name in Dial._fields:
        return spelled(row, uplink.dial or Dial())
    return spelled(row, uplink.probe if row.name in Probe._fields else uplink)


def _metrics(reading: Reading, uplink: UplinkConfig, metrics: Metrics, network: Network | None) -> Iterator[str]:
    if metrics == Metrics():
        return
    yield "    [[[metrics]]]"
    for row in KEYS[METRICS]:
        value, origin = spelled(row, metrics), _origin(reading, ("uplinks", uplink.name, "metrics", row.name))
        if network and getattr(uplink.metrics, row.name) is None:
            origin = network.places.get(f"metrics.{row.name}", network.path)
        yield _line(3, row.name, value, origin) if value else f"      # {row.name}: {row.unset}"


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
    return Link(links[name], name, True, True, contents(f"/sys/class/net/{name}/address").strip())
