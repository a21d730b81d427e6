"""Interruptions and when they are told: pure, with the clock as an argument."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.model import Mail, Notice
from mwan_hook.notify.mail import book as interruptions
from mwan_hook.notify.mail import text
from mwan_hook.notify.mail.book import (
    MACHINE,
    MOST,
    Interruption,
    MailQueue,
    News,
    Omitted,
    Outgoing,
    rebased,
    recorded,
)
from mwan_hook.notify.mail.pacing import STILL, due, failed, handed, lasting, next_mail, taken

MAIL = Mail(to=("a@example.org",), smtp_host="mail.example.org")
BOOT, WALL = "boot-1", 1_800_000_000.0
DAY = 86400
NOTHING = MailQueue(boot_id=BOOT)


def everyone(name: str) -> bool:
    """Every uplink is watched."""
    return True


class Line:
    """Makes notices of uplinks that go off and on, with ids as the spool's."""

    def __init__(self, *online: str) -> None:
        self.online = list(online)
        self.count = 0

    def notice(self, event: str, uplink: str, at: float, new: str = "", wall: float | None = None) -> Notice:
        """The notice of one change; ``wall``: what the clock on the wall says then."""
        if event == "online":
            self.online.append(uplink)
        elif event == "offline":
            self.online.remove(uplink)
        self.count += 1
        return Notice(
            id=f"{int(at * 1e9):020d}-{self.count}",
            event=event,
            uplink=uplink,
            interface=f"{uplink}0",
            new=new or event,
            reason="0 of 3 targets answered",
            at=WALL + at if wall is None else wall,
            boottime=at,
            online=tuple(self.online),
        )


def book_of(notices: Iterable[Notice], mail: Mail = MAIL, before: MailQueue = NOTHING) -> MailQueue:
    """The book after some notices."""
    return recorded(before, notices, everyone, mail)


def outage(length: float, at: float = 1000.0, uplinks: tuple[str, ...] = ("fiber", "cable")) -> MailQueue:
    """One interruption of fiber."""
    line = Line(*uplinks)
    return book_of([line.notice("offline", "fiber", at), line.notice("online", "fiber", at + length)])


@pytest.mark.parametrize(("length", "reported"), [(3.0, 0), (4.94, 0), (5.0, 1), (30.0, 1)])
def test_an_interruption_of_min_interruption_or_more_is_reported(length: float, reported: int) -> None:
    book = outage(length)
    assert (len(book.ended), book.short) == (reported, 1 - reported)
    assert due(book, MAIL, 1000.0 + length, True) is bool(reported)


def test_an_uplink_whose_families_go_one_by_one_is_interrupted_once() -> None:
    line = Line("fiber", "cable")
    first = line.notice("offline", "fiber", 1000.0)
    second = first._replace(id=f"{first.id}0", boottime=1002.0)
    book = book_of([first, second])
    assert book.last == second.id
    assert [(span.subject, span.begin) for span in book.open] == [("fiber", 1000.0)]


@given(st.floats(0, 1e7), st.integers(0, 100))
def test_exactly_min_interruption_is_reported_with_any_rounding_of_floats(at: float, tenths: int) -> None:
    mail = MAIL._replace(min_interruption=tenths / 10)
    line = Line("fiber", "cable")
    notices = [line.notice("offline", "fiber", at), line.notice("online", "fiber", at + tenths / 10)]
    assert len(book_of(notices, mail).ended) == 1


def test_times_are_the_boot_clocks_and_a_step_of_the_other_changes_no_length() -> None:
    line = Line("fiber", "cable")
    book = book_of(
        [line.notice("offline", "fiber", 100.0), line.notice("online", "fiber", 130.0, wall=WALL - 10 * DAY)]
    )
    (span,) = book.ended
    assert (span.length, span.begin_wall, span.end_wall) == (30.0, WALL + 100, WALL - 10 * DAY)


def test_the_machine_is_interrupted_while_no_uplink_is_online() -> None:
    line = Line("fiber", "cable")
    book = book_of(
        [
            line.notice("offline", "fiber", 100.0),
            line.notice("offline", "cable", 110.0),
            line.notice("online", "fiber", 130.0),
            line.notice("online", "cable", 170.0),
        ]
    )
    assert [(span.subject, span.length) for span in book.ended] == [("fiber", 30.0), (MACHINE, 20.0), ("cable", 60.0)]


