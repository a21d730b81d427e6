"""The text of a draft, once what no run would take is out of it."""

from __future__ import annotations

from mwan_hook.config import read
from mwan_hook.config.places import heading
from mwan_hook.imports.draft import Draft
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.section import DraftSection, Entry, Remark

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    Line = tuple[str, DraftSection | None, Entry | DraftSection | None]

WHOLE = "because without one of its keys it would stand for more than it should"
ROUNDS = 50  # a mistake that was hidden by another one shows in the next
NEEDED = ("match",)  # of an uplink: without it, it would be an interface of its own name


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
