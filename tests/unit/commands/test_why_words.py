"""What the words of `mwan-hook why` mean."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mwan_hook.commands import asked, lookup
from mwan_hook.commands.parsing import joined
from mwan_hook.explain.why import named, view_of
from mwan_hook.model import MwanError, UplinkConfig, UsageError
from tests.frames import frame, line

TEMPLATE = [line(number, f"usb@eth{number}") for number in (3, 4)]
SEEN = view_of(
    frame(
        (
            line(1, "fiber"),
            line(2, "cable"),
            *(one._replace(config=one.config._replace(name="usb")) for one in TEMPLATE),
        )
    ),
    readable=True,
)


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["why", "--at", "-2h"], ["why", "--at=-2h"]),
        (["why", "fiber", "--at", "-90m", "--json"], ["why", "fiber", "--at=-90m", "--json"]),
        (["why", "--at", "03:12"], ["why", "--at", "03:12"]),
        (["why", "--at", "--json"], ["why", "--at", "--json"]),
        (["trace", "8.8.8.8"], ["trace", "8.8.8.8"]),
    ],
)
def test_a_time_that_lies_back_is_no_option(args: list[str], expected: list[str]) -> None:
    assert joined(args) == expected


@pytest.mark.parametrize(
    ("word", "names"),
    [("fiber", ["fiber"]), ("eth2", ["cable"]), ("usb", ["usb@eth3", "usb@eth4"]), ("usb@eth4", ["usb@eth4"])],
)
def test_uplinks_are_named_by_name_interface_or_template(word: str, names: list[str]) -> None:
    assert [uplink.name for uplink in named(SEEN, word)] == names


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("fibre", "fibre is neither an uplink nor a destination; did you mean fiber?"),
        ("cabel", "cabel is neither an uplink nor a destination; did you mean cable?"),
        ("usb@eth", "usb@eth is neither an uplink nor a destination; did you mean usb@eth4?"),
        ("lo", "lo is an interface that no uplink has; uplinks are: fiber, cable, usb@eth3, usb@eth4"),
    ],
)
def test_a_mistyped_uplink_is_guessed_before_a_name_server_is_asked(
    word: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("a name server was asked"))
    with pytest.raises(UsageError) as failed:
        asked.destinations(word, SEEN)
    assert (str(failed.value), failed.value.code) == (meant, 2)


UPLINKS = "uplinks are: fiber, cable, usb@eth3, usb@eth4"


def answers(error: OSError | None, seconds: float = 0.0) -> Callable[..., list[tuple[object, ...]]]:
    """The system's resolver."""

    def asked_for(*_: object) -> list[tuple[object, ...]]:
        time.sleep(seconds)
        if error:
            raise error
        return [(None, None, None, "", ("192.0.2.9", 0)), (None, None, None, "", ("2001:db8::9", 0, 0, 0))]

    return asked_for


@pytest.mark.parametrize("word", ["www.example.org", "printer"])
def test_a_name_stands_for_an_address_of_each_family(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(None))
    assert asked.destinations(word, SEEN) == ["192.0.2.9", "2001:db8::9"]


@pytest.mark.parametrize(
    ("word", "number", "words", "code"),
    [
        ("printer", socket.EAI_NONAME, f"printer is neither an uplink nor a destination: no; {UPLINKS}", 2),
        ("www.example.org", socket.EAI_NONAME, "www.example.org is neither an uplink nor a destination: no", 2),
        ("printer", socket.EAI_AGAIN, f"printer is no uplink, and may be a destination: no; {UPLINKS}", 1),
        ("www.example.org", socket.EAI_AGAIN, "www.example.org is no uplink, and may be a destination: no", 1),
    ],
)
def test_what_is_neither_is_answered_with_the_uplinks(
    word: str, number: int, words: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", answers(socket.gaierror(number, "no")))
    with pytest.raises(MwanError) as failed:
        asked.destinations(word, SEEN)
    assert (str(failed.value), failed.value.code) == (words, code)


def test_a_name_server_that_is_dead_is_not_waited_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = tmp_path / "resolv.conf"
    servers.write_text("nameserver 192.0.2.53\n")
    monkeypatch.setattr(lookup, "RESOLV_CONF", str(servers))
    monkeypatch.setattr(lookup, "PATIENCE", 0.1)
    monkeypatch.setattr(socket, "getaddrinfo", answers(None, 1.0))
    begun = time.monotonic()
    with pytest.raises(MwanError, match=r"printer is no uplink, and may be .* within 0.1 s \(192.0.2.53\); uplinks"):
        asked.destinations("printer", SEEN)
    assert time.monotonic() - begun < 0.9


def test_where_no_thread_can_be_begun_the_name_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", full)
    with pytest.raises(MwanError, match="printer is no uplink, and may be a destination: can't start") as failed:
        asked.destinations("printer", SEEN)
    assert failed.value.code == 1


def test_a_name_server_that_is_dead_does_not_hold_up_the_end_of_the_program() -> None:
    code = (
        "import socket, sys, time\n"
        "from mwan_hook.commands import lookup\n"
        "socket.getaddrinfo, lookup.PATIENCE = lambda *_: time.sleep(30), 0.1\n"
        "lookup.addresses('printer', 0)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(lookup.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=20, check=False
    )
    assert "no name server has answered" in done.stderr


@pytest.mark.parametrize("word", ["spare", "cable2"])  # the second one is close to a name that is there
def test_a_template_that_no_interface_matches_is_an_uplink_all_the_same(word: str) -> None:
    config = SEEN.config._replace(uplinks=(*SEEN.config.uplinks, UplinkConfig(name=word)))
    with pytest.raises(MwanError, match=f"{word} is not used: no interface matches it") as failed:
        asked.destinations(word, SEEN._replace(config=config))
    assert failed.value.code == 1


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("192.0.2.0/24", "."),
        ("192.0.2.1:80", "."),
        ("ff02::1", "no address of one machine"),
        ("0.0.0.0", "no address of one machine"),
        ("fe80::2%eth4", "fe80::2%eth4 leaves by eth4, .* trace fe80::2 --oif eth4"),
    ],
)
def test_a_destination_is_one_machine(word: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{word} is neither an uplink nor a destination: .*{said}") as failed:
        asked.destinations(word, SEEN)
    assert failed.value.code == 2


@pytest.mark.parametrize("word", ["192.0.2.1", "2001:db8::1"])
def test_an_address_stands_for_itself(word: str) -> None:
    assert asked.destinations(word, SEEN) == [word]
