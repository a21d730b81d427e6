"""Connections that exist."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TCP, UDP = 6, 17


class Socket(NamedTuple):
    """A TCP or UDP socket of this machine; IPv4 addresses of IPv6 sockets stand as what they are."""

    af: int  # that the program asked for: AF_INET or AF_INET6
    protocol: int  # TCP or UDP
    state: int  # TCP_* of net/tcp_states.h; a UDP socket is either 1, connected, or 7
    local: str
    sport: int
    peer: str
    dport: int
    device: int = 0  # index of the one that it is bound to; 0: none
    uid: int = 0
    inode: int = 0  # 0: no program has it open any more
    mark: int = 0
    dscp: int = 0
    only6: bool = False  # an IPv6 socket that takes no IPv4
    identity: bytes = b""  # by which the kernel knows it


class Neighbourhood(NamedTuple):
    """A network that an interface is in: all in it are neighbours."""

    index: int  # type: ignore[assignment]  # not tuple.index
    prefix: str
