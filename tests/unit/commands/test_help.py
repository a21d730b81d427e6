"""What ``mwan-hook --help`` shows, and what a mistyped command is answered."""

from __future__ import annotations

import re

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
