"""What the tests in namespaces share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab import Lab
from tests.order import longest_first

LONG = ("installer_machine", "keepalived", "no_harm", "demo", "trace_property", "stored", "probes_patience", "mail_lab")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items, LONG)


@pytest.fixture
def lab() -> Iterator[Lab]:
    """An empty laboratory, taken away after the test."""
    with Lab() as made:
        yield made
