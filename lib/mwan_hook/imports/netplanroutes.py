"""netplan: the defaults that a device has, and rules that lead into the table of one."""

from __future__ import annotations

from mwan_hook.imports import traffic
from mwan_hook.imports.yamltree import entries, mapping, on, word
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from mwan_hook.imports.draft import Draft
    from mwan_hook.imports.section import DraftSection
    from mwan_hook.imports.yamltree import Map

MAIN = ("", "254", "main")
DEFAULTS = {"default": "", "0.0.0.0/0": "ipv4", "0/0": "ipv4", "::/0": "ipv6"}
_LEASES = {"ipv4": "dhcp4", "ipv6": "dhcp6"}


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


def ways(tree: Map, metric: int, always: bool) -> Ways:
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
    numbers = [int(text) for text in given if text.isascii() and text.isdigit() and len(text) < 11]
    return str(min(numbers)) if numbers and len(numbers) == len(given) else ""


def policies(name: str, tree: Map, ways_of: dict[str, Ways], parts: dict[str, DraftSection], draft: Draft) -> None:
    """A policy for each routing-policy that leads into the table of an uplink, but for the device's own addresses."""
    tables = {one.table: device for device, one in ways_of.items() if one.table and device in parts}
    own = {address.partition("/")[0] for address in _addresses(tree)}
    for rule in entries(tree, "routing-policy"):
        source, table = word(rule, "from"), word(rule, "table")
        what = f"routing-policy of {name}: {', '.join(f'{key} {value}' for key, value in rule.items())}"
        if source.partition("/")[0] in own and not word(rule, "to") and not word(rule, "mark"):
            continue  # source rules of an uplink
        if table not in tables:
            draft.part("policies").note(f"{what}: stays in force as it is")
        elif word(rule, "type-of-service"):
            draft.part("policies").lost(what, "a policy does not choose by type-of-service")
        else:
            _policy(rule, what, parts[tables[table]], draft)


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
