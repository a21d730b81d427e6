"""What the words of `mwan-hook why` mean."""

from __future__ import annotations

import pytest

from mwan_hook.commands import asked
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


@pytest.mark.parametrize("word", ["spare", "cable2"])  # the second one is close to a name that is there
def test_a_template_that_no_interface_matches_is_an_uplink_all_the_same(word: str) -> None:
    config = SEEN.config._replace(uplinks=(*SEEN.config.uplinks, UplinkConfig(name=word)))
    with pytest.raises(MwanError, match=f"{word} is not used: no interface matches it") as failed:
        asked.refuse_near_misses(word, SEEN._replace(config=config))
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
        asked.destinations(word)
    assert failed.value.code == 2


@pytest.mark.parametrize("word", ["192.0.2.1", "2001:db8::1"])
def test_an_address_stands_for_itself(word: str) -> None:
    assert asked.destinations(word) == [word]
