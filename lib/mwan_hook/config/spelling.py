"""Values of the model as the files spell them: what :mod:`mwan_hook.config.build` does, undone."""

from __future__ import annotations

from mwan_hook.config import values_notify
from mwan_hook.config.build import FIELDS, PROPERTY
from mwan_hook.model import MAIN_TABLE, Match, Target
from mwan_hook.quota import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from mwan_hook.config.keys import Row


def spelled(row: Row, holder: Any) -> str:
    """The value that ``holder``, of the model, has for a key; empty where it has none."""
    value = getattr(holder, FIELDS.get(row.name, row.name))
    if row.check in _SPELLED:
        return _SPELLED[row.check](holder if row.check == "mark" else value)
    return listed(map(text, value)) if isinstance(value, tuple) else quoted(text(value))


def text(value: object) -> str:
    """A plain value; None is empty."""
    if value is None or isinstance(value, bool):
        return "" if value is None else "yes" if value else "no"
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    if isinstance(value, Target):
        return value.text
    if isinstance(value, Match):
        kind = f"{PROPERTY}:{value.key}=" if value.key else "" if value.kind == "name" else f"{value.kind}:"
        return kind + value.glob
    return str(getattr(value, "value", value))


def listed(texts: Iterable[str]) -> str:
    """A list as ConfigObj reads it; a lone comma is the empty one."""
    return ", ".join(map(quoted, texts)) or ","


def quoted(one: str) -> str:
    """One word, in quotes where ConfigObj would read something else."""
    if not set(one) & set(",#'\"") and one == one.strip():
        return one
    return f"'{one}'" if '"' in one else f'"{one}"'


def _mark(holder: Any) -> str:
    mask = "" if holder.mask is None else f"/{holder.mask:#x}"
    return "" if holder.mark is None else f"{holder.mark:#x}{mask}"


# By the name of the check, where a value has a spelling of its own.
_SPELLED: dict[str, Callable[[Any], str]] = {
    "amount": words.spelled,
    "default_table": lambda table: "main" if table == MAIN_TABLE else str(table),
    "delegations": lambda prefixes: "auto" if prefixes is None else listed(prefixes) if prefixes else "no",
    "gateway": ", ".join,
    "keep": values_notify.spelled,
    "ladder": lambda rungs: ", ".join(f"{one.step}@{text(one.after)}" for one in rungs) or "none",
    "mark": _mark,
    "mask": hex,
    "segment": lambda size: "auto" if size is None else str(size or "no"),
    "window": lambda times: "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in times),
    "nat_families": lambda families: "" if families is None else listed(map(text, families)) if families else "no",
}
