"""docs/coming-from.md: its example is what the command prints, and every kind has a chapter."""

from __future__ import annotations

import re
from pathlib import Path

from mwan_hook.imports import kinds

PAGE = (Path(__file__).resolve().parents[3] / "docs/coming-from.md").read_text()


def test_the_example_is_what_the_command_prints() -> None:
    source, printed = re.findall(r"^This file\n\n```\n(.*?)```\n\nbecomes\n\n```ini\n(.*?)```$", PAGE, re.M | re.S)[0]
    done = kinds.imported("mwan3", "mwan3", source.encode(), {"wan": "enp1s0", "lte": "wwan0"})
    assert done.text == printed
    told = PAGE.partition("new.conf\n")[2].partition("$ echo $?\n")
    assert told[0].splitlines() == [f"mwan-hook: mwan3: {remark}" for remark in done.remarks]
    assert told[2].startswith("3\n") is done.loses


def test_every_kind_has_a_row_and_a_chapter_that_says_what_to_stop() -> None:
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(#([\w-]+)\)", PAGE, re.M)
    chapters = dict(re.findall(r"^## ([\w -]+)\n\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
    assert {kind for kind, _ in rows} == set(kinds.KINDS)
    anchors = {heading.lower().replace(" ", "-"): text for heading, text in chapters.items()}
    for _, anchor in rows:
        assert anchors[anchor].startswith("**Stop first.**"), anchor
