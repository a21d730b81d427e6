"""When peers of WireGuard are led, what is remembered, and what is said."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mwan_hook.kernel import peers as kernel
from mwan_hook.model import (
    Allotment,
    Change,
    Config,
    Family,
    MwanError,
    Op,
    Peer,
    PeerWay,
    Route,
    Router,
    Snapshot,
    State,
    Status,
    WayOut,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import follow_peers
from mwan_hook.run.scene import Judged, Scene
from tests.unit import builders as b

NOW = 500.0
PEER = Peer("wg7", "pub=", b"", "198.51.100.4", 4500)
OTHER = PEER._replace(key="other=", address="2001:db8:f::4")
SET = "wg set wg7 peer pub= endpoint 198.51.100.4:4500"


class World:
    """A kernel with these peers; what is set again in it, and how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ways = {PEER: PeerWay("fiber", True)}
        self.refused = ""
        self.asked: list[tuple[list[Peer], list[Peer]]] = []
        monkeypatch.setattr(kernel, "peers", lambda: list(self.ways))
        monkeypatch.setattr(kernel, "way", lambda peer, names, shared: self.ways[peer])
        monkeypatch.setattr(kernel, "set_again", self._set_again)

    def _set_again(self, again: Sequence[Peer], moving: Sequence[Peer], until: float) -> list[tuple[Peer, str]]:
        if again:
            self.asked.append((list(again), list(moving)))
        return [(peer, self.refused) for peer in again if self.refused]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def judged(best: str, online: tuple[str, ...], state: State, now: float = NOW, wireguard: str = "follow") -> Judged:
    """Uplinks fiber and lte, of which these are online."""
    config = b.config(b.uplink("fiber", metric=100), b.uplink("lte", metric=200))._replace(
        router=Router(wireguard=wireguard)
    )
    around = b.snapshot("fiber", "lte")
    bound = b.bound(config, Inputs(around, State(), Allotment()))
    after = state._replace(
        config="print", best={Family.IPV4: WayOut(best, best)}, last_online={Family.IPV4: online}, errors=()
    )
    seen = Scene("/", config, "print", state, bound.allotment, bound, around, now, 2000.0)
    return Judged(seen, after, Desired(online={Family.IPV4: online}), ())


def led(best: str, online: tuple[str, ...], state: State, now: float = NOW) -> State:
    """The state after the step, which was due, and is not any more."""
    found = judged(best, online, state, now)
    due = follow_peers.due(found)
    assert due is not None and due <= now
    return follow_peers.do(found, now + 2).state


def test_an_outage_and_its_end(world: World) -> None:
    first = led("fiber", ("fiber", "lte"), State())
    assert first.peers == {PEER.identity: "/fiber"} and first.lead_again == NOW + follow_peers.SECOND
    second = led("fiber", ("fiber", "lte"), first, NOW + 3)
    assert second.peers == {PEER.identity: "fiber"}
    assert follow_peers.due(judged("fiber", ("fiber", "lte"), second)) is None
    world.asked.clear()

    world.ways = {PEER: PeerWay("lte", True)}
    out = led("lte", ("lte",), second)
    assert world.asked == [([PEER], [])] and out.peers == {PEER.identity: "lte"} and out.lead_again is None
    world.ways = {PEER: PeerWay("fiber", True)}
    back = led("fiber", ("fiber", "lte"), out)
    assert world.asked[1:] == [([PEER], [PEER])]
    assert follow_peers.due(judged("fiber", ("fiber", "lte"), back, NOW + 1)) == NOW + follow_peers.SECOND
    led("fiber", ("fiber", "lte"), back, NOW + 4)
    assert len(world.asked) == 3


def test_a_change_that_moves_no_way_sets_nothing(world: World) -> None:
    state = State(peers={PEER.identity: "fiber"}, led="print ipv4 fiber fiber lte")
    assert led("fiber", ("fiber",), state).peers == state.peers
    assert world.asked == []


def test_what_was_done_is_said_as_a_line_and_planned_so(world: World) -> None:
    found = judged("lte", ("lte",), State(peers={PEER.identity: "fiber"}))
    world.ways = {PEER: PeerWay("lte", True)}
    assert follow_peers.lines(found) == [SET] and world.asked == []
    assert follow_peers.do(found, NOW + 2).lines == (SET,)


