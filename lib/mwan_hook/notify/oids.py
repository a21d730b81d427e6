"""The tree that SNMP sees: a row for each uplink with an interface, as in NETWORKD-CONNECTIVITY-MIB.  Pure."""

from __future__ import annotations

import re

from mwan_hook.light import NamedTuple
from mwan_hook.verdict.events import best_connectivity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import State

    Oid = tuple[int, ...]

ENTRY = (1, 1)  # below the base: the table and its entry
INDEX, STATE, WORD = 1, 2, 3  # the columns
LONGEST = 128  # sub-identifiers, RFC 3416
LARGEST = 0xFFFFFFFF
_DOTTED = re.compile(r"\.?[0-9]{1,10}(\.[0-9]{1,10})*")


class Variable(NamedTuple):
    """One value, with net-snmp's word for its type."""

    oid: Oid
    kind: str
    value: str


def parse(text: str) -> Oid | None:
    """Dotted numbers as an OID; None for anything else."""
    if not _DOTTED.fullmatch(text):
        return None
    oid = tuple(int(number) for number in text.lstrip(".").split("."))
    return oid if len(oid) <= LONGEST and max(oid) <= LARGEST else None


def dotted(oid: Oid) -> str:
    """The OID as snmpd reads it."""
    return "".join(f".{number}" for number in oid)


def variables(base: Oid, state: State) -> list[Variable]:
    """The whole tree in lexicographic order: column by column, interfaces by their index."""
    rows = {uplink.index: best_connectivity(uplink) for uplink in state.uplinks.values() if uplink.index > 0}
    found = []
    for index, seen in rows.items():
        found.append(Variable((*base, *ENTRY, INDEX, index), "integer", str(index)))
        found.append(Variable((*base, *ENTRY, STATE, index), "integer", str(int(seen))))
        found.append(Variable((*base, *ENTRY, WORD, index), "string", seen.word))
    return sorted(found, key=lambda one: one.oid)


def get(tree: Sequence[Variable], oid: Oid) -> Variable | None:
    """The value of exactly that name."""
    return next((one for one in tree if one.oid == oid), None)


def following(tree: Sequence[Variable], oid: Oid) -> Variable | None:
    """The first value after that name, whether the name itself is there or not."""
    return next((one for one in tree if one.oid > oid), None)
