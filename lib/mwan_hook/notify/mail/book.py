"""What a person is told by mail: interruptions of each uplink and of the whole machine.

Times are CLOCK_BOOTTIME seconds of the boot that the book was last written in; what happened in an earlier boot has
small or negative ones.  Those that end in ``wall`` are seconds since the epoch and only shown.
"""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model import BY_US, DEGRADED
from mwan_hook.notify.queueing import order

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mwan_hook.model import Mail, Notice

MACHINE = ""  # whose interruptions are those of all uplinks together
QUOTAS = ("quota-warning", "quota-exceeded")  # events that are told, too,
REPAIR = "repair-step"  # and this one
DIAL_FAILED, EXERCISE_FAILED = "dial-failed", "exercise-failed"
THIRD = 3  # failed dial in a row, which is told
MOST = 200  # interruptions kept for the next mail; of older ones only the number and the time
TENTH = 1  # digits: what a look at the kernel may come late must not make an interruption too short


class Interruption(NamedTuple):
    """One interruption; ``length`` is None while it lasts."""

    serial: int
    subject: str  # the uplink's name, or MACHINE
    interface: str
    begin: float
    begin_wall: float
    reason: str = ""
    length: float | None = None
    end_wall: float = 0.0
    rebooted: bool = False  # a reboot lies within: measured by the clock on the wall
    told: bool = False  # while it lasted


class Omitted(NamedTuple):
    """Interruptions that are told by number and time alone."""

    count: int = 0  # type: ignore[assignment]  # not tuple.count
    seconds: float = 0.0


class News(NamedTuple):
    """A threshold that was passed."""

    serial: int
    subject: str
    at: float  # seconds since the epoch
    words: str
    about: str = "Quota"


class Outgoing(NamedTuple):
    """A mail as it was handed over, until it is known what became of it.  ``open``: serials of what still lasts."""

    message: str
    upto: int  # serial: what has a smaller one, and has ended, is in it
    open: tuple[int, ...] = ()
    short: int = 0
    lost: Omitted = Omitted()
    dropped: int = 0


class MailQueue(NamedTuple):
    """All that is remembered between runs and boots."""

    boot_id: str = ""
    at: float = 0.0  # of the last writing
    wall: float = 0.0
    last: str = ""  # the last notice's id
    serial: int = 1  # of the next interruption
    open: tuple[Interruption, ...] = ()
    ended: tuple[Interruption, ...] = ()  # not told yet
    lost: Omitted = Omitted()
    short: int = 0  # shorter than min_interruption, since the last mail
    calm: float | None = None  # end of the last interruption
    gap: float | None = None  # seconds that must lie between the last mail and the next; None: none since a calm
    sent: float | None = None  # when a server last took a mail
    outgoing: Outgoing | None = None
    failures: int = 0  # since a server last took one
    retry: float = 0.0
    error: str = ""
    unreached: str = ""  # recipients that the last mail was refused for
    news: tuple[News, ...] = ()  # not told yet
    dropped: int = 0  # older news that made room

    @property
    def waits(self) -> bool:
        """True if there is something to tell, now or when it has lasted long enough."""
        return self.has_news or any(is_news(span) for span in self.open)

    @property
    def has_news(self) -> bool:
        """True if there is something to tell that does not last."""
        return bool(self.ended or self.lost.count or self.outgoing or self.news)


def rebased(book: MailQueue, boot_id: str, now: float, wall: float) -> MailQueue:
    """The same book in another boot: the clock on the wall says how long ago it was written, or the uptime does.

    A boot ends the pause after failures: the machine, or the line, is another one.
    """
    if book.boot_id == boot_id:
        return book
    book = book._replace(boot_id=boot_id, last="")
    if not book.at:
        return book
    by = now - max(now, wall - book.wall) - book.at
    return book._replace(
        open=tuple(span._replace(begin=span.begin + by, rebooted=True) for span in book.open),
        ended=tuple(span._replace(begin=span.begin + by) for span in book.ended),
        calm=None if book.calm is None else book.calm + by,
        sent=None if book.sent is None else book.sent + by,
        retry=0.0,
    )


