"""Messages to values and back, without a kernel."""

from __future__ import annotations

import random
import shlex
import socket
import struct
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.addresses import packed
from mwan_hook.kernel import build, bulk, canonical, copies, copydiff, copywords, frames, netlink, wire
from mwan_hook.model import GUARD_METRIC, Address, Change, Family, Link, Nexthop, Op, Route, Rule, Sysctl
from mwan_hook.routing import words

OURS, THEIRS = 172, 3
SEQUENCE = 0xD7123456


def message(kind: int, body: bytes, flags: int = 2) -> bytes:
    """As the kernel sends it in a dump."""
    return struct.pack("=IHHII", 16 + len(body), kind, flags, SEQUENCE, 4711) + body


def route_message(
    n: int = 1, *more: tuple[int, bytes], table: int = 254, protocol: int = THEIRS, flags: int = 0, answer: int = 2
) -> bytes:
    """10.x.y.0/24 dev 3, with more attributes in front of the device."""
    body = struct.pack("=BBBBBBBBI", 2, 24, 0, 0, min(table, 252), protocol, 253, 1, flags)
    body += frames.number(wire.RTA_TABLE, table) + frames.attribute(wire.RTA_DST, bytes((10, n >> 8, n & 255, 0)))
    body += b"".join(frames.attribute(kind, value) for kind, value in more) + frames.number(wire.RTA_OIF, 3)
    return message(wire.RTM_NEWROUTE, body, answer)


def address_message(family: int, local: bytes, peer: bytes, flags: int = 0, scope: int = 0) -> bytes:
    body = struct.pack("=BBBBI", family, 24, flags & 0xFF, scope, 7)
    return message(20, body + frames.attribute(1, peer) + frames.attribute(2, local) + frames.number(8, flags))


def test_a_link_is_read_with_its_names() -> None:
    names = frames.attribute(0x8000 | 52, frames.attribute(53, b"one\0") + frames.attribute(53, b"two\0"))
    body = struct.pack("=BxHiII", 0, 1, 9, 0x11043, 0) + frames.attribute(3, b"w\xff\0")
    body += frames.attribute(1, bytes(range(6))) + names
    assert wire.link(message(16, body)) == Link(9, "w\udcff", True, True, "00:01:02:03:04:05", False, ("one", "two"))


def test_the_flags_of_an_address_say_what_it_is_good_for() -> None:
    ours = bytes((0x20, 1, 0xD, 0xB8)) + bytes(12)
    lasting = wire.address(address_message(10, ours, ours, 0x80))
    fading = wire.address(address_message(10, ours, ours, 0x01 | 0x20 | 0x200))
    assert (lasting.deprecated, lasting.temporary, lasting.no_network) == (False, False, False)
    assert (fading.deprecated, fading.temporary, fading.no_network, fading.usable) == (True, True, True, True)
    secondary = wire.address(address_message(2, bytes((10, 0, 0, 2)), bytes((10, 0, 0, 2)), 0x01))
    assert not secondary.temporary  # the same bit: IPv4's second address in one network


def test_our_side_of_a_point_to_point_address_is_taken() -> None:
    read = wire.address(address_message(2, bytes((10, 0, 0, 2)), bytes((10, 0, 0, 1))))
    assert read == Address(7, Family.IPV4, "10.0.0.2", 24, True)


@pytest.mark.parametrize(
    ("flags", "usable", "tentative"),
    [(0, True, False), (0x40, False, True), (0x44, True, False), (0x48, False, True), (0x08, False, False)],
    ids=["ready", "tentative", "optimistic", "failed", "done"],
)
def test_duplicate_address_detection_decides_whether_an_address_is_usable(
    flags: int, usable: bool, tentative: bool
) -> None:
    own = bytes.fromhex("20010db8000000000000000000000001")
    read = wire.address(address_message(10, own, own, flags))
    assert (read.usable, read.tentative) == (usable, tentative)


