"""The table of commands: every option is an argument of the function that does it."""

from __future__ import annotations

import argparse
import inspect
import os

import pytest

from mwan_hook import cli
from mwan_hook.__main__ import guarded

[TABLE] = [action.choices for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]


@pytest.mark.parametrize("name", TABLE)
def test_the_options_of_a_command_are_the_arguments_of_what_does_it(name: str) -> None:
    options = {*vars(TABLE[name].parse_args(needed(TABLE[name]))), "root"} - {"place"}
    function = cli.function(name, TABLE[name].get_default("place"))
    inspect.signature(function).bind(**dict.fromkeys(options))


@pytest.mark.parametrize("name", ["mail", "webhook"])
def test_what_waits_is_sent_or_a_test_is(name: str) -> None:
    with pytest.raises(SystemExit):
        TABLE[name].parse_args(["--send", "--test"])


def needed(parser: argparse.ArgumentParser) -> list[str]:
    """One word for each argument that must be there."""
    return ["x" for action in parser._actions if not action.option_strings and action.nargs in (None, "+")]


def test_an_error_of_the_system_names_its_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: len(os.listdir("/no/such place"))) == 1
    assert capsys.readouterr().err == "mwan-hook: /no/such place: No such file or directory\n"
