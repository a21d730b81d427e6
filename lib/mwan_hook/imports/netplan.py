"""netplan: which devices have a way to the internet, and by which metric.

Its files stay as they are and in force: they make the addresses and routes that runs read.  So nothing is written that
runs find by themselves, as gateways.
"""

from __future__ import annotations

from collections.abc import Iterator

from mwan_hook.imports import traffic, yamltree
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import NotUnderstood, whole
from mwan_hook.imports.yamltree import Map, entries, items, mapping, on, word
from mwan_hook.light import NamedTuple
from mwan_hook.model import UsageError

TYPES = (
    *("ethernets", "wifis", "modems", "bonds", "bridges", "vlans", "tunnels", "virtual-ethernets", "dummy-devices"),
    "nm-devices",
)
METRIC, METRICS = 100, {"wifis": 600, "modems": 700}  # of leases, where the file has none
MANAGER = "NetworkManager"
MAIN = ("", "254", "main")
DEFAULTS = {"default": "", "0.0.0.0/0": "ipv4", "0/0": "ipv4", "::/0": "ipv6"}
_LEASES = {"ipv4": "dhcp4", "ipv6": "dhcp6"}


class Definition(NamedTuple):
    """One definition with its kind and who is in charge of it."""

    kind: str
    name: str
    tree: Map
    renderer: str
    ways: Ways


def read(text: str, draft: Draft) -> None:
    """Put what the file says into the draft.  Raises NotUnderstood, UsageError."""
    try:
        tree = yamltree.parse(text)
    except ImportError:
        raise UsageError(yamltree.MISSING) from None
    network = mapping(mapping(tree).get("network"))
    if not network:
        raise NotUnderstood("expected a file of netplan: `network:` with devices in it")
    if word(network, "version", "2") != "2":
        raise NotUnderstood(f"expected version 2, not {word(network, 'version')}")
    draft.part("uplinks").note("the files of netplan stay in force: what they make is read, and never edited")
    parts: dict[str, DraftSection] = {}
    devices = list(_devices(network))
    for device in devices:
        if device.ways.any and (part := _uplink(device, network, draft)):
            parts[device.name] = part
    tables = {one.ways.table: parts[one.name] for one in devices if one.ways.table and one.name in parts}
    for device in devices:
        _policies(device, tables, draft)


def _devices(network: Map) -> Iterator[Definition]:
    for kind in TYPES:
        definitions = mapping(network.get(kind))
        usual = word(definitions, "renderer") or word(network, "renderer", "networkd")
        for name, one in definitions.items():
            if name != "renderer":
                tree = mapping(one)
                renderer = word(tree, "renderer") or usual
                ways = _ways(tree, METRICS.get(kind, METRIC), always=kind == "modems")
                yield Definition(kind, name, tree, renderer, ways)


def _uplink(device: Definition, network: Map, draft: Draft) -> DraftSection | None:
    inside = [
        name for name, one in mapping(network.get("vrfs")).items() if device.name in items(mapping(one), "interfaces")
    ]
    if inside:
        draft.part("uplinks").note(f"{device.name} is in the VRF {inside[0]}: its default is none of main's")
        return None
    if device.kind == "tunnels":
        draft.part("uplinks").note(f"{device.name} is a tunnel: its default stays as it is, and is no uplink")
        return None
    part = draft.uplink(device.name)
    _match(device, part, draft)
    _families(device, part)
    metrics = device.ways.metrics
    for family, metric in metrics.items():
        if family == next(iter(metrics)):
            part.set("metric", metric)
        elif str(metric) != part.get("metric"):
            part.lost(f"metric {metric} of {family}", "an uplink has one metric for both families")
    if device.ways.table:
        _table(device, part)
    if device.renderer == MANAGER:
        part.note("NetworkManager adds 20000 to metrics where it sees no connectivity; here `metric` counts as it is")
    if word(device.tree, "activation-mode") in ("manual", "off"):
        part.note(f"activation-mode is {word(device.tree, 'activation-mode')}: it is online once it was brought up")
    return part


def _table(device: Definition, part: DraftSection) -> None:
    """A table that the file has for it: the same one, if there is one interface only."""
    words = "netplan's own routes in it and its rules do the same: take them out once mwan-hook runs"
    if word(device.tree, "set-name") or "match" not in device.tree:
        part.set("table", device.ways.table)
    else:
        words = f"several interfaces may match, and each gets a table of its own; {words}"
    part.note(f"table {device.ways.table} is that of a default in the file: {words}")


