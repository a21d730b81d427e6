"""Which lines the neighbour table is read for: those that are out and hear nothing, and no others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mwan_hook.run import ask
from mwan_hook.run.scene import Key
from tests.unit.run.test_common import ONE, TWO, world


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The lines of each look."""
    found: list[list[str]] = []

    def explained(silent: Sequence[Key], answers: Sequence[Any]) -> tuple[Any, ...]:
        found.append([key.uplink.name for key in silent])
        return tuple(answers)

    monkeypatch.setattr(ask, "explained", explained)
    return found


def test_no_look_before_the_verdict_and_one_a_round_behind_it(
    monkeypatch: pytest.MonkeyPatch, looked: list[list[str]]
) -> None:
    site = world(monkeypatch, targets=(ONE, TWO), burst_interval=0)  # a round a run
    site.dead = {"dsl"}
    while "dsl" in site.check():
        pass
    assert looked == [], "a failover waits for it"
    site.check(times=3)
    assert looked == [["dsl"]] * 3


def test_none_while_anything_answers(monkeypatch: pytest.MonkeyPatch, looked: list[list[str]]) -> None:
    site = world(monkeypatch, targets=(ONE, TWO), required=2)
    site.dead = {f"dsl/{ONE.name}"}
    assert "dsl" not in site.check(times=9)
    assert looked == []
