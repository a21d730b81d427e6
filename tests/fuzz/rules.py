"""The rules that hold for all that is read: they are the same for every file, peer and command.

No exception but the one with words, no control character in what is said, bounded time and memory.
"""

from __future__ import annotations

import os
import random
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest

from mwan_hook.__main__ import main

T = TypeVar("T")
TIMES = float(os.environ.get("MWAN_FUZZ", "1"))  # as many examples
SEED = int(os.environ.get("MWAN_FUZZ_SEED", "12"))
LONGEST = 2.0  # seconds of processor for one example
MOST_MEMORY = 48 << 10  # KiB that one file's examples may add
NASTY = [
    *(b"", b"\0", b"\n", b"\r\n", b"\x1b]0;mine\x07", b"\x9b2J", b"\xff\xfe", b"\xe2\x80\xaegnp.", b"\xed\xa0\x80"),
    *(b"-1", b"0", b"1e999", b"9" * 30, b"4294967296", b"NaN", b"%s%n", b"../../etc/shadow", b"$(reboot)", b"'", b'"'),
    *(b"\\", b"[", b"]]", b"{", b"}", b",", b"=", b"#", b"/", b":", b"::", b"0.0.0.0", b"fe80::1%eth0", b"null"),
    *(b" " * 999, b"[[[["),
]


def chances(name: str, count: int) -> Iterator[random.Random]:
    """Sources of chance, each a seed of its own, so that one example can be had again."""
    for number in range(max(1, int(count * TIMES))):
        yield random.Random(f"{SEED} {name} {number}")


def bent(chance: random.Random, *good: bytes) -> bytes:
    """One of ``good`` with some of it cut, doubled, swapped, overwritten or replaced by something nasty."""
    made = bytearray(chance.choice(good))
    for _ in range(chance.choice((1, 1, 2, 3, 8, 30))):
        begin = chance.randrange(len(made) + 1)
        end = min(len(made), begin + chance.choice((0, 1, 1, 4, 20, 200)))
        what = chance.randrange(6)
        if what == 0:
            made[begin:end] = b""
        elif what == 1:
            made[begin:begin] = made[begin:end] * chance.choice((1, 2, 50))
        elif what == 2:
            made[begin:end] = chance.randbytes(end - begin)
        elif what == 3:
            other = chance.choice(good)
            made[begin:end] = other[chance.randrange(len(other) + 1) :][: chance.choice((3, 30, 300))]
        else:
            made[begin:end] = chance.choice(NASTY)
    return bytes(made[: 1 << 17])


@contextmanager
def bounded() -> Iterator[None]:
    """The block takes little time of the processor, on a busy machine too."""
    before = time.process_time()
    yield
    took = time.process_time() - before
    assert took < LONGEST, f"{took:.1f} s"


@contextmanager
def modest() -> Iterator[None]:
    """The block's memory stays within bounds."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert more < MOST_MEMORY, f"{more} KiB"


def printable(text: str) -> bool:
    """Lines of it are, that is."""
    return all(line.isprintable() for line in text.split("\n"))


class Command:
    """The command line in this process, held to the rules."""

    def __init__(self, root: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self._capture = capture

    def __call__(self, *words: str, codes: tuple[int, ...] = (0, 1, 2)) -> str:
        """Run it; what it says."""
        with bounded():
            try:
                code = main(["--root", str(self.root), *words])
            except SystemExit as leaving:
                code = int(leaving.code or 0)
        said = self._capture.readouterr()
        assert code in codes, (words, code, said)
        assert printable(said.out + said.err), (words, said)
        assert "Traceback" not in said.err
        return said.out


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Of a root of its own."""
    return Command(tmp_path, capsys)


def put(path: Path, content: bytes) -> None:
    """Write a file, in the place of what is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def accepted(action: Callable[[], T], *errors: type[Exception]) -> T | None:
    """What ``action`` gives within its time; None for an error that its callers know."""
    with bounded():
        try:
            return action()
        except errors:
            return None
