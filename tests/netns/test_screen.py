"""What stands on a real terminal: tables of its width, and the screen of ``status --watch``."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence

import pytest

from mwan_hook.store import files
from tests.lab import Lab, topologies
from tests.lab.screen import Terminal
from tests.lab.topologies import Network

CONFIG = """
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
targets = icmp://9.9.9.9
[uplinks]
[[fiber]]
match = eth1
metric = 100
[[cable]]
match = eth2
metric = 200
"""
STOPPED = 'set -m; "$@"; echo "stopped with $?"; read -r; fg >/dev/null; echo "ended with $?"'


@pytest.fixture(scope="module")
def net() -> Iterator[Network]:
    """Two uplinks, of which cable is dead, so that there is something to tell."""
    with Lab() as lab:
        made = topologies.probed(lab, 2)
        made.router.configure(CONFIG)
        made.router.check()
        made.isps[1].fault("blackhole")
        made.router.check()
        yield made


def watching(net: Network, wrap: Sequence[str] = ()) -> Terminal:
    """The screen in the router."""
    made = Terminal(net.router.argv("status", "--watch", wrap=wrap), 80, 24, net.router.environment())
    made.until("the screen", lambda text: "q quit" in text and "> fiber" in text)
    return made


def drawn(lines: int) -> Callable[[str], bool]:
    """Whether the screen has so many lines, from the title to the keys."""

    def is_so(text: str) -> bool:
        found = text.splitlines()
        return len(found) == lines and found[0].startswith("mwan-hook") and "> cable" in text and "q quit" in found[-1]

    return is_so


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("command", ["status", "history"])
def test_a_table_has_the_width_of_its_terminal(net: Network, command: str, columns: int) -> None:
    with Terminal(net.router.argv(command), columns, 60, net.router.environment()) as screen:
        assert screen.ended() == 0
        whole = screen.raw.decode()
    assert "\x1b[31moffline\x1b[0m" in whole if command == "status" else "offline" in whole
    assert "of 1 targets answered: timed out" in " ".join(screen.text.split())
    # the terminal broke no line: it has as many as were printed
    assert len(screen.text.rstrip().splitlines()) == whole.count("\n")


def test_sentences_are_broken_between_words_and_only_for_a_terminal(net: Network) -> None:
    piped = net.router.mwan("trace", "9.9.9.9", env={"COLUMNS": "60"}).stdout
    with Terminal(net.router.argv("trace", "9.9.9.9"), 60, 60, net.router.environment()) as screen:
        assert screen.ended() == 0
        lines = screen.raw.decode().splitlines()
    assert max(map(len, piped.splitlines())) > 60 >= max(map(len, lines))
    assert " ".join(lines).split() == piped.split()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colours_can_be_declined(net: Network, environment: dict[str, str]) -> None:
    with Terminal(net.router.argv("status"), 80, 24, {**net.router.environment(), **environment}) as screen:
        assert screen.ended() == 0
    assert "offline" in screen.text and b"\x1b" not in screen.raw


def test_keys_choose_explain_and_quit_and_the_terminal_is_as_it_was(net: Network) -> None:
    with watching(net) as screen:
        assert "last changes" in screen.text and "round trip" in screen.text
        assert screen.modes[1]
        screen.type(b"\x1b[B")
        screen.until("the second uplink", lambda text: "> cable" in text)
        screen.type(b"\r")
        told = screen.until("the reasons", lambda text: "Enter back" in text)
        assert "cable (eth2) is offline for IPv4" in told and "q quit" in told
        screen.type(b"\x1b")
        screen.until("the uplinks", lambda text: "> cable" in text)
        for columns, lines in ((40, 10), (120, 40), (80, 24)):
            screen.resize(columns, lines)
            screen.until("the new size", drawn(lines))
        screen.type(b"q")
        assert screen.ended() == 0
        assert screen.modes == (screen.before[3], False)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_what_ends_it_gives_the_terminal_back(net: Network, number: signal.Signals) -> None:
    with watching(net) as screen:
        if number is signal.SIGINT:
            screen.type(b"\x03")
        else:
            os.kill(screen.pid, number)
        status = screen.ended()
        assert screen.modes == (screen.before[3], False)
    assert os.WEXITSTATUS(status) == 130 if number is signal.SIGINT else os.WTERMSIG(status) == number


def test_a_terminal_that_is_gone_ends_it(net: Network) -> None:
    with watching(net) as screen:
        screen.hang_up()
        screen.ended()


def test_it_can_be_stopped_and_goes_on(net: Network) -> None:
    with watching(net, wrap=("bash", "-c", STOPPED, "bash")) as screen:
        screen.type(b"\x1a")
        screen.until("the shell", lambda text: "stopped with 148" in text)
        assert screen.modes == (screen.before[3], False)
        screen.type(b"\n")
        screen.until("the screen", lambda text: "> fiber" in text and "q quit" in text)
        screen.type(b"q")
        screen.until("the end", lambda text: "ended with 0" in text)
        assert screen.ended() == 0


def test_a_state_that_vanishes_is_no_end(net: Network) -> None:
    state = net.router.root / files.STATE
    content = state.read_bytes()
    with watching(net) as screen:
        state.unlink()
        screen.until("what is left", lambda text: "nothing carries" in text or "offline" in text.split("cable")[0])
        state.write_bytes(content)
        screen.until("the uplinks", lambda text: "online" in text.split("cable")[0])
        screen.type(b"q")
        assert screen.ended() == 0


def test_a_user_who_may_not_read_the_configuration_has_a_screen_too(net: Network) -> None:
    file = net.router.root / "etc/mwan-hook/mwan-hook.conf"
    file.chmod(0o600)
    try:
        with watching(net, wrap=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")) as screen:
            assert "online" in screen.text
            screen.type(b"q")
            assert screen.ended() == 0
    finally:
        file.chmod(0o644)
