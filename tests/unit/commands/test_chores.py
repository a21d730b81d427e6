"""``mwan-hook chores``: its table."""

from __future__ import annotations

from mwan_hook.commands.chores import _KINDS
from mwan_hook.store import chores


def test_every_kind_that_can_be_asked_for_is_done() -> None:
    kinds = {value for name, value in vars(chores).items() if name.isupper() and isinstance(value, str)}
    assert {*_KINDS} == kinds - {chores.OWNERS}  # which are put right with all the others
