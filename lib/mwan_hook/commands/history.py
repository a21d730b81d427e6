"""``mwan-hook history``: what changed, when and why."""

from __future__ import annotations

from collections.abc import Iterable

from mwan_hook import dates
from mwan_hook.columns import Table, TableRow
from mwan_hook.commands import screen
from mwan_hook.model import Transition
from mwan_hook.store import history
from mwan_hook.wrapping import Styled

HEADS = ("TIME", "UPLINK", "INTERFACE", "FAMILY", "CHANGE", "REASON")
INK = {one: one for one in ("online", "offline", "degraded", "portal")}


def run(root: str, uplink: str | None, as_json: bool) -> int:
    """Print the transitions, the newest last; of one uplink, or of all of a template by its name.  Raises MwanError."""
    found = [one for one in history.read(root) if uplink is None or _is_of(one, uplink)]
    if as_json:
        screen.document([_record(one) for one in found])
    elif found:
        screen.show(table(found))
    return 0


def _is_of(one: Transition, uplink: str) -> bool:
    return one.uplink == uplink or one.uplink.startswith(f"{uplink}@")


def _record(one: Transition) -> dict[str, object]:
    return {
        **one._asdict(),
        "family": one.family.value if one.family else None,
        "at": dates.utc(one.at) or f"{one.at:.0f}",
    }


def table(found: Iterable[Transition]) -> Table:
    """A row a transition, the reason last."""
    return Table(HEADS, tuple(map(_row, found)))


def _row(one: Transition) -> TableRow:
    """A transition's cells.  An event that is not its new value is named; both values follow then."""
    values = f"{one.old or '-'} -> {one.new or '-'}"
    named = one.event != one.new
    change, reason = (one.event, f"{values}: {one.reason}") if named else (values, one.reason)
    family = one.family.value if one.family else "-"
    cells = (dates.local(one.at, dates.SECOND), one.uplink or "-", one.interface or "-", family)
    return TableRow((*map(Styled, cells), Styled(change, INK.get(one.new, "")), Styled(reason)))
