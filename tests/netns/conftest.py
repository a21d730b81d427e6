"""What the tests in namespaces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty laboratory, taken away after the test."""
    with Lab() as made:
        yield made
