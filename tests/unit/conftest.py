"""For unit tests: pyfakefs stands for the program's own ``os``, too."""

from __future__ import annotations

import posix
from collections.abc import Iterator
from typing import Any

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem
from pyfakefs.fake_filesystem_unittest import Patcher
from pyfakefs.fake_os import FakeOsModule

from mwan_hook import plainos
from mwan_hook.config import read as _read  # noqa: F401 - first imported over a fake filesystem, it would keep that

HARMLESS = {"fspath", "getegid", "geteuid", "getpid", "strerror"}
KERNELS = {name for name, value in vars(posix).items() if callable(value)} - HARMLESS
OWN = {name: value for name, value in vars(plainos).items() if name not in KERNELS}  # a copy: the module is replaced


class FakePlainOs(FakeOsModule):
    """What pyfakefs fakes; of the rest what touches no file.

    A made-up descriptor is a real one's number: fchmod(2) of a fake file's changed the mode of /dev/null.
    """

    def __getattr__(self, name: str) -> Any:
        """Give what the program's own module has beside the kernel's calls."""
        if name not in OWN:
            raise AttributeError(f"{name} is the kernel's, or not there")
        return OWN[name]


@pytest.fixture
def fs() -> Iterator[FakeFilesystem]:
    """A fake filesystem, below the program's own module as below Python's."""
    stands: dict[str, Any] = {plainos.__name__: FakePlainOs}
    with Patcher(modules_to_patch=stands) as patcher:
        assert patcher.fs
        yield patcher.fs
