"""What the words of `mwan-hook why` mean."""

from __future__ import annotations

import pytest

from mwan_hook.commands import asked
from mwan_hook.commands.parsing import joined
from mwan_hook.explain.why import named, view_of
from mwan_hook.model import UsageError
from tests.frames import frame, line

TEMPLATE = [line(number, f"usb@eth{number}") for number in (3, 4)]
SEEN = view_of(
    frame(
        (
            line(1, "fiber"),
            line(2, "cable"),
            *(one._replace(config=one.config._replace(name="usb")) for one in TEMPLATE),
        )
    )
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
    [("fibre", "did you mean fiber?"), ("cabel", "did you mean cable?"), ("usb@eth", "did you mean usb@eth4?")],
)
def test_a_mistyped_uplink_is_guessed_before_a_name_server_is_asked(
    word: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked, "_resolves", lambda _: pytest.fail("a name server was asked"))
    with pytest.raises(UsageError, match=rf"{word} is neither an uplink nor a destination; {meant[:-1]}\?") as failed:
        asked.refuse_near_misses(word, SEEN)
    assert failed.value.code == 2


@pytest.mark.parametrize(
    ("word", "known"), [("192.0.2.1", False), ("2001:db8::1", False), ("www.example.org", False), ("printer", True)]
)
def test_a_destination_is_none_of_these(word: str, known: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_resolves", lambda _: known)
    asked.refuse_near_misses(word, SEEN)


def test_what_is_neither_is_answered_with_the_uplinks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked, "_resolves", lambda _: False)
    with pytest.raises(UsageError, match=r"printer is neither .*; uplinks are: fiber, cable, usb@eth3, usb@eth4"):
        asked.refuse_near_misses("printer", SEEN)
