"""TCP and UDP sockets of this network namespace, and ending them (sock_diag, linux/inet_diag.h).

A dump is one of a family and a protocol.  ``SOCK_DESTROY`` is there in kernels with CONFIG_INET_DIAG_DESTROY (since
4.5, UDP since 4.9; Debian has it); the program gets ECONNABORTED.  It needs CAP_NET_ADMIN, and so do marks, which are 0
without it.  No library is needed for it, and only runs that look after connections import this.
"""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, MSG_DONTWAIT, inet_ntop
from _struct import Struct, unpack_from
from errno import EACCES, ENOENT, EOPNOTSUPP, EPERM
from posix import strerror
from time import CLOCK_BOOTTIME, clock_gettime

from mwan_hook.addresses import network, packed
from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.light import NamedTuple
from mwan_hook.model import TCP, UDP, Neighbourhood, Socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Collection, Iterable, Iterator

SOCK_DIAG_BY_FAMILY, SOCK_DESTROY = 20, 21
PROTOCOLS = (TCP, UDP)
ALL_STATES = 0xFFFFFFFF
_TOS, _SKV6ONLY, _TCLASS, _MARK = 5, 11, 6, 15
_EXTENSIONS = 1 << _TOS - 1 | 1 << _TCLASS - 1
_REQUEST, _PORTS, _COUNTS = Struct("=BBBBI"), Struct("!HH"), Struct("=IIIII")
_STATE, _SPORT, _LOCAL, _PEER, _DEVICE, _EXPIRES, _ATTRIBUTES = 17, 20, 24, 40, 56, 68, 88
_IDENTITY = slice(20, 68)  # struct inet_diag_sockid
_MAPPED = bytes(10) + b"\xff\xff"


class Ended(NamedTuple):
    """What came of ending sockets."""

    sockets: tuple[Socket, ...] = ()
    unable: str = ""  # why this kernel cannot do it at all
    failed: str = ""  # why one could not be ended
    left: int = 0  # not tried, because the time was up


def everything(protocols: Iterable[int] = PROTOCOLS) -> Iterator[Socket]:
    """Every socket of both families.  Raises MwanError."""
    for protocol in protocols:
        for af in (AF_INET, AF_INET6):
            for message in _dumped(af, protocol):
                yield _socket(message, protocol)


def concerning(addresses: Collection[str]) -> list[Socket]:
    """Sockets with one of these local addresses, and those that wait for others to come.  Raises MwanError.

    Of a machine with very many sockets only these become values.
    """
    four = {packed(one) for one in addresses if ":" not in one}
    mapped = {_MAPPED + one for one in four}
    six = {packed(one) for one in addresses if ":" in one} | mapped
    found = []
    for protocol in PROTOCOLS:
        waiting = 10 if protocol == TCP else 7  # TCP_LISTEN; TCP_CLOSE is a UDP socket that is not connected
        for af, own, end in ((AF_INET, four, _LOCAL + 4), (AF_INET6, six, _LOCAL + 16)):
            if four or af == AF_INET6:
                found += [
                    _socket(message, protocol)
                    for message in _dumped(af, protocol)
                    if message[_STATE] == waiting or message[_LOCAL:end] in own
                ]
    return found


def networks() -> tuple[Neighbourhood, ...]:
    """The networks that interfaces are in by their addresses, with these and the other ends of point-to-point links."""
    found: dict[Neighbourhood, None] = {}
    for buffer in netlink.dump_alone(wire.RTM_GETADDR, bytes(8)):
        for message in frames.split(buffer):
            found.update(dict.fromkeys(_networks(message)))
    return tuple(found)


