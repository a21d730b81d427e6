"""``mwan-hook webhook``: what waits to be posted, post it, or try whether the webhook takes anything at all."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

from mwan_hook import config
from mwan_hook.durations import duration
from mwan_hook.model import ConfigError, Webhook
from mwan_hook.notify import unsent
from mwan_hook.notify.mail import text
from mwan_hook.notify.webhook import deliver
from mwan_hook.notify.webhook import send as webhooksend
from mwan_hook.notify.webhook.book import MOST, Post
from mwan_hook.say import complain, say, shown


def run(root: str, send: bool, test: bool) -> int:
    """0; 1 if a post was not taken.  Raises MwanError."""
    hook = config.look(root).config.webhook
    if not hook.url:
        if send:
            unsent.WEBHOOK.set_aside(root)
            return 0  # what the timer runs
        raise ConfigError("[webhook] url is not set: expected one, as in url = https://example.org/hook")
    if test:
        return _tested(root, hook)
    if send:
        return 0 if deliver.send_due(root, hook) else 1
    say(_waiting(root))
    return 0


def _tested(root: str, hook: Webhook) -> int:
    """Post now, though others may wait."""
    words = {"host": text.host(), "event": "test", "reason": "this is a test of mwan-hook"}
    post = Post(str(uuid.uuid4()), "test", json.dumps(words))
    outcome = webhooksend.hand_over(root, hook, post, lambda line: say([f"{line} ..."]))
    if outcome.accepted:
        say([outcome.words])
        return 0
    complain([f"webhook: {outcome.words}"])
    return 1


def _waiting(root: str) -> Iterator[str]:
    """The queue for people."""
    queue = unsent.WEBHOOK.load(root, writes=False)
    for post in queue.posts:
        notice = json.loads(post.body)
        yield f"{shown(post.event)} {shown(notice.get('uplink', ''))}: {shown(notice.get('reason', ''))}"
    if queue.omitted:
        yield f"{queue.omitted} older ones were dropped: more than {MOST} waited"
    if not queue.posts:
        yield "nothing waits to be posted"
    elif queue.failures:
        pause = max(0.0, queue.retry - time.clock_gettime(time.CLOCK_BOOTTIME))
        yield f"next try: in {duration(pause)}"
        yield f"last try: {queue.error}"
