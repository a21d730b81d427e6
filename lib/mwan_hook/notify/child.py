"""One conversation with a server, in a child process that is killed when the time is over."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Hear = Callable[[tuple[str, str, "Delivery | None"]], None]
    Tell = Callable[[str], None]

GOODBYE = 2.0  # seconds that a child may take to leave a server that has answered


class Delivery(NamedTuple):
    """``certain``: False if a server may have taken it and its answer was not heard."""

    accepted: bool
    certain: bool
    words: str
    unreached: str = ""  # recipients that were refused, with the server's words
    refused: bool = False  # this very message, by whom it was handed to
    after: float = 0.0  # seconds that the server asks to wait


def converse(action: Callable[[Hear], None], timeout: float, doubtful: str, tell: Tell) -> Delivery:
    """What ``action`` says last; steps (name, words) come through a pipe, and the last one tells where it hung.

    Silence after the step ``doubtful`` has begun may hide an answer.
    """
    end = time.monotonic() + timeout
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(action, writing)
    os.close(writing)
    grace = 0.0
    try:
        outcome, grace = _heard(reading, timeout, end, doubtful, tell)
        return outcome
    finally:
        os.close(reading)
        _leave(child, grace)


def _child(action: Callable[[Hear], None], writing: int) -> None:
    """Never return: the child ends here."""
    code = 1
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # its parent is gone: the outcome is not heard
        action(lambda line: _write(writing, line))
        code = 0
    finally:
        os._exit(code)


def _write(descriptor: int, line: tuple[str, str, Delivery | None]) -> None:
    step, words, outcome = line
    os.write(descriptor, json.dumps([step, words, list(outcome) if outcome else None]).encode() + b"\n")


def _heard(reading: int, timeout: float, end: float, doubtful: str, tell: Tell) -> tuple[Delivery, float]:
    """The outcome, and for how long the child may say goodbye to the server."""
    step = words = ""
    rest = b""
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        part = os.read(reading, 1 << 16) if ready else b""
        if not part:
            why = "the sender ended without a word" if ready else f"no end of it within {timeout:g} s"
            return Delivery(False, step != doubtful, f"{words}: {why}"), 0.0
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            step, words, outcome = json.loads(line)
            if outcome:
                return Delivery(*outcome), GOODBYE
            tell(words)


def _leave(child: int, grace: float) -> None:
    """Wait for the child up to ``grace`` seconds, then kill it."""
    end = time.monotonic() + grace
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.01)
