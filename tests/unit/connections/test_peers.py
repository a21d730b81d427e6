"""Which peers of WireGuard get their endpoint set again, and what is remembered of them."""

from __future__ import annotations

import pytest

from mwan_hook.connections.peers import Carriers, basis, follow, line
from mwan_hook.model import Family, Peer, PeerWay, State, WayOut

PEER = Peer("wg7", "pub=", b"", "198.51.100.4", 4500)
SIX = Peer("wg7", "six=", b"", "2001:db8:f::4", 4500)
LTE, FIBER, DSL = PeerWay("wwan3", True), PeerWay("eth5", True), PeerWay("eth6", True)
ALL = {"eth5", "eth6", "wwan3"}


def around(*online: str, equals: tuple[str, ...] = ()) -> Carriers:
    return Carriers(ALL, dict.fromkeys(Family, online), dict.fromkeys(Family, equals))


def known(peer: Peer, way: str) -> dict[str, str]:
    return {peer.identity: way}


@pytest.mark.parametrize("peer", [PEER, SIX])
@pytest.mark.parametrize(
    ("before", "now", "again", "after"),
    [
        ("eth5", "eth5", False, "eth5"),
        ("eth5", "wwan3", True, "wwan3"),
        ("wwan3", "eth5", True, "/eth5"),  # the backup still brings answers
        ("/eth5", "eth5", True, "eth5"),  # the second time
        ("/eth5", "wwan3", True, "wwan3"),  # it died again before that
        ("", "eth5", True, "/eth5"),  # never seen
        ("", "lan0", False, "lan0"),  # an endpoint of the LAN is no matter of ours
        ("lan0", "lan0", False, "lan0"),
        ("lan0", "wwan3", True, "/wwan3"),
        ("wwan3", "tun0", True, "/tun0"),  # into another tunnel
        ("eth5", "", False, "eth5"),  # it cannot be reached now
        ("/eth5", "", False, "/eth5"),
        ("", "", False, ""),
    ],
)
def test_a_peer_is_set_again_where_its_way_is_another(
    peer: Peer, before: str, now: str, again: bool, after: str
) -> None:
    online = around("wwan3") if now == "wwan3" else around("eth5", "wwan3", equals=("eth5",))
    found = follow([(peer, PeerWay(now, True))], known(peer, before) if before else {}, online)
    assert found.again == ((peer,) if again else ())
    assert found.known == (known(peer, after) if after else {})
    assert found.moving == ((peer,) if again and after.startswith("/") else ())
    assert found.unfinished == after.startswith("/")


def test_a_peer_that_roamed_is_as_one_never_seen_and_what_is_gone_is_forgotten() -> None:
    moved = PEER._replace(address="192.0.2.99")
    found = follow([(moved, LTE)], known(PEER, "wwan3"), around("wwan3"))
    assert found.again == (moved,) and found.known.keys() == {moved.identity}


def test_one_key_of_two_interfaces_is_two_peers() -> None:
    other = PEER._replace(interface="wg8", mark=0x2000)
    found = follow([(PEER, FIBER), (other, LTE)], {**known(PEER, "eth5"), **known(other, "wwan3")}, around("eth5"))
    assert found.again == () and len(found.known) == 2


@pytest.mark.parametrize(
    ("before", "way", "again"),
    [
        ("eth5", DSL, False),  # spread anew by the kernel: both work
        ("eth5", PeerWay("eth6"), True),  # by a table of its own: a policy means that one
        ("wwan3", DSL, True),  # the backup is none of those that share
        ("eth5", LTE, True),
    ],
)
def test_uplinks_that_share_keep_the_peers_they_have(before: str, way: PeerWay, again: bool) -> None:
    found = follow([(PEER, way)], known(PEER, before), around("eth5", "eth6", equals=("eth5", "eth6")))
    assert bool(found.again) == again
    assert again or found.known == known(PEER, before), "it is still there"


def test_what_ways_depend_on() -> None:
    best = {Family.IPV4: WayOut("fiber", "eth5"), Family.IPV6: WayOut()}
    state = State(config="f00d", best=best, last_online={Family.IPV4: ("fiber", "lte")})
    others = [
        state._replace(config="beef"),
        state._replace(best={**best, Family.IPV4: WayOut("lte", "wwan3")}),
        state._replace(best={**best, Family.IPV6: WayOut("lte", "wwan3")}),
        state._replace(last_online={Family.IPV4: ("fiber",)}),
        state._replace(best={}),
    ]
    told = [basis(one, True) for one in (state, *others)]
    assert len(set(told)) == len(told) and all(told)
    assert basis(state._replace(saved_at=7.0, errors=("no",)), True) == told[0]
    assert basis(state, False) == ""


@pytest.mark.parametrize(
    ("peer", "words"),
    [
        (PEER, "wg set wg7 peer pub= endpoint 198.51.100.4:4500"),
        (SIX, "wg set wg7 peer six= endpoint [2001:db8:f::4]:4500"),
        (SIX._replace(address="fe80::9", scope=7), "wg set wg7 peer six= endpoint [fe80::9%eth5]:4500"),
        (SIX._replace(address="fe80::9", scope=8), "wg set wg7 peer six= endpoint [fe80::9%8]:4500"),
    ],
)
def test_the_line_that_sets_an_endpoint(peer: Peer, words: str) -> None:
    assert line(peer, {7: "eth5"}) == words
