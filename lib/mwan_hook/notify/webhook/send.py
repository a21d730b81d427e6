"""One post to a webhook by requests, in a child process; of the URL only the host is ever said.

No redirection is followed: the headers of header_file would go where they were not meant to go, and a captive portal's
answer would count for the webhook's.
"""

from __future__ import annotations

import ssl
import time
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import urlsplit

from mwan_hook import __version__
from mwan_hook.model import MwanError
from mwan_hook.notify import child
from mwan_hook.notify.child import Delivery
from mwan_hook.redact import HIDDEN
from mwan_hook.say import shown
from mwan_hook.store import files, foreign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.structures import CaseInsensitiveDict

    from mwan_hook.model import Webhook
    from mwan_hook.notify.child import Hear, Tell
    from mwan_hook.notify.webhook.book import Post

    Headers = Mapping[str, str] | CaseInsensitiveDict[str]

POSTING = "posting"
# answers about this very post (RFC 9110): bad request, too large, of a type or with a content that is not taken
REFUSALS = (400, 413, 415, 422)
LARGEST = 1 << 16  # bytes of header_file
_HINTS = (
    ("NameResolutionError", "the name is not known"),
    ("gaierror", "the name is not known"),
    ("SSLCertVerificationError", "the certificate is not accepted"),
    ("SSLError", "no TLS there"),
    ("ConnectionRefusedError", "connection refused: no server there, or the wrong port"),
    ("TimeoutError", "no answer in time"),
    ("RemoteDisconnected", "closed without an answer"),
    ("ConnectionResetError", "connection reset"),
)


def hand_over(root: str, hook: Webhook, post: Post, tell: Tell = lambda words: None) -> Delivery:
    """Post it as configured; never raises for what a server, a name or a file does.  ``tell`` hears of each step."""
    try:
        headers = {**_headers(root, hook), **_own(post)}
        ca_file = files.under(root, hook.ca_file.lstrip("/")) if hook.ca_file else ""
        action = partial(_converse, hook, ca_file, headers, post.body)
        return child.converse(action, hook.timeout, POSTING, tell)
    except MwanError as error:
        return Delivery(False, True, str(error))


def where(url: str) -> str:
    """The URL without what may be a secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{f'/{HIDDEN}' if parts.path.strip('/') or parts.query else ''}"


def _own(post: Post) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": f"mwan-hook/{__version__}",
        "Idempotency-Key": post.key,
        "Connection": "close",
    }


def _headers(root: str, hook: Webhook) -> dict[str, str]:
    """What header_file holds: a ``NAME: VALUE`` a line.  Raises MwanError, also if others may read it."""
    if not hook.header_file:
        return {}
    path = files.under(root, hook.header_file.lstrip("/"))
    found = {}
    for number, line in enumerate(foreign.secret(path, LARGEST).splitlines(), 1):
        name, colon, value = line.partition(":")
        good = colon and name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        good = good and value.strip().isprintable()
        if good:
            found[name] = value.strip()
        elif line.strip():
            raise MwanError(f"{path}:{number}: expected NAME: VALUE, as in Authorization: Bearer TOKEN")
    return found


def _converse(hook: Webhook, ca_file: str, headers: Mapping[str, str], body: str, hear: Hear) -> None:
    """The child's part: one request, and what is said of it."""
    import requests

    place = where(hook.url)
    hear((POSTING, f"posting to {place}", None))
    with requests.Session() as session:
        session.trust_env = False  # no .netrc and no proxy of the user who started us
        # or requests reads the whole of a redirection's reply, followed or not
        session.get_redirect_target = lambda _: None  # type: ignore[method-assign,assignment]
        trust: bool | str = (ca_file or _system_trust()) if hook.verify else False
        try:
            with session.post(
                hook.url,
                data=body.encode(),
                headers=dict(headers),
                timeout=hook.timeout,
                allow_redirects=False,
                stream=True,
                verify=trust,
            ) as response:
                outcome = judged(response.status_code, response.headers, place)
        except (OSError, ValueError) as error:  # requests' own are OSError, too
            outcome = Delivery(False, False, f"posting to {place}: {_why(error)}")
    hear((POSTING, "", outcome))


def _system_trust() -> str | bool:
    """The certificates of the system, as for mail; True leaves the choice to requests."""
    paths = ssl.get_default_verify_paths()
    return paths.cafile or paths.capath or True


def judged(status: int, headers: Headers, place: str) -> Delivery:
    """What an answer means: 2xx took it, REFUSALS are for good, anything else may change."""
    if 200 <= status < 300:
        return Delivery(True, True, f"{place} took it")
    words = f"{place} answered {status}"
    if 300 <= status < 400:
        to = _host(headers.get("Location", ""))
        words += f", to {shown(to)[:100]}" if to else ""
        return Delivery(False, True, f"{words}: redirections are not followed")
    pause = retry_after(headers.get("Retry-After", ""), time.time())
    return Delivery(False, True, words, refused=status in REFUSALS, after=pause)


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def retry_after(text: str, now: float) -> float:
    """Seconds to wait by a header's number or date; 0 for none, and for what is neither."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now)
    except (ValueError, TypeError, OverflowError, OSError):
        return 0.0


def _why(error: BaseException) -> str:
    """Words for a failure: by its causes, since those of requests repeat the URL."""
    seen: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(seen) < 10:
        seen += [type(one).__name__ for one in (cause, *getattr(cause, "args", ())) if isinstance(one, BaseException)]
        reasons = (getattr(one, "reason", None) for one in getattr(cause, "args", ()))
        reason = next((one for one in reasons if isinstance(one, BaseException)), None)
        seen += [type(reason).__name__] if reason else []
        cause = reason or cause.__cause__ or cause.__context__
    return next((words for name, words in _HINTS if name in seen), f"no HTTP answer ({type(error).__name__})")