def test_an_uplink_that_keeps_a_family_is_not_interrupted() -> None:
    notice = Line("fiber").notice("offline", "fiber", 100.0)._replace(online=("fiber",))
    assert book_of([notice]).open == ()


def test_before_anything_was_online_nothing_is_interrupted() -> None:
    line = Line()
    book = book_of([line.notice("plugged", "fiber", 5.0), line.notice("online", "fiber", 25.0)])
    assert book.ended == book.open == () and not book.waits


def test_what_is_switched_off_by_hand_is_not_interrupted() -> None:
    line = Line("fiber", "cable")
    assert book_of([line.notice("offline", "fiber", 100.0, new="disabled")]).open == ()
    line = Line("fiber", "cable")
    book = book_of([line.notice("offline", "fiber", 100.0)])
    assert [span.subject for span in book.open] == ["fiber"]
    assert recorded(book, (), lambda name: name != "fiber", MAIL).open == ()


def test_a_notice_that_is_delivered_again_changes_nothing() -> None:
    line = Line("fiber", "cable")
    notices = [line.notice("offline", "fiber", 100.0), line.notice("online", "fiber", 130.0)]
    notices += [line.notice("offline", "fiber", 130.0), line.notice("online", "fiber", 160.0)]
    once = book_of(notices)
    assert book_of(notices, before=once) == once
    assert [span.length for span in once.ended] == [30.0, 30.0]


def test_ids_of_one_run_are_in_the_order_of_their_numbers() -> None:
    first = Line("fiber", "cable").notice("offline", "fiber", 100.0)._replace(id=f"{7:020d}-9")
    second = first._replace(event="online", online=("fiber",), boottime=130.0, id=f"{7:020d}-10")
    assert len(book_of([first, second]).ended) == 1


# ---------------------------------------------------------------- gaps


class Clock:
    """A simulated machine: uplinks flap, and whenever a mail may go a server takes it."""

    def __init__(self, mail: Mail = MAIL) -> None:
        self.mail = mail
        self.book = MailQueue(boot_id=BOOT)
        self.line = Line("fiber", "cable")
        self.mails: list[float] = []
        self.told: list[Interruption] = []

    def second(self, now: float, events: Iterable[tuple[str, str]] = ()) -> None:
        """What a run at ``now`` does."""
        notices = [self.line.notice(event, uplink, now) for event, uplink in events]
        self.book = recorded(self.book, notices, everyone, self.mail)
        if due(self.book, self.mail, now, bool(self.line.online)):
            self.told += self.book.ended
            self.book = taken(handed(self.book, "text", self.mail, now), self.mail, now)
            self.mails.append(now)

    def flap(self, begin: int, end: int, uplink: str = "fiber", off: int = 10, on: int = 10) -> None:
        """Steadily, second by second."""
        for now in range(begin, end):
            at = (now - begin) % (off + on)
            self.second(now, [("offline", uplink)] if at == 0 else [("online", uplink)] if at == off else [])

    @property
    def gaps(self) -> list[float]:
        """Between mails."""
        return [later - sooner for sooner, later in zip(self.mails, self.mails[1:], strict=False)]


STEADY = [60, *range(360, 3600, 300)]


def test_a_day_of_flapping_is_told_with_growing_gaps_and_completely() -> None:
    clock = Clock()
    clock.flap(1000, 1000 + DAY)
    assert clock.gaps[: len(STEADY)] == STEADY
    assert STEADY[-1] == 3360 and set(clock.gaps[len(STEADY) :]) == {3600} and len(clock.mails) == 31
    assert [span.begin for span in (*clock.told, *clock.book.ended)] == [*range(1000, 1000 + DAY, 20)][
        : len(clock.told) + len(clock.book.ended)
    ]
    assert len(clock.told) + len(clock.book.ended) + clock.book.lost.count == DAY // 20


@pytest.mark.parametrize(("calm", "gap"), [(3599, 1560), (3600, 60)])
def test_calm_of_backoff_max_takes_the_gap_back_and_less_does_not(calm: int, gap: int) -> None:
    clock = Clock()
    clock.flap(0, 2000)
    ended = clock.book.ended[-1].begin + 10
    for now in range(2000, int(ended) + calm):
        clock.second(now)
    assert clock.gaps == [60, 360, 660, 960]
    clock.flap(int(ended) + calm, int(ended) + calm + 2000)
    assert clock.gaps[5] == gap


