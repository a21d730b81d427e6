"""The ways that operators have come by: SSH connections to this machine that stand now.

sshd and dropbear tell a session by SSH_CONNECTION.  A program that was started in a session long ago has it still, so
only connections that the kernel knows as established count.
"""

from __future__ import annotations

import os
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import pack

from mwan_hook.light import NamedTuple

VARIABLE = b"SSH_CONNECTION="
TABLES = ((AF_INET, "/proc/net/tcp"), (AF_INET6, "/proc/net/tcp6"))
_ESTABLISHED = "01"
_MAPPED = bytes(10) + b"\xff\xff"  # before an IPv4 address in an IPv6 one
_LARGEST = 1 << 18


class Session(NamedTuple):
    """One SSH connection: the operator's address and ours, as text."""

    client: str
    client_port: int
    server: str
    server_port: int


def standing() -> tuple[Session, ...]:
    """Every SSH connection that stands and that a process of a session tells of; needs root for others' processes."""
    told = {session for session in map(_of_process, filter(str.isdigit, os.listdir("/proc"))) if session}
    there = _established() if told else set()
    return tuple(sorted(session for session in told if session in there))


def _of_process(pid: str) -> Session | None:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            variables = file.read(_LARGEST).split(b"\0")
    except OSError:
        return None
    return next((_parsed(one[len(VARIABLE) :]) for one in variables if one.startswith(VARIABLE)), None)


def _parsed(value: bytes) -> Session | None:
    """``CLIENT PORT SERVER PORT``."""
    words = value.decode("ascii", "replace").split()
    try:
        return Session(_plain(words[0]), int(words[1]), _plain(words[2]), int(words[3]))
    except (IndexError, ValueError, OSError):
        return None


def _plain(text: str) -> str:
    """An address without its zone, in the kernel's spelling."""
    text = text.partition("%")[0]
    family = AF_INET6 if ":" in text else AF_INET
    return _spelled(family, inet_pton(family, text))


def _spelled(family: int, raw: bytes) -> str:
    return inet_ntop(AF_INET, raw[12:]) if raw.startswith(_MAPPED) and family == AF_INET6 else inet_ntop(family, raw)


def _established() -> set[Session]:
    found = set()
    for family, path in TABLES:
        try:
            with open(path, encoding="ascii") as file:
                rows = [line.split()[1:4] for line in file.readlines()[1:]]
        except OSError:
            continue
        for local, remote, state in rows:
            if state == _ESTABLISHED:
                found.add(Session(*_end(family, remote), *_end(family, local)))
    return found


def _end(family: int, text: str) -> tuple[str, int]:
    """``0100007F:0016``: each 32 bits in the byte order of the machine."""
    digits, _, port = text.partition(":")
    words = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    raw = b"".join(pack("=I", word) for word in words)
    return _spelled(family, raw), int(port, 16)
