"""Connections that exist, and peers of WireGuard."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Family

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


class Peer(NamedTuple):
    """A peer that has an endpoint."""

    interface: str
    key: str  # public, as wg(8) writes it
    endpoint: bytes  # struct sockaddr of the kernel's, which is given back to it byte for byte
    address: str
    port: int
    scope: int = 0  # index of the interface of a link-local endpoint
    mark: int = 0  # of the interface's own packets
    listens: int = 0  # port that they leave from
    inside: str = ""  # an address that is reached through it, while there is a session; else empty

    @property
    def family(self) -> Family:
        """That of the endpoint."""
        return Family.of(self.address)

    @property
    def identity(self) -> str:
        """What its way is remembered by: with another endpoint it is another peer.

        A digest: the state is read by others, and wg(8) shows peers to root alone.
        """
        from hashlib import blake2s

        words = f"{self.interface} {self.key} {self.address} {self.port}"
        return blake2s(words.encode(), digest_size=8).hexdigest()


class PeerWay(NamedTuple):
    """Where the kernel routes packets to an endpoint: the interface, empty if nowhere."""

    interface: str = ""
    shared: bool = False  # by the default that uplinks share