@pytest.mark.parametrize("text", ["fe80::1", "febf::1"])
def test_link_local_addresses_are_never_usable(text: str) -> None:
    own = packed(text)
    assert not wire.address(address_message(10, own, own)).usable


def test_a_dead_route_is_none_unless_it_is_asked_for() -> None:
    raw = route_message(flags=wire.RTNH_F_DEAD | wire.RTNH_F_LINKDOWN)
    assert wire.route(raw, keep_dead=False) is None
    assert wire.route(raw) == Route(Family.IPV4, 254, "10.0.1.0/24", 0, (Nexthop(3),), scope=253, protocol=THEIRS)


prefixes = st.one_of(st.just("default"), st.integers(1, 250).map(lambda n: f"10.{n}.0.0/16"), st.just("192.0.2.7/32"))
gateways = st.one_of(st.none(), st.integers(1, 250).map(lambda n: f"192.0.2.{n}"), st.just("inet6 fe80::1"))
hops = st.builds(Nexthop, st.integers(1, 2**31 - 1), gateways, st.integers(1, 256), st.just(False))
routes = st.builds(
    Route,
    st.just(Family.IPV4),
    st.integers(1, 2**32 - 1),
    prefixes,
    st.integers(0, 2**32 - 1),
    st.lists(hops, min_size=1, max_size=4).map(tuple),
    kind=st.sampled_from(["unicast", "local"]),
    mtu=st.just(0),
    src=st.sampled_from([None, "192.0.2.1"]),
    scope=st.sampled_from([0, 253]),
    tos=st.sampled_from([0, 8]),
    protocol=st.integers(1, 255),
    from_=st.none(),
    nhid=st.sampled_from([0, 1720000004]),
)


def test_a_deletion_names_the_sources_that_a_route_is_for() -> None:
    route = Route(Family.IPV6, 9, "2001:db8::/32", 7, (Nexthop(1, "fe80::1"),), from_="2001:db8:1::/48")
    assert wire.route(build.deletion(route)) == route


@given(routes)
def test_what_a_deletion_names_is_the_route(route: Route) -> None:
    assert wire.route(build.deletion(route)) == build.canonical(route)


@given(st.sampled_from(sorted(wire.NULL_KINDS)), st.sampled_from(list(Family)))
def test_null_routes_have_no_nexthop(kind: str, family: Family) -> None:
    route = Route(family, 9, metric=GUARD_METRIC, kind=kind, nexthops=(Nexthop(1),))
    assert build.canonical(route).nexthops == ()
    assert wire.route(build.deletion(build.canonical(route))) == build.canonical(route)


def test_a_rule_is_read_with_all_its_selectors() -> None:
    body = struct.pack("=BBBBBBBBI", 2, 16, 32, 0, 252, 0, 0, 1, 0)
    body += frames.number(15, 1001) + frames.number(14, 0) + frames.attribute(21, b"\xac") + frames.number(6, 1200)
    body += frames.attribute(2, bytes((10, 0, 0, 1))) + frames.attribute(1, bytes((10, 9, 0, 0)))
    body += (
        frames.attribute(17, b"wan1\0") + frames.attribute(3, b"br0\0") + frames.number(10, 4) + frames.number(16, 0xFF)
    )
    assert wire.rule(message(32, body)) == Rule(
        Family.IPV4, 1200, 1001, "10.0.0.1", "10.9.0.0/16", "br0", "wan1", 4, 0xFF, 0, 172
    )
    body = struct.pack("=BBBBBBBBI", 2, 0, 0, 0, 0, 0, 0, 7, 0) + frames.number(15, 0) + frames.number(6, 1401)
    body += (
        frames.attribute(21, b"\xac") + frames.attribute(22, b"\x06") + frames.attribute(20, struct.pack("=II", 0, 7))
    )
    body += frames.attribute(23, struct.pack("=HH", 1, 2)) + frames.attribute(24, struct.pack("=HH", 3, 65534))
    assert wire.rule(message(32, body)) == Rule(
        Family.IPV4, 1401, 0, ipproto=6, sport=(1, 2), dport=(3, 65534), uids=(0, 7), action="unreachable"
    )


