"""What an HTTP reply says about an uplink: DESIGN's mapping of status and body to connectivity."""

from __future__ import annotations

import http.client
import zlib

import urllib3

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.model import Connectivity, Expect
from mwan_hook.say import shown

if TYPE_CHECKING:
    import requests

    from mwan_hook.model import Target

BODY_LIMIT = 64 * 1024
AUTHENTICATION_REQUIRED = 511  # RFC 6585: a portal's own status
NO_BODY = (204, 205)
PACKED = ("gzip", "x-gzip", "deflate")
EITHER_HEADER = 47  # zlib's window bits for gzip or zlib
# What a broken reply raises on its way through requests, urllib3 and http.client.
BROKEN = (
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,  # and with it requests' own
    ValueError,
    zlib.error,
)
_WORDS = (
    (http.client.RemoteDisconnected, "closed without an answer"),
    (http.client.LineTooLong, "broken reply: a header line without end"),
    (http.client.BadStatusLine, "no HTTP reply"),
    (http.client.UnknownProtocol, "no HTTP reply"),
    (http.client.IncompleteRead, "broken reply: it ends too early"),
    (zlib.error, "broken reply: the body cannot be unpacked"),
)


def judge(target: Target, response: requests.Response) -> tuple[Connectivity, str | None]:
    """Connectivity by status and body, and words where it is not full.

    Raises ValueError, zlib.error or what requests raises for a reply that is broken.
    """
    status = response.status_code
    if status == AUTHENTICATION_REQUIRED or 300 <= status < 400:
        return Connectivity.PORTAL, f"HTTP status {status}"
    if not 200 <= status < 300:
        return Connectivity.LIMITED, f"HTTP status {status}"
    body, whole = _body(response, 1 if target.expect is Expect.EMPTY else BODY_LIMIT)
    if matches(target, body, whole):
        return Connectivity.FULL, None
    return Connectivity.PORTAL, "another body than expected"


def _body(response: requests.Response, limit: int) -> tuple[bytes, bool]:
    """Read at most ``limit`` bytes, and whether that is all.  Raises ValueError for a body that ends too early."""
    body: bytes = response.raw.read(limit, decode_content=False)
    length = response.headers.get("Content-Length", "")
    promised = int(length) if length.isdecimal() else None
    if response.status_code in NO_BODY:
        promised = None
    if promised is not None and len(body) < min(promised, limit):
        raise ValueError("the body ends too early")
    whole = len(body) < limit or promised == limit
    if response.headers.get("Content-Encoding", "").lower() in PACKED and limit > 1:
        unpacking = zlib.decompressobj(EITHER_HEADER)  # we did not ask for it; held to the same limit
        body = unpacking.decompress(body, limit)
        whole = whole and unpacking.eof
    return body, whole


def chain(error: BaseException) -> list[BaseException]:
    """A broken reply's exception and what led to it.

    urllib3 1.26 first calls getresponse() with an argument it does not have; that TypeError, swallowed, is still the
    context of what the second call raises, and tells nothing.
    """
    errors = [error]
    while isinstance(error.__context__, BROKEN):
        error = error.__context__
        errors.append(error)
    return errors


def why(errors: list[BaseException]) -> str:
    """Words for a broken reply."""
    for kind, words in _WORDS:
        if any(isinstance(error, kind) for error in errors):
            return words
    text = shown(str(errors[-1])[:80])
    return f"broken reply: {text}" if text else "broken reply"


def matches(target: Target, body: bytes, whole: bool) -> bool:
    """True if the body is the expected one; a line break at its very end does not count."""
    text = target.body.encode("utf-8", "surrogateescape")
    bare = body.rstrip(b"\r\n")
    if target.expect is Expect.EMPTY:
        return not body
    if target.expect is Expect.ANYWHERE:
        return text in body
    if target.expect is Expect.PREFIX:
        return body.startswith(text)
    if target.expect is Expect.SUFFIX:
        return whole and (body.endswith(text) or bare.endswith(text))
    return whole and text in (body, bare)
