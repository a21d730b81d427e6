"""Pages name what there is: all that still needs root, every unit, every field that a hook is given."""

from __future__ import annotations

import json
import re
from pathlib import Path

from mwan_hook.model import Notice
from mwan_hook.notify import hooks
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


def test_every_unit_has_a_row_in_the_table_of_who_starts_what() -> None:
    table = (PROJECT / "docs/systemd.md").read_text().partition("| unit | starts | does |\n")[2].partition("\n\n")[0]
    units = {path.name for kind in ("service", "timer", "path", "socket") for path in SYSTEMD.glob(f"*.{kind}")}
    assert set(re.findall(r"`(mwan-hook-[a-z]+@?\.[a-z]+)`", table)) == units


def test_the_page_of_hooks_shows_every_field_that_they_are_given() -> None:
    page = (PROJECT / "docs/hooks.md").read_text()
    shown = json.loads(page.partition("```json\n")[2].partition("```")[0])
    assert shown.keys() == hooks.as_json(Notice("", "")).keys()