def recorded(book: MailQueue, notices: Iterable[Notice], watched: Callable[[str], bool], mail: Mail) -> MailQueue:
    """The book with what happened.  Notices that it knows already change nothing: they may be delivered again.

    ``watched`` is False for uplinks that are configured or switched off: their interruption is forgotten.
    """
    for notice in notices:
        if not book.last or order(notice.id) > order(book.last):
            book = _noted(book, notice, mail)._replace(last=notice.id)
    kept = tuple(span for span in book.open if span.subject == MACHINE or watched(span.subject))
    return book if kept == book.open else book._replace(open=kept)


def _noted(book: MailQueue, notice: Notice, mail: Mail) -> MailQueue:
    """Note what a notice tells: what is online now is interrupted no more, what went offline is from now on."""
    for span in book.open:
        if span.subject in notice.online or (span.subject == MACHINE and notice.online):
            book = _ended(book, span, notice, mail)
    words, about = _told(notice)
    if words:
        told = News(book.serial, notice.uplink, notice.at, words, about)
        over = max(0, len(book.news) + 1 - MOST)
        news = (*book.news, told)[over:]
        return book._replace(serial=book.serial + 1, news=news, dropped=book.dropped + over)
    if notice.event != "offline" or notice.new == "disabled" or notice.reason.startswith(BY_US):
        return book
    if notice.uplink not in notice.online:
        book = _begun(book, notice.uplink, notice)
    return book if notice.online else _begun(book, MACHINE, notice)


def _told(notice: Notice) -> tuple[str, str]:
    """What is told of an event that is no interruption, and below which heading; empty for any other."""
    if notice.event in QUOTAS:
        return notice.reason, "Quota"
    if notice.event == REPAIR:
        return f"repair {notice.new}: {notice.reason}", "Repair"
    if notice.event != "offline" and DEGRADED in (notice.event, notice.old):
        family = f" in {notice.family.value}" if notice.family else ""
        return f"{notice.new}{family}: {notice.reason}", "Quality"
    if notice.event == EXERCISE_FAILED:
        return notice.reason, "Backups"
    if notice.event == DIAL_FAILED and notice.dial_try == THIRD:
        return f"{THIRD} failed dials: {notice.reason}", "Backups"
    return "", ""


def _begun(book: MailQueue, subject: str, notice: Notice) -> MailQueue:
    if len(book.open) >= MOST or any(span.subject == subject for span in book.open):
        return book
    interface, reason = ("", "") if subject == MACHINE else (notice.interface, notice.reason)
    span = Interruption(book.serial, subject, interface, notice.boottime, notice.at, reason)
    return book._replace(serial=book.serial + 1, open=(*book.open, span))


def _ended(book: MailQueue, span: Interruption, notice: Notice, mail: Mail) -> MailQueue:
    """Report an interruption, unless it was short.  A spell of calm before it takes the gap between mails back."""
    others = tuple(other for other in book.open if other.serial != span.serial)
    length = max(0.0, notice.boottime - span.begin)
    if round(length, TENTH) < mail.min_interruption:
        return book._replace(open=others, short=book.short + 1)
    first = min(other.begin for other in book.open)
    calm = 0.0 if book.calm is None else first - book.calm
    end = max(notice.boottime, notice.boottime if book.calm is None else book.calm)
    done = span._replace(serial=book.serial, length=length, end_wall=notice.at)
    book = book._replace(serial=book.serial + 1, open=others, ended=(*book.ended, done), calm=end)
    return _bounded(book._replace(gap=None) if calm >= mail.backoff_max else book)


def _bounded(book: MailQueue) -> MailQueue:
    """The newest ones; what a mail in an unknown state holds may be told twice then, but never not at all."""
    over = len(book.ended) - MOST
    if over <= 0:
        return book
    seconds = sum(span.length or 0.0 for span in book.ended[:over])
    lost = Omitted(book.lost.count + over, book.lost.seconds + seconds)
    return book._replace(ended=book.ended[over:], lost=lost)


def is_news(span: Interruption) -> bool:
    """True of an interruption of one uplink that was not told yet."""
    return span.subject != MACHINE and not span.told
