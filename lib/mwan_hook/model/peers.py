"""Peers of WireGuard."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Family


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