def test_a_plan_tells_it_beside_the_routes_that_lead_there(world: World) -> None:
    """The kernel does not know the new way yet."""
    found = judged("lte", ("lte",), State(peers={PEER.identity: "fiber"}))
    waiting = found._replace(changes=(Change(Op.REPLACE, Route(Family.IPV4, 1000)),))
    assert follow_peers.lines(waiting) == [SET]
    world.ways = {PEER: PeerWay("fiber")}  # by a table of its own
    assert follow_peers.lines(waiting) == []


def test_a_plan_of_who_may_not_see_peers_has_the_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> list[Peer]:
        raise MwanError("not permitted")

    monkeypatch.setattr(kernel, "peers", refused)
    assert follow_peers.lines(judged("fiber", ("fiber",), State())) == []


def test_where_routes_do_not_stand_nothing_is_set_and_it_stays_due(world: World) -> None:
    world.ways = {PEER: PeerWay("lte", True), OTHER: PeerWay("lte", True)}
    state = State(peers={PEER.identity: "fiber", OTHER.identity: "fiber"})
    found = judged("lte", ("lte",), state)._replace(changes=(Change(Op.ADD, Route(Family.IPV6, 1000)),))
    done = follow_peers.do(found, NOW + 2).state
    assert world.asked == [([PEER], [])]
    assert done.peers == {PEER.identity: "lte", OTHER.identity: "fiber"}
    assert follow_peers.due(found._replace(state=done)) == NOW


def test_a_refusal_is_a_failure_that_is_tried_again(world: World) -> None:
    world.ways, world.refused = {PEER: PeerWay("lte", True)}, "not for you"
    found = judged("lte", ("lte",), State(peers={PEER.identity: "fiber"}))
    done = follow_peers.do(found, NOW + 2)
    assert done.lines == () and done.failures == (f"{SET}: not for you",)
    assert done.state.peers == {PEER.identity: "fiber"} and follow_peers.due(found._replace(state=done.state)) == NOW


def test_keep_leaves_all_alone_and_forgets(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "peers", pytest.fail)
    state = State(peers={PEER.identity: "/fiber"}, led="print ipv4 fiber fiber", lead_again=NOW)
    found = judged("fiber", ("fiber",), state, wireguard="keep")
    assert follow_peers.due(found) == NOW
    done = follow_peers.do(found, NOW + 2).state
    assert (done.peers, done.led, done.lead_again) == ({}, "", None)
    assert follow_peers.due(found._replace(state=done)) is None
    assert Config().router.wireguard == "follow" and Snapshot().links == ()


def test_of_equals_one_that_comes_last_now_is_left_for_the_one_that_carries() -> None:
    """A degraded uplink shares no more: a peer may stay only on one that does."""
    config = b.config(b.uplink("fiber", metric=100), b.uplink("lte", metric=100))
    around = b.snapshot("fiber", "lte")
    bound = b.bound(config, Inputs(around, State(), Allotment()))
    first, second = bound.uplinks
    for behind, sharing in (((), {"fiber", "lte"}), ((Family.IPV4,), {"lte"})):
        uplinks = (first._replace(behind=behind), second)
        seen = Scene("/", config, "print", State(), bound.allotment, bound._replace(uplinks=uplinks), around, NOW, 0.0)
        desired = Desired(online={Family.IPV4: ("lte", "fiber")})
        found = follow_peers._around(Judged(seen, State(), desired, ()))
        assert found.equals[Family.IPV4] == sharing


def test_a_drained_line_still_works_for_what_is_left_behind_on_it() -> None:
    found = judged("lte", ("lte",), State())
    first, second = found.scene.uplinks
    bound = found.scene.bound._replace(uplinks=(first._replace(draining=True), second))
    state = found.state._replace(uplinks=b.state(fiber=Status.ONLINE, lte=Status.ONLINE).uplinks)
    found = found._replace(scene=found.scene._replace(bound=bound), state=state)
    assert follow_peers._around(found).online[Family.IPV4] == {"fiber", "lte"}
