"""The command line's parser: help in groups, a guess where a command is mistyped, and words as values."""

from __future__ import annotations

import difflib
import shutil
import sys
import textwrap

from mwan_hook.commands.english import argparse
from mwan_hook.durations import measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

TIMES = ("--at", "--since", "--until")
COLUMN = 22  # where the words of a command begin
WIDEST = 100
LONGEST = 31_536_000.0  # seconds of a duration: a year
MORE = "mwan-hook COMMAND --help tells the options of a command; mwan-hook(8) has what systemd, snmpd and others start."


class Parser(argparse.ArgumentParser):
    """The parser of ``mwan-hook`` itself: :meth:`add` gives it commands."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.groups: dict[str, list[tuple[str, str]]] = {}
        self.commands: dict[str, argparse.ArgumentParser] = {}
        self._rows: argparse._SubParsersAction[argparse.ArgumentParser] | None = None

    def add(self, group: str, name: str, words: str) -> argparse.ArgumentParser:
        """One more command.  ``group``: its heading in the help; none: people do not start it."""
        if self._rows is None:
            kind = argparse.ArgumentParser
            self._rows = self.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=kind)
        if group:
            self.groups.setdefault(group, []).append((name, words))
        self.commands[name] = one = self._rows.add_parser(name, description=words)
        return one

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse as argparse does, and guess where a command is mistyped."""
        args = joined(sys.argv[1:] if args is None else args)
        word = first_word(args)
        if word and word not in self.commands:
            close = difflib.get_close_matches(word, self.shown(), n=1)
            meant = f"did you mean {close[0]}?" if close else "see mwan-hook --help"
            self.error(f"there is no command {word}; {meant}")
        return super().parse_args(args, namespace)

    def shown(self) -> list[str]:
        """The commands that the help shows: what others start is no guess at what a person meant."""
        return [name for rows in self.groups.values() for name, _ in rows]

    def format_help(self) -> str:
        """The usage, people's commands by what they are for, and the options that all of them have."""
        width = min(shutil.get_terminal_size().columns, WIDEST)
        parts = [self.format_usage(), textwrap.fill(self.description or "", width) + "\n"]
        parts += [_group(heading, rows, width) for heading, rows in self.groups.items()]
        options = [action for action in self._actions if action.option_strings]
        parts.append(_group("options", [(_spelled(one), one.help or "") for one in options], width))
        return "\n".join([*parts, textwrap.fill(MORE, width), ""])


def joined(args: Sequence[str]) -> list[str]:
    """The words, with a time that lies back, as in ``--at -2h``, in one with its option: it looks like another one."""
    found: list[str] = []
    for word in args:
        if found and found[-1] in TIMES and word[:1] == "-" and word[1:2].isdigit():
            found[-1] = f"{found[-1]}={word}"
        else:
            found.append(word)
    return found


def first_word(args: Sequence[str]) -> str:
    """The word that stands for a command; empty where there is none."""
    words = iter(args)
    for word in words:
        if word == "--root":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _spelled(option: argparse.Action) -> str:
    return ", ".join(option.option_strings) + (f" {option.metavar}" if option.metavar else "")


def _group(heading: str, rows: Sequence[tuple[str, str]], width: int) -> str:
    return f"{heading}:\n" + "".join(_row(*row, width) for row in rows)


def _row(name: str, words: str, width: int) -> str:
    indent = " " * COLUMN
    return textwrap.fill(words, width, initial_indent=f"  {name}".ljust(COLUMN), subsequent_indent=indent) + "\n"


# ---------------------------------------------------------------- words as values; argparse says what was expected


def number(largest: int) -> Callable[[str], int]:
    """A number up to this, decimal or 0x."""

    def value_of(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
        if not 0 <= value <= largest:
            raise argparse.ArgumentTypeError(f"expected a number up to {largest}, not {text}")
        return value

    return value_of


def amount(text: str) -> int:
    """Bytes, as in ``3.2G``."""
    from mwan_hook.quota import words

    try:
        return words.amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """A time in seconds, possibly none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, not {text}")
    return value


def duration(text: str) -> float:
    """A time with its unit, as in ``90s``."""
    number, unit = measured(text)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < LONGEST:
        raise argparse.ArgumentTypeError(f"expected a time, as in 90s, 30m or 1h, not {text}")
    return value


def mapping(text: str) -> tuple[str, str]:
    """A logical name and the device that it stands for, as in ``wan=enp1s0``."""
    logical, equals, device = text.partition("=")
    good = device.isprintable() and 0 < len(device.encode()) <= 15 and device not in (".", "..")
    if not (logical and equals and good) or set(device) & set("/:*?[ "):
        raise argparse.ArgumentTypeError(f"expected LOGICAL=DEVICE, as in wan=enp1s0, not {text}")
    return logical, device
