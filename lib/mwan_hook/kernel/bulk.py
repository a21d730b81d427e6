"""Sending many ready route messages to the kernel at once.

The kernel handles a buffer of messages inside send(), one after the other, and answers only those that fail and those
that ask for it.  So one answer to a buffer is enough, and answers never outgrow the socket.
"""

from __future__ import annotations

from _socket import MSG_DONTWAIT
from _struct import pack_into, unpack_from
from errno import EHOSTUNREACH, ENETUNREACH

from mwan_hook.kernel import frames, netlink, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterator, Sequence

CHUNK = 8192  # bytes; its refusals fit into any receive buffer
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
    for start, end in _chunks(messages, positions):
        chosen = positions[start:end]
        buffer = bytearray(b"".join([messages[position] for position in chosen]))
        at = 0
        for position in chosen:
            pack_into("=I", buffer, at + 8, position)
            last, at = at, at + len(messages[position])
        buffer[last + 6] |= wire.NLM_F_ACK
        sock.send(buffer)
        refused.update(_answers(sock))
    return refused


def _chunks(messages: Sequence[bytes], positions: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of ``positions`` whose messages fit into one buffer."""
    start, size = 0, 0
    for place, position in enumerate(positions):
        length = len(messages[position])
        if size and size + length > CHUNK:
            yield start, place
            start, size = place, 0
        size += length
    if size:
        yield start, len(positions)


def _answers(sock: socket) -> Refusals:
    refused: Refusals = {}
    while True:
        try:
            buffer = sock.recv(netlink.RECEIVE, MSG_DONTWAIT)
        except BlockingIOError:
            return refused
        for message in frames.split(buffer):
            code, words = netlink.refusal(message)
            if code:
                refused[unpack_from("=I", message, 8)[0]] = (code, words)