def test_a_long_interruption_is_no_calm() -> None:
    clock = Clock()
    clock.flap(0, 2000)
    clock.second(2000, [("offline", "fiber"), ("offline", "cable")])
    end = 2000 + 5 * 3600
    for now in range(2001, end):
        clock.second(now)
    assert clock.mails == [10, 70, 430, 1090], "nothing is online: no mail goes"
    clock.second(end, [("online", "cable")])
    clock.second(end + 1, [("online", "fiber")])
    clock.flap(end + 2, end + 4000)
    assert clock.mails[4:] == [end, end + 1260, end + 1260 + 1560]


def test_a_gap_that_was_taken_back_is_still_backoff_min() -> None:
    """An old interruption was told late, just before the next one."""
    book = outage(10.0, at=0.0)._replace(gap=3600.0, sent=-3590.0, calm=None)
    book = taken(handed(book, "text", MAIL, 3600.0), MAIL, 3600.0)._replace(calm=10.0)
    line = Line("fiber", "cable")
    line.count = 10
    book = book_of([line.notice("offline", "fiber", 3610.0), line.notice("online", "fiber", 3620.0)], before=book)
    assert book.gap is None and next_mail(book, MAIL, 3620.0) == 3660.0


def test_the_first_mail_goes_at_once_and_only_when_something_is_online() -> None:
    book = outage(30.0)
    assert not due(book, MAIL, 1030.0, False)
    assert due(book, MAIL, 1030.0, True)
    assert next_mail(MailQueue(), MAIL, 1030.0) is None


@given(
    st.lists(st.tuples(st.integers(1, 4000), st.integers(1, 4000)), max_size=12),
    st.sampled_from([0.0, 1.0, 60.0]),
    st.sampled_from([0.0, 1.0, 300.0]),
    st.sampled_from([60.0, 100.0, 3600.0]),
)
def test_no_two_mails_are_closer_than_the_gap_and_nothing_is_lost(
    flaps: list[tuple[int, int]], least: float, step: float, most: float
) -> None:
    mail = MAIL._replace(backoff_min=least, backoff_step=step, backoff_max=most)
    clock = Clock(mail)
    now = 0
    lengths = []
    for on, off in flaps:
        for event, wait in (("offline", on), ("online", off)):
            for moment in _moments(now, now + wait):
                clock.second(moment)
            now += wait
            clock.second(now, [(event, "fiber")])
        lengths.append(off)
    for moment in _moments(now, now + 8000):
        clock.second(moment)
    assert all(gap >= min(least, most) for gap in clock.gaps)
    assert [span.length for span in clock.told] == [length for length in lengths if length >= 5]
    assert not clock.book.waits


def _moments(begin: int, end: int) -> Iterator[int]:
    yield from range(begin + 30, end, 30)


# ---------------------------------------------------------------- what lasts


def test_what_lasts_is_told_once_while_it_does_if_there_is_another_way_out() -> None:
    line = Line("fiber", "cable")
    book = book_of([line.notice("offline", "fiber", 100.0)])
    assert book.waits and not due(book, MAIL, 100 + STILL - 1, True) and due(book, MAIL, 100 + STILL, True)
    assert not due(book, MAIL, 100 + STILL, False)
    book = taken(handed(book, "text", MAIL, 160.0), MAIL, 160.0)
    assert not book.waits and not due(book, MAIL, 1e6, True)
    assert [span.subject for span in lasting(book, MAIL, 1e6)] == ["fiber"]
    book = book_of([line.notice("online", "fiber", 5000.0)], before=book)
    assert due(book, MAIL, 5000.0, True) and book.ended[0].length == 4900.0


# ---------------------------------------------------------------- failures


def test_a_server_that_takes_nothing_is_asked_ever_more_seldom_and_loses_nothing() -> None:
    book, now, pauses = outage(30.0), 1030.0, []
    for _ in range(9):
        book = failed(handed(book, "text", MAIL, now), MAIL, now, "550 no", True)
        assert book.outgoing is None and len(book.ended) == 1 and book.error == "550 no"
        assert not due(book, MAIL, book.retry - 0.1, True) and due(book, MAIL, book.retry, True)
        pauses.append(book.retry - now)
        now = book.retry
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    book = taken(handed(book, "text", MAIL, now), MAIL, now)
    assert (book.ended, book.failures, book.error, book.gap) == ((), 0, "", 60.0)


