"""What is said, once, of other programs' rules that come before the shared default.  Pure."""

from __future__ import annotations

from mwan_hook.model import LOOKUP
from mwan_hook.routing.rules import numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Rule
    from mwan_hook.others.foreign import Here


def notes(
    here: Here, takers: Sequence[tuple[Rule, tuple[int, ...]]], usual: int | None, place: int | None
) -> list[str]:
    """Sentences for one family; ``usual`` and ``place``: of the shared default's rule, where there is one."""
    said = [numbered(here.family, rule.priority) + _taker(here, rule, interfaces) for rule, interfaces in takers]
    if here.pieces:
        where = ", ".join(sorted(route.dst for route in here.pieces))
        into = _names(here, tuple(hop.index for route in here.pieces for hop in route.nexthops))
        said.append(f"main has {where} dev {into}: a default in pieces, which comes before the shared default")
    if place is not None and place != usual:
        mine = f"{numbered(here.family, place)} is the shared default's, instead of {usual}"
        said.append(f"{mine}: rules of other programs come first")
    return said


def _taker(here: Here, rule: Rule, interfaces: tuple[int, ...]) -> str:
    if rule.action != LOOKUP:
        return f" of another program refuses everything ({rule.action})"
    into = _names(here, interfaces) or "nowhere"
    return f" of another program leads all traffic into {into} (table {rule.table})"


def _names(here: Here, interfaces: Sequence[int]) -> str:
    names = here.snapshot.names
    return " and ".join(dict.fromkeys(names.get(index, str(index)) for index in interfaces))
