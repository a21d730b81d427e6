"""The kinds of files that can be imported: one table, and the way from a file to a configuration."""

from __future__ import annotations

from importlib import import_module

from mwan_hook.imports import guard, settle
from mwan_hook.imports.draft import Draft
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.light import NamedTuple
from mwan_hook.model import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

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
        text = settle.settled(draft)
    except NotUnderstood as error:
        raise UsageError(f"{name}: not understood as {kind}: {error}") from None
    return Imported(text, tuple(draft.remarks()), draft.loses)