def test_a_mail_whose_fate_is_unknown_stays_as_it_was_and_what_came_later_waits_for_the_next() -> None:
    book = handed(outage(30.0), "the text", MAIL, 1030.0)
    line = Line("fiber", "cable")
    line.count = 10
    later = [line.notice("offline", "fiber", 2000.0), line.notice("online", "fiber", 2010.0)]
    book = book_of(later, before=failed(book, MAIL, 1030.0, "hung up", False))
    assert book.outgoing is not None and book.outgoing.message == "the text"
    book = taken(book, MAIL, 2020.0)
    assert [span.length for span in book.ended] == [10.0]


def test_a_run_killed_after_handing_over_leaves_the_same_mail_for_the_next() -> None:
    book = handed(outage(30.0), "the text", MAIL, 1030.0)
    assert due(book, MAIL, 1031.0, True) and book.outgoing is not None and book.outgoing.message == "the text"


@given(st.integers(1, 3 * MOST))
def test_what_is_kept_is_bounded_and_counted(count: int) -> None:
    line = Line("fiber", "cable")
    notices = [
        line.notice(event, "fiber", 20.0 * number + shift)
        for number in range(count)
        for event, shift in (("offline", 1.0), ("online", 11.0))
    ]
    book = book_of(notices)
    assert len(book.ended) == min(count, MOST) and len(book.ended) + book.lost.count == count
    assert book.lost.seconds == 10.0 * book.lost.count
    assert taken(handed(book, "text", MAIL, 1e5), MAIL, 1e5).lost.count == 0


# ---------------------------------------------------------------- reboots


def test_an_interruption_goes_on_over_a_reboot_by_the_clock_on_the_wall() -> None:
    line = Line("fiber", "cable")
    book = book_of([line.notice("offline", "fiber", 5000.0)])._replace(at=5001.0, wall=WALL + 5001)
    book = rebased(book, "boot-2", 20.0, WALL + 5600)
    assert book.last == ""
    second = Line("cable")
    book = book_of([second.notice("online", "fiber", 40.0, wall=WALL + 5620)], before=book)
    (span,) = book.ended
    assert (span.length, span.rebooted) == (620.0, True)


def test_a_reboot_begins_and_ends_nothing() -> None:
    book = outage(30.0)._replace(at=1030.0, wall=WALL + 1030)
    book = taken(handed(book, "text", MAIL, 1030.0), MAIL, 1030.0)
    again = rebased(book, "boot-2", 10.0, WALL + 9000)
    line = Line()
    again = book_of([line.notice("plugged", "fiber", 11.0), line.notice("online", "fiber", 12.0)], before=again)
    assert again.ended == again.open == () and not due(again, MAIL, 1e6, True)


def test_a_clock_that_says_nothing_at_boot_leaves_the_uptime() -> None:
    line = Line("fiber", "cable")
    book = book_of([line.notice("offline", "fiber", 5000.0)])._replace(at=5001.0, wall=WALL + 5001)
    book = rebased(book, "boot-2", 20.0, 0.0)
    (span,) = book.open
    assert 20.0 - span.begin == 21.0


@given(st.floats(0, 1e6), st.floats(0, 1e7), st.floats(-1e9, 1e9))
def test_no_time_is_negative_after_a_reboot(at: float, uptime: float, step: float) -> None:
    line = Line("fiber", "cable")
    book = book_of([line.notice("offline", "fiber", at / 2)])
    book = book._replace(at=at + 1, wall=WALL, sent=at / 3, calm=at / 4, failures=1, retry=at + 100)
    book = rebased(book, "boot-2", uptime, WALL + step)
    assert all(when is not None and when <= uptime for when in (book.open[0].begin, book.sent, book.calm, book.retry))
    assert rebased(book, "boot-2", uptime + 5, WALL) == book


def test_an_interruption_too_many_is_not_begun() -> None:
    uplinks = [f"u{number}" for number in range(interruptions.MOST + 5)]
    line = Line("keep", *uplinks)
    book = book_of([line.notice("offline", name, 10.0) for name in uplinks])
    assert len(book.open) == interruptions.MOST