def _match(device: Definition, part: DraftSection, draft: Draft) -> None:
    """All of netplan's conditions must hold, and one of ours is enough: the most precise one is taken."""
    match = mapping(device.tree.get("match"))
    name = word(device.tree, "set-name")
    found: list[list[str]] = []
    if mac := word(match, "macaddress"):
        found.append([f"mac:{mac}"])
    if glob := word(match, "name"):
        found.append([draft.renamed(glob)])
    if drivers := items(match, "driver"):
        found.append([f"driver:{driver}" for driver in drivers])
    if name or not found:
        part.match(draft.renamed(name or device.name))
        return
    part.set("match", found[0])
    for other in found[1:]:
        part.lost(f"match by {', '.join(other)} too", "one of the conditions of match is enough here")


def _families(device: Definition, part: DraftSection) -> None:
    """One family where the file rules the other one out; routers are heard if it says nothing."""
    ways = device.ways
    hears = on(device.tree, "accept-ra", True) and "ipv6" in (items(device.tree, "link-local") or ["ipv6"])
    if "link-local" in device.tree and not items(device.tree, "link-local"):
        hears = False
    if not ways.ipv4:
        part.set("families", "ipv6")
    elif not ways.ipv6 and not hears:
        part.set("families", "ipv4")


class Ways(NamedTuple):
    """Families in which a device has a default, their metrics where the file tells, and another table than main."""

    ipv4: bool
    ipv6: bool
    metrics: dict[str, str]
    table: str

    @property
    def any(self) -> bool:
        """Whether there is a way at all."""
        return self.ipv4 or self.ipv6


def _ways(tree: Map, metric: int, always: bool) -> Ways:
    """The ways of one definition; ``metric``: of its leases if it has none; ``always``: without a word in the file."""
    found: dict[str, list[str]] = {}
    for family, key in _LEASES.items():
        overrides = mapping(tree.get(f"{key}-overrides"))
        if (on(tree, key, False) or (always and family == "ipv4")) and on(overrides, "use-routes", True):
            found.setdefault(family, []).append(word(overrides, "route-metric") or str(metric))
    if on(tree, "accept-ra", False):
        found.setdefault("ipv6", [])
    tables = [""]
    for family, one in _defaults(tree):
        table = word(one, "table")
        tables.append("" if table in MAIN else table)
        found.setdefault(family, []).extend([word(one, "metric")] if table in MAIN else [])
    metrics = {family: lowest for family, given in found.items() if (lowest := _lowest(given))}
    return Ways("ipv4" in found, "ipv6" in found, metrics, tables[-1])


def _defaults(tree: Map) -> Iterator[tuple[str, Map]]:
    """Families and routes of the defaults."""
    for family, key in (("ipv4", "gateway4"), ("ipv6", "gateway6")):
        if word(tree, key):
            yield family, {}
    for one in entries(tree, "routes"):
        to = word(one, "to")
        if to in DEFAULTS and word(one, "type", "unicast") == "unicast":
            yield DEFAULTS[to] or ("ipv6" if ":" in word(one, "via") else "ipv4"), one


def _lowest(given: list[str]) -> str:
    """The lowest metric; nothing if one is not written, which only the kernel knows."""
    lowest = min((whole(text, -1) for text in given), default=-1)
    return str(lowest) if lowest >= 0 else ""


def _policies(device: Definition, tables: dict[str, DraftSection], draft: Draft) -> None:
    """A policy for each routing-policy that leads into the table of an uplink, but for the device's own addresses."""
    own = {address.partition("/")[0] for address in _addresses(device.tree)}
    for rule in entries(device.tree, "routing-policy"):
        source, table = word(rule, "from"), word(rule, "table")
        what = f"routing-policy of {device.name}: {', '.join(f'{key} {value}' for key, value in rule.items())}"
        if source.partition("/")[0] in own and not word(rule, "to") and not word(rule, "mark"):
            continue  # source rules of an uplink
        if table not in tables:
            draft.part("policies").note(f"{what}: stays in force as it is")
        elif word(rule, "type-of-service"):
            draft.part("policies").lost(what, "a policy does not choose by type-of-service")
        else:
            _policy(rule, what, tables[table], draft)


def _policy(rule: Map, what: str, uplink: DraftSection, draft: Draft) -> None:
    try:
        ends = {key: traffic.prefixes(word(rule, key)) for key in ("from", "to") if word(rule, key)}
    except ValueError as error:
        draft.part("policies").lost(what, str(error))
        return
    part = draft.policy(f"table-{word(rule, 'table')}")
    for key, values in ends.items():
        part.set(key, values)
    if word(rule, "mark"):
        part.set("mark", word(rule, "mark"))
    part.set("uplinks", uplink.name)
    part.note(f"{what}: netplan's own rule stays in force, too")


def _addresses(tree: Map) -> Iterator[str]:
    """Addresses of a device; one with options is a mapping."""
    found = tree.get("addresses")
    for one in found if isinstance(found, list) else ():
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict):
            yield from one
