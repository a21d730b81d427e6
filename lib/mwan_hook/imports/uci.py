"""The files of OpenWrt: ``/etc/config/NAME``, ``uci export NAME``, and what ``uci show NAME`` prints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mwan_hook.imports.guard import NotUnderstood, lines
from mwan_hook.light import NamedTuple

_WORD = re.compile(r"""(?:[^\s'"#;\\]|\\.|'[^']*'|"(?:[^"\\]|\\.)*")+""")
_PIECE = re.compile(r"""([^\s'"#;\\]+)|\\(.)|'([^']*)'|"((?:[^"\\]|\\.)*)\"""")
_SHOWN = re.compile(r"([\w-]+)\.([\w@\[\]-]+)(?:\.([\w-]+))?=(.*)")
_YES, _NO = ("1", "yes", "on", "true", "enabled"), ("0", "no", "off", "false", "disabled")


class UciSection(NamedTuple):
    """A section: its values by key, several of a list."""

    kind: str
    name: str  # as the file has it; empty: anonymous
    line: int
    values: dict[str, list[str]]

    def get(self, key: str, default: str = "") -> str:
        """One value: the words of a list with blanks between them, as scripts get it."""
        return " ".join(self.values.get(key, ())) or default

    def words(self, key: str) -> list[str]:
        """The values of a list; an option is split at blanks."""
        return self.get(key).split()

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no, in any of uci's words; others are the default."""
        word = self.get(key).lower()
        return word in _YES if word in (*_YES, *_NO) else default


def sections(text: str, package: str) -> list[UciSection]:
    """The sections of a package in their order; those of one name are one.  Raises NotUnderstood."""
    numbered = [(number, line) for number, line in lines(text) if line.strip() and not line.lstrip().startswith("#")]
    shown = bool(numbered) and _SHOWN.fullmatch(numbered[0][1].strip()) is not None
    found: dict[str, UciSection] = {}
    for section in list((_shown if shown else _written)(numbered, package)):
        key = section.name or f" {section.line}"
        if key not in found:
            found[key] = section
        found[key].values.update(section.values)
    return list(found.values())


def _written(numbered: list[tuple[int, str]], package: str) -> Iterator[UciSection]:
    section, here = None, package
    for number, line in numbered:
        words = _words(number, line)
        match words:
            case []:
                continue
            case ["package", here]:
                continue
            case ["config", kind, *name] if len(name) < 2:
                section = UciSection(kind, name[0] if name else "", number, {})
                if here == package:
                    yield section
            case ["option", key, *value] if section and len(value) < 2:
                section.values[key] = value
            case ["list", key, value] if section:
                section.values.setdefault(key, []).append(value)
            case _:
                raise NotUnderstood(f"line {number}: expected config, option or list")


def _shown(numbered: list[tuple[int, str]], package: str) -> Iterator[UciSection]:
    found: dict[str, UciSection] = {}
    for number, line in numbered:
        parts = _SHOWN.fullmatch(line.strip())
        if not parts:
            raise NotUnderstood(f"line {number}: expected PACKAGE.SECTION.KEY=VALUE")
        there, name, key, value = parts[1], parts[2], parts[3], _words(number, parts[4])
        if there != package:
            continue
        if not key:
            anonymous = name.startswith(("@", "cfg"))
            found[name] = UciSection(value[0] if value else "", "" if anonymous else name, number, {})
        elif name in found:
            found[name].values[key] = value
        else:
            raise NotUnderstood(f"line {number}: expected {package}.{name}=TYPE before it")
    yield from found.values()


def _words(number: int, line: str) -> list[str]:
    """Words of a line: quotes joined with what is beside them, backslashes undone, a comment left out."""
    found, at = [], 0
    while at < len(line):
        if line[at].isspace():
            at += 1
            continue
        word = _WORD.match(line, at)
        if not word:
            if line[at] == "#":
                break
            raise NotUnderstood(f"line {number}: expected a quote to be closed, and one statement a line")
        found.append("".join(_piece(piece) for piece in _PIECE.finditer(word[0])))
        at = word.end()
    return found


def _piece(piece: re.Match[str]) -> str:
    bare, escaped, single, double = piece.groups()
    if double is not None:
        return re.sub(r"\\(.)", r"\1", double)
    return bare or escaped or single or ""
