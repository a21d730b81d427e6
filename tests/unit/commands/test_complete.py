"""Completion: what may come next, and that bash, zsh and fish offer it.

The shells are the real ones.  The command that their files name is a script of the test's, which starts this checkout.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from mwan_hook import cli
from mwan_hook.commands import complete
from mwan_hook.model import State, UplinkState
from mwan_hook.repair.steps import NAMES
from mwan_hook.store import files, state

PROJECT = Path(__file__).resolve().parents[3]
INSTALLED = "/usr/sbin/mwan-hook"
STICK = "lte@enp0s20u1"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of a machine whose last run knew three uplinks."""
    top = tmp_path_factory.mktemp("machine")
    Path(files.under(str(top), files.STATE)).parent.mkdir(parents=True)
    uplinks = {name: UplinkState(interface=f"if-{name[:3]}") for name in ("fiber", "fixed", STICK)}
    state.save(str(top), State(uplinks=uplinks))
    return top


def offered(root: Path, *words: str) -> list[str]:
    """The candidates behind these words, the last of which is begun."""
    found = complete.candidates(cli.parser(), str(root), words[:-1], words[-1])
    return [word for word, _ in found if word.startswith(words[-1]) or word == "/"]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["sta"], {"status"}),
        (["--root", "/", "sta"], {"status"}),
        (["--root=/", "hist"], {"history"}),
        (["--root=/nowhere", "history", "fi"], set()),
        (["notif"], set()),  # what systemd starts
        (["--ro"], {"--root"}),
        (["--root", ""], {"/"}),
        (["status", "--w"], {"--watch"}),
        (["status", "--watch", "--w"], set()),
        (["history", "fi"], {"fiber", "fixed"}),
        (["enable", "lte"], {STICK}),
        (["check", "fiber", ""], {"fixed", STICK}),
        (["check", "--now", "fib"], {"fiber"}),
        (["enable", "fiber", ""], set()),
        (["repair", "fiber", "--step", ""], {*NAMES}),
        (["repair", "--step", "renew", "fix"], {"fixed"}),
        (["track", "--family", ""], {"ipv4", "ipv6"}),
        (["import", "p"], {"pfsense"}),
        (["import", "vyos", ""], {"/"}),
        (["trace", "--iif", "l"], {"lo"}),
        (["replay", "--with", "probe.ri"], {"probe.rise="}),
        (["replay", "--with", "probe.fall=5", "--with", f"{STICK}.met"], {f"{STICK}.metric=", f"{STICK}.metered="}),
        (["replay", "--with", "routing."], {"routing.prefer="}),
        (["why", "fi"], {"fiber", "fixed"}),
        (["why", "--at", ""], set()),
        (["why", "fiber", "--"], {"--at", "--json", "--help"}),
        (["report", "--for", "lt"], {STICK}),
        (["report", "--csv", ""], {"/"}),
        (["report", "--re"], set()),  # what a service starts
        (["rec"], set()),
        (["rep"], {"repair", "replay", "report"}),
        (["trace", ""], set()),
        (["frobnicate", ""], set()),
        (["flush", ""], set()),
    ],
)
def test_what_may_come_next(root: Path, words: list[str], wanted: set[str]) -> None:
    assert set(offered(root, *words)) == wanted


def test_every_value_of_an_option_that_has_names_is_offered() -> None:
    for one in cli.parser().commands.values():
        for action in one._actions:
            if action.metavar in ("UPLINK", "IFACE", "IF", "FILE", "KIND", "STEP", "KEY=VALUE"):
                assert action.metavar in complete.SOURCES


# ---------------------------------------------------------------- the shells

BASH = """
source {file}
compopt() {{ :; }}
COMP_LINE={line} COMP_POINT={length}
_mwan_hook mwan-hook {current}
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
# zsh completes only where it edits a line: in a terminal of its own.  What is entered there is said again.
ZSH = r"""
zmodload zsh/zpty
said() {{ while zpty -r shell line; do [[ $line != *$1* ]] || return 0; done; return 1; }}
zpty shell zsh -f -i
zpty -w shell 'fpath=({directory} $fpath); autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste'
zpty -w shell 'mwan-hook() {{ print -r -- "entered=$*=" }}; print REA""DY'
said READY
zpty -n -w shell {line}$'\t\n'
said entered=
print -r -- "$line"
"""


@pytest.fixture(scope="module")
def scripts(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shells' files, with the command that they name."""
    place = tmp_path_factory.mktemp("shells")
    command = place / "mwan-hook"
    program = shlex.join([sys.executable, "-m", "mwan_hook", "--root", str(root)])
    command.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(PROJECT / "lib"))} exec {program} "$@"\n')
    command.chmod(0o755)
    for file in (PROJECT / "completions").iterdir():
        (place / file.name).write_text(file.read_text().replace(INSTALLED, str(command)))
    return place


