"""The kinds of files that can be imported: one table, and the way from a file to a configuration that runs take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

from mwan_hook.config import read
from mwan_hook.config.places import heading
from mwan_hook.imports import guard
from mwan_hook.imports.draft import Draft, DraftSection, Entry, Remark
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.light import NamedTuple
from mwan_hook.model import UsageError

Line = tuple[str, DraftSection | None, Entry | DraftSection | None]

KINDS = {
    "mwan3": "mwan3",
    "networkd-connectivity": "connectivity",
    "dynmhs": "dynmhs",
    "netplan": "netplan",
    "opnsense": "opnsense",
    "pfsense": "pfsense",
    "vyos": "vyos",
}
"""A kind, and its module in this room."""
WHOLE = "because without one of its keys it would stand for more than it should"
ROUNDS = 50  # a mistake that was hidden by another one shows in the next
NEEDED = ("match",)  # of an uplink: without it, it would be an interface of its own name


class Imported(NamedTuple):
    """A configuration, its remarks with their sections, and whether anything of the source does not hold in it."""

    text: str
    remarks: tuple[str, ...]
    loses: bool


def imported(kind: str, name: str, content: bytes, devices: Mapping[str, str]) -> Imported:
    """The configuration that a file of this ``kind`` means.  Raises UsageError."""
    if kind not in KINDS:
        raise UsageError(f"import {kind}: expected one of {', '.join(KINDS)}")
    draft = Draft(kind, name, devices)
    try:
        import_module(f"mwan_hook.imports.{KINDS[kind]}").read(guard.text(content), draft)
        draft.finish()
        text = settled(draft)
    except NotUnderstood as error:
        raise UsageError(f"{name}: not understood as {kind}: {error}") from None
    return Imported(text, tuple(draft.remarks()), draft.loses)


def settled(draft: Draft) -> str:
    """A configuration that ``mwan-hook config --check`` takes.  Raises NotUnderstood if nothing is left."""
    for _ in range(ROUNDS):
        for section in (draft.part("uplinks"), draft.part("policies")):
            for item in [*section.items]:
                if isinstance(item, DraftSection) and item.broken:
                    section.drop(item, WHOLE)
        lines = list(_lines(draft))
        text = "".join(f"{line}\n" for line, _, _ in lines)
        wrong = read.mistakes(text)
        if not wrong:
            break
        _drop(lines, wrong)
    else:
        raise NotUnderstood(wrong[0][1])
    if not any(isinstance(item, DraftSection) for item in draft.part("uplinks").items):
        raise NotUnderstood(next((one for one in draft.remarks() if "lost: " in one), "it names no uplinks"))
    return text


def _drop(lines: list[Line], wrong: list[tuple[int, str]]) -> None:
    """Take out what stands in the lines that are wrong."""
    for number, words in wrong:
        _, holder, item = lines[number - 1] if number else ("", None, None)
        if holder is None or item is None:
            raise NotUnderstood(words)
        if holder.depth == 0:
            raise NotUnderstood(words)  # a whole kind of section is wrong
        if item in holder.items:
            holder.drop(item, f"because no run takes it: {words}")
            holder.broken |= holder.whole or (isinstance(item, Entry) and item.key in NEEDED)


def _lines(draft: Draft) -> Iterator[Line]:
    """Lines, each with what it says and the section that this stands in."""
    yield f"# {draft.title}", None, None
    for item in draft.top.items:
        assert isinstance(item, Remark)
        yield f"# {item.words}", None, None
    for part in draft.sections():
        yield "", None, None
        yield from _section(draft.top, part)


def _section(holder: DraftSection, part: DraftSection) -> Iterator[Line]:
    indent = "  " * (part.depth - 1)
    yield f"{indent}{heading(part.name, part.depth)}", holder, part
    for item in part.items:
        if isinstance(item, DraftSection):
            yield from _section(part, item)
        elif isinstance(item, Remark):
            yield f"{indent}# {item.words}", None, None
        else:
            yield f"{indent}{item.key} = {item.text}", part, item
