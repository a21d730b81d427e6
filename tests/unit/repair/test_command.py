"""``mwan-hook repair`` with a name that one uplink does not have."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.commands import repair
from mwan_hook.model import Uplink
from mwan_hook.run import look
from tests.frames import line


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "no interface matches lte now"),
        ([line(1, "lte@a"), line(2, "lte@b")], r"lte means several uplinks \(lte@a, lte@b\): name one of them"),
    ],
)
def test_a_step_is_done_for_one_uplink(found: list[Uplink], words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: Any = None
    monkeypatch.setattr(repair, "chosen", lambda *_: found)
    monkeypatch.setattr(look, "to_read", lambda *_: None)
    with pytest.raises(repair.RepairUsageError, match=words):
        repair._one("/", loaded, "lte")