def test_a_quota_is_told_once_with_the_next_mail_and_kept_until_a_server_took_it() -> None:
    line = Line("fiber", "lte")
    warned, renewed, over = (line.notice(f"quota-{word}", "lte", 1000.0) for word in ("warning", "below", "exceeded"))
    book = book_of((warned, warned, renewed))
    assert [(one.subject, one.words) for one in book.news] == [("lte", warned.reason)]
    assert book.waits
    assert not book.open
    assert due(book, MAIL, 1000.0, online=True)
    sent = handed(book, "text", MAIL, 1000.0)
    later = book_of((over,), before=sent)
    assert failed(later, MAIL, 1001.0, "no", certain=True).news == later.news
    after = taken(later, MAIL, 1001.0)
    assert [one.at for one in after.news] == [over.at]
    assert after.waits
    assert taken(handed(after, "text", MAIL, 2000.0), MAIL, 2000.0).news == ()
    assert len(book_of(line.notice("quota-warning", "lte", float(at)) for at in range(MOST + 9)).news) == MOST


def test_of_failed_dials_in_a_row_the_third_is_told_and_so_is_an_exercise_that_fails() -> None:
    line = Line("lte")
    failures = [line.notice("dial-failed", "lte", float(number))._replace(dial_try=number) for number in range(1, 6)]
    exercise = line.notice("exercise-failed", "lte", 9.0)
    words = [news.words for news in book_of((*failures, exercise)).news]
    assert words == ["3 failed dials: 0 of 3 targets answered", "0 of 3 targets answered"]


def test_a_mail_says_how_much_of_a_quota_is_used() -> None:
    line = Line("lte")
    book = book_of((line.notice("quota-warning", "lte", 1000.0)._replace(reason="17 GB of 20 GB used (85 %)"),))
    now = text.Now(1000.0, WALL + 1000.0, "router", ("lte",))
    assert text.subject(book, MAIL, now) == "router: lte: 17 GB of 20 GB used (85 %)"
    assert ", lte: 17 GB of 20 GB used (85 %)\n" in text.body(book, MAIL, now)


def test_news_that_makes_room_is_counted_in_the_next_mail() -> None:
    line = Line("lte")
    book = book_of(line.notice("repair-step", "lte", float(at)) for at in range(interruptions.MOST + 3))
    assert (len(book.news), book.dropped) == (interruptions.MOST, 3)
    assert "3 older messages of other kinds" in text.body(book, MAIL, text.Now(1e4, WALL, "hut"))
    sent = handed(book, "text", MAIL, 1e4)
    later = book_of((line.notice("repair-step", "lte", 2e4),), before=sent)
    assert taken(later, MAIL, 2e4).dropped == 1


def test_what_is_counted_while_a_mail_is_under_way_is_told_by_the_next_one() -> None:
    sent = handed(NOTHING._replace(short=2, lost=Omitted(3, 30.0)), "text", MAIL, 1e4)
    ended = Interruption(sent.serial, "lte", "wwan0", 1.0, WALL, length=9.0)
    after = taken(sent._replace(short=5, lost=Omitted(4, 35.0), ended=(ended,)), MAIL, 1e4)
    assert (after.short, after.lost, after.ended) == (3, Omitted(1, 5.0), (ended,))


def test_what_lasts_is_named_from_min_interruption_on() -> None:
    book = NOTHING._replace(open=(Interruption(1, "lte", "wwan0", 100.0, WALL),))
    assert [len(lasting(book, MAIL, 100.0 + MAIL.min_interruption + more)) for more in (-0.1, 0.0, 0.1)] == [0, 1, 1]


@pytest.mark.parametrize(
    "waiting",
    [
        {"ended": (Interruption(1, "lte", "", 1.0, WALL, length=9.0),)},
        {"lost": Omitted(1, 9.0)},
        {"outgoing": Outgoing("text", 1)},
        {"news": (News(1, "lte", WALL, "words"),)},
        {"open": (Interruption(1, "lte", "", 1.0, WALL),)},
    ],
)
def test_each_of_these_alone_is_worth_a_mail_and_after_a_boot_at_once(waiting: dict[str, Any]) -> None:
    book = NOTHING._replace(**waiting, at=500.0, wall=WALL, failures=3, retry=9e5)
    assert next_mail(book, MAIL, 1e3) == 9e5
    assert due(rebased(book, "boot-2", 30.0, WALL + 600), MAIL, 30.0, online=True)
