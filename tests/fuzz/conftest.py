"""Nothing here leaves this machine: a namespace without a network, for the whole process."""

from __future__ import annotations

import ctypes
import os

import pytest

CLONE_NEWNET = 0x40000000


@pytest.fixture(scope="session", autouse=True)
def alone() -> None:
    """Without root the tests go on where they are: they connect to sockets of their own only."""
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "unshare")