def said(*argv: str, home: Path) -> set[str]:
    """The lines of a shell's answer."""
    environment = {**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_DATA_HOME": str(home)}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True, env=environment)
    return set(done.stdout.splitlines()) - {""}


@pytest.mark.parametrize(
    ("line", "current", "wanted"),
    [
        ("mwan-hook stat", "stat", {"status"}),
        ("mwan-hook history ", "", {"fiber", "fixed", STICK}),
        ("mwan-hook history lte@en", "en", {"enp0s20u1"}),  # bash breaks words at @
        ("mwan-hook repair --step re", "re", {"renew", "reconfigure", "replug"}),
        ("mwan-hook replay --with probe.rise", "probe.rise", {"probe.rise="}),
        ("mwan-hook why fi", "fi", {"fiber", "fixed"}),
        ("mwan-hook report --c", "--c", {"--csv"}),
    ],
)
def test_bash(scripts: Path, tmp_path: Path, line: str, current: str, wanted: set[str]) -> None:
    given = {"line": shlex.quote(line), "length": len(line), "current": shlex.quote(current)}
    assert said("bash", "-c", BASH.format(file=scripts / "mwan-hook.bash", **given), home=tmp_path) == wanted


def test_bash_completes_files_by_itself(scripts: Path, tmp_path: Path) -> None:
    (tmp_path / "network.uci").touch()
    line = f"mwan-hook import mwan3 {tmp_path}/net"
    given = {"line": shlex.quote(line), "length": len(line), "current": f"{tmp_path}/net"}
    found = said("bash", "-c", BASH.format(file=scripts / "mwan-hook.bash", **given), home=tmp_path)
    assert found == {f"{tmp_path}/network.uci"}


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("mwan-hook stat", {"status\tshow how the uplinks stand"}),
        ("mwan-hook history ", {"fiber\tif-fib", "fixed\tif-fix", f"{STICK}\tif-lte"}),
        ("mwan-hook history lte@en", {f"{STICK}\tif-lte"}),
        ("mwan-hook report --for fib", {"fiber\tif-fib"}),
    ],
)
def test_fish(scripts: Path, tmp_path: Path, line: str, wanted: set[str]) -> None:
    command = f"source {scripts / 'mwan-hook.fish'}; complete -C {shlex.quote(line)}"
    assert said("fish", "--no-config", "-c", command, home=tmp_path) == wanted


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("mwan-hook stat", "status"),
        ("mwan-hook history lt", f"history {STICK}"),
        ("mwan-hook report --for lt", f"report --for {STICK}"),
        ("mwan-hook replay --with probe.ris", "replay --with probe.rise="),
        ("mwan-hook --vers", "--version"),
    ],
)
def test_zsh(scripts: Path, tmp_path: Path, line: str, wanted: str) -> None:
    [found] = said("zsh", "-f", "-c", ZSH.format(directory=scripts, line=shlex.quote(line)), home=tmp_path)
    assert f"entered={wanted}=" in found


def test_zsh_shows_what_each_is_and_leaves_files_to_itself(scripts: Path, tmp_path: Path) -> None:
    """Its own functions that show are replaced here: what they are given is what counts."""
    stand_ins = '_describe() { print -rl -- "${(@P)2}" }; _files() { print FILES }; '
    behind = f"CURRENT=$#words; source {scripts / '_mwan-hook'}"
    rows = said("zsh", "-f", "-c", f'{stand_ins} words=(mwan-hook history ""); {behind}', home=tmp_path)
    assert rows == {"fiber:if-fib", "fixed:if-fix", f"{STICK}:if-lte"}
    assert said("zsh", "-f", "-c", f'{stand_ins} words=(mwan-hook import vyos ""); {behind}', home=tmp_path) == {
        "FILES"
    }
