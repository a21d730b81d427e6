"""The screen of ``status --watch`` in every size, and what keys do."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwan_hook.commands import screen, sparks, status_table, terminal, watch_view
from mwan_hook.commands.looking import Look
from mwan_hook.commands.screen import Size
from mwan_hook.commands.sparks import Slot
from mwan_hook.commands.watch_view import Known
from mwan_hook.explain.pulse import Sample
from mwan_hook.model import Family, Transition, UplinkState
from mwan_hook.run.scene import Judged
from mwan_hook.wrapping import Styled, width
from tests.unit.commands.test_status_table import DEAD, WALL, both, judged

V4 = Family.IPV4
MADE = judged({"fiber": both("fiber"), "cable": both("cable", **DEAD), "lte": both("lte")})
HOUR = [Sample(WALL - 3590 + 10 * number, 1, number % 90 == 5, 8 + number % 7) for number in range(360)]
PAST = [
    Transition("offline", "cable", "cable", V4, "online", "offline", "0 of 3 targets answered; 3 of 3 bad rounds", WALL)
] * 30


def known(made: Judged, count: int = 0) -> Known:
    """How things stand; ``count``: so many uplinks of the first one's kind."""
    if count:
        first = made.scene.uplinks[0]
        uplinks = tuple(first._replace(name=f"line{number}") for number in range(count))
        scene = made.scene._replace(bound=made.scene.bound._replace(uplinks=uplinks))
        memory = made.state.uplinks[first.name]
        state = made.state._replace(uplinks={one.name: memory for one in uplinks})
        online: dict[Family, tuple[str, ...]] = dict.fromkeys((V4, Family.IPV6), (uplinks[0].name,))
        made = made._replace(scene=scene, state=state, desired=made.desired._replace(online=online))
    samples = {(one.name, V4): HOUR for one in made.scene.uplinks}
    return Known(Look(made, True), samples, PAST)


def said(lines: Sequence[Sequence[Styled]]) -> list[str]:
    return ["".join(text for text, _ in line) for line in lines]


SIZES = st.builds(Size, st.integers(20, 200), st.integers(3, 60), st.booleans())


NOTES = st.lists(st.sampled_from(["cannot write /run/mwan-hook/state: no space \x1b[2J", "b" * 99]), max_size=3)


@given(st.integers(0, 30), st.data(), SIZES, NOTES)
def test_the_screen_is_full_and_never_wider(count: int, data: st.DataObject, size: Size, notes: list[str]) -> None:
    of = known(MADE, count)
    of = of._replace(look=of.look._replace(notes=tuple(notes)))
    chosen = data.draw(st.integers(0, max(0, len(of.look.seen.uplinks) - 1)))
    lines = watch_view.overview(of, chosen, size)
    assert len(lines) == size.lines and all(width(line) <= size.columns for line in lines)
    marks = [line for line in lines if line and line[0].text == watch_view.CHOSEN]
    assert len(marks) == 1, "the chosen one is always to be seen"
    assert size.unicode or all(text.isascii() for line in lines for text, _ in line)
    told = watch_view.story(of, ["why"] * 99, 5, size)
    assert len(told) == size.lines and all(width(line) <= size.columns for line in told)


def test_an_hour_of_round_trips_and_losses_stands_below_each_uplink() -> None:
    lines = said(watch_view.overview(known(MADE), 1, Size(80, 30, True)))
    assert lines[2].split()[:3] == ["fiber", "fiber", "online"]
    assert lines[3].startswith("      round trip ▅") and lines[3].endswith("8.0 to 14 ms")
    assert lines[4].startswith("      loss       ") and lines[4].endswith("1.1 %")
    assert lines[5] == "" and lines[6].startswith("> cable")
    assert "last changes" in lines and lines[-1].endswith("2 of 3")


