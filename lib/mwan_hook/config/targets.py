"""The grammar of probe targets: text of the configuration to :class:`Target`.

``http://HOST[:PORT]/PATH[=EXPECT]``, the same with https, ``icmp://ADDRESS``, ``tcp://HOST:PORT``,
``dns://SERVER[:PORT]/NAME[/TYPE]``, ``ntp://SERVER[:PORT]`` and ``gateway:``.
"""

from __future__ import annotations

from mwan_hook.addresses import is_address
from mwan_hook.model import Expect, Method, Target
from mwan_hook.verdict.rounds import PORTS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

FORMS = (
    "http://HOST/PATH[=EXPECT], https://HOST/PATH[=EXPECT], icmp://ADDRESS, tcp://HOST:PORT, "
    "dns://SERVER[:PORT]/NAME[/TYPE], ntp://SERVER[:PORT] or gateway:"
)
DNS_PORT, NTP_PORT = 53, 123
RRTYPES = {
    "A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "NAPTR": 35,
    "DS": 43, "DNSKEY": 48, "TLSA": 52, "SVCB": 64, "HTTPS": 65, "CAA": 257,
}  # fmt: skip
"""Record types that a dns target may ask for, with their numbers (IANA, DNS parameters)."""

_LABEL = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
_HEX = frozenset("0123456789abcdefABCDEF")
_DOTS = "..."


def parse(text: str) -> Target:
    """The target that ``text`` spells; ValueError says what was expected.

    Ports are filled in (80, 443, 53); 0 where the method has none.  ``body`` is percent-decoded; bytes that
    are not UTF-8 stand in it as surrogates (encode with ``surrogateescape``).
    """
    if not text.isprintable() and any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise ValueError("expected no control characters: write them as %0A")
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme == "gateway" and colon and not rest:
        return Target(text, Method.GATEWAY, name=text)
    reader = _READERS.get(scheme)
    if reader is None or not rest.startswith("//"):
        raise ValueError(f"expected {FORMS}")
    return reader(text, rest[2:])._replace(name=_name(text))


def _name(text: str) -> str:
    """The text without secrets; mostly there are none."""
    if "?" not in text and "@" not in text:
        return text
    from mwan_hook.redact import hidden

    return hidden(text)


def split_expectation(rest: str) -> tuple[str, str]:
    """URL and expectation, both raw.

    Before a query the first ``=`` begins the expectation; in it, the second one of an ``&``-part does.
    """
    equals, question = rest.find("="), rest.find("?")
    if equals < 0:
        return rest, ""
    if question < 0 or equals < question:
        return rest[:equals], rest[equals + 1 :]
    own = False
    for at in range(question + 1, len(rest)):
        if rest[at] == "&":
            own = False
        elif rest[at] == "=":
            if own:
                return rest[:at], rest[at + 1 :]
            own = True
    return rest, ""


def expectation(raw: str) -> tuple[Expect, str]:
    """How a body is compared, and with what; the dots count as written, so ``%2E..`` is text."""
    if not raw:
        return Expect.EMPTY, ""
    ends = raw.endswith(_DOTS)
    if raw.startswith(_DOTS) and ends and len(raw) >= 2 * len(_DOTS):
        return Expect.ANYWHERE, percent_decode(raw[3:-3])
    if ends:
        return Expect.PREFIX, percent_decode(raw[:-3])
    if raw.startswith(_DOTS):
        return Expect.SUFFIX, percent_decode(raw[3:])
    return Expect.WHOLE, percent_decode(raw)


def percent_decode(text: str) -> str:
    """``%XX`` decoded, ``+`` and a stray ``%`` kept (urllib.parse costs the common run too much)."""
    if "%" not in text:
        return text
    head, *parts = text.encode("utf-8", "surrogateescape").split(b"%")
    raw = bytearray(head)
    for part in parts:
        code = part[:2].decode("latin-1")
        if len(code) == 2 and _HEX.issuperset(code):
            raw.append(int(code, 16))
            raw += part[2:]
        else:
            raw += b"%" + part
    return raw.decode("utf-8", "surrogateescape")


