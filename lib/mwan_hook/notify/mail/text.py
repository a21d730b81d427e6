"""What a mail says, for a person with a phone: what, how long, since when, and which way out there is now."""

from __future__ import annotations

import os

from mwan_hook import dates
from mwan_hook.durations import duration
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, WayOut
from mwan_hook.notify.mail.book import MACHINE
from mwan_hook.notify.mail.pacing import lasting
from mwan_hook.say import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Family, Mail
    from mwan_hook.notify.mail.book import Interruption, MailQueue

MACHINES = "No internet at all"
LONGEST = 160  # characters of a reason


class Now(NamedTuple):
    """The moment that a mail is written in."""

    boottime: float
    wall: float
    host: str
    online: tuple[str, ...] = ()
    best: dict[Family, WayOut] = {}


def message(sender: str, to: Sequence[str], subject: str, body: str, now: Now) -> str:
    """The whole mail as it goes over the wire, in ASCII."""
    from datetime import datetime  # only who sends one pays for these
    from email import policy
    from email.message import EmailMessage
    from email.utils import format_datetime, make_msgid

    made = EmailMessage(policy.SMTP)
    made["From"] = sender
    made["To"] = ", ".join(to)
    made["Subject"] = subject
    made["Date"] = format_datetime(datetime.fromtimestamp(now.wall).astimezone())
    made["Message-ID"] = make_msgid("mwan-hook", domain=now.host)
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(body, charset="utf-8", cte="quoted-printable")
    return made.as_bytes().decode("ascii")


def host() -> str:
    """The name of this machine without its domain: asking for that could take long."""
    return shown(os.uname().nodename) or "localhost"


def sender(mail: Mail) -> str:
    """``from``; without it the account at the server, else this program at this machine."""
    return mail.sender or (mail.user if "@" in mail.user else f"mwan-hook@{host()}")


def subject(book: MailQueue, mail: Mail, now: Now) -> str:
    """The most important of it in one line."""
    words = [_summary(spans) for spans in _by_subject(book.ended).values()]
    words += [
        f"{shown(span.subject)} is offline since {clock(span.begin_wall, now.wall)}"
        for span in lasting(book, mail, now.boottime)
        if span.subject != MACHINE
    ]
    words += [f"{shown(one.subject)}: {shown(one.words)}" for one in book.news[-1:]]
    if book.lost.count:
        words.append(f"{_times(book.lost.count)} more")
    return f"{now.host}: {'; '.join(words) or 'an interruption'}"


def _summary(spans: Sequence[Interruption]) -> str:
    total = duration(sum(span.length or 0.0 for span in spans))
    often = f"{_times(len(spans))}, {total} altogether" if len(spans) > 1 else f"for {total}"
    machine = spans[0].subject == MACHINE
    return f"no internet {often}" if machine else f"{shown(spans[0].subject)} was offline {often}"


def body(book: MailQueue, mail: Mail, now: Now) -> str:
    """The mail's text: the whole machine first, then each uplink, the oldest interruption first."""
    going_on = lasting(book, mail, now.boottime)
    parts = [f"{now.host}, {dates.local(now.wall, '%a %d %b %Y %H:%M:%S %Z (%z)')}"]
    for spans in _by_subject((*book.ended, *going_on)).values():
        lines = (_line(span, now) for span in sorted(spans, key=lambda one: (one.begin_wall, one.serial)))
        parts.append("\n".join([_heading(spans[-1]), *lines]))
    for about in dict.fromkeys(one.about for one in book.news):
        news = [one for one in book.news if one.about == about]
        lines = (f"  {clock(one.at, now.wall)}, {shown(one.subject)}: {shown(one.words)}" for one in news)
        parts.append("\n".join([about, *lines]))
    parts += _left_out(book, mail)
    if book.unreached:
        parts.append(f"The mail before this one did not reach\n  {shown(book.unreached)}")
    return "\n\n".join([*parts, ways_out(now)]) + "\n"


def _by_subject(spans: Sequence[Interruption]) -> dict[str, list[Interruption]]:
    names = sorted({span.subject for span in spans}, key=lambda name: (name != MACHINE, name))
    return {name: [span for span in spans if span.subject == name] for name in names}


def _heading(span: Interruption) -> str:
    if span.subject == MACHINE:
        return MACHINES
    where = f" ({shown(span.interface)})" if span.interface not in ("", span.subject) else ""
    return f"{shown(span.subject)}{where} offline"


def _line(span: Interruption, now: Now) -> str:
    """One interruption: its times, how long, why."""
    begin = clock(span.begin_wall, now.wall)
    if span.length is None:
        times = f"since {begin}, {duration(now.boottime - span.begin)} so far"
    else:
        end = clock(span.end_wall, span.begin_wall)
        times = f"{begin} to {end}, {duration(span.length)}"
    reboot = " (over a reboot)" if span.rebooted else ""
    reason = shown(span.reason)[:LONGEST]
    return f"  {times}{reboot}" + (f"\n    {reason}" if reason else "")


def _left_out(book: MailQueue, mail: Mail) -> list[str]:
    parts = []
    if book.lost.count:
        parts.append(f"And {_times(book.lost.count)} before, {duration(book.lost.seconds)} altogether.")
    if book.dropped:
        parts.append(f"{book.dropped} older messages of other kinds made room for these.")
    if book.short:
        parts.append(f"{_times(book.short).capitalize()} shorter than {mail.min_interruption:g} s.")
    return parts


def ways_out(now: Now) -> str:
    """How traffic leaves now."""
    lines = [f"  {'IPv4' if family.af == 2 else 'IPv6'}: {_way(now.best.get(family))}" for family in FAMILIES]
    online = ", ".join(shown(name) for name in now.online) or "nothing"
    return "\n".join(["Way out now", *lines, f"  Online: {online}"])


def _way(way: WayOut | None) -> str:
    if way is None or not way.uplink:
        return "none"
    gateway = f" via {way.gateway}" if way.gateway else ""
    return f"{shown(way.uplink)} ({shown(way.interface)}), {way.address}{shown(gateway)}"


def _times(count: int) -> str:
    return f"{count} times" if count > 1 else "once"


def clock(at: float, seen_from: float) -> str:
    """Local time with its zone; the day only where it is another one."""
    form = "%H:%M:%S %Z" if dates.same_day(at, seen_from) else "%a %d %b %Y %H:%M:%S %Z"
    return dates.local(at, form)
