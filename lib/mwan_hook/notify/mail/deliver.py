"""Interruptions that wait for mail: told when something is online and the last mail is long enough ago."""

from __future__ import annotations

import time

from mwan_hook.durations import duration
from mwan_hook.model import FAMILIES, Phase, Status
from mwan_hook.notify import unsent
from mwan_hook.notify.mail import text
from mwan_hook.notify.mail.book import recorded
from mwan_hook.notify.mail.pacing import due, failed, handed, taken
from mwan_hook.notify.mail.text import Now
from mwan_hook.say import complain, say
from mwan_hook.store import state as states
from mwan_hook.store import wake
from mwan_hook.verdict import switches

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Config, Mail, Notice
    from mwan_hook.notify.mail.book import MailQueue


def deliver(root: str, loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Write down what happened, and tell it if it is time.  Raises MwanError.

    Started by systemd it leaves telling to mwan-hook-mail.service, or a hanging server would keep the next hooks
    waiting; by hand only a server that took no mail the last time.
    """
    if not record(root, loaded.config, notices).failures and not wake.by_systemd():
        send_due(root, loaded.config)
    return True


def record(root: str, config: Config, notices: Iterable[Notice]) -> MailQueue:
    """The book with what happened, on the disk.  Raises MwanError."""
    watched = _watched(root, config)
    book: MailQueue = unsent.MAIL.change(root, lambda kept: recorded(kept, notices, watched, config.mail))
    return book


def send_due(root: str, config: Config) -> bool:
    """Hand one mail over if it is time; False if no server took it.  Raises MwanError."""
    mail = config.mail
    lock = unsent.MAIL.sending(root)
    if not lock.acquire():
        return True  # another run is at it
    try:
        now = present(root)
        book = unsent.MAIL.load(root, writes=False)
        if not due(book, mail, now.boottime, bool(now.online)):
            return True
        doubtful = book.outgoing is not None
        book = unsent.MAIL.change(root, lambda kept: _written(kept, mail, now))
        return _sent(root, mail, book, doubtful)
    finally:
        lock.release()


def present(root: str) -> Now:
    """The machine as the last run left it."""
    state, _ = states.load(root, writes=False)
    online = tuple(
        name
        for name, uplink in state.uplinks.items()
        if any(uplink.family(family).status is Status.ONLINE for family in FAMILIES)
    )
    boottime = time.clock_gettime(time.CLOCK_BOOTTIME)
    return Now(boottime, time.time(), text.host(), online, state.best)


def compose(mail: Mail, subject: str, body: str, now: Now) -> str:
    """A mail with headers."""
    return text.message(text.sender(mail), mail.to, subject, body, now)


def _written(book: MailQueue, mail: Mail, now: Now) -> MailQueue:
    """A mail whose fate is not known goes again as it was: with its Message-ID a second one can be told."""
    if book.outgoing:
        return book
    message = compose(mail, text.subject(book, mail, now), text.body(book, mail, now), now)
    return handed(book, message, mail, now.boottime)


def _sent(root: str, mail: Mail, book: MailQueue, doubtful: bool) -> bool:
    """``doubtful``: it was handed over before, so one that cannot be reached now says nothing about it."""
    from mwan_hook.notify.mail import send

    assert book.outgoing is not None
    outcome = send.hand_over(root, mail, book.outgoing.message)
    now = time.clock_gettime(time.CLOCK_BOOTTIME)
    if outcome.accepted:
        unsent.MAIL.change(root, lambda kept: taken(kept, mail, now, outcome.unreached))
        say([f"mail: {outcome.words}"])
        complain([f"mail: refused for {outcome.unreached}"] if outcome.unreached else [])
        return not outcome.unreached
    again = not outcome.certain or (doubtful and not outcome.refused)
    after = unsent.MAIL.change(root, lambda kept: failed(kept, mail, now, outcome.words, not again))
    pause = duration(after.retry - now)
    complain([f"mail: not sent: {outcome.words}; kept, tried again in {pause}"])
    return False


def _watched(root: str, config: Config) -> Callable[[str], bool]:
    """Uplinks of the configuration that are neither switched off nor stand by; with no [uplinks] every one."""
    dials = states.load(root, writes=False)[0].dials if config.dials else {}
    resting = {name for name, one in dials.items() if one.phase is Phase.IDLE}
    configured = {uplink.name: uplink.enabled for uplink in config.uplinks}
    switched = switches.standing(states.load_allotment(root, writes=False)[0], config.uplinks)

    def watched(name: str) -> bool:
        if name in resting:
            return False
        by_command = switches.word(switched, name)
        return configured.get(name.partition("@")[0], not configured) if by_command is None else by_command

    return watched
