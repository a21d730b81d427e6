"""The terminal that people look at: how wide it is, whether it has colours, and lines printed on it."""

from __future__ import annotations

import json
import os
import sys

from mwan_hook import columns
from mwan_hook.light import NamedTuple
from mwan_hook.say import say, shown
from mwan_hook.wrapping import Styled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mwan_hook.columns import Table
    from mwan_hook.wrapping import Line


class Size(NamedTuple):
    """Size of the terminal.  ``unicode``: whether it shows more than ASCII."""

    columns: int
    lines: int
    unicode: bool


class Sentence(NamedTuple):
    """Words that may be broken over lines.  ``indent``: blanks before all lines but the first."""

    text: str
    indent: int


CLEAR = "\x1b[H\x1b[2J"
COMMENT = "# "
WIDTH = 80  # columns where there is no terminal
INK = {  # the one table of styles: colours of the terminal's own palette, so that they fit a dark and a light one
    "online": "green",
    "degraded": "yellow",
    "held": "yellow",
    "portal": "yellow",
    "offline": "red",
    "standby": "cyan",
    "draining": "cyan",
    "disabled": "dim",
    columns.HEAD: "dim",
    "strong": "bold",
    "dim": "dim",
    "trip": "cyan",
}
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}  # of ECMA-48's SGR


def width() -> int:
    """Columns for tables: those of COLUMNS, else of the terminal, else 80."""
    told = os.environ.get("COLUMNS", "")
    if told.isascii() and told.isdigit() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or WIDTH if is_terminal() else WIDTH
    except (OSError, ValueError):
        return WIDTH


def terminal_width() -> int | None:
    """Columns for sentences; None without a terminal: what is piped is searched."""
    return width() if is_terminal() else None


def is_terminal() -> bool:
    """Whether a terminal shows what is printed."""
    return bool(sys.stdout and sys.stdout.isatty())


def coloured(environment: Mapping[str, str], terminal: bool) -> bool:
    """Whether to use colours: NO_COLOR forbids them, CLICOLOR_FORCE demands them, else a terminal that is not dumb."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return terminal and environment.get("TERM") != "dumb" and environment.get("CLICOLOR") != "0"


def is_interactive() -> bool:
    """Whether there is a terminal that can draw pictures, and a keyboard."""
    return is_terminal() and bool(sys.stdin and sys.stdin.isatty()) and os.environ.get("TERM") != "dumb"


def show(table: Table) -> None:
    """Print a table."""
    put(columns.lines(table, width()))


def put(lines: Iterable[Line]) -> None:
    """Print lines, in colours where they are wanted."""
    inked = coloured(os.environ, is_terminal())
    _write("".join(f"{spelled(line, inked)}\n" for line in lines))


def clear() -> None:
    """Begin at the top of an empty terminal."""
    _write(CLEAR)


def _write(text: str) -> None:
    try:
        if sys.stdout:
            sys.stdout.write(text)
    except (OSError, ValueError):
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the rest of the run


def document(value: object) -> None:
    """Print what programs read."""
    say(json.dumps(value, indent=1).split("\n"))


def tell(lines: Iterable[str | Sentence]) -> None:
    """Print lines as they are, and sentences in as many lines as a terminal needs."""
    room = terminal_width()
    for one in lines:
        if isinstance(one, str):
            put([(Styled(one),)])
        else:
            put(columns.paragraph([Styled(one.text)], room, one.indent))


def remark(texts: Iterable[str]) -> None:
    """Print comments of a shell."""
    room = terminal_width()
    for text in texts:
        broken = columns.paragraph([Styled(text)], room and max(1, room - len(COMMENT)), 0)
        put((Styled(COMMENT), *line) for line in broken)


def spelled(line: Line, inked: bool) -> str:
    """A line as it is printed: control characters spelled out, in the ink of its styles if that is wanted."""
    return "".join(_inked(shown(text), style if inked else "") for text, style in line)


def _inked(text: str, style: str) -> str:
    return f"\x1b[{_CODES[INK[style]]}m{text}\x1b[0m" if style else text
