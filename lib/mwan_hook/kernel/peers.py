"""WireGuard in the kernel: its interfaces and peers, where their packets go, and setting an endpoint again.

Messages are made here: pyroute2 0.7.2 takes 2 for UPDATE_ONLY, which tells the kernel to replace a peer's allowed
addresses, and no version gives an endpoint back byte for byte.  Private and preshared keys, which the kernel tells to
root, are neither decoded nor kept.
"""

from __future__ import annotations

import time
from _socket import (
    AF_INET,
    AF_INET6,
    IP_TTL,
    IPPROTO_IP,
    IPPROTO_IPV6,
    IPV6_UNICAST_HOPS,
    MSG_DONTWAIT,
    SO_BINDTODEVICE,
    SOCK_DGRAM,
    SOL_SOCKET,
    inet_ntop,
    socket,
)
from _struct import pack, unpack_from
from binascii import a2b_base64, b2a_base64
from errno import ENODEV

from mwan_hook.kernel import frames, generic, lookup, netlink, wire
from mwan_hook.kernel.dumps import retry_interrupted, split
from mwan_hook.kernel.question import Question
from mwan_hook.light import partial
from mwan_hook.model import Family, MwanError, Peer, PeerWay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FAMILY, VERSION = "wireguard", 1
KIND = b"wireguard"
GET_DEVICE, SET_DEVICE = 0, 1
DEVICE_NAME, DEVICE_PORT, DEVICE_MARK, DEVICE_PEERS = 2, 6, 7, 8
PEER_KEY, PEER_FLAGS, PEER_ENDPOINT, PEER_HANDSHAKE, PEER_ALLOWED = 1, 3, 4, 6, 9
UPDATE_ONLY = 4  # WGPEER_F_UPDATE_ONLY: make no peer that was removed meanwhile
SOCKADDR_IN, SOCKADDR_IN6 = 16, 28  # bytes
SESSION = 180.0  # seconds after a handshake for which its keys are good (REJECT_AFTER_TIME)
ROUNDS, PAUSE = 10, 0.02  # how often, and how many seconds apart, where answers come by the old line meanwhile
DISCARD = 9  # a port that no program reads from
_NOWHERE = {Family.IPV4: "192.0.2.1", Family.IPV6: "2001:db8::1"}  # for documentation: what a default covers, too
_ALLOWED_ADDRESS, _ALLOWED_LENGTH = 2, 3
_LINKINFO, _INFO_KIND, _IFNAME = 18, 1, 3
_NESTED = 0x8000
_EXT_MASK, _SKIP_STATS = 29, 8


def interfaces() -> list[str]:
    """WireGuard's interfaces of this network namespace."""
    kind = frames.attribute(_LINKINFO | _NESTED, frames.attribute(_INFO_KIND, KIND + b"\0"))
    asked = bytes(16) + frames.number(_EXT_MASK, _SKIP_STATS) + kind
    links = retry_interrupted(lambda _: split(netlink.dump_alone(wire.RTM_GETLINK, asked)))
    return [name for message in links if (name := _name_of_wireguard(message))]


def _name_of_wireguard(message: bytes) -> str:
    """The kernel shows all interfaces where it does not know the kind (tests/netns/test_kernel_routes.py)."""
    found = frames.attributes(message, 32)
    kind = frames.attributes(found.get(_LINKINFO, b""), 0).get(_INFO_KIND, b"")
    return _text(found.get(_IFNAME, b"")) if kind.rstrip(b"\0") == KIND else ""


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "surrogateescape")


def peers() -> list[Peer]:
    """Every peer that has an endpoint, of every interface.  Raises MwanError."""
    return [peer for name in interfaces() for peer in _peers_of(name)]


def _peers_of(interface: str) -> Iterator[Peer]:
    mark = port = 0
    for message in retry_interrupted(partial(_shown, interface)):
        found = frames.attributes(message, generic.HEADER)
        mark = int.from_bytes(found[DEVICE_MARK], "little") if DEVICE_MARK in found else mark  # the first one has it
        port = int.from_bytes(found[DEVICE_PORT], "little") if DEVICE_PORT in found else port
        for _, nested in wire.each_attribute(found.get(DEVICE_PEERS, b""), 0):
            peer = _peer(interface, frames.attributes(nested, 0))
            if peer:
                yield peer._replace(mark=mark, listens=port)


def _shown(interface: str, last: bool) -> list[bytes]:
    """What the kernel tells of an interface; nothing if that is gone."""
    with _family() as family:
        return split(family.dump(GET_DEVICE, _named(interface)))


def _family() -> generic.Generic:
    """A socket for WireGuard, once there is such an interface.

    Asked for a family, the kernel loads its module (ctrl_getfamily() of net/netlink/genetlink.c).
    """
    try:
        return generic.Generic(FAMILY, VERSION)
    except generic.Refused as refused:
        raise MwanError(f"WireGuard: {refused}") from refused


def _named(interface: str) -> bytes:
    return frames.attribute(DEVICE_NAME, interface.encode("utf-8", "surrogateescape") + b"\0")