def _http(text: str, rest: str) -> Target:
    method = Method(text.partition(":")[0].lower())
    url, expected = split_expectation(rest)
    if "#" in url or any(char.isspace() for char in url):
        raise ValueError("expected a URL without blanks and '#' before the expectation: write %20 and %23")
    cut = min(at for at in (url.find("/"), url.find("?"), len(url)) if at >= 0)
    host, port = authority(url[:cut], "http://[2001:db8::1]/")
    path = url[cut:] if url[cut:].startswith("/") else "/" + url[cut:]
    how, body = expectation(expected)
    return Target(text, method, host, port or PORTS[method], path, expect=how, body=body)


def _icmp(text: str, rest: str) -> Target:
    address = rest[1:-1] if rest.startswith("[") and rest.endswith("]") and ":" in rest else rest
    if not is_address(address):
        raise ValueError("expected icmp:// and an IPv4 or IPv6 address, as in icmp://1.1.1.1 or icmp://2606:4700::1111")
    return Target(text, Method.ICMP, address)


def _tcp(text: str, rest: str) -> Target:
    host, port = authority(rest, "tcp://[2001:db8::1]:443")
    if port is None:
        raise ValueError("expected tcp://HOST:PORT")
    return Target(text, Method.TCP, host, port)


def _dns(text: str, rest: str) -> Target:
    server, slash, question = rest.partition("/")
    name, _, rrtype = question.partition("/")
    rrtype = rrtype.upper() or "A"
    if not slash or not name:
        raise ValueError("expected dns://SERVER[:PORT]/NAME[/TYPE]")
    host, port = _server(server, "dns://[2001:db8::1]:53/example.org")
    if name != "." and not _is_name(name.removesuffix(".")):
        raise ValueError(f"expected a domain name after the server, not {name!r}")
    if rrtype not in RRTYPES:
        raise ValueError(f"expected a record type ({', '.join(RRTYPES)}), not {rrtype!r}")
    return Target(text, Method.DNS, host, port or DNS_PORT, name, rrtype)


def _ntp(text: str, rest: str) -> Target:
    host, port = _server(rest, "ntp://[2001:db8::1]:123")
    return Target(text, Method.NTP, host, port or NTP_PORT)


_READERS: dict[str, Callable[[str, str], Target]] = {
    "http": _http,
    "https": _http,
    "icmp": _icmp,
    "tcp": _tcp,
    "dns": _dns,
    "ntp": _ntp,
}


def _server(text: str, example: str) -> tuple[str, int | None]:
    """Host and port of ``HOST``, ``HOST:PORT`` or an address without brackets."""
    return (text, None) if is_address(text) else authority(text, example)


def authority(text: str, example: str) -> tuple[str, int | None]:
    """Host and port of ``HOST``, ``HOST:PORT``, ``[V6]`` or ``[V6]:PORT``."""
    if "@" in text:
        raise ValueError("expected no user name before the host")
    if text.startswith("["):
        host, closed, tail = text[1:].partition("]")
        if not closed or ":" not in host or not is_address(host) or (tail and not tail.startswith(":")):
            raise ValueError(f"expected an IPv6 address in brackets, as in {example}")
        return host, _port(tail[1:]) if tail else None
    if text.count(":") > 1:
        raise ValueError(f"expected brackets around an IPv6 address, as in {example}")
    host, colon, port = text.partition(":")
    if not _is_name(host) and not is_address(host):
        raise ValueError(f"expected a host name or an address, not {host!r}")
    return host, _port(port) if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"expected a port from 1 to 65535, not {text!r}")
    return int(text)


def _is_name(text: str) -> bool:
    """A host or domain name in ASCII; one that ends in a number would be a mistyped address."""
    name = text.removesuffix(".")
    labels = name.split(".")
    return (
        0 < len(name) <= 253
        and all(0 < len(label) <= 63 and _LABEL.issuperset(label) for label in labels)
        and not labels[-1].isdigit()
    )
