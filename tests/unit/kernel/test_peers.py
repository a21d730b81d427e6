"""WireGuard's messages, byte for byte, and as each pyroute2 reads them."""

from __future__ import annotations

import time
from ipaddress import ip_address, ip_network
from struct import pack
from typing import Any

import pytest
from pyroute2.netlink.generic.wireguard import wgmsg

from mwan_hook.kernel import frames, generic, lookup, peers, wire
from mwan_hook.model import MwanError, Peer, PeerWay

KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="  # 32 bytes, counted up
SECRET = bytes(range(64, 96))
FOUR = bytes.fromhex("0200 1194 c6336404 0000000000000000")
SIX = bytes.fromhex("0a00 1194 01020304 20010db8000000000000000000000009 00000000")
FAMILY = 33


def endpoint(raw: bytes) -> Peer:
    address = str(ip_address(raw[8:24] if len(raw) > 16 else raw[4:8]))
    return Peer("wg7", KEY, raw, address, 4500)


def nested(kind: int, *parts: bytes) -> bytes:
    return frames.attribute(kind | 0x8000, b"".join(parts))


def told(*attributes: bytes) -> bytes:
    """A message of a dump of wg7."""
    return frames.request(FAMILY, 2, bytes((peers.GET_DEVICE, 1, 0, 0)) + b"".join(attributes))


def shown(key: bytes, *more: bytes) -> bytes:
    return nested(0, frames.attribute(peers.PEER_KEY, key), *more)


def allowed(*prefixes: str) -> bytes:
    found = [ip_network(prefix) for prefix in prefixes]
    parts = [
        nested(
            0,
            frames.attribute(1, pack("=H", 2 if one.version == 4 else 10)),
            frames.attribute(2, one.network_address.packed),
            frames.attribute(3, bytes((one.prefixlen,))),
        )
        for one in found
    ]
    return nested(peers.PEER_ALLOWED, *parts)


def handshake(ago: float) -> bytes:
    return frames.attribute(peers.PEER_HANDSHAKE, pack("=qq", int(time.time() - ago), 0))


def test_the_message_holds_interface_key_flags_and_endpoint_and_nothing_else() -> None:
    key = bytes(range(32)).hex()
    assert peers.attributes(endpoint(FOUR)).hex() == (
        "0800020077673700"  # wg7
        "48000880"  # peers
        "44000080"  # one
        f"24000100{key}"
        "0800030004000000"  # WGPEER_F_UPDATE_ONLY
        f"14000400{FOUR.hex()}"
    )


@pytest.mark.parametrize("raw", [FOUR, SIX])
def test_pyroute2_reads_it_so(raw: bytes) -> None:
    peer = endpoint(raw)
    read: Any = wgmsg(
        frames.request(FAMILY, 4, bytes((peers.SET_DEVICE, peers.VERSION, 0, 0)) + peers.attributes(peer))
    )
    read.decode()
    assert (read["cmd"], read["version"]) == (1, 1)
    assert [one[0] for one in read["attrs"]] == ["WGDEVICE_A_IFNAME", "WGDEVICE_A_PEERS"]
    assert read.get_attr("WGDEVICE_A_IFNAME") == "wg7"
    (one,) = read.get_attr("WGDEVICE_A_PEERS")
    found = dict(one["attrs"])
    assert list(found) == ["WGPEER_A_PUBLIC_KEY", "WGPEER_A_FLAGS", "WGPEER_A_ENDPOINT"]
    assert found["WGPEER_A_PUBLIC_KEY"] == KEY.encode()
    assert found["WGPEER_A_FLAGS"] == 4
    assert (found["WGPEER_A_ENDPOINT"]["addr"], found["WGPEER_A_ENDPOINT"]["port"]) == (peer.address, 4500)


class Kernel:
    """A kernel's answers; the real ones are in tests/system, whose virtual machine has WireGuard."""

    def __init__(self, *messages: bytes) -> None:
        self.messages = messages
        self.answers = [(0, "")]
        self.sent: list[bytes] = []

    def dump(self, command: int, body: bytes) -> list[bytes]:
        assert (command, body) == (peers.GET_DEVICE, frames.attribute(peers.DEVICE_NAME, b"wg7\0"))
        return list(self.messages)

    def tell(self, command: int, body: bytes) -> None:
        assert command == peers.SET_DEVICE
        self.sent.append(body)
        code, words = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if code:
            raise generic.Refused(code, words)

    def __enter__(self) -> Kernel:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def listening(monkeypatch: pytest.MonkeyPatch, *messages: bytes) -> list[Peer]:
    """What is read of a kernel that has one interface, wg7, and tells this of it."""
    monkeypatch.setattr(peers, "interfaces", lambda: ["wg7"])
    monkeypatch.setattr(generic, "Generic", lambda name, version: Kernel(*messages))
    return peers.peers()


def test_peers_with_an_endpoint_are_read_and_given_back_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    raw_key, other, third = bytes(range(32)), bytes(32), bytes([7] * 32)
    first = told(
        frames.attribute(3, SECRET),
        frames.attribute(peers.DEVICE_PORT, pack("=H", 51000)),
        frames.number(peers.DEVICE_MARK, 0x2000),
        nested(
            peers.DEVICE_PEERS,
            shown(raw_key, frames.attribute(2, SECRET), frames.attribute(peers.PEER_ENDPOINT, FOUR)),
            shown(other, allowed("10.9.0.0/16")),  # it has never been heard of
        ),
    )
    # a peer whose allowed addresses did not fit goes on in the next message, without its endpoint
    rest = told(
        nested(
            peers.DEVICE_PEERS,
            shown(raw_key, allowed("10.8.0.0/16")),
            shown(third, frames.attribute(peers.PEER_ENDPOINT, SIX)),
        )
    )
    found = listening(monkeypatch, first, rest)
    assert [(one.address, one.port, one.mark, one.listens) for one in found] == [
        ("198.51.100.4", 4500, 0x2000, 51000),
        ("2001:db8::9", 4500, 0x2000, 51000),
    ]
    assert found[0].key == KEY and [one.endpoint for one in found] == [FOUR, SIX]
    assert SECRET.hex() not in repr(found).encode().hex() and not any(one.inside for one in found)


