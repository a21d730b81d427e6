"""Sending many ready route messages to the kernel at once.

The kernel handles a buffer of messages inside send(), one after the other, and answers only those that fail and those
that ask for it (tests/netns/test_kernel.py).  So one answer to a buffer is enough.
"""

from __future__ import annotations

from _socket import MSG_DONTWAIT, SO_SNDBUF, SOL_SOCKET
from _struct import pack, unpack_from
from errno import EHOSTUNREACH, ENETUNREACH, ENOBUFS

from mwan_hook.kernel import frames, netlink, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Sequence

CHUNK = 8192  # bytes that are sent at once; their refusals fit into a receive buffer of the usual size
MANY = 32768  # bytes of many messages, with room made for refusals: a tenth less of the kernel's time for 10,000 routes
ROOM = 1 << 20  # bytes of refusals, which the kernel doubles: 650 messages of 50 bytes have 1 KiB each at most
_SO_RCVBUFFORCE = 33
_LATER = (EHOSTUNREACH, ENETUNREACH)  # the route to the gateway may come after the one that needs it

Refusals = dict[int, tuple[int, str]]


def send(messages: Sequence[bytes]) -> Refusals:
    """Send messages in order; by position, what was refused: (errno, the kernel's words)."""
    if not messages:
        return {}
    sock = netlink.connect()
    try:
        refused = _send(sock, messages, range(len(messages)))
        again = [position for position in sorted(refused) if refused[position][0] in _LATER]
        if again and len(refused) < len(messages):
            for position in again:
                del refused[position]
            refused.update(_send(sock, messages, again))
    finally:
        sock.close()
    return refused


def _send(sock: socket, messages: Sequence[bytes], positions: Sequence[int]) -> Refusals:
    refused: Refusals = {}
    for chosen in _parted(sock, messages, positions):
        sock.send(numbered([*map(messages.__getitem__, chosen)]))
        refused.update((chosen[place], reason) for place, reason in _answers(sock).items())
    return refused


def _parted(sock: socket, messages: Sequence[bytes], positions: Sequence[int]) -> list[Sequence[int]]:
    """Positions of what goes into a buffer each, one message at least."""
    lengths = [*map(len, map(messages.__getitem__, positions))]
    if sum(lengths) <= CHUNK:
        return [positions] if positions else []
    from _bisect import bisect_right  # here, because an event has no need of them
    from itertools import accumulate

    ends, start, found, most = [0, *accumulate(lengths)], 0, [], _most(sock)
    while start < len(positions):
        end = max(start + 1, bisect_right(ends, ends[start] + most) - 1)
        found.append(positions[start:end])
        start = end
    return found


def _most(sock: socket) -> int:
    """Bytes that a socket sends at once: many where there can be room for all refusals."""
    try:
        sock.setsockopt(SOL_SOCKET, _SO_RCVBUFFORCE, ROOM)
    except OSError:  # without CAP_NET_ADMIN all is refused, or the socket's user namespace is not the network's
        return CHUNK
    return MANY if sock.getsockopt(SOL_SOCKET, SO_SNDBUF) > 2 * MANY else CHUNK


def numbered(messages: Sequence[bytes]) -> bytearray:
    """A buffer of messages, each with its place as sequence number; the last one asks for an answer."""
    buffer = bytearray(b"".join(messages))
    numbers = pack(f"={len(messages)}I", *range(len(messages)))
    step = frames.stride(buffer)
    if step:
        for byte in range(4):
            buffer[8 + byte :: step] = numbers[byte::4]
    else:
        at = 8
        for place, message in enumerate(messages):
            buffer[at : at + 4] = numbers[4 * place : 4 * place + 4]
            at += len(message)
    buffer[len(buffer) - len(messages[-1]) + 6] |= wire.NLM_F_ACK
    return buffer


def _answers(sock: socket) -> Refusals:
    """What was refused, by place in the buffer."""
    refused: Refusals = {}
    while True:
        try:
            buffer = sock.recv(netlink.RECEIVE, MSG_DONTWAIT)
        except BlockingIOError:
            return refused
        except OSError as error:
            if error.errno != ENOBUFS:
                raise
            continue  # of what the socket could not hold, the next look finds that it is not there
        for message in frames.split(buffer):
            code, words = netlink.refusal(message)
            if code:
                refused[unpack_from("=I", message, 8)[0]] = (code, words)