def _peer(interface: str, found: Mapping[int, bytes]) -> Peer | None:
    """None without endpoint, as the rest of a peer whose allowed addresses did not fit into one message has none."""
    endpoint, key = found.get(PEER_ENDPOINT, b""), found.get(PEER_KEY, b"")
    if len(endpoint) not in (SOCKADDR_IN, SOCKADDR_IN6) or not key:
        return None
    af, port = unpack_from("=H", endpoint)[0], unpack_from(">H", endpoint, 2)[0]
    address = inet_ntop(af, endpoint[8:24] if af == AF_INET6 else endpoint[4:8])
    scope = unpack_from("=I", endpoint, 24)[0] if af == AF_INET6 else 0
    shaken = unpack_from("=q", found.get(PEER_HANDSHAKE, bytes(16)))[0]
    inside = _inside(found.get(PEER_ALLOWED, b"")) if 0 <= time.time() - shaken < SESSION else ""
    return Peer(interface, b2a_base64(key, newline=False).decode(), endpoint, address, port, scope, inside=inside)


def _inside(allowed: bytes) -> str:
    """An address in the smallest of its networks: of a larger one parts may be another peer's."""
    found = [frames.attributes(nested, 0) for _, nested in wire.each_attribute(allowed, 0)]
    networks = [(one[_ALLOWED_ADDRESS], one[_ALLOWED_LENGTH][0]) for one in found]
    if not networks:
        return ""
    raw, length = min(networks, key=lambda one: 8 * len(one[0]) - one[1])
    family = Family.IPV4 if len(raw) == 4 else Family.IPV6
    if not length:
        return _NOWHERE[family]
    host = int.from_bytes(raw, "big") + (length < 8 * len(raw))
    return inet_ntop(family.af, host.to_bytes(len(raw), "big"))


def way(peer: Peer, names: Mapping[int, str], shared: int) -> PeerWay:
    """The way of its packets while no source is remembered; ``shared`` is the table of the shared default."""
    if peer.scope:
        return PeerWay(names.get(peer.scope, ""))
    asked = Question(peer.family, peer.address, mark=peer.mark, sport=peer.listens, dport=peer.port)
    message, error, _ = lookup.ask(asked, 0)
    if error:
        return PeerWay()
    found = frames.attributes(message, 28)
    index = int.from_bytes(found.get(wire.RTA_OIF, b""), "little")
    table = int.from_bytes(found.get(wire.RTA_TABLE, b""), "little")
    return PeerWay(names.get(index, ""), table == shared)


def set_again(peers: Sequence[Peer], moving: Sequence[Peer], until: float) -> list[tuple[Peer, str]]:
    """Set these endpoints again; what failed, with the reason.  An interface that is gone is no failure.

    A packet tells each far end at once where it is to send now: an empty datagram that it discards, and that goes no
    further.  ``moving`` are those of them that answers reach by the old line meanwhile.  Each such answer brings the
    old address back, so this is done several times, until CLOCK_BOOTTIME ``until`` at most.
    """
    if not peers:
        return []
    with _family() as family:
        failed = [(peer, words) for peer in peers if (words := _set_and_show(family, peer))]
        for _ in range(ROUNDS if moving else 0):
            time.sleep(PAUSE)
            if time.clock_gettime(time.CLOCK_BOOTTIME) > until:
                break
            for peer in moving:
                _set_and_show(family, peer)
    return failed


def _set_and_show(family: generic.Generic, peer: Peer) -> str:
    """Why it cannot be set; empty if it can."""
    try:
        family.tell(SET_DEVICE, attributes(peer))
    except generic.Refused as refused:
        return "" if refused.code == ENODEV else str(refused)
    if peer.inside:
        _show(peer)
    return ""


def _show(peer: Peer) -> None:
    """Have a packet leave for this peer."""
    four = Family.of(peer.inside) is Family.IPV4
    sock = socket(AF_INET if four else AF_INET6, SOCK_DGRAM)
    try:
        sock.setsockopt(SOL_SOCKET, SO_BINDTODEVICE, peer.interface.encode("utf-8", "surrogateescape"))
        sock.setsockopt(*((IPPROTO_IP, IP_TTL) if four else (IPPROTO_IPV6, IPV6_UNICAST_HOPS)), 1)
        sock.sendto(b"", MSG_DONTWAIT, (peer.inside, DISCARD))
    except OSError:  # the interface is down, or has no route there: what leaves next will tell it
        return
    finally:
        sock.close()


def attributes(peer: Peer) -> bytes:
    """What is sent to set it: interface, key, flags and endpoint, and nothing else."""
    parts = frames.attribute(PEER_KEY, a2b_base64(peer.key)) + frames.attribute(PEER_FLAGS, pack("=I", UPDATE_ONLY))
    parts += frames.attribute(PEER_ENDPOINT, peer.endpoint)
    return _named(peer.interface) + frames.attribute(DEVICE_PEERS | _NESTED, frames.attribute(_NESTED, parts))