@pytest.mark.parametrize(
    ("ago", "prefixes", "inside"),
    [
        (20, ("10.9.0.0/16", "10.9.7.1/32"), "10.9.7.1"),
        (20, ("10.9.0.0/16",), "10.9.0.1"),
        (20, ("fd00:9::/64", "10.9.0.0/16"), "10.9.0.1"),
        (20, ("0.0.0.0/0", "fd00:9::7/128"), "fd00:9::7"),
        (20, ("0.0.0.0/0",), "192.0.2.1"),
        (20, ("::/0",), "2001:db8::1"),
        (20, ("fd00:9::/64",), "fd00:9::1"),
        (20, (), ""),
        (200, ("10.9.7.1/32",), ""),  # its session is over: nothing is woken
        (-9000, ("10.9.7.1/32",), ""),  # the clock was set back
    ],
)
def test_only_who_has_a_session_is_shown_the_new_way(
    monkeypatch: pytest.MonkeyPatch, ago: float, prefixes: tuple[str, ...], inside: str
) -> None:
    parts = (frames.attribute(peers.PEER_ENDPOINT, FOUR), handshake(ago), allowed(*prefixes))
    (found,) = listening(monkeypatch, told(nested(peers.DEVICE_PEERS, shown(bytes(32), *parts))))
    assert found.inside == inside


def test_without_an_interface_generic_netlink_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel would load its module."""
    monkeypatch.setattr(peers, "interfaces", list)
    monkeypatch.setattr(generic, "Generic", pytest.fail)
    assert peers.peers() == [] and peers.set_again([], [], 0.0) == []


def test_a_kernel_without_the_family_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(name: str, version: int) -> None:
        raise generic.Refused(2, "")

    monkeypatch.setattr(peers, "interfaces", lambda: ["wg7"])
    monkeypatch.setattr(generic, "Generic", none)
    with pytest.raises(MwanError, match="WireGuard: No such file"):
        peers.peers()


def answered(monkeypatch: pytest.MonkeyPatch, *answers: tuple[int, str]) -> list[bytes]:
    """What is sent to a kernel that answers so, the last answer for ever."""
    made = Kernel()
    made.answers = list(answers)
    monkeypatch.setattr(generic, "Generic", lambda name, version: made)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    return made.sent


def test_an_interface_that_is_gone_is_no_failure_and_a_refusal_is(monkeypatch: pytest.MonkeyPatch) -> None:
    gone, refused, bare = (endpoint(FOUR)._replace(interface=name) for name in ("wg1", "wg2", "wg3"))
    sent = answered(monkeypatch, (19, ""), (1, "not for you"), (16, ""))
    assert peers.set_again([gone, refused, bare], [], 0.0) == [
        (refused, "not for you"),
        (bare, "Device or resource busy"),
    ]
    assert len(sent) == 3


def test_who_leaves_a_line_that_works_is_set_several_times_within_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    moving, other = endpoint(FOUR)._replace(inside="10.9.7.1"), endpoint(SIX)
    seen: list[Peer] = []
    monkeypatch.setattr(peers, "_show", seen.append)
    sent = answered(monkeypatch, (0, ""))
    assert peers.set_again([moving, other], [moving], time.clock_gettime(time.CLOCK_BOOTTIME) + 60) == []
    assert sent.count(peers.attributes(moving)) == 1 + peers.ROUNDS and sent.count(peers.attributes(other)) == 1
    assert seen == [moving] * (1 + peers.ROUNDS)
    sent.clear()
    peers.set_again([moving], [moving], 0.0)
    assert len(sent) == 1, "no time is left"


def test_a_packet_that_cannot_leave_is_no_failure() -> None:
    peers._show(endpoint(FOUR)._replace(interface="no-such-wg", inside="10.9.7.1"))


@pytest.mark.parametrize(
    ("error", "attributes", "way"),
    [
        (0, frames.number(wire.RTA_OIF, 7) + frames.number(wire.RTA_TABLE, 1000), PeerWay("eth5", True)),
        (0, frames.number(wire.RTA_OIF, 7) + frames.number(wire.RTA_TABLE, 1002), PeerWay("eth5")),
        (101, b"", PeerWay()),
    ],
)
def test_the_way_of_an_endpoint_is_the_kernels_answer_for_its_mark_and_ports(
    monkeypatch: pytest.MonkeyPatch, error: int, attributes: bytes, way: PeerWay
) -> None:
    asked = []

    def ask(question: Any, flags: int) -> tuple[bytes, int, str]:
        asked.append((question.destination, question.source, question.mark, question.sport, question.dport))
        return bytes(28) + attributes, error, ""

    monkeypatch.setattr(lookup, "ask", ask)
    peer = endpoint(FOUR)._replace(mark=0x2000, listens=51000)
    assert peers.way(peer, {7: "eth5"}, 1000) == way
    assert asked == [("198.51.100.4", None, 0x2000, 51000, 4500)]


def test_a_link_local_endpoint_has_the_way_of_its_interface(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "ask", pytest.fail)
    assert peers.way(endpoint(SIX)._replace(scope=7), {7: "eth5"}, 1000) == PeerWay("eth5")
