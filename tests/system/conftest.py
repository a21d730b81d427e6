"""What the tests on booted systems share."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.router import PROJECT
from tests.order import longest_first
from tests.system import running
from tests.system.beds import Container, rootfs

LONG = (  # the virtual machine's have a turn of their own
    "machine_profiles",
    "machine_stick",  # waits for the other machine to end
    "told",
    "install",
    "managers",
    "running",
    "demo_fresh",
    "debian",
    "networkd",
    "less_power",
    "hotplug",
    "dial",
)


def pytest_configure(config: pytest.Config) -> None:
    """Give all workers of this run one place; they have it from the environment."""
    if running.SHARED not in os.environ:
        place = tempfile.mkdtemp(prefix="mwan-hook-laid-out-")
        Path(place).chmod(0o755)
        os.environ[running.SHARED] = place
        config.add_cleanup(lambda: shutil.rmtree(place))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items, LONG)


@pytest.fixture(scope="session")
def image() -> Path:
    """The Debian root directory, made if it is not there, so that no test has the making in its time."""
    return rootfs.image(rootfs.suite())


@pytest.fixture(scope="session")
def checkout() -> dict[str, str]:
    """The project as it is, for a bed's `binds`: it is found at /opt/mwan-hook."""
    return {str(PROJECT): "/opt/mwan-hook"}


@pytest.fixture(scope="module")
def booted(image: Path, checkout: dict[str, str]) -> Iterator[Container]:
    """A container for all tests of a module."""
    with Container(binds=checkout) as made:
        yield made


@pytest.fixture
def bed(booted: Container, request: pytest.FixtureRequest) -> Iterator[Container]:
    """The same with both uplinks configured, and afterwards without what a test has installed: the module's CLEAN."""
    booted.wait_configured("wan1", "wan2")
    yield booted
    booted.sh(request.module.CLEAN, check=False, timeout=120)


@pytest.fixture
def container(image: Path, checkout: dict[str, str]) -> Iterator[Container]:
    """A container of the test's own, with uplinks wan1 and wan2."""
    with Container(binds=checkout) as bed:
        yield bed
