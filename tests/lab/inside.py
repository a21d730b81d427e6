"""Network namespaces without ip(8): make one, be in one for a moment, take one away.  `ip netns` costs a start each."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

PLACE = Path("/run/netns")
CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 0x100000, 2
SIOCETHTOOL, ETHTOOL_GLINK = 0x8946, 10
_LIBC = ctypes.CDLL(None, use_errno=True)


def _call(name: str, *words: object) -> None:
    if getattr(_LIBC, name)(*words):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def enter(namespace: str) -> None:
    """Move this thread into a network namespace; sockets stay where they were made."""
    fd = os.open(PLACE / namespace, os.O_RDONLY)
    try:
        _call("setns", fd, CLONE_NEWNET)
    finally:
        os.close(fd)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """This thread, and what it starts, are in the namespace as long as the block lasts; /sys is still the old one."""
    with _coming_back():
        enter(namespace)
        yield


@contextlib.contextmanager
def _coming_back() -> Iterator[None]:
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        yield
    finally:
        _call("setns", before, CLONE_NEWNET)
        os.close(before)


def _share() -> None:
    """Let mounts below PLACE be seen in mount namespaces that are there already, as ip(8) does."""
    PLACE.mkdir(exist_ok=True)
    place = str(PLACE).encode()
    if _LIBC.mount(b"", place, b"none", MS_SHARED | MS_REC, None):
        _call("mount", place, place, b"none", MS_BIND | MS_REC, None)
        _call("mount", b"", place, b"none", MS_SHARED | MS_REC, None)


def add(namespace: str) -> None:
    """Make a namespace."""
    PLACE.mkdir(exist_ok=True)
    lock = os.open(PLACE, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _share()
    finally:
        os.close(lock)
    os.close(os.open(PLACE / namespace, os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0))
    with _coming_back():
        _call("unshare", CLONE_NEWNET)
        _call("mount", b"/proc/thread-self/ns/net", str(PLACE / namespace).encode(), b"none", MS_BIND, None)


def delete(namespace: str) -> None:
    """Take its name away; it lasts as long as a process or a socket is in it."""
    _LIBC.umount2(str(PLACE / namespace).encode(), MNT_DETACH)
    (PLACE / namespace).unlink(missing_ok=True)


def processes(namespaces: list[str]) -> list[int]:
    """Who is in one of them."""
    there = set()
    for name in namespaces:
        with contextlib.suppress(OSError):
            status = (PLACE / name).stat()
            there.add((status.st_dev, status.st_ino))
    found = []
    for word in os.listdir("/proc") if there else ():
        with contextlib.suppress(OSError):
            if word.isdigit():
                status = os.stat(f"/proc/{word}/ns/net")
                if (status.st_dev, status.st_ino) in there:
                    found.append(int(word))
    return found


def carrier(namespace: str, interface: str) -> bool:
    """Whether an interface has one, as /sys/class/net/*/carrier tells."""
    with inside(namespace), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        value = bytearray(struct.pack("II", ETHTOOL_GLINK, 0))
        address = (ctypes.c_char * len(value)).from_buffer(value)
        request = struct.pack("16sP16x", interface.encode(), ctypes.addressof(address))
        try:
            fcntl.ioctl(sock, SIOCETHTOOL, request)
        except OSError:
            return False
        return bool(struct.unpack("II", bytes(value))[1])
