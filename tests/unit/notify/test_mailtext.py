"""What a mail says, word by word; when there is one, test_interruptions tells."""

from __future__ import annotations

import pytest

from mwan_hook.model import Family, Mail, WayOut
from mwan_hook.notify.mail import text
from mwan_hook.notify.mail.book import MACHINE, Interruption, MailQueue, News

MAIL = Mail(to=("a@example.org",), min_interruption=5)
WALL = 1_800_000_000.0  # a Friday, 08:00 UTC
LTE = WayOut("lte", "wwan0", "10.0.0.2", "10.0.0.1")
NOW = text.Now(100_000.0, WALL, "router", ("lte", "dsl"), {Family.IPV4: LTE})


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def span(
    serial: int, subject: str, begin: float, length: float | None, reason: str = "", interface: str = ""
) -> Interruption:
    """``begin``: seconds before now."""
    one = Interruption(serial, subject, interface, NOW.boottime - begin, NOW.wall - begin, reason)
    return one if length is None else one._replace(length=length, end_wall=one.begin_wall + length)


DSL = span(1, "dsl", 300, 42, "no carrier", "ppp0")
AGAIN = span(2, "dsl", 200, 90, "1 of 2 targets answered", "ppp0")
ALL = span(3, MACHINE, 250, 10)
LONG = span(4, "sat", 90_000, None, "no gateway", "sat")


@pytest.mark.parametrize(
    ("book", "words"),
    [
        (MailQueue(ended=(DSL,)), "dsl was offline for 42 s"),
        (MailQueue(ended=(DSL, AGAIN)), "dsl was offline 2 times, 2 min 12 s altogether"),
        (MailQueue(ended=(DSL, ALL)), "no internet for 10 s; dsl was offline for 42 s"),
        (MailQueue(ended=(ALL, ALL._replace(serial=9))), "no internet 2 times, 20 s altogether"),
        (MailQueue(open=(LONG,)), "sat is offline since Thu 14 Jan 2027 07:00:00 UTC"),
        (MailQueue(news=(News(5, "lte", WALL, "half"), News(6, "lte", WALL, "all"))), "lte: all"),
        (
            MailQueue(ended=(DSL,))._replace(lost=MailQueue().lost._replace(count=3)),
            "dsl was offline for 42 s; 3 times more",
        ),
        (MailQueue(), "an interruption"),
    ],
)
def test_the_subject_is_the_most_important_of_it(book: MailQueue, words: str) -> None:
    assert text.subject(book, MAIL, NOW) == f"router: {words}"


def test_the_text_tells_the_machine_first_then_each_uplink_and_how_traffic_leaves_now() -> None:
    book = MailQueue(
        ended=(AGAIN, ALL, DSL._replace(rebooted=True)),
        open=(LONG,),
        news=(News(5, "lte", WALL - 60, "85 %"),),
        lost=MailQueue().lost._replace(count=1, seconds=61),
        short=2,
        unreached="550 no such user",
    )
    assert (
        text.body(book, MAIL, NOW)
        == """router, Fri 15 Jan 2027 08:00:00 UTC (+0000)

{machine}
  07:55:50 UTC to 07:56:00 UTC, 10 s

dsl (ppp0) offline
  07:55:00 UTC to 07:55:42 UTC, 42 s (over a reboot)
    no carrier
  07:56:40 UTC to 07:58:10 UTC, 1 min 30 s
    1 of 2 targets answered

sat offline
  since Thu 14 Jan 2027 07:00:00 UTC, 1 d 1 h so far
    no gateway

Quota
  07:59:00 UTC, lte: 85 %

And once before, 1 min 1 s altogether.

2 times shorter than 5 s.

The mail before this one did not reach
  550 no such user

Way out now
  IPv4: lte (wwan0), 10.0.0.2 via 10.0.0.1
  IPv6: none
  Online: lte, dsl
""".replace("{machine}", text.MACHINES)
    )


def test_what_there_is_nothing_of_is_left_out() -> None:
    nothing = NOW._replace(online=(), best={})
    assert (
        text.body(MailQueue(), MAIL, nothing)
        == """router, Fri 15 Jan 2027 08:00:00 UTC (+0000)

Way out now
  IPv4: none
  IPv6: none
  Online: nothing
"""
    )


def test_a_way_without_a_gateway_and_a_time_that_no_clock_knows_have_words() -> None:
    ppp = WayOut("dsl", "ppp0", "203.0.113.5", "")
    assert "  IPv6: dsl (ppp0), 203.0.113.5\n" in text.ways_out(NOW._replace(best={Family.IPV6: ppp}))
    assert text.clock(1e20, WALL) == "100000000000000000000"
