"""The order of tests: what takes long begins first, so that no worker is left with it when the others are done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest


def longest_first(items: list[pytest.Item], files: Sequence[str]) -> None:
    """Put the tests of these files, named without test_ and .py, before the others; else the order stays."""
    places = {f"test_{name}.py": place for place, name in enumerate(files)}
    items.sort(key=lambda item: places.get(item.path.name, len(places)))
