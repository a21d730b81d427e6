"""DynMHS: ``/etc/dynmhs/dynmhs.conf``, an ``INTERFACE:TABLE`` for each network (simula/dynmhs at 966c8cd)."""

from __future__ import annotations

from mwan_hook.imports.draft import Draft
from mwan_hook.imports.guard import NotUnderstood, lines, whole

NETWORKS = ("NETWORK", "NETWORK1", "NETWORK2", "NETWORK3", "NETWORK4", "NETWORK5")  # all but the first: old spellings
LOGGING = ("LOGLEVEL", "LOGCOLOR", "LOGFILE")
TABLES = range(1000, 30000)
OURS = 1000  # table of our shared default
SHARED = TABLES.stop  # the one to take in its place


def read(text: str, draft: Draft) -> None:
    """A table and rules for each network; no probing."""
    draft.part("routing").set("main_first", False)
    draft.part("probe").set("targets", [])
    networks = [found for number, line in lines(text) if (found := _line(draft, number, line.partition("#")[0]))]
    for _, number, interface, table in sorted(networks):
        _network(draft, number, interface, table)
    draft.part("routing").note(
        "DynMHS leaves packets from an address that has lost its way to main's default; mwan-hook refuses them"
    )
    draft.part("uplinks").note("metrics are those of the routes in main, which a file cannot tell")


def _line(draft: Draft, number: int, line: str) -> tuple[int, int, str, int] | None:
    """A network, in the order in which DynMHS takes them: by key, then by line."""
    key, equals, value = (word.strip() for word in line.partition("="))
    if not key and not equals:
        return None
    if not equals:
        raise NotUnderstood(f"line {number}: expected KEY=VALUE")
    if key in LOGGING:
        draft.top.note(f"{key} has no counterpart: runs tell the journal")
    elif key not in NETWORKS:
        draft.top.lost(f"line {number}, {line.strip()}", "DynMHS knows no such key either")
    elif value.strip('"'):
        interface, colon, table = value.strip('"').rpartition(":")
        if not (colon and interface and whole(table, 0) in TABLES):
            raise NotUnderstood(f"line {number}: expected INTERFACE:TABLE, the table from 1000 to 29999")
        return NETWORKS.index(key), number, interface, int(table)
    return None


def _network(draft: Draft, number: int, interface: str, table: int) -> None:
    device = draft.renamed(interface)
    if any(part.device == device for part in draft.uplinks()):
        draft.part("uplinks").note(f"line {number}: {interface} has a table already; DynMHS passes over it, too")
        return
    part = draft.uplink(interface)
    part.match(device)
    part.set("table", table)
    part.set("rule_priority", table)
    if table == OURS:
        draft.part("routing").set("default_table", SHARED)
