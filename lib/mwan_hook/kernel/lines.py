"""Changes spelled as an operator would type them; long runs of copied routes cut short for the journal."""

from __future__ import annotations

from mwan_hook.routing.words import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Change, Link, Route

MOST_COPIES = 10  # lines in the journal


def spelled(links: Sequence[Link], changes: Sequence[Change]) -> Iterator[str]:
    """One line a change; of an nft table one a command."""
    names = {link.index: link.name for link in links}
    for change in changes:
        yield from line(change, names, _copied).split("\n")


def _copied(raw: bytes) -> tuple[str, Route, str]:
    from mwan_hook.kernel import copywords

    return copywords.describe(raw)


def shortened(links: Sequence[Link], changes: Sequence[Change]) -> Iterator[str]:
    """Spell changes, with no more than a handful of copied routes."""
    bulk = [change for change in changes if isinstance(change.what, bytes)]
    if len(bulk) <= MOST_COPIES:
        yield from spelled(links, changes)
        return
    yield from spelled(links, bulk[:MOST_COPIES])
    tables = ", ".join(str(table) for table in {change.table: None for change in bulk})
    yield f"... and {len(bulk) - MOST_COPIES} more routes of main copied (tables {tables})"
    yield from spelled(links, [change for change in changes if not isinstance(change.what, bytes)])
