"""Entry point.  What runs often, ``check``, ``event`` and ``track``, skips argparse: it costs as much as the run."""

from __future__ import annotations

import gc
import sys
import time
from posix import _exit, environ, stat  # not `os`, which costs more than all of a run in peace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.model import MwanError

OPTIONS = {"check": "--now", "event": "--facts"}
SELDOM = 60.0  # seconds between two memos: where none is of use, making one must not cost in every run


def quick(args: Sequence[str], root: str) -> int | None:
    """Run ``[--root DIR]`` and ``check [UPLINK...] [--now]``, ``event [--facts]`` or ``track``; None: for argparse."""
    rest = list(args)
    if rest[:1] == ["--root"] and len(rest) > 1:
        root, rest = rest[1], rest[2:]
    elif rest[:1] and rest[0].startswith("--root="):
        root, rest = rest[0][7:], rest[1:]
    if not rest or rest[0] not in ("track", *OPTIONS) or not root:
        return None
    if rest[0] == "track":
        from mwan_hook.commands.track import quick as track

        return track(root, rest[1:])
    option = OPTIONS[rest[0]]
    names = tuple(word for word in rest[1:] if word != option)
    if any(name.startswith("-") for name in names) or (rest[0] == "event" and names):
        return None
    if rest[0] == "check":
        return _check(root, names, option in rest)
    from mwan_hook.run import tick

    return tick.facts(root) if option in rest else tick.event(root)


def _check(root: str, names: tuple[str, ...], now: bool) -> int:
    """The short way, where an earlier run has left what it needs; else the whole program."""
    size, age = (0, 0.0) if names else _memo(root)
    over: bool | None = None
    if size:
        from mwan_hook.run import quiet

        over = quiet.same(root, now)
    if over:
        return 0
    from mwan_hook.run import tick

    return tick.check(root, names, now, remember=over is None and not 0 <= age < SELDOM)


def _memo(root: str) -> tuple[int, float]:
    """Size of what an earlier run has left, and seconds since then; (0, -1) if there is none."""
    try:
        found = stat(f"{root}/run/mwan-hook/quiet")
    except OSError:
        return 0, -1.0
    return found.st_size, time.time() - found.st_mtime


def _run(args: Sequence[str]) -> int:
    code = quick(args, environ.get(b"MWAN_HOOK_ROOT", b"").decode("utf-8", "surrogateescape") or "/")
    if code is None:
        from mwan_hook.cli import run

        return run(args)
    return code


def _worded() -> type[MwanError]:
    """Imported only when something was raised: ``track`` needs no model."""
    from mwan_hook.model import MwanError

    return MwanError


def _complain(lines: Sequence[str]) -> None:
    """Every mistake of a configuration, so not ten of a kind."""
    from mwan_hook.say import complain

    for line in lines:
        complain((line,))


def guarded(action: Callable[[], int]) -> int:
    """Run ``action``; an error that has words for the operator becomes a line on stderr and its exit code."""
    try:
        return action()
    except _worded() as error:
        _complain(str(error).splitlines())
        return error.code
    except BrokenPipeError:
        return 1  # the reader is gone
    except OSError as error:
        _complain((f"{error.filename}: {error.strerror}" if error.filename else str(error),))
        return 1
    except KeyboardInterrupt:
        return 130


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return guarded(lambda: _run(sys.argv[1:] if args is None else args))


def start() -> None:
    """The command itself: run, and leave without taking the interpreter down piece by piece.

    A run is over before cyclic garbage matters, and its locks and sockets go with the process: collecting the one and
    closing the other costs a seventh of the common run.
    """
    gc.disable()
    sys.stdout = sys.stdout or open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115 - closed by the program that started us
    sys.stderr = sys.stderr or open("/dev/null", "w", encoding="utf-8")  # noqa: SIM115
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # as stderr does
    code = guarded(_flushed)
    _exit(code)


def _flushed() -> int:
    try:
        code = main()
    except SystemExit as leaving:  # argparse: --help, or a usage error
        code = leaving.code if isinstance(leaving.code, int) else 0
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    start()
