"""Plain words: what docstrings begin with, which words are not used, and that no two classes share a name."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[2] / "lib/mwan_hook"
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


def docstrings(text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and (words := ast.get_docstring(node)):
            yield words


@pytest.mark.parametrize("file", FILES)
def test_docstrings_begin_with_a_noun_or_an_imperative(file: str) -> None:
    found = [words.splitlines()[0] for words in docstrings(FILES[file]) if not words.startswith(RAISES)]
    assert [line for line in found if REFUSED.match(line) or THIRD_PERSON.match(line)] == []


@pytest.mark.parametrize("file", FILES)
def test_code_comments_and_messages_name_who_is_meant(file: str) -> None:
    assert [line.strip() for line in FILES[file].splitlines() if VAGUE.search(line)] == []


def test_no_two_classes_share_a_name() -> None:
    nodes = [node for text in FILES.values() for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    assert [name for name, count in Counter(node.name for node in nodes).items() if count > 1] == []
