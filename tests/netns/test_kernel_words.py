"""Every line that the program shows does in ip(8) what the program does itself."""

from __future__ import annotations

import pytest

from mwan_hook.model import Change, CopyRoutes, Family, Nexthop, Op, Route, Rule, Sysctl
from tests.lab import Lab
from tests.netns.kernel import Kernel, changes, hop
from tests.netns.test_kernel import A4, BOTH, Bed

ODD = ("wan$1", "a;b", "it's", "x.100", "-e0", "wan 2"[:3] + "*", "ü", "[w]", "dev", "~")


@pytest.fixture
def bed(lab: Lab) -> Bed:
    return Bed.with_two_links(lab)


def type_in(kernel: Kernel, done: list[Change]) -> list[str]:
    """Let a shell run the lines."""
    lines: list[str] = kernel.call("lines", done)
    kernel.ns.run("sh", "-ec", "\n".join(lines))
    return lines


def extras(bed: Bed, family: Family) -> tuple[Route, ...]:
    """Forms that only lines must get right."""
    if family is Family.IPV6:
        return (Route(family, 9, "2001:db8:5::1/128", kind="prohibit", metric=2),)
    via = (hop(bed.one, "inet6 fe80::1"), hop(bed.two, "203.0.113.9", 4, True))
    return (
        Route(family, 9, metric=1, nexthops=via),
        Route(family, 9, "10.1.0.0/16", kind="throw"),
        Route(family, 9, "10.2.0.0/16", nexthops=(hop(bed.one),), scope=0),
        Route(family, 9, "192.168.1.80/32", nexthops=(hop(bed.one),), scope=254, kind="local"),
        Route(family, 9, "10.3.0.0/16", nexthops=(hop(bed.one), hop(bed.two))),
    )


@BOTH
def test_lines_that_add_make_the_same_objects(bed: Bed, family: Family) -> None:
    objects: list[Route | Rule] = [*bed.hops(family), *extras(bed, family), *bed.rulebook(family)]
    adding = changes(Op.ADD, *objects)
    assert bed.apply(*adding) == []
    made = (bed.all_ours(family), bed.rules(family))
    assert bed.delete(*objects) == []
    assert bed.all_ours(family) == ()
    type_in(bed, adding)
    assert (bed.all_ours(family), bed.rules(family)) == made


@BOTH
def test_lines_that_delete_take_the_same_objects(bed: Bed, family: Family) -> None:
    objects: list[Route | Rule] = [*bed.hops(family), *extras(bed, family), *bed.rulebook(family)]
    foreign = [route._replace(protocol=4, metric=route.metric + 50) for route in bed.hops(family)[1:4]]
    assert bed.add(*objects, *foreign) == []
    type_in(bed, changes(Op.DELETE, *objects))
    assert (bed.all_ours(family), bed.rules(family)) == ((), ())
    assert len(bed.routes(family, 1000)) == len(foreign)


@BOTH
@pytest.mark.parametrize("mode", list(CopyRoutes))
def test_lines_of_raw_copies_make_the_same_copies(bed: Bed, family: Family, mode: CopyRoutes) -> None:
    v4 = family is Family.IPV4
    flag, network, gateway = ("-4", "10.{}.0.0/16", A4) if v4 else ("-6", "2001:db8:{}::/48", "2001:db8:1::1")
    words = (
        "via {g} metric 5 mtu 1400 advmss 1360 initcwnd 12 hoplimit 33",
        "via {g} rto_min 40ms quickack 1" if v4 else "via {g} pref high",
        "via {g} mtu lock 1300 hoplimit lock 9 cwnd lock 7 ssthresh lock 3 advmss lock 1200 features ecn",
        "via {g} congctl reno window lock 3000 reordering lock 5 initcwnd lock 9 initrwnd lock 4 rtt lock 8ms",
        "via {g} congctl lock reno rttvar lock 8ms",
        "via {g} realm 5" if v4 else "via {g} metric 3",
        "via {g} realm 7/9 metric 3" if v4 else "via {g} mtu lock 1400",
        "via {g} onlink" + (" src 192.168.1.80" if v4 else " src 2001:db8:1::80"),
        "dev wan1 metric 9",
        "dev wan1 tos 0x10" if v4 else "dev wan1 metric 7",
    )
    for place, word in enumerate(words):
        bed.ns.ip(f"{flag} route add {network.format(place + 40)} {word.format(g=f'{gateway} dev wan1')}")
    found = bed.call("compare", mode, family, 55, bed.one)
    adding = [Change(Op.ADD, raw, 55, family) for raw in found.add]
    assert len(adding) > len(words)
    lines = type_in(bed, adding)
    left = bed.call("compare", mode, family, 55, bed.one)
    assert (left.add, left.replace, left.extra) == ((), (), ()), lines


@pytest.mark.parametrize("name", ODD)
def test_odd_interface_names_survive_the_shell(lab: Lab, name: str) -> None:
    kernel = Kernel(lab.netns("kernel"))
    kernel.ns.run("ip", "link", "add", "name", name, "type", "veth", "peer", "name", "other")
    kernel.ns.run("ip", "link", "set", "dev", name, "up")
    kernel.ns.run("ip", "link", "set", "dev", "other", "up")
    kernel.ns.run("ip", "address", "add", "192.168.1.80/24", "dev", name)
    links = kernel.call("read", "links")
    index = next(link.index for link in links if link.name == name)
    route = Route(Family.IPV4, 1001, metric=5, nexthops=(Nexthop(index, A4),))
    rule = Rule(Family.IPV4, 1100, 1001, oif=name)
    key = Sysctl(f"net/ipv4/conf/{name}/ignore_routes_with_linkdown", "1")
    everything = [*changes(Op.ADD, route, rule), Change(Op.REPLACE, key)]
    type_in(kernel, everything)
    assert kernel.routes(Family.IPV4, 1001) == (route,)
    assert kernel.rules(Family.IPV4) == (rule,)
    assert kernel.ns.read_sysctl(f"ipv4/conf/{name}/ignore_routes_with_linkdown") == "1"
    assert kernel.delete(route, rule) == []
    assert kernel.apply(*everything) == []
    assert (kernel.routes(Family.IPV4, 1001), kernel.rules(Family.IPV4)) == ((route,), (rule,))


def test_what_no_words_say_is_named_in_a_comment(bed: Bed) -> None:
    encap = "encap ip id 7 dst 192.0.2.9"
    bed.ns.ip(f"route add 10.40.0.0/16 {encap} via {A4} dev wan1")
    bed.ns.ip(f"route add 10.41.0.0/16 nexthop via {A4} dev wan1 realm 4 nexthop via 192.168.3.1 dev wan2")
    found = bed.call("compare", CopyRoutes.MAIN, Family.IPV4, 55, bed.one)
    lines = type_in(bed, [Change(Op.ADD, raw, 55, Family.IPV4) for raw in found.add])
    said = {line.split()[3]: line.partition(" # ")[2] for line in lines}
    assert said["10.40.0.0/16"] == "with encap ip"
    assert said["10.41.0.0/16"] == "with realm 4 of a nexthop"
