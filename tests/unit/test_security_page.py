"""docs/security.md names all that still needs root: the units that are not the services' user's, and the chores."""

from __future__ import annotations

import re
from pathlib import Path

from mwan_hook.store import chores

PROJECT = Path(__file__).resolve().parents[2]
SYSTEMD = PROJECT / "systemd"
PAGE = (PROJECT / "docs/security.md").read_text().partition("## What still needs root\n")[2]
# makes that user; it asks and reads nothing
NOT_OURS = {"mwan-hook-user.service"}


def first_cells() -> set[str]:
    """What stands in backticks at the beginning of a row."""
    return set(re.findall(r"^\| `([^`]+)`", PAGE, re.MULTILINE))


def test_every_unit_of_roots_is_named_and_no_other() -> None:
    roots = {
        unit.name for unit in SYSTEMD.glob("*.service") if not (SYSTEMD / f"{unit.name}.d/50-sandbox.conf").exists()
    }
    assert {name for name in first_cells() if name.endswith(".service")} == roots - NOT_OURS


def test_every_chore_is_named_and_no_other() -> None:
    kinds = {value for value in vars(chores).values() if isinstance(value, str) and value.isalpha()}
    assert {name for name in first_cells() if name.isalpha()} == kinds
