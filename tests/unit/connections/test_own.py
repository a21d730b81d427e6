"""Which own sockets are ended, when they are looked through, and what is said of them: from values alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.connections import foretold, spared
from mwan_hook.kernel import lookup, sockets
from mwan_hook.model import (
    TCP,
    UDP,
    Allotment,
    Change,
    Failback,
    Family,
    Neighbourhood,
    Op,
    Policy,
    Route,
    Router,
    Socket,
    State,
    Status,
    WayOut,
)
from mwan_hook.routing.desired import Desired
from mwan_hook.routing.uplinks import Inputs
from mwan_hook.run import follow_own, own_sockets
from mwan_hook.run.scene import Followed, Judged, Scene
from tests.unit import builders as b

ON, OFF, DISABLED = Status.ONLINE, Status.OFFLINE, Status.DISABLED
V4, V6 = Family.IPV4, Family.IPV6
FIBER, LTE = "192.168.2.2", "192.168.4.2"
FAR = "203.0.113.80"
SINCE, NOW = 1000.0, 1100.0
LANS = ((2, "192.168.2.0/24"), (4, "192.168.4.0/24"), (9, "10.20.0.0/16"))
NETWORKS = tuple(Neighbourhood(*one) for one in LANS)
HARD: Any = {"failback": Failback.HARD}
NAMES = {2: "fiber", 4: "lte", 9: "lan0"}


def sock(local: str = FIBER, peer: str = FAR, protocol: int = TCP, **more: Any) -> Socket:
    """A connection of a program to a server."""
    values = {"state": spared.ESTABLISHED, "sport": 40000, "dport": 443, "inode": 7, **more}
    return Socket(10 if ":" in local else 2, protocol, local=local, peer=peer, **values)


def listener(local: str, port: int, protocol: int = TCP, **more: Any) -> Socket:
    state = spared.LISTEN if protocol == TCP else spared.CLOSE
    anywhere = "::" if ":" in local else "0.0.0.0"
    return sock(local, anywhere, protocol, state=state, sport=port, dport=0, **more)


def judged(
    fiber: Status = OFF,
    lte: Status = ON,
    router: Router = Router(),  # noqa: B008 - a tuple
    *,
    now: float = NOW,
    policies: tuple[Policy, ...] = (),
    followed: tuple[str, ...] | None = None,
    changes: tuple[Change, ...] = (),
    lent: str = "",
    **lte_settings: Any,
) -> Judged:
    """fiber (preferred) and lte as they stand; both had their addresses when they were online last."""
    entries = (b.uplink("fiber", metric=100), b.uplink("lte", metric=200, **lte_settings))
    config = b.config(*entries)._replace(router=router, policies=policies)
    around = b.snapshot("fiber", "lte")
    state = b.state(fiber=fiber, lte=lte)
    online = tuple(name for name, one in (("fiber", fiber), ("lte", lte)) if one is ON)
    memories = dict(state.uplinks)
    for name, address in (("fiber", lent or FIBER), ("lte", LTE)):
        known = memories[name].ipv4._replace(sources=(address,), since=SINCE)
        memories[name] = memories[name].with_family(V4, known).with_family(V6, memories[name].ipv6._replace(status=OFF))
    best = {V4: WayOut(online[0])} if online else {}
    before = {V4: online if followed is None else followed}
    state = state._replace(uplinks=memories, best=best, followed=before)
    bound = b.bound(config, Inputs(around, State(), Allotment()))
    if lent:
        first = bound.uplinks[0]._replace(ipv4=bound.uplinks[0].ipv4._replace(lent=lent))
        bound = bound._replace(uplinks=(first, *bound.uplinks[1:]))
    seen = Scene("/", config, "", state, Allotment(), bound, around, now, now)
    return Judged(seen, state, Desired(online={V4: online}), changes)


# ---------------------------------------------------------------- one socket


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (sock(), ""),
        (sock(protocol=UDP), ""),
        (sock(state=spared.SYN_SENT), ""),
        (sock(device=2), "bound to fiber"),
        (sock(device=77), "bound to 77"),
        (sock(peer="192.168.2.1"), "neighbour"),
        (sock(peer="192.168.4.9"), "neighbour"),
        (sock(peer="10.20.30.40"), "neighbour"),
        (sock(peer=FIBER), "neighbour"),
        (sock(peer="169.254.7.7"), "neighbour"),
        (sock(peer="239.255.255.250", protocol=UDP), "neighbour"),
        (sock("2001:db8:2::2", "fe80::1"), "neighbour"),
        (sock("2001:db8:2::2", "ff02::fb", UDP), "neighbour"),
        (sock(sport=22), "port 22 is listened on"),
        (sock(sport=22, protocol=UDP), ""),
        (sock(sport=8080), "port 8080"),
        (sock(LTE, sport=8080), ""),
        (sock(sport=443), "port 443"),
        (sock(sport=444), ""),
        (sock("2001:db8:2::2", "2001:db8:99::1", sport=443), "port 443"),
        (sock("2001:db8:2::2", "2001:db8:99::1", sport=444), "port 444"),
        (sock("2001:db8:2::2", "2001:db8:99::1", sport=22), ""),
        (sock(sport=1194, protocol=UDP), "port 1194"),
    ],
)
def test_what_spares_a_socket_wherever_its_uplink_is(one: Socket, why: str) -> None:
    """Listeners: IPv4 on any address and on one, IPv6 for both families and for its own, UDP without a peer."""
    there = [
        listener("0.0.0.0", 22),
        listener(FIBER, 8080),
        listener("::", 443),
        listener("::", 444, only6=True),
        listener("0.0.0.0", 1194, UDP),
    ]
    found = spared.Surroundings([one, *there], NETWORKS, NAMES).kept(one)
    assert (why in found.why if why else False) if found else not why, found


@pytest.mark.parametrize("state", range(1, 13))
@pytest.mark.parametrize("inode", [0, 5])
def test_only_a_socket_that_a_program_has_and_that_has_a_peer_is_ended(state: int, inode: int) -> None:
    without = {3, 6, spared.CLOSE, spared.LISTEN, 12}  # what came in, TIME-WAIT, none
    assert spared.has_peer(sock(state=state, inode=inode)) is (bool(inode) and state not in without)


ADDRESSES = st.sampled_from((FIBER, LTE, FAR, "192.168.2.1", "10.20.1.1", "198.51.100.7", "0.0.0.0"))
SOCKETS = st.builds(
    lambda local, peer, protocol, state, port, device, inode: sock(
        local, peer, protocol, state=state, sport=port, device=device, inode=inode
    ),
    *(ADDRESSES, ADDRESSES, st.sampled_from((TCP, UDP)), st.sampled_from((1, 2, 7, 8, 10)), st.integers(1, 4)),
    *(st.sampled_from((0, 0, 2)), st.integers(0, 2)),
)


@given(st.lists(SOCKETS, max_size=12))
def test_no_socket_that_is_to_stay_is_ever_chosen(found: list[Socket]) -> None:
    (left,) = follow_own._left(judged())
    around = own_sockets.Around(judged(), spared.Surroundings(found, NETWORKS, NAMES), planned=False)
    around._way = lambda *_: 0  # type: ignore[method-assign]
    chosen, others = around.of(left, found)[1:]
    waiting = {(one.protocol, one.sport) for one in found if one.state == (10 if one.protocol == TCP else 7)}
    for one in chosen:
        assert one.local == FIBER and not one.device and one.inode and one.state in (1, 2, 8)
        assert one.peer in (FAR, "198.51.100.7", "0.0.0.0")
        listening = [other for other in found if spared.is_listening(other) and spared.is_from(one, other)]
        assert not listening or (one.protocol, one.sport) not in waiting
    assert len(chosen) + len(others) == len([one for one in found if one.local == FIBER and spared.has_peer(one)])


# ---------------------------------------------------------------- when


def at(found: Judged) -> float | None:
    return follow_own.due(found)


def test_it_is_due_own_after_seconds_after_the_verdict_and_then_again_but_seldom() -> None:
    assert at(judged()) == SINCE + 60
    assert at(judged(router=Router(own_after=3))) == SINCE + 3
    assert at(judged(router=Router(own="keep"), followed=())) is None
    assert at(judged(ON, ON)) is None and at(judged(DISABLED)) is None
    assert at(judged(OFF, OFF, followed=())) is None, "nothing else is online"
    for after, again in ((60.0, 60.0), (3.0, 10.0)):
        done = judged(router=Router(own_after=after))
        memory = done.state.uplinks["fiber"]
        ended = memory.with_family(V4, memory.ipv4._replace(ended_at=NOW))
        state = done.state._replace(uplinks={**done.state.uplinks, "fiber": ended})
        assert at(done._replace(state=state)) == NOW + again
        later = ended.with_family(V4, ended.ipv4._replace(since=NOW + 5))
        state = done.state._replace(uplinks={**done.state.uplinks, "fiber": later})
        assert at(done._replace(state=state)) == NOW + 5 + after, "another outage"


def test_who_is_online_is_noted_at_once_and_forgotten_where_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "concerning", pytest.fail)
    first = judged(ON, ON, followed=())
    assert at(first) == 0.0
    done = follow_own.do(first, NOW)
    assert done.state.followed == {V4: ("fiber", "lte")} and not done.lines
    assert at(first._replace(state=done.state)) is None
    kept = judged(ON, ON, Router(own="keep"))
    assert at(kept) == 0.0 and follow_own.do(kept, NOW).state.followed == {}


def test_routes_come_first() -> None:
    waiting = judged(changes=(Change(Op.ADD, Route(V4, 1000)),), followed=("fiber", "lte"))
    done = follow_own.do(waiting, NOW)
    assert done.state == waiting.state and at(waiting) == 0.0


# ---------------------------------------------------------------- a hard failback


@pytest.mark.parametrize(
    ("settings", "fiber", "lte", "followed", "expected"),
    [
        (HARD, ON, ON, ("lte",), [("lte", ("fiber",))]),
        ({}, ON, ON, ("lte",), []),
        (HARD, ON, ON, ("fiber", "lte"), []),
        (HARD, ON, ON, ("lte", "fiber"), [("lte", ("fiber",))]),
        (HARD, ON, ON, (), []),
        (HARD, ON, ON, ("fiber",), []),
        (HARD, ON, DISABLED, ("lte",), []),
        (HARD, OFF, ON, ("lte",), []),
    ],
)
def test_what_is_left_is_what_a_better_one_has_taken_over_from(
    settings: dict[str, Any], fiber: Status, lte: Status, followed: tuple[str, ...], expected: list[Any]
) -> None:
    found = judged(fiber, lte, followed=followed, now=SINCE, **settings)
    assert [(one.uplink.name, one.better) for one in follow_own._left(found)] == expected


@pytest.mark.parametrize(("order", "left"), [("fiber lte", True), ("lte fiber", False), ("lte+fiber", False)])
def test_an_uplink_that_shares_is_not_left_but_by_the_order_of_a_policy(order: str, left: bool) -> None:
    policy = Policy("calls", order=b.order(order))
    found = judged(ON, ON, followed=("lte",), policies=(policy,), **HARD)
    equal = tuple(one._replace(metric=100) for one in found.scene.uplinks)
    bound = found.scene.bound._replace(uplinks=equal)
    assert bool(follow_own._left(found._replace(scene=found.scene._replace(bound=bound)))) is left


@pytest.mark.parametrize(("way", "ended"), [(2, True), (4, False), (9, False), (0, False)])
def test_of_what_is_left_only_that_ends_which_would_go_by_another_uplink_now(
    monkeypatch: pytest.MonkeyPatch, way: int, ended: bool
) -> None:
    """Policies, routes of main and marks may lead by it still; so may a tunnel."""
    found = judged(ON, ON, followed=("lte",), **HARD)
    one = sock(LTE, mark=5, uid=33)
    asked: list[Any] = []

    def out(question: Any) -> int:
        asked.append(question)
        return way

    monkeypatch.setattr(lookup, "out", out)
    done = acted(monkeypatch, found, [one, sock(LTE, sport=40001, mark=5, uid=33)])
    assert bool(done.lines) is ended and len(asked) == 1, "each question is asked once"
    assert (asked[0].source, asked[0].mark, asked[0].uid, asked[0].dport) == (None, 5, 33, 443)


def test_a_policy_by_class_of_service_keeps_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = Policy("calls", order=b.order("lte"), dscp=(46,))
    found = judged(ON, ON, followed=("lte",), policies=(policy,), **HARD)
    monkeypatch.setattr(lookup, "out", lambda _: 2)
    assert not acted(monkeypatch, found, [sock(LTE, dscp=46)]).lines
    assert acted(monkeypatch, found, [sock(LTE, dscp=45)]).lines


# ---------------------------------------------------------------- whose address


@pytest.mark.parametrize(("way", "ended"), [(0, True), (2, True), (4, True), (9, False)])
def test_what_goes_by_an_interface_that_is_no_uplink_stays(
    monkeypatch: pytest.MonkeyPatch, way: int, ended: bool
) -> None:
    monkeypatch.setattr(lookup, "out", lambda question: way if question.source == FIBER else pytest.fail())
    assert bool(acted(monkeypatch, judged(), [sock()]).lines) is ended


@pytest.mark.parametrize(("way", "ended"), [(0, True), (2, True), (4, False)])
def test_an_address_that_is_only_lent_may_go_by_another_uplink(
    monkeypatch: pytest.MonkeyPatch, way: int, ended: bool
) -> None:
    monkeypatch.setattr(lookup, "out", lambda _: way)
    assert bool(acted(monkeypatch, judged(lent="192.0.2.7"), [sock("192.0.2.7")]).lines) is ended


def test_an_address_that_another_uplink_has_too_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    found = judged()
    memory = found.state.uplinks["fiber"]
    both = memory.with_family(V4, memory.ipv4._replace(sources=(LTE, FIBER)))
    found = found._replace(state=found.state._replace(uplinks={**found.state.uplinks, "fiber": both}))
    (left,) = follow_own._left(found)
    assert left.sources == (FIBER,)
    only = memory.with_family(V4, memory.ipv4._replace(sources=(LTE,)))
    found = found._replace(state=found.state._replace(uplinks={**found.state.uplinks, "fiber": only}))
    monkeypatch.setattr(sockets, "concerning", pytest.fail)
    done = follow_own.do(found, NOW)
    assert done.state.uplinks["fiber"].ipv4.ended_at == NOW, "and it is not asked again at once"


# ---------------------------------------------------------------- what is done


def acted(
    monkeypatch: pytest.MonkeyPatch, found: Judged, there: list[Socket], ended: sockets.Ended | None = None
) -> Followed:
    monkeypatch.setattr(sockets, "concerning", lambda _: there)
    monkeypatch.setattr(sockets, "networks", lambda: NETWORKS)
    monkeypatch.setattr(sockets, "destroy", lambda chosen, _: ended or sockets.Ended(tuple(chosen)))
    return follow_own.do(found, NOW)


def test_it_is_counted_and_said_as_an_operator_could_have_typed_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "out", lambda _: 0)
    there = [sock(), sock(protocol=UDP), sock(sport=22), sock(device=2), sock(peer="192.168.2.1"), listener("::", 22)]
    done = acted(monkeypatch, judged(), there)
    but = "sport = :22 or dev = fiber or dst 192.168.2.0/24"
    assert done.lines == (f"ss -K -tu 'src {FIBER} and not ( {but} )'  # 2 sockets: fiber is offline",)
    memory = done.state.uplinks["fiber"].ipv4
    assert (memory.aborted, memory.ended_at) == (2, NOW) and not done.failures
    again = judged()._replace(state=done.state)
    assert acted(monkeypatch, again, there).state == done.state, "not before its time has come again"


def test_what_the_time_does_not_suffice_for_is_due_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "out", lambda question: 0 if question.source else 2)
    one, two = sock(), sock(sport=40001)
    done = acted(monkeypatch, judged(), [one, two], sockets.Ended((one,), left=1))
    assert done.state.uplinks["fiber"].ipv4.aborted == 1
    assert at(judged()._replace(state=done.state)) == SINCE + 60
    found = judged(ON, ON, followed=("lte",), **HARD)
    done = acted(monkeypatch, found, [sock(LTE)], sockets.Ended((), left=1))
    assert done.state.followed == {V4: ("lte",)} and at(found._replace(state=done.state)) == 0.0


def test_a_kernel_that_cannot_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "out", lambda _: 0)
    done = acted(monkeypatch, judged(), [sock()], sockets.Ended(unable="no"))
    assert done.state.unable == "no" and not done.failures and "13 to 30 minutes" in done.notes[0]
    again = judged()._replace(state=done.state)
    assert at(again) is None and not follow_own._left(again)
    assert not follow_own._left(judged(ON, ON, followed=("lte",), **HARD)._replace(state=done.state))


def test_what_is_spared_is_told_from_what_is_ended_with_the_same_destination(monkeypatch: pytest.MonkeyPatch) -> None:
    """A policy by user keeps one of two sockets: typed, the line must end the other."""
    monkeypatch.setattr(lookup, "out", lambda question: 4 if question.uid == 33 else 2)
    found, there = judged(ON, ON, followed=("lte",), **HARD), [sock(LTE, sport=40001), sock(LTE, sport=40002, uid=33)]
    [line] = acted(monkeypatch, found, there).lines
    assert line.startswith(f"ss -K -tu 'src {LTE} and not ( ( dst {there[1].peer} and sport = :40002 ) )'  # 1 socket")


def test_a_plan_asks_nothing_of_routes_that_do_not_stand_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    acted(monkeypatch, judged(ON, ON), [])
    monkeypatch.setattr(sockets, "concerning", lambda _: [sock(LTE)])
    monkeypatch.setattr(lookup, "out", lambda _: 4)
    waiting = judged(ON, ON, followed=("lte",), changes=(Change(Op.ADD, Route(V4, 1000)),), **HARD)
    assert follow_own.lines(waiting) == [
        f"ss -K -tu 'src {LTE}'  # 1 socket: lte has `failback = hard` and fiber is back"
    ]


# ---------------------------------------------------------------- what trace says


@pytest.mark.parametrize(
    ("found", "one", "kept", "why"),
    [
        (judged(now=SINCE + 20), sock(), False, "in 40 s: fiber is offline"),
        (judged(), sock(), False, "by the next run: fiber is offline"),
        (judged(OFF, OFF), sock(), True, "every other uplink"),
        (judged(DISABLED), sock(), True, "fiber is disabled"),
        (judged(router=Router(own="keep")), sock(), True, "`own = keep`"),
        (judged(), sock("198.51.100.9"), True, "no address of an uplink"),
        (judged(ON), sock(), True, "ended 60 s after it goes offline"),
        (judged(ON, **HARD), sock(LTE), True, "or once a better uplink takes over"),
    ],
)
def test_what_becomes_of_a_socket_is_foretold_by_the_same_rule(
    found: Judged, one: Socket, kept: bool, why: str
) -> None:
    seen = found.scene
    told = foretold.foretold(one, seen.uplinks, found.state, seen.config.router, seen.now)
    assert told.kept is kept and why in told.why and (told.left is None) is kept
