"""The kernel's answer to RTM_GETROUTE: the way of one packet.  Needs no root."""

from __future__ import annotations

from _struct import pack
from posix import strerror

from mwan_hook.addresses import packed
from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.kernel.question import Question

RTM_F_LOOKUP_TABLE = 0x1000
_IIF, _MARK, _UID, _IP_PROTO, _SPORT, _DPORT = 3, 16, 25, 27, 28, 29
_ROUTE_BODY = "=BBBBBBBBI"


def out(asked: Question) -> int:
    """The index of the interface that it leaves by; 0 where the kernel refuses it."""
    message, error, _ = ask(asked, 0)
    return 0 if error else int.from_bytes(wire.attributes(message, 28).get(wire.RTA_OIF, b""), "little")


def ask(asked: Question, flags: int) -> tuple[bytes, int, str]:
    """(message, errno, the kernel's words)."""
    if asked.family is Family.IPV4:
        flags |= RTM_F_LOOKUP_TABLE  # IPv6 tells the table always, and takes no such flag
    message = netlink.ask(frames.request(wire.RTM_GETROUTE, 0, _body(asked, flags)))
    if message[4] != wire.NLMSG_ERROR or message[5]:
        return message, 0, ""
    error, said = netlink.refusal(message)
    return b"", error, said or strerror(error)


def _body(asked: Question, flags: int) -> bytes:
    to = packed(asked.destination)
    source = packed(asked.source) if asked.source else b""
    body = pack(_ROUTE_BODY, asked.family.af, 8 * len(to), 8 * len(source), 0, 0, 0, 0, 0, flags)
    body += frames.attribute(wire.RTA_DST, to)
    body += frames.attribute(wire.RTA_SRC, source) if source else b""
    numbers = ((_IIF, asked.iif), (wire.RTA_OIF, asked.oif), (_MARK, asked.mark))
    body += b"".join(frames.number(kind, value) for kind, value in numbers if value)
    body += frames.number(_UID, asked.uid) + frames.attribute(_IP_PROTO, bytes((asked.proto,)))
    ports = ((_SPORT, asked.sport), (_DPORT, asked.dport))
    return body + b"".join(frames.attribute(kind, pack(">H", value)) for kind, value in ports if value)
