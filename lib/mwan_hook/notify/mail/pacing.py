"""When a mail may go, and what becomes of the book when one was handed over.  Pure; times are those of the book."""

from __future__ import annotations

from mwan_hook.notify.mail.book import Omitted, Outgoing, is_news
from mwan_hook.notify.queueing import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Mail
    from mwan_hook.notify.mail.book import Interruption, MailQueue

STILL = 60.0  # seconds after which an uplink's interruption is told while it lasts, if there is another way out


def lasting(book: MailQueue, mail: Mail, now: float) -> tuple[Interruption, ...]:
    """Interruptions that go on and are long enough to be named."""
    return tuple(span for span in book.open if now - span.begin >= mail.min_interruption)


def next_mail(book: MailQueue, mail: Mail, now: float) -> float | None:
    """When a mail may go, if something is online then; None while there is nothing to tell."""
    long = max(STILL, mail.min_interruption)
    late = any(is_news(span) and now - span.begin >= long for span in book.open)
    if not (book.has_news or late):
        return None
    when = book.retry if book.failures else 0.0
    if book.sent is not None:
        when = max(when, book.sent + (_first_gap(mail) if book.gap is None else book.gap))
    return when


def due(book: MailQueue, mail: Mail, now: float, online: bool) -> bool:
    """A mail may go now."""
    when = next_mail(book, mail, now)
    return online and when is not None and now >= when


def handed(book: MailQueue, message: str, mail: Mail, now: float) -> MailQueue:
    """Record a mail before a server sees it, so that a run killed in between hands over the same one again."""
    still = tuple(span.serial for span in lasting(book, mail, now))
    return book._replace(outgoing=Outgoing(message, book.serial, still, book.short, book.lost, book.dropped))


def taken(book: MailQueue, mail: Mail, now: float, unreached: str = "") -> MailQueue:
    """A server took the mail: what was in it is told, and the next gap is longer."""
    out = book.outgoing
    if out is None:
        return book
    gap = _first_gap(mail) if book.gap is None else min(book.gap + mail.backoff_step, mail.backoff_max)
    return book._replace(
        open=tuple(span._replace(told=span.told or span.serial in out.open) for span in book.open),
        ended=tuple(span for span in book.ended if span.serial >= out.upto),
        lost=Omitted(max(0, book.lost.count - out.lost.count), max(0.0, book.lost.seconds - out.lost.seconds)),
        news=tuple(one for one in book.news if one.serial >= out.upto),
        short=max(0, book.short - out.short),
        dropped=max(0, book.dropped - out.dropped),
        gap=gap,
        sent=now,
        outgoing=None,
        failures=0,
        retry=0.0,
        error="",
        unreached=unreached,
    )


def _first_gap(mail: Mail) -> float:
    return min(mail.backoff_min, mail.backoff_max)


def failed(book: MailQueue, mail: Mail, now: float, error: str, certain: bool) -> MailQueue:
    """No server took it; ``certain``: one may not have taken it without our knowing, so the next may be a new one."""
    wait = pause(book.failures, mail.backoff_min, mail.backoff_max)
    return book._replace(
        outgoing=None if certain else book.outgoing, failures=book.failures + 1, retry=now + wait, error=error
    )
