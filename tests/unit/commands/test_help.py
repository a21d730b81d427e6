"""What ``mwan-hook --help`` shows, and what a mistyped command is answered."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from mwan_hook import cli
from mwan_hook.commands.parsing import first_word

OF_OTHERS = {
    "event",
    "track",
    "notify",
    "chores",
    "record",
    "modem",
    "bus",
    "snmp",
    "complete",
}


def test_the_help_has_every_command_of_people_in_a_group_and_no_other() -> None:
    top = cli.parser()
    assert list(top.groups) == ["look", "change", "explain", "set up"]
    assert sorted(top.shown()) == sorted({*top.commands} - OF_OTHERS)


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_the_help_fits_the_screen(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = cli.parser().format_help().splitlines()
    assert max(map(len, lines)) <= min(columns, 100)
    assert any(line.startswith("  status ") for line in lines)


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["stats"], "there is no command stats; did you mean status?"),
        (["--root", "/x", "hstory", "fiber"], "there is no command hstory; did you mean history?"),
        (["enble", "fiber"], "there is no command enble; did you mean enable?"),
        (["frobnicate"], "there is no command frobnicate; see mwan-hook --help"),
    ],
)
def test_a_mistyped_command_gets_a_guess(args: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.run(args)
    told = capsys.readouterr()
    assert (left.value.code, told.out) == (2, "")
    assert told.err.splitlines()[-1] == f"mwan-hook: error: {words}"


@pytest.mark.parametrize("name", sorted(OF_OTHERS))
def test_what_others_start_is_no_guess(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for mistyped in (f"{name}x", name[1:], f"{name[0]}{name[2:]}"):
        with pytest.raises(SystemExit):
            cli.run([mistyped])
        guess = re.search(r"did you mean (\S+)\?$", capsys.readouterr().err)
        assert not guess or guess[1] in cli.parser().shown()


@pytest.mark.parametrize(
    ("args", "word"),
    [(["--root", "check"], ""), (["--root=/x", "check"], "check"), (["-h"], ""), (["--version", "a", "b"], "a")],
)
def test_the_value_of_root_is_no_command(args: list[str], word: str) -> None:
    assert first_word(args) == word


def catalogue(words: dict[str, str]) -> bytes:
    """A .mo file, as gettext(3) has them."""
    given = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **words}.items())
    count, tables, texts = len(given), [b"", b""], b""
    for which in (0, 1):
        for pair in given:
            text = pair[which].encode()
            tables[which] += struct.pack("<II", len(text), 28 + 16 * count + len(texts))
            texts += text + b"\0"
    return struct.pack("<7I", 0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0) + b"".join(tables) + texts


SPEAKS = """
import gettext, os, sys
before, opened = dict(os.environ), []
gettext.bindtextdomain("messages", sys.argv[1])
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
from mwan_hook import cli
try:
    cli.run(sys.argv[2:])
except SystemExit:
    pass
assert not [path for path in opened if path.endswith(".mo")]
assert gettext.gettext("usage: ") == "Aufruf: ", "others have it as ever"
assert dict(os.environ) == before, "hooks inherit it"
"""
SEARCHES = """
import sys
from mwan_hook import cli
cli.parser().parse_args(["status"])
assert not {"gettext", "locale"} & {*sys.modules}
"""


def in_german(*argv: str) -> subprocess.CompletedProcess[str]:
    """Run Python where the operator's language is German."""
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__).parents[1]), "LANG": "de_DE.UTF-8", "LANGUAGE": "de"}
    return subprocess.run([sys.executable, "-c", *argv], env=env, capture_output=True, text=True, check=True)


@pytest.mark.parametrize("args", [["status", "--help"], ["status", "--frob"], ["trace"]])
def test_all_words_are_english_although_there_is_a_catalogue(tmp_path: Path, args: list[str]) -> None:
    place = tmp_path / "de" / "LC_MESSAGES"
    place.mkdir(parents=True)
    (place / "messages.mo").write_bytes(catalogue({"usage: ": "Aufruf: ", "options": "Optionen"}))
    done = in_german(SPEAKS, str(tmp_path), *args)
    said = done.stdout + done.stderr
    assert said.startswith("usage: ") and "Optionen" not in said


def test_no_catalogue_is_looked_for() -> None:
    in_german(SEARCHES)
