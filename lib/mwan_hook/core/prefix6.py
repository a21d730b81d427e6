"""Arithmetic of IPv6 prefixes, as text in the kernel's spelling."""

from __future__ import annotations

from _socket import AF_INET6, inet_ntop, inet_pton


def network(address: str, length: int) -> str:
    """The prefix of that length that an address lies in."""
    bits = int.from_bytes(inet_pton(AF_INET6, address), "big") >> (128 - length) << (128 - length)
    return f"{inet_ntop(AF_INET6, bits.to_bytes(16, 'big'))}/{length}"


def covers(outer: str, inner: str) -> bool:
    """Whether one prefix lies in another, or is it."""
    address, _, length = inner.partition("/")
    wide = int(outer.partition("/")[2])
    return wide <= int(length) and network(address, wide) == outer


def covered(prefix: str, by: tuple[str, ...] | list[str]) -> bool:
    """Whether a prefix lies in any of them."""
    return any(covers(outer, prefix) for outer in by)