PREFIXES = {
    Family.IPV4: ("10.0.0.1", "10.9.0.0/16", "0.0.0.0/1"),
    Family.IPV6: ("2001:db8::7", "2001:db8:40::/42", "8000::/1"),
}
u32, octet, port = st.integers(0, 2**32 - 2), st.integers(1, 255), st.integers(0, 65535)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    """Every field has values."""
    family = draw(st.sampled_from(list(Family)))
    prefix = st.none() | st.sampled_from(PREFIXES[family])
    name = st.none() | st.sampled_from(("lo", "wan-1", "w\udcff"))
    mark, ports = draw(st.none() | u32), st.none() | st.tuples(port, port)
    return Rule(
        *(family, draw(u32), draw(u32), draw(prefix), draw(prefix), draw(name), draw(name), mark),
        None if mark is None else draw(u32),
        *(draw(st.none() | u32), draw(octet), draw(st.none() | octet), draw(ports), draw(ports)),
        draw(st.none() | st.tuples(u32, u32)),
        draw(st.sampled_from((*wire.ACTIONS.values(), "9"))),
        inverted=draw(st.booleans()),
        l3mdev=draw(st.booleans()),
        target=draw(u32),
    )


@given(rules(), st.booleans())
def test_what_is_written_of_a_rule_is_the_rule(rule: Rule, add: bool) -> None:
    assert wire.rule(build.rule(rule, add)) == rule


def metric(n: int) -> tuple[int, bytes]:
    return wire.RTA_PRIORITY, n.to_bytes(4, "little")


def many(count: int, protocol: int = THEIRS, table: int = 254) -> list[bytes]:
    """Messages of several shapes in no order."""
    chance = random.Random(5)
    shapes_ = ((), (metric(7),), ((wire.RTA_GATEWAY, bytes((192, 0, 2, 1))),), (metric(9), (7, bytes((192, 0, 2, 9)))))
    return [route_message(n, *chance.choice(shapes_), table=table, protocol=protocol) for n in range(count)]


def collected(buffers: list[bytes]) -> copies.CanonicalRoutes:
    """All routes of a dump."""
    return copies.collect(buffers, OURS, oif=0, defaults=True, disguised=0)


def in_buffers(messages: list[bytes], size: int) -> list[bytes]:
    return [b"".join(messages[start : start + size]) for start in range(0, len(messages), size)]


@pytest.mark.parametrize("size", [1, 7, 400])
def test_main_and_its_copies_become_the_same_bytes(size: int) -> None:
    main = collected(in_buffers(many(400), size))
    write = canonical.writer(100000, OURS, 0)
    copy = [message(wire.RTM_NEWROUTE, write(route)[16:]) for route in main.others]
    have = collected(in_buffers(copy, size))
    assert (len(set(main.others)), main.ours, have.others) == (400, [], [])
    assert set(have.ours) == set(main.others)


@pytest.mark.parametrize("table", [7, 254, 1001, 0x12345678])
def test_many_routes_are_written_as_one_is(table: int) -> None:
    routes = collected([b"".join(many(3000))]).others
    flags = wire.NLM_F_CREATE | wire.NLM_F_EXCL
    assert len({len(route) for route in routes}) > 2
    assert copydiff.messages(routes, table, OURS, flags) == [*map(canonical.writer(table, OURS, flags), routes)]
    assert copydiff.messages([], table, OURS, flags) == []


def test_what_an_uplinks_table_lacks_is_added_once_and_what_gateways_need_comes_first() -> None:
    behind = [bytearray(route_message(n, (wire.RTA_GATEWAY, bytes((10, 0, 9, 1))))) for n in range(1, 4)]
    for one in behind:
        one[22] = 0  # the scope of the world, not the link's
    main = collected([*map(bytes, behind), route_message(9), route_message(9, protocol=THEIRS + 1)])
    nothing = collected([])
    found = copydiff.difference(Family.IPV4, 1001, main, nothing, OURS)
    assert [one[42] for one in found.add] == [9, 1, 2, 3]
    assert (found.kept, found.extra, found.replace) == (0, (), ())


