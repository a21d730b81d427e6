"""The syntax of OpenWrt's files."""

from __future__ import annotations

import pytest

from mwan_hook.imports import uci
from mwan_hook.imports.guard import NotUnderstood


def found(text: str) -> list[tuple[str, str, dict[str, list[str]]]]:
    """Sections of the package x."""
    return [(one.kind, one.name, one.values) for one in uci.sections(text, "x")]


def test_a_file_is_sections_with_options_and_lists() -> None:
    text = "# c\nconfig a 'one'\n\toption k 'v w'\n\tlist l 1\n  list l \"2\"\n\nconfig a\noption k\n"
    assert found(text) == [("a", "one", {"k": ["v w"], "l": ["1", "2"]}), ("a", "", {"k": []})]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        ("ab", "ab"),
        (r"a\ b", "a b"),
        (r'"a\"b\\"', 'a"b\\'),
        (r"'a\b'", r"a\b"),
        ("""a'b'"c"d""", "abcd"),
        ("''", ""),
        ("a # b", "a"),
        ("'a#b'#c", "a#b"),
        ("a\t", "a"),
        ("'ä€'", "ä€"),
    ],
)
def test_quotes_backslashes_and_comments(written: str, value: str) -> None:
    assert found(f"config s n\noption k {written}\n") == [("s", "n", {"k": [value]})]
    assert found(f"x.n=s\nx.n.k={written}\n") == [("s", "n", {"k": [value]})]


def test_what_uci_show_prints_is_the_same() -> None:
    shown = "x.one=a\nx.one.l='1.1.1.1' '8.8.8.8'\nx.@a[0]=a\nx.@a[0].k='v'\nx.cfg0af2=a\ny.z=b\ny.z.k=1\n"
    assert found(shown) == [("a", "one", {"l": ["1.1.1.1", "8.8.8.8"]}), ("a", "", {"k": ["v"]}), ("a", "", {})]


def test_of_an_export_of_all_only_the_package_counts() -> None:
    text = "package network\nconfig a n\noption k 1\npackage x\nconfig a m\noption k 2\n"
    assert found(text) == [("a", "m", {"k": ["2"]})]


def test_sections_of_one_name_are_one_and_the_last_option_counts() -> None:
    text = "config a n\noption k 1\noption k 2\nconfig a\nconfig a n\noption j 3\n"
    assert found(text) == [("a", "n", {"k": ["2"], "j": ["3"]}), ("a", "", {})]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("option k v\n", 1),
        ("config a n\noption k 'v\n'\n", 2),
        ('config a n\n\noption k "v\n', 3),
        ("config a n; option k v\n", 1),
        ("config\n", 1),
        ("config a n m\n", 1),
        ("config a n\noption\n", 2),
        ("config a n\nlist l\n", 2),
        ("config a n\noption k v w\n", 2),
        ("config a n\nset k v\n", 2),
        ("x.n=s\nwhat\n", 2),
        ("x.n.k=1\n", 1),
        ("config a n\noption k '" + "v" * 70_000 + "'\n", 2),
    ],
)
def test_what_cannot_be_read_names_its_line(text: str, line: int) -> None:
    with pytest.raises(NotUnderstood, match=f"^line {line}: "):
        uci.sections(text, "x")


@pytest.mark.parametrize(
    ("word", "yes"), [("1", True), ("on", True), ("Enabled", True), ("0", False), ("off", False), ("", True)]
)
def test_booleans_have_many_words_and_others_are_the_default(word: str, yes: bool) -> None:
    [section] = uci.sections(f"config a n\noption k '{word}'\n", "x")
    assert section.flag("k", True) is yes
    assert section.flag("nothing", False) is False
