"""The name server of the internet: every name has the same two addresses (RFC 1035)."""

from __future__ import annotations

import socket
import struct

from tests.lab.isp import INTERNET4, INTERNET6

ANSWERS = {1: socket.inet_aton(INTERNET4[0]), 28: socket.inet_pton(socket.AF_INET6, INTERNET6[-1])}  # A, AAAA
RESPONSE, DESIRED, AVAILABLE = 0x8000, 0x0100, 0x0080  # an answer; recursion is asked for, and there
OPCODE, INTERNET, TTL = 0x7800, 1, 0
NOT_IMPLEMENTED = 4
FIRST_NAME = b"\xc0\x0c"  # as in the question


def answer(query: bytes) -> bytes:
    """Answer one question; a ValueError if it is none."""
    number, flags, questions = struct.unpack_from("!HHH", query.ljust(12, b"\0"))
    if flags & RESPONSE or questions != 1:
        raise ValueError("no question")
    flags = RESPONSE | AVAILABLE | flags & (OPCODE | DESIRED)
    if flags & OPCODE:
        return struct.pack("!6H", number, flags | NOT_IMPLEMENTED, 0, 0, 0, 0)
    end = query.index(b"\0", 12) + 5
    kind, network = struct.unpack("!HH", query[end - 4 : end].ljust(4, b"\0"))
    data = ANSWERS.get(kind, b"") if network == INTERNET else b""
    record = FIRST_NAME + struct.pack("!HHIH", kind, network, TTL, len(data)) + data if data else b""
    return struct.pack("!6H", number, flags, 1, bool(record), 0, 0) + query[12:end] + record
