"""Programs of the system that are asked to do one thing, with a time limit."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Ran(NamedTuple):
    """What came of one: its output, what was wrong in words (empty if nothing was), its exit code and its last line.

    One that cannot be run, or does not end, has the exit code that a shell or timeout(1) gives it, and our words.
    """

    output: str
    wrong: str = ""
    code: int = 0
    said: str = ""


def there(name: str) -> bool:
    """Whether a program of that name can be found."""
    from shutil import which

    return which(name) is not None


def run(words: Sequence[str], timeout: float) -> Ran:
    """Run it and wait; it is killed after so many seconds."""
    from subprocess import DEVNULL, TimeoutExpired
    from subprocess import run as call

    try:
        done = call(
            words, stdin=DEVNULL, capture_output=True, timeout=timeout, check=False, encoding="utf-8", errors="replace"
        )
    except TimeoutExpired:
        wrong = f"{words[0]} did not end within {timeout:g} s"
        return Ran("", wrong, 124, wrong)
    except OSError as error:
        wrong = f"{words[0]} cannot be run: {error.strerror}"
        return Ran("", wrong, 127, wrong)
    said = (done.stderr.strip() or done.stdout.strip()).rpartition("\n")[2]
    wrong = f"{words[0]} failed with exit code {done.returncode}" if done.returncode else ""
    return Ran(done.stdout, f"{wrong}: {said}" if wrong and said else wrong, done.returncode, said)
