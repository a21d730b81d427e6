"""What the steps of :mod:`follow` share: their result, and whether their time has come."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import Change, Route, Rule, State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Family
    from mwan_hook.run.scene import Judged


class Followed(NamedTuple):
    """What a step has done."""

    state: State  # as it is to be stored: the step remembers there what it has done
    lines: tuple[str, ...] = ()
    failures: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()  # what is said, and is no failure


def stands(judged: Judged, family: Family) -> bool:
    """Whether routes and rules of a family are as they should be: no connection is touched before."""
    return not any(_leads(change, family) for change in judged.changes)


def _leads(change: Change, family: Family) -> bool:
    what = change.what
    return (
        what.family is family
        if isinstance(what, (Route, Rule))
        else isinstance(what, bytes) and change.family is family
    )
