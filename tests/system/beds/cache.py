"""Images are made once and kept below the user's cache directory, under a name that holds a hash of their making."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.lab.process import run

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mwan-hook-tests" / "beds"
UNUSED = 14 * 24 * 3600  # seconds; a bed does not run that long


def cached(name: str, key: object, build: Callable[[Path], None]) -> Path:
    """The image NAME-HASH; `build` makes it at the path it is given if it is not there."""
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]
    image = CACHE / f"{name}-{digest}"
    if not image.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with (CACHE / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not image.exists():
                _make(image, build)
                _prune(name)
    os.utime(image)
    return image


@contextlib.contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two emulated processors beside each other are slower than what runs on them may be. A kill ends the turn."""
    with (CACHE / "machine.turn").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(image: Path, build: Callable[[Path], None]) -> None:
    """Build beside, rename when complete; a builder that was killed is known by its file."""
    work = CACHE / f"{image.name.split('-')[0]}.new"
    remove(work)
    try:
        build(work)
        work.rename(image)
    finally:
        remove(work)


def _prune(name: str) -> None:
    """Take away images that other versions of the tests have made long ago."""
    for image in CACHE.glob(f"{name}-*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - image.stat().st_mtime > UNUSED:
                remove(image)


def remove(path: Path) -> None:
    """Take away a file or a directory, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def alone(argv: Sequence[str], timeout: float = 900) -> None:
    """Run a builder so that its mounts are its own, and all its processes end with it, and it with this one."""
    leash = ["setpriv", "--pdeathsig", "KILL", "--"]
    run([*leash, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *argv], timeout=timeout)