def test_many_uplinks_are_a_line_each_and_a_small_screen_has_no_past() -> None:
    lines = said(watch_view.overview(known(MADE, 30), 29, Size(80, 10, True)))
    assert lines[1].startswith("  line22 ") and lines[8].startswith("> line29 ") and lines[8].endswith("▅")
    assert not any("last changes" in line for line in lines)


def test_no_uplinks_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    empty = MADE._replace(scene=MADE.scene._replace(bound=MADE.scene.bound._replace(uplinks=())))
    lines = said(watch_view.overview(Known(Look(empty, True), {}, ()), 0, Size(80, 24, True)))
    assert lines[1] == status_table.NO_UPLINKS


def test_a_mistake_in_the_configuration_takes_the_place_of_the_keys() -> None:
    of = known(MADE)
    of = of._replace(look=of.look._replace(mistakes=("mwan-hook.conf: line 3: \x1b[2J unknown key",)))
    assert said(watch_view.overview(of, 0, Size(80, 24, True)))[-1] == "mwan-hook.conf: line 3: \\x1b[2J unknown key"


def test_what_status_says_beside_its_table_stands_above_the_keys() -> None:
    of = known(MADE)
    of = of._replace(look=of.look._replace(notes=("cannot set routes: \x1b[2J no permission", "another", "a third")))
    lines = said(watch_view.overview(of, 0, Size(80, 24, True)))
    assert lines[-2] == "cannot set routes: \\x1b[2J no permission (and 2 more)"
    assert lines[-1].startswith("q quit")
    assert not any("cannot" in line for line in said(watch_view.overview(of, 0, Size(80, 7, True))))


def test_an_uplink_whose_memory_is_gone_stands_there_all_the_same() -> None:
    gone = MADE._replace(state=MADE.state._replace(uplinks={"fiber": UplinkState()}))
    assert len(watch_view.overview(known(gone), 0, Size(80, 24, True))) == 24


def test_bars_say_how_long_and_how_much() -> None:
    seen = [Slot(0, 0, None), Slot(5, 0, 1.0), Slot(5, 1, 5.0), Slot(5, 5, None), Slot(5, 0, 10.0)]
    assert "".join(text for text, _ in sparks.trips(seen, True)) == " ▁▅x█"
    assert "".join(text for text, _ in sparks.losses(seen, True)) == " ▁▂█▁"
    assert "".join(text for text, _ in sparks.losses(seen, False)) == " ._#."
    rare = (Slot(100, 1, 1.0), Slot(100, 0, 1.0))
    assert "".join(text for text, _ in sparks.losses(rare, True)) == "▂▁", "one of a hundred is seen"


@given(st.lists(st.floats(-10, 110), max_size=50), st.integers(1, 80))
@example([0.0, 50.0, 100.0], 3)
def test_each_sample_is_in_one_column(moments: list[float], count: int) -> None:
    samples = [Sample(at, 2, 1, 5.0) for at in moments]
    seen = sparks.slots(samples, 0.0, 100.0, count)
    inside = sum(0 < at <= 100 for at in moments)
    assert len(seen) == count and sum(slot.sent for slot in seen) == 2 * inside
    assert sum(slot.lost for slot in seen) == inside


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (b"q", ["quit"]),
        (b"\x1b[A\x1b[B\x1bOA\x1bOB", ["up", "down", "up", "down"]),
        (b"jk\r\n", ["down", "up", "enter", "enter"]),
        (b"\x1b", ["back"]),
        (b"\x1b[6~\x1b[5~ ", ["page down", "page up", "page down"]),
        (b"xyz\xff\x1b[Aq", ["up", "quit"]),
        (terminal.END, ["quit"]),
        (b"", []),
    ],
)
def test_bytes_are_keys(typed: bytes, expected: list[str]) -> None:
    assert [*terminal.keys(typed)] == expected


def test_every_style_has_its_ink() -> None:
    of = known(MADE)
    styles = {span.style for line in watch_view.overview(of, 0, Size(80, 40, True)) for span in line if span.style}
    assert styles <= {*screen.INK} and Styled("").style == ""
