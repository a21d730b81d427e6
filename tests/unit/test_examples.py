"""Examples of configurations: all are good, and pages show those of docs/examples as they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mwan_hook.config import keep, read
from mwan_hook.config.keys import KEYS

PROJECT = Path(__file__).resolve().parents[2]
DOCS = PROJECT / "docs"
EXAMPLES = DOCS / "examples"
PAGES = (PROJECT / "README.md", *sorted(DOCS.glob("*.md")))
BLOCK = re.compile(r"^```(?:ini|conf)\n(.*?)^```", re.M | re.S)
SHOWN = re.compile(r"^[^\n]*\]\((?:docs/)?examples/([^)]+)\)[^\n]*:\n\n```[a-z]*\n(.*?)^```", re.M | re.S)
LINK = re.compile(r"\]\(([^)#:\s]*)(?:#([^)\s]*))?\)")
SECTIONS = {path[0] for path in KEYS}
FILES = [path for path in EXAMPLES.rglob("*.conf") if "mwan-hook" in path.relative_to(EXAMPLES).parts]


def configurations() -> list[tuple[str, str]]:
    """Blocks of the pages that begin with a section of ours; of a policy alone, its section is added."""
    found = []
    for page in PAGES:
        for number, text in enumerate(BLOCK.findall(page.read_text())):
            first = re.search(r"^\s*(\[+)(\w+)\]", text, re.M)
            if first and first[1] == "[" and first[2] in SECTIONS:
                found.append((f"{page.name}-{number}", text))
            elif first and first[1] == "[[":
                section = "policies" if re.search(r"^\s*uplinks\s*=", text, re.M) else "uplinks"
                found.append((f"{page.name}-{number}", f"[{section}]\n{text}"))
    return found


def doubts(root: Path, text: str) -> tuple[str, ...]:
    """Warnings; ConfigError where it is wrong."""
    place = root / read.MAIN
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text)
    return read.read(str(root), keep.Watch()).warnings


@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in configurations()])
def test_a_configuration_of_a_page_is_good(tmp_path: Path, text: str) -> None:
    assert doubts(tmp_path, text) == ()


@pytest.mark.parametrize("path", [pytest.param(path, id=str(path.relative_to(EXAMPLES))) for path in FILES])
def test_a_configuration_of_the_examples_is_good(tmp_path: Path, path: Path) -> None:
    assert doubts(tmp_path, path.read_text()) == ()


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_a_page_shows_an_example_as_it_is(page: Path) -> None:
    for name, text in SHOWN.findall(page.read_text()):
        if (EXAMPLES / name).is_file():
            assert text == (EXAMPLES / name).read_text(), name


@pytest.mark.parametrize("page", [pytest.param(page, id=page.name) for page in PAGES])
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    for path, heading in LINK.findall(page.read_text()):
        target = page.parent / path if path else page
        assert target.exists(), path
        assert not heading or heading in headings(target), f"{path}#{heading}"


def headings(page: Path) -> set[str]:
    """What GitHub makes of the headings of a page."""
    found = re.findall(r"^#+ (.*)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in found}
