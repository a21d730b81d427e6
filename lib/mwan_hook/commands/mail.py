"""``mwan-hook mail``: what waits to be told, tell it, or try whether mail works at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

from mwan_hook import config
from mwan_hook.durations import duration
from mwan_hook.model import ConfigError, Mail
from mwan_hook.notify import unsent
from mwan_hook.notify.mail import deliver
from mwan_hook.notify.mail import send as mailsend
from mwan_hook.notify.mail import text as mailtext
from mwan_hook.notify.mail.book import MACHINE, Interruption, MailQueue
from mwan_hook.notify.mail.pacing import next_mail
from mwan_hook.notify.mail.text import Now
from mwan_hook.say import complain, say, shown


def run(root: str, send: bool, test: bool) -> int:
    """0; 1 if a mail was not taken.  Raises MwanError."""
    loaded = config.look(root)
    mail = loaded.config.mail
    if not mail.to:
        if send:
            unsent.MAIL.set_aside(root)
            return 0  # what the timer runs
        raise ConfigError("[mail] to is not set: expected addresses, as in to = someone@example.org")
    if test:
        return _tested(root, mail)
    if send:
        deliver.record(root, loaded.config, ())  # an uplink that was switched off meanwhile is no news
        return 0 if deliver.send_due(root, loaded.config) else 1
    now = deliver.present(root)
    say(_waiting(unsent.MAIL.load(root, writes=False), mail, now))
    return 0


def _tested(root: str, mail: Mail) -> int:
    """Send a mail now, though others may wait; every step is said."""
    now = deliver.present(root)
    text = f"This is a test of mwan-hook on {now.host}. Mail works.\n\n{mailtext.ways_out(now)}\n"
    message = deliver.compose(mail, f"{now.host}: test of mwan-hook", text, now)
    outcome = mailsend.hand_over(root, mail, message, lambda words: say([f"{words} ..."]))
    if not outcome.accepted:
        complain([f"mail: {outcome.words}"])
        return 1
    say([f"{outcome.words}; look for it at {', '.join(mail.to)}"])
    if outcome.unreached:
        complain([f"mail: refused for {outcome.unreached}"])
    return 1 if outcome.unreached else 0


def _waiting(book: MailQueue, mail: Mail, now: Now) -> Iterator[str]:
    """The book for people."""
    for span in book.ended:
        yield f"{_who(span)}: offline for {duration(span.length or 0.0)}, {_since(span)}"
    if book.lost.count:
        yield f"{book.lost.count} before, {duration(book.lost.seconds)} altogether"
    for span in book.open:
        yield f"{_who(span)}: offline, {_since(span)}"
    yield from (f"{shown(one.subject)}: {shown(one.words)}" for one in book.news)
    if not book.waits:
        yield "nothing waits to be told"
    when = next_mail(book, mail, now.boottime)
    if when is not None:
        pause = f"in {duration(when - now.boottime)}" if when > now.boottime else "now"
        yield f"next mail: {pause}{'' if now.online else ', but nothing is online'}"
    if book.error:
        yield f"last try: {book.error}"
    if book.sent is not None:
        yield f"last mail: {mailtext.clock(time.time() - now.boottime + book.sent, now.wall)}"


def _who(span: Interruption) -> str:
    return "the whole machine" if span.subject == MACHINE else shown(span.subject)


def _since(span: Interruption) -> str:
    return f"since {mailtext.clock(span.begin_wall, time.time())}"
