"""Programs of the system that are asked to do one thing, with a time limit."""

from __future__ import annotations

from shutil import which

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Ran(NamedTuple):
    """What came of one: its output, and what was wrong in words; empty if nothing was."""

    output: str
    wrong: str


def there(name: str) -> bool:
    """Whether a program of that name can be found."""
    return which(name) is not None


def run(words: Sequence[str], timeout: float) -> Ran:
    """Run it and wait; it is killed after so many seconds."""
    from subprocess import DEVNULL, TimeoutExpired
    from subprocess import run as call

    try:
        done = call(words, stdin=DEVNULL, capture_output=True, timeout=timeout, check=False, errors="replace")
    except TimeoutExpired:
        return Ran("", f"{words[0]} did not end within {timeout:g} s")
    except OSError as error:
        return Ran("", f"{words[0]} cannot be run: {error.strerror}")
    if not done.returncode:
        return Ran(done.stdout, "")
    said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
    return Ran(done.stdout, f"{words[0]} failed with exit code {done.returncode}" + (f": {said}" if said else ""))
