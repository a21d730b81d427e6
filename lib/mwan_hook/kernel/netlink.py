"""Netlink sockets: opening one, asking by it, dumps over it, what a refusal says."""

from __future__ import annotations

from _socket import AF_NETLINK, MSG_DONTWAIT, SO_RCVBUF, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET, socket
from _struct import Struct, unpack_from
from errno import EAFNOSUPPORT, ENODEV, ENOENT, EOPNOTSUPP
from posix import strerror, urandom  # not `os`, which costs more than all of a run in peace

from mwan_hook.kernel import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

NETLINK_ROUTE, NETLINK_SOCK_DIAG, NETLINK_NETFILTER, NETLINK_GENERIC = 0, 4, 12, 16
NLMSG_ERROR = 2
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
SOL_NETLINK = 270
LISTEN_FDS_START = 3
RTMGRP_IPV6_ROUTE = 0x400
# links, addresses, routes, rules, nexthop objects
EVERYTHING = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | RTMGRP_IPV6_ROUTE | 0x40000 | 0x80000000
NETLINK_NO_ENOBUFS, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 5, 10, 11, 12
# A socket with groups is asked whether there was news, not which: of 10,000 copied routes that is read in a moment.
ENOUGH_TO_KNOW = 4096
# The kernel makes no buffer of a dump larger than 32 KiB (since Linux 4.9; tests/netns/test_kernel_messages.py).
RECEIVE = 65536

_HEADER = Struct("=IHHII")
_NLMSGERR_ATTR_MSG = 1
_ABSENT = (ENOENT, ENODEV, EAFNOSUPPORT, EOPNOTSUPP)


def connect(groups: int = 0, protocol: int = NETLINK_ROUTE) -> socket:
    """A socket that has the kernel check requests strictly and explain its refusals.

    ``groups`` is a mask of RTMGRP_*: kinds of changes that it hears of.
    """
    sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)
    for option in (NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK, NETLINK_CAP_ACK):
        sock.setsockopt(SOL_NETLINK, option, 1)
    sock.setsockopt(SOL_SOCKET, SO_RCVBUF, ENOUGH_TO_KNOW if groups else 1 << 20)
    sock.bind((0, groups))
    return sock


def ask(message: bytes, protocol: int = NETLINK_ROUTE) -> bytes:
    """The answer to one message.

    The kernel gives it within send (since Linux 2.6.24; tests/netns/test_kernel_messages.py).
    """
    sock = connect(protocol=protocol)
    try:
        sock.send(message)
        return sock.recv(RECEIVE, MSG_DONTWAIT)
    finally:
        sock.close()


def dump_alone(kind: int, body: bytes, protocol: int = NETLINK_ROUTE) -> Iterator[bytes]:
    """The buffers of one dump, by a socket of its own."""
    sock = connect(protocol=protocol)
    try:
        yield from dump(sock, kind, body)
    finally:
        sock.close()


def inherited_sockets() -> tuple[socket, ...]:
    """The route netlink sockets that systemd has opened and passed, as sd_listen_fds(3) says; none without it.

    A storm that they cannot hold is no error of theirs: systemd gives a socket with an error up for good.  They stay
    readable then, and what they lost is found by looking.
    """
    from mwan_hook import plainos

    if plainos.variable("LISTEN_PID") != str(plainos.getpid()):
        return ()
    count = plainos.variable("LISTEN_FDS")
    handed = [socket(fileno=LISTEN_FDS_START + place) for place in range(int(count) if count.isdigit() else 0)]
    for sock in handed:
        plainos.set_inheritable(sock.fileno(), False)
    told = tuple(sock for sock in handed if sock.family == AF_NETLINK)
    for sock in told:  # for the one that systemd keeps, too
        sock.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)
        sock.setsockopt(SOL_SOCKET, SO_RCVBUF, ENOUGH_TO_KNOW)
    return told


def any_change(sockets: Iterable[socket]) -> bool:
    """Whether one of these sockets with groups heard of any change since they were asked last."""
    return sum(_drained(sock) for sock in sockets) > 0  # every one of them is asked


def _drained(sock: socket) -> bool:
    anything = False
    while True:
        try:
            sock.recv(RECEIVE, MSG_DONTWAIT)
        except BlockingIOError:
            return anything
        except OSError:  # ENOBUFS: more than it could hold
            pass
        anything = True


def refusal(message: bytes) -> tuple[int, str]:
    """(errno, the kernel's own words) of an NLMSG_ERROR with NETLINK_CAP_ACK, or an NLMSG_DONE."""
    code: int = unpack_from("=i", message, 16)[0]
    from mwan_hook.kernel import wire

    start = 36 if message[4] == NLMSG_ERROR else 20
    words = wire.attributes(message, start).get(_NLMSGERR_ATTR_MSG, b"")
    return -code, words.rstrip(b"\0").decode(errors="replace")


def dump(sock: socket, kind: int, body: bytes, watch: socket | None = None) -> Iterator[bytes]:
    """The buffers of one dump, whole messages in each; none for a table, family or device that does not exist.

    MwanError for what the kernel refuses, InterruptedDumpError if the dump's end is marked so; the marks on other
    messages are for the caller to see (:func:`frames.calm`).  A dump of IPv6 routes has no marks: after each buffer
    the kernel goes on by counting routes, and if one was deleted meanwhile it leaves another out (fib6_dump_table() of
    net/ipv6/ip6_fib.c; tests/netns/test_kernel_reader.py).  So a dump of several buffers counts as interrupted if
    ``watch``, a socket that hears of changes, heard of one.
    """
    if watch:
        _drained(watch)
    sock.send(_HEADER.pack(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, _sequence(), 0) + body)
    last, buffer, count = -1, b"", 0
    while last < 0:
        try:
            # The kernel fills the next buffer while it hands this one out (netlink_recvmsg() of af_netlink.c;
            # tests/netns/test_kernel_messages.py), so there is never a wait.
            following = sock.recv(RECEIVE, MSG_DONTWAIT)
        except BlockingIOError:
            last = frames.done_with_words(buffer)
            if last < 0:
                raise _failed("the kernel broke off a dump") from None
            break
        if buffer:
            count += 1
            yield buffer
        buffer, last = following, frames.done(following)
    _check(buffer[last:])
    if last:
        yield buffer[:last]
    if watch and count + bool(last) > 1 and _drained(watch):
        raise frames.InterruptedDumpError


def _sequence() -> int:
    """A number that tells where messages begin (see :mod:`columns`): random, its last byte rare in addresses."""
    return int.from_bytes(urandom(3), "little") | 0xD7000000


def _check(message: bytes) -> None:
    """Raise for a refusal; what is not there has nothing to show."""
    frames.calm(message[6:7])
    if unpack_from("=i", message, 16)[0]:
        code, words = refusal(message)
        if code > 0 and code not in _ABSENT:
            raise _failed(f"reading from the kernel: {words or strerror(code)}")


def _failed(words: str) -> Exception:
    """Imported only where something fails: a run in peace needs no model."""
    from mwan_hook.model import MwanError

    return MwanError(words)