def destroy(chosen: Iterable[Socket], until: float) -> Ended:
    """End these sockets, as many as can be by ``until`` (CLOCK_BOOTTIME seconds).

    What has ended meanwhile is left out.

    The kernel compares each with the cookie that it had in the dump: a port that was used anew meanwhile is not hit.
    """
    waiting = list(chosen)
    done: list[Socket] = []
    failed = ""
    sock = netlink.connect(protocol=netlink.NETLINK_SOCK_DIAG)
    try:
        for place, one in enumerate(waiting):
            if clock_gettime(CLOCK_BOOTTIME) >= until:
                return Ended(tuple(done), "", failed, len(waiting) - place)
            code = _destroyed(sock, one)
            if code == EOPNOTSUPP and unable():
                return Ended(tuple(done), UNABLE)
            if not code:
                done.append(one)
            elif code not in (ENOENT, EOPNOTSUPP):  # EOPNOTSUPP of one socket: it is in TIME_WAIT meanwhile
                failed = f"ending a socket of {one.local}: {strerror(code)}"
                if code in (EPERM, EACCES):
                    break
    finally:
        sock.close()
    return Ended(tuple(done), "", failed)


def soon() -> float:
    """Half a second from now, CLOCK_BOOTTIME seconds."""
    return clock_gettime(CLOCK_BOOTTIME) + 0.5


UNABLE = "this kernel was built without CONFIG_INET_DIAG_DESTROY"


def unable() -> str:
    """Why this kernel ends no sockets; empty: it does.  It is asked to end one that cannot be, which needs no root."""
    none = Socket(AF_INET, TCP, 1, "127.0.0.1", 0, "127.0.0.1", 0, identity=bytes(48))
    try:
        return UNABLE if _code(netlink.ask(_destruction(none), netlink.NETLINK_SOCK_DIAG)) == EOPNOTSUPP else ""
    except OSError as error:
        return f"this kernel has no sock_diag ({error.strerror})"


def _body(af: int, protocol: int, identity: bytes) -> bytes:
    return _REQUEST.pack(af, protocol, _EXTENSIONS, 0, ALL_STATES) + identity


def _dumped(af: int, protocol: int) -> Iterator[bytes]:
    body = _body(af, protocol, bytes(48))
    for buffer in netlink.dump_alone(SOCK_DIAG_BY_FAMILY, body, netlink.NETLINK_SOCK_DIAG):
        yield from frames.split(buffer)


def _destroyed(sock: socket, one: Socket) -> int:
    sock.send(_destruction(one))
    return _code(sock.recv(netlink.RECEIVE, MSG_DONTWAIT))  # the kernel has answered within send


def _destruction(one: Socket) -> bytes:
    return frames.request(SOCK_DESTROY, wire.NLM_F_ACK, _body(one.af, one.protocol, one.identity))


def _code(answer: bytes) -> int:
    """0, or an errno."""
    return -int(unpack_from("=i", answer, 16)[0])


def _socket(message: bytes, protocol: int) -> Socket:
    af = message[16]
    sport, dport = _PORTS.unpack_from(message, _SPORT)
    _, _, _, uid, inode = _COUNTS.unpack_from(message, _EXPIRES)
    more = wire.attributes(message, _ATTRIBUTES) if len(message) > _ATTRIBUTES else {}
    local, peer = _address(af, message[_LOCAL:_PEER]), _address(af, message[_PEER:_DEVICE])
    tos = more.get(_TCLASS if af == AF_INET6 and ":" in local else _TOS, b"\0")[0]
    mark = int.from_bytes(more.get(_MARK, b""), "little")
    device = int.from_bytes(message[_DEVICE : _DEVICE + 4], "little")
    only6 = more.get(_SKV6ONLY, b"\0")[0] == 1
    state, identity = message[_STATE], message[_IDENTITY]
    return Socket(af, protocol, state, local, sport, peer, dport, device, uid, inode, mark, tos >> 2, only6, identity)


def _address(af: int, value: bytes) -> str:
    if af == AF_INET:
        return inet_ntop(AF_INET, value[:4])
    return inet_ntop(AF_INET, value[12:]) if value.startswith(_MAPPED) else inet_ntop(AF_INET6, value)


def _networks(message: bytes) -> Iterator[Neighbourhood]:
    af, length = message[16], message[17]
    if af not in (AF_INET, AF_INET6):
        return
    index, found = int.from_bytes(message[20:24], "little"), wire.attributes(message, 24)
    other, own = found.get(wire.IFA_ADDRESS, b""), found.get(wire.IFA_LOCAL, b"")
    if other:
        yield Neighbourhood(index, network(inet_ntop(af, other), length))
    if own and own != other:
        yield Neighbourhood(index, f"{inet_ntop(af, own)}/{8 * len(own)}")
