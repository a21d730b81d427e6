"""A run that writes the state, or changes the kernel by it, looks at both with the state lock in hand."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mwan_hook import config
from mwan_hook.commands import early, flush, switch
from mwan_hook.model import MwanError
from mwan_hook.run import reconcile as act
from mwan_hook.store import files


def taken(root: Path) -> bool:
    """Whether a writer has the state lock, which then nothing can share: flock(2) tells descriptors apart."""
    try:
        descriptor = os.open(root / files.STATE_LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def reconcile(root: str) -> None:
    """One look of `check`."""
    act.Run(root, config.load(root)).reconcile()


def disable(root: str) -> None:
    """By hand."""
    switch.run(root, "fiber", False)


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (reconcile, "mwan_hook.run.look.to_write"),
        (flush.run, "mwan_hook.commands.flush.states.load"),
        (disable, "mwan_hook.run.look.to_write"),
        (early.run, "mwan_hook.run.look.to_write"),
    ],
)
def test_what_is_read_to_be_written_is_read_under_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Callable[[str], Any], place: str
) -> None:
    """And the lock is free again, also where that failed."""
    etc = tmp_path / "etc" / "mwan-hook"
    etc.mkdir(parents=True)
    (etc / "mwan-hook.conf").write_text("[router]\npin = yes\n[uplinks]\n[[fiber]]\n")
    seen: list[bool] = []

    def looked(*_: Any, **__: Any) -> Any:
        seen.append(taken(tmp_path))
        raise MwanError("enough was seen")

    monkeypatch.setattr(place, looked)
    with pytest.raises(MwanError, match="enough was seen"):
        command(str(tmp_path))
    assert seen == [True]
    assert not taken(tmp_path)