def test_a_copy_of_what_is_dead_stays_while_others_are_added() -> None:
    dead = route_message(1, flags=wire.RTNH_F_DEAD)
    main = collected([dead, route_message(2)])
    have = collected([route_message(n, table=1001, protocol=OURS) for n in (1, 3)])
    found = copydiff.difference(Family.IPV4, 1001, main, have, OURS)
    assert [one[42] for one in found.add] == [2]
    assert [route.dst for route in found.extra] == ["10.0.3.0/24"]


@pytest.mark.parametrize("made", [[route_message(n) for n in range(300)], many(300), [route_message(1)]])
def test_each_message_of_a_buffer_has_its_place_and_the_last_one_asks_for_an_answer(made: list[bytes]) -> None:
    sent = frames.split(bytes(bulk.numbered(made)))
    assert [one[:6] + one[12:] for one in sent] == [one[:6] + one[12:] for one in made]
    assert [struct.unpack_from("=HI", one, 6) for one in sent[:-1]] == [(2, n) for n in range(len(made) - 1)]
    assert struct.unpack_from("=HI", sent[-1], 6) == (2 | wire.NLM_F_ACK, len(made) - 1)


def test_messages_one_by_one_and_in_one_buffer_give_the_same() -> None:
    messages = [*many(50), *many(50, OURS), route_message(9, flags=wire.RTNH_F_DEAD), route_message(8, flags=0x14)]
    random.Random(3).shuffle(messages)
    alone, together = collected(messages), collected([b"".join(messages)])
    assert [set(routes) for routes in alone] == [set(routes) for routes in together]
    assert len(together.dead) == 1


def test_bytes_that_look_like_a_header_do_not_break_a_route() -> None:
    mark = struct.pack("=HHI", wire.RTM_NEWROUTE, 2, SEQUENCE)
    messages = [*many(20), route_message(77, (wire.RTA_METRICS, mark + mark)), *many(5, OURS)]
    alone, together = collected(messages), collected([b"".join(messages)])
    assert [set(routes) for routes in alone] == [set(routes) for routes in together]


@pytest.mark.parametrize("place", [0, 1, 25, 49])
@pytest.mark.parametrize("mixed", [False, True])
def test_an_interrupted_dump_is_noticed_wherever_it_says_so(place: int, mixed: bool) -> None:
    messages = many(50) if mixed else [route_message(n) for n in range(50)]
    messages[place] = messages[place][:6] + b"\x12" + messages[place][7:]
    with pytest.raises(frames.InterruptedDumpError):
        collected([b"".join(messages)])
    with pytest.raises(frames.InterruptedDumpError):
        frames.checked(b"".join(messages))


@pytest.mark.parametrize("flags", [0x02, 0x12])
@pytest.mark.parametrize("apart", [False, True])
def test_a_dump_is_as_interrupted_as_its_end_says(flags: int, apart: bool) -> None:
    done = message(3, bytes(4), flags)
    ours, kernel = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, kernel:
        for buffer in (route_message(1), done) if apart else (route_message(1) + done,):
            kernel.send(buffer)
        with pytest.raises(frames.InterruptedDumpError) if flags & frames.NLM_F_DUMP_INTR else nullcontext():
            assert list(netlink.dump(ours, wire.RTM_GETROUTE, bytes(12))) == [route_message(1)]


def test_the_end_of_a_dump_is_found_behind_messages_and_alone() -> None:
    done = message(3, bytes(4))
    wordy = message(3, struct.pack("=i", -22) + frames.attribute(1, b"no\0"))
    buffer = b"".join(many(5))
    assert frames.done(done) == 0
    assert frames.done(buffer) == -1
    assert frames.done(buffer + done) == len(buffer)
    assert frames.done_with_words(buffer + wordy) == len(buffer)


