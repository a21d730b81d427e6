"""Plain words: what docstrings begin with, which words are not used anywhere, and class names that are unique."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "lib/mwan_hook"
FILES = {str(path.relative_to(PROGRAM)): path.read_text() for path in sorted(PROGRAM.rglob("*.py"))}

# A docstring is an imperative sentence or a noun phrase: it begins with no pronoun, no bare preposition or adverb,
REFUSED = re.compile(
    r"(?:This|It|Its|Will|Is|Does|There|Those|Them|They|Who|Whom|Whose|Ours|Own|Both|Either|Neither|"
    r"Everybody|Everyone|Nobody|Somebody|Anybody|Something|And|Also|Of|With|Without|By|In|At|On|For|To|"
    r"From|As|Into|Out|Up|Among|Between|Beside|Through|Once|Since|Only|Not)\b"
)
# nor with a verb that says what the object does by itself.
THIRD_PERSON = re.compile(
    r"(?:Answers|Asks|Collects|Compares|Connects|Delivers|Finds|Gives|Holds|Keeps|Looks|Makes|Raises|Reads|"
    r"Remembers|Removes|Returns|Runs|Says|Sends|Takes|Tells|Trusts|Waits|Writes)\b"
)
RAISES = "Raises MwanError"  # a whole docstring of a method whose name says the rest
VAGUE = re.compile(r"\b(?:nobody|somebody|anybody|everybody|whoever|whatever|whomever|whichever)\b", re.IGNORECASE)


# All else that is read: pages, units, hooks and what installs them, but not drawings and data.
READ = ("README.md", "docs", "systemd", "hooks", "install", "install.sh", "debian", "dbus", "snmp", "udev")
DATA = {".svg", ".json", ".png"}
TESTS = [path for path in sorted((PROJECT / "tests").rglob("*.py")) if path != Path(__file__)]


def read_by_people() -> Iterator[Path]:
    for name in READ:
        place = PROJECT / name
        yield from (path for path in (place, *place.rglob("*")) if path.is_file() and path.suffix not in DATA)


def docstrings(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (words := ast.get_docstring(node)):
            yield words


def test_docstrings_begin_with_a_noun_or_an_imperative() -> None:
    found = [(file, words.splitlines()[0]) for file, text in FILES.items() for words in docstrings(text)]
    bad = [(file, line) for file, line in found if REFUSED.match(line) or THIRD_PERSON.match(line)]
    assert [one for one in bad if not one[1].startswith(RAISES)] == []


def test_code_comments_and_messages_name_who_is_meant() -> None:
    lines = [(file, line.strip()) for file, text in FILES.items() for line in text.splitlines()]
    assert [one for one in lines if VAGUE.search(one[1])] == []


def test_pages_units_and_scripts_name_who_is_meant() -> None:
    found = {path: [line for line in path.read_text().splitlines() if VAGUE.search(line)] for path in read_by_people()}
    assert {path: lines for path, lines in found.items() if lines} == {}


def test_no_page_unit_or_script_has_marks_of_a_merge() -> None:
    marks = re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE)
    assert [str(path) for path in read_by_people() if marks.search(path.read_text())] == []


def test_names_comments_and_docstrings_of_tests_do_too() -> None:
    found = {path: [words for words in said(path.read_text()) if VAGUE.search(words)] for path in TESTS}
    assert {path: words for path, words in found.items() if words} == {}


def said(text: str) -> Iterator[str]:
    """All but code: there the user of that name may stand."""
    yield from (name.replace("_", " ") for name in re.findall(r"def (test_\w+)", text))
    yield from re.findall(r"(?:^|  )# .*", text, re.MULTILINE)
    yield from docstrings(text)


def test_no_merge_was_left_half_done() -> None:
    mark = re.compile(r"^(?:<{7}|={7}|>{7})(?: |$)", re.MULTILINE)
    assert [path for path in (*read_by_people(), *PROGRAM.rglob("*.py"), *TESTS) if mark.search(path.read_text())] == []


def test_no_two_classes_share_a_name() -> None:
    nodes = [node for text in FILES.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(node.name for node in nodes).items() if count > 1] == []
