"""What waits to be posted to a webhook, one notice a post, in order.  Pure; times are CLOCK_BOOTTIME seconds."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.notify.queueing import order, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mwan_hook.model import Notice, Webhook

MOST = 1000  # posts that wait; the oldest go first


class Post(NamedTuple):
    """One notice as it was; ``key`` stays the same however often it is sent."""

    key: str
    event: str
    body: str


class Queue(NamedTuple):
    """All that is remembered between runs and boots."""

    boot_id: str = ""
    at: float = 0.0  # of the last writing
    wall: float = 0.0
    last: str = ""  # the last notice's id
    posts: tuple[Post, ...] = ()
    omitted: int = 0  # that were dropped because too many waited, since the last post that was taken
    failures: int = 0  # since a server last took one
    retry: float = 0.0
    error: str = ""

    @property
    def waits(self) -> bool:
        """True if there is something to post."""
        return bool(self.posts)


def rebased(queue: Queue, boot_id: str, _now: float, _wall: float) -> Queue:
    """The same queue in another boot, which ends the pause after failures as it does for mail."""
    return queue if queue.boot_id == boot_id else queue._replace(boot_id=boot_id, last="", retry=0.0)


def recorded(queue: Queue, notices: Iterable[Notice], hook: Webhook, body: Callable[[Notice], str]) -> Queue:
    """The queue with what happened; notices that it knows already change nothing."""
    for notice in notices:
        if not queue.last or order(notice.id) > order(queue.last):
            queue = queue._replace(last=notice.id)
            if not hook.events or notice.event in hook.events:
                post = Post(f"{queue.boot_id}-{notice.id}", notice.event, body(notice))
                queue = queue._replace(posts=(*queue.posts, post))
    over = max(0, len(queue.posts) - MOST)
    return queue._replace(posts=queue.posts[over:], omitted=queue.omitted + over)


def due(queue: Queue, now: float, online: bool) -> bool:
    """True if the first post may go now."""
    return bool(queue.posts) and online and (not queue.failures or now >= queue.retry)


def done(queue: Queue, key: str) -> Queue:
    """The server took the post, or refused it for good."""
    posts = tuple(post for post in queue.posts if post.key != key)
    return queue._replace(posts=posts, omitted=0, failures=0, retry=0.0, error="")


def failed(queue: Queue, hook: Webhook, now: float, error: str, after: float) -> Queue:
    """No server took it; ``after``: seconds that one asked for."""
    wait = min(max(pause(queue.failures, hook.backoff_min, hook.backoff_max), after), max(hook.backoff_max, 1.0))
    return queue._replace(failures=queue.failures + 1, retry=now + wait, error=error)