@given(st.binary(max_size=200))
def test_no_bytes_make_the_readers_loop_or_fail_oddly(noise: bytes) -> None:
    assert all(len(value) <= len(noise) for _, value in wire.each_attribute(noise, 0))
    assert sum(len(one) for one in frames.split(noise)) <= len(noise) + 65536
    assert len(list(wire.legs(noise))) <= len(noise)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            Change(Op.ADD, Route(Family.IPV4, 2000, metric=100, nexthops=(Nexthop(2, "192.168.1.1"),))),
            "ip route add default via 192.168.1.1 dev enp1s0 table 2000 proto 172 metric 100",
        ),
        (
            Change(Op.ADD, Rule(Family.IPV6, 1100, 1001, oif="wan1")),
            "ip -6 rule add priority 1100 from all oif wan1 lookup 1001 proto 172",
        ),
        (
            Change(Op.REPLACE, Sysctl("net/ipv4/conf/enp1s0/ignore_routes_with_linkdown", "1")),
            "sysctl -w net.ipv4.conf.enp1s0.ignore_routes_with_linkdown=1",
        ),
        (
            Change(Op.REPLACE, Sysctl("net/ipv4/conf/eth0.100/ignore_routes_with_linkdown", "1")),
            "sysctl -w net/ipv4/conf/eth0.100/ignore_routes_with_linkdown=1",
        ),
        (
            Change(Op.DELETE, Route(Family.IPV4, 1001, metric=GUARD_METRIC, kind="unreachable")),
            "ip route del unreachable default table 1001 proto 172 metric 4294967295",
        ),
        (
            Change(
                Op.REPLACE,
                Route(Family.IPV4, 1000, metric=1, nexthops=(Nexthop(2, "10.0.0.1", 3), Nexthop(9, None, 1))),
            ),
            "ip route replace default table 1000 proto 172 metric 1 "
            "nexthop via 10.0.0.1 dev enp1s0 weight 3 nexthop dev if9 weight 1",
        ),
    ],
)
def test_changes_are_written_as_an_operator_would_type_them(change: Change, line: str) -> None:
    assert words.line(change, {2: "enp1s0"}) == line


def test_a_raw_copy_is_shown_with_what_it_keeps() -> None:
    kept = (wire.RTA_METRICS, frames.number(2, 1400) + frames.number(8, 1360))
    (route,) = collected([route_message(1, metric(7), kept)]).others
    for flags, verb in ((wire.NLM_F_EXCL, "add"), (wire.NLM_F_APPEND, "append"), (wire.NLM_F_REPLACE, "replace")):
        raw = canonical.writer(1001, OURS, wire.NLM_F_CREATE | flags)(route)
        shown = words.line(Change(Op.ADD, raw, 1001), {3: "wan1"}, copywords.describe)
        assert shown == f"ip route {verb} 10.0.1.0/24 dev wan1 table 1001 proto 172 metric 7 mtu 1400 advmss 1360"


def test_a_raw_copy_through_a_nexthop_object_names_that_and_no_device() -> None:
    (route,) = collected([route_message(1, (wire.RTA_NH_ID, (7).to_bytes(4, "little")))]).others
    raw = canonical.writer(1001, OURS, wire.NLM_F_CREATE | wire.NLM_F_EXCL)(route)
    shown = words.line(Change(Op.ADD, raw, 1001), {3: "wan1"}, copywords.describe)
    assert shown == "ip route add 10.0.1.0/24 nhid 7 table 1001 proto 172 scope link"


@pytest.mark.parametrize("name", ["a b", "$(reboot)", "it's", "`x`", "*", "", "!x", "#1"])
def test_words_for_the_shell_stay_one_word(name: str) -> None:
    assert shlex.split(words.quote(name)) == [name]
