"""Marks and fast paths that rules of netfilter make: nft(8) and iptables-save(8), where they are, and root asks."""

from __future__ import annotations

import json
import os
import shlex

from mwan_hook.doctor.checks.marks import Flowtable, Marker
from mwan_hook.kernel import nft
from mwan_hook.routing.priorities import ALL_BITS
from mwan_hook.store.foreign import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

LEGACY = {"iptables-legacy-save": "/proc/net/ip_tables_names", "ip6tables-legacy-save": "/proc/net/ip6_tables_names"}
SAVERS = ("iptables-save", "ip6tables-save", *LEGACY)
TIMEOUT = 30
_OPERATORS = ("|", "&", "^")


def markers(listing: str) -> tuple[list[Marker], list[Flowtable]]:
    """Statements in nft's JSON that set marks; our own table left out."""
    found: list[Marker] = []
    flowtables: list[Flowtable] = []
    for one in json.loads(listing or "{}").get("nftables", ()):
        rule, flowtable = one.get("rule"), one.get("flowtable")
        if rule and (rule["family"], rule["table"]) != (nft.FAMILY, nft.TABLE):
            found += _markers(rule)
        elif flowtable:
            devices = flowtable.get("dev", [])
            where = f"nft flowtable {flowtable['family']} {flowtable['table']} {flowtable['name']}"
            flowtables.append(Flowtable(where, (devices,) if isinstance(devices, str) else tuple(devices)))
    return found, flowtables


def _markers(rule: dict[str, Any]) -> Iterator[Marker]:
    where = f"nft {rule['family']} {rule['table']} {rule['chain']}"
    for statement in rule.get("expr", ()):
        mangle = statement.get("mangle") if isinstance(statement, dict) else None
        if not mangle:
            continue
        for kind in ("meta", "ct"):
            if mangle["key"] == {kind: {"key": "mark"}}:
                changed = _effect(mangle["value"], mangle["key"])
                if changed:
                    yield Marker(where, *changed, kind == "ct", (rule["table"], rule["chain"]))


def _effect(value: Any, key: Any) -> tuple[int, int | None] | None:
    """Bits that change and what they become; None for a copy of another mark, whose setting is seen elsewhere."""
    folded = _folded(value, key)
    if folded is None:
        return None if _copies(value) else (ALL_BITS, None)
    kept, new = folded
    return ~kept & ALL_BITS, new & ~kept


def _folded(value: Any, key: Any) -> tuple[int, int] | None:
    """A mark as (bits kept of the old one, bits set); None if it is none of numbers and the mark itself."""
    if isinstance(value, int):
        return 0, value
    if value == key:
        return ALL_BITS, 0
    operator = next((one for one in _OPERATORS if isinstance(value, dict) and one in value), "")
    if not operator:
        return None
    first, *others = value[operator]
    done = _folded(first, key)
    for other in others:
        if done is None or not isinstance(other, int):
            return None
        kept, new = done
        by = {"|": (kept & ~other, new | other), "&": (kept & other, new & other), "^": (kept & ~other, new ^ other)}
        done = by[operator]
    return done


def _copies(value: Any) -> bool:
    if isinstance(value, dict):
        return value in ({"ct": {"key": "mark"}}, {"meta": {"key": "mark"}}) or any(map(_copies, value.values()))
    return isinstance(value, list) and any(map(_copies, value))


def saved_markers(program: str, listing: str) -> Iterator[Marker]:
    """What iptables-save shows of marks: ``-j MARK --set-xmark VALUE/MASK`` is how it spells all that sets them."""
    table = ""
    for line in listing.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        if not line.startswith("-A ") or "--set-xmark" not in line:
            continue
        words = shlex.split(line)
        value, _, mask = words[words.index("--set-xmark") + 1].partition("/")
        number, bits = int(value, 0), int(mask or "0xffffffff", 0)
        where = f"{program.removesuffix('-save')} -t {table} {words[1]}"
        yield Marker(where, number | bits, number, "CONNMARK" in words, (words[1],))


def listings() -> Iterator[tuple[str, str]]:
    """(program, what it says) of every iptables-save that there is."""
    from subprocess import DEVNULL, PIPE, SubprocessError, run

    for name in SAVERS:
        program = next((f"{place}/{name}" for place in nft.PLACES if os.access(f"{place}/{name}", os.X_OK)), "")
        if not program or (name in LEGACY and not contents(LEGACY[name]).strip()):
            continue  # asking would load the old tables
        try:
            done = run([program], stdout=PIPE, stderr=DEVNULL, text=True, timeout=TIMEOUT, check=False)
        except (OSError, SubprocessError):
            continue
        yield name, done.stdout
