"""Notices that wait to be posted: in order, while something is online, the same one until it is taken or refused."""

from __future__ import annotations

import json
import time

from mwan_hook.durations import duration
from mwan_hook.notify import hooks, unsent
from mwan_hook.notify.mail.deliver import present
from mwan_hook.notify.mail.text import host
from mwan_hook.notify.webhook import book
from mwan_hook.say import complain, say
from mwan_hook.store import wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice, Webhook
    from mwan_hook.notify.webhook.book import Post, Queue


def deliver(root: str, loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Write down what happened, and post it if it is time; as for mail, a unit posts under systemd.

    Raises MwanError.
    """
    hook = loaded.config.webhook
    if not record(root, hook, notices).failures and not wake.by_systemd():
        send_due(root, hook)
    return True


def record(root: str, hook: Webhook, notices: Iterable[Notice]) -> Queue:
    """The queue with what happened, on the disk.  Raises MwanError."""
    before = 0

    def noted(queue: Queue) -> Queue:
        nonlocal before
        before = queue.omitted
        return book.recorded(queue, notices, hook, body)

    after: Queue = unsent.WEBHOOK.change(root, noted)
    if after.omitted > before:
        complain([f"webhook: more than {book.MOST} notices wait; dropped the oldest {after.omitted - before}"])
    return after


def body(notice: Notice) -> str:
    """The JSON that hooks get, and which machine it comes from."""
    return json.dumps({"host": host(), **hooks.as_json(notice)})


def send_due(root: str, hook: Webhook) -> bool:
    """Post all that is due; False if a post was not taken.  Raises MwanError."""
    lock = unsent.WEBHOOK.sending(root)
    if not lock.acquire():
        return True  # another run is at it
    try:
        good = True
        while good and book.due(queue := unsent.WEBHOOK.load(root, False), _now(), bool(present(root).online)):
            good = _sent(root, hook, queue.posts[0])
        return good
    finally:
        lock.release()


def _sent(root: str, hook: Webhook, post: Post) -> bool:
    """A post that was refused for good is named once and goes no more; any other stays the first."""
    from mwan_hook.notify.webhook import send

    outcome = send.hand_over(root, hook, post)
    if outcome.accepted or outcome.refused:
        unsent.WEBHOOK.change(root, lambda queue: book.done(queue, post.key))
        if outcome.accepted:
            say([f"webhook: {post.event}: {outcome.words}"])
        else:
            complain([f"webhook: {post.event}: {outcome.words}; it is not posted again"])
        return True
    now = _now()
    after = unsent.WEBHOOK.change(root, lambda queue: book.failed(queue, hook, now, outcome.words, outcome.after))
    complain([f"webhook: not posted: {outcome.words}; kept, tried again in {duration(after.retry - now)}"])
    return False


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
