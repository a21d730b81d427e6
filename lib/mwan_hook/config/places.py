"""Where things stand in a ConfigObj file, and what a mistyped word may have meant.  For people only."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Path = tuple[str, ...]

_SECTION = re.compile(r"\s*((?:\[\s*)+)(.*?)((?:\s*\])+)\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*("[^"]*"|'[^']*'|[^'"=#\s][^=]*?)\s*=\s*(.*)$""")


def places(lines: Sequence[str]) -> dict[Path, int]:
    """Line numbers (from 1) of every section and key of a file that ConfigObj could read."""
    found: dict[Path, int] = {}
    section: Path = ()
    quote = ""  # of a value that goes on over several lines
    for number, line in enumerate(lines, 1):
        if quote:
            quote = "" if quote in line else quote
        elif mark := _SECTION.match(line):
            section = (*section[: mark[1].count("[") - 1], _bare(mark[2]))
            found.setdefault(section, number)
        elif entry := _KEY.match(line):
            found.setdefault((*section, _bare(entry[1])), number)
            start = entry[2][:3]
            quote = start if start in ("'''", '"""') and start not in entry[2][3:] else ""
    return found


def line_of(found: dict[Path, int], path: Path) -> int:
    """The line of a key, else that of the section it is missing from; 0 if there is neither."""
    while path and path not in found:
        path = path[:-1]
    return found.get(path, 0)


def label(path: Path, *, key: bool) -> str:
    """``[uplinks] [[fiber]] table`` for a path; ``key`` tells whether its last word is one."""
    sections = path[:-1] if key else path
    return " ".join([*map(heading, sections, range(1, 9)), *path[len(sections) :]])


def heading(name: str, depth: int) -> str:
    """``[[fiber]]``: the line that begins a section."""
    return "[" * depth + name + "]" * depth


def near(word: str, known: Iterable[str]) -> str:
    """The known word that was probably meant, or nothing."""
    from difflib import get_close_matches

    words = {name.lower(): name for name in known}
    plain = word.lower().replace("-", "_")
    close = [plain] if plain in words else get_close_matches(plain, words, n=1, cutoff=0.7)
    return words[close[0]] if close else ""


def _bare(text: str) -> str:
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
