"""Tunnels of other programs beside us, in any order of start: docs/tunnels.md has their examples from here.

The tunnel is a tun device whose packets go to a server in datagrams with a mark, as WireGuard's do (relay.py); each
provider's internet has that server, so that the one that answers tells by which line the tunnel's own packets went.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.lab import Lab, Network, topologies, wait_for
from tests.lab.isp import INTERNET4, INTERNET6, Packet
from tests.lab.lab import TUNNEL_SERVER
from tests.lab.uplinks import FIBER_LTE, QUAD9, probing
from tests.netns.layout import layout

CONFIG = (
    probing(QUAD9)
    + """[routing]
{routing}
[router]
pin = {pin}
"""
    + FIBER_LTE
)
BOTH = (INTERNET4[0], INTERNET6[-1])
KEPT_OUT = (1070, 1130, 1220, 1270, 2300)  # users, and the priorities of their rules
WG_QUICK = (
    "-4 route add default dev wg7 table 51820",
    "-4 rule add not fwmark 0xca6c table 51820",
    "-4 rule add table main suppress_prefixlength 0",
    "-6 route add default dev wg7 table 51820",
    "-6 rule add not fwmark 0xca6c table 51820",
    "-6 rule add table main suppress_prefixlength 0",
)
TAILSCALE = tuple(
    f"{flag} rule add pref {words}"
    for flag in ("-4", "-6")
    for words in (
        "5210 fwmark 0x80000/0xff0000 table main",
        "5230 fwmark 0x80000/0xff0000 table default",
        "5250 fwmark 0x80000/0xff0000 unreachable",
        "5270 table 52",
    )
)
NETBIRD = tuple(
    f"{flag} {words}"
    for flag in ("-4", "-6")
    for words in (
        "rule add pref 105 table main suppress_prefixlength 0",
        "rule add pref 110 not fwmark 0x1bd00 table 7120",
        "route add default dev wt0 table 7120",
    )
)
OPENVPN = (
    f"route add {TUNNEL_SERVER}/32 via 10.1.0.1",
    "route add 0.0.0.0/1 dev tun7",
    "route add 128.0.0.0/1 dev tun7",
    *(f"-6 route add {piece} dev tun7" for piece in ("::/3", "2000::/4", "3000::/4")),
)


def machine(lab: Lab, routing: str = "", pin: str = "no", client: bool = False) -> Network:
    """Fiber (preferred) and LTE."""
    net = topologies.probed(lab, client=client)
    net.router.configure(CONFIG.format(routing=routing, pin=pin))
    return net


def lay(net: Network, *lines: str) -> None:
    """ip(8) commands of another program."""
    for line in lines:
        net.router.ns.ip(line)


def goes_through(lab: Lab, net: Network, isp: str, addresses: Sequence[str] = BOTH) -> None:
    """What is sent comes out of the tunnel, whose own packets go by this provider; nothing goes in the clear."""
    for one in net.isps:
        one.forget()
    for address in addresses:
        assert lab.connect(net.router.ns, 2, address) == [isp, isp]
    assert {one.name for one in net.isps if any(p.destination == TUNNEL_SERVER for p in one.seen())} == {isp}
    clear = [
        packet for one in net.isps for packet in one.seen() if packet.destination in addresses and packet.proto == "tcp"
    ]
    assert clear == []


def settled(net: Network) -> str:
    """One run does it, the second writes and says nothing; what the first has said."""
    said = net.router.check().stderr
    before = layout(net.router.ns)
    second = net.router.check()
    assert (second.stdout, second.stderr, layout(net.router.ns)) == ("", "", before)
    return said


def survives(lab: Lab, net: Network, addresses: Sequence[str] = BOTH) -> None:
    """All goes by the tunnel, and the tunnel by the best line that works."""
    goes_through(lab, net, "isp1", addresses)
    with net.isps[0].broken("blackhole"):
        net.isps[0].ns.nft(f"add rule inet lab IN ip daddr {TUNNEL_SERVER} drop")
        settled(net)
        goes_through(lab, net, "isp2", addresses)
    net.router.check()
    goes_through(lab, net, "isp1", addresses)


@pytest.mark.parametrize(
    ("first", "routing", "pin"),
    [("tunnel", "", "no"), ("us", "", "yes"), ("tunnel", "default_table = main", "yes")],
)
def test_wg_quick_takes_all_in_any_order_of_start(lab: Lab, first: str, routing: str, pin: str) -> None:
    net = machine(lab, routing, pin)
    if first == "us":
        net.router.check()
    lab.tunnel(net.router, "wg7", 0xCA6C)
    lay(net, *WG_QUICK)
    said = settled(net)
    assert said.count("of another program leads all traffic into wg7 (table 51820)") == 2  # both families
    survives(lab, net)
    for family in ("-4", "-6"):
        net.router.ns.ip(f"{family} rule del table 51820")
    assert said.splitlines()[0] not in settled(net)
    assert lab.connect(net.router.ns, 1) == ["isp1"]
    # what was under way in the tunnel, a last FIN say, may come out of it a little later
    wait_for("nothing by the tunnel", lambda: TUNNEL_SERVER not in {packet.destination for packet in _afresh(lab, net)})


def _afresh(lab: Lab, net: Network) -> set[Packet]:
    for one in net.isps:
        one.forget()
    lab.connect(net.router.ns, 2)
    return {packet for one in net.isps for packet in one.seen()}


@pytest.mark.parametrize("routing", ["", "rule_priority = 5300", "main_first = no", "default_table = main"])
def test_tailscale_with_an_exit_node_and_without(lab: Lab, routing: str) -> None:
    net = machine(lab, routing)
    ns = net.router.ns
    lab.tunnel(net.router, "ts7", 0x80000)
    lay(net, *TAILSCALE, "route add 10.98.0.1 dev ts7 table 52", "-6 route add fd98::1 dev ts7 table 52")
    settled(net)
    assert lab.connect(ns, 1) == ["isp1"]  # no exit node: the internet by the uplinks
    for peer, line in (("10.98.0.1", "10.1.0.2"), ("fd98::1", "2001:db8:1:1::2")):
        assert ns.route_get(peer, _family(peer))["dev"] == "ts7"  # type: ignore[index]
        assert ns.route_get(f"{peer} from {line}", _family(peer))["dev"] == "ts7"  # type: ignore[index]
    lay(net, "route add default dev ts7 table 52", "-6 route add default dev ts7 table 52")
    goes_through(lab, net, "isp1")  # at once, before any run
    settled(net)
    survives(lab, net)


def _family(address: str) -> str:
    return "ipv6" if ":" in address else "ipv4"


def test_netbird_as_an_exit_node(lab: Lab) -> None:
    net = machine(lab)
    net.router.check()
    lab.tunnel(net.router, "wt0", 0x1BD00)
    lay(net, *NETBIRD)
    settled(net)
    survives(lab, net)


@pytest.mark.parametrize("routing", ["", "default_table = main"])
def test_openvpns_server_is_reached_by_the_line_that_works(lab: Lab, routing: str) -> None:
    net = machine(lab, routing)
    net.router.check()
    lab.tunnel(net.router, "tun7")
    lay(net, *OPENVPN)
    settled(net)
    survives(lab, net)
    lay(net, *(line.replace(" add ", " del ") for line in OPENVPN))
    settled(net)
    assert lab.connect(net.router.ns, 1) == ["isp1"]


def test_a_vpn_for_some_keeps_what_it_chooses(lab: Lab) -> None:
    net = machine(lab, pin="yes", client=True)
    ns = net.router.ns
    lab.tunnel(net.router, "vpn7")
    lay(
        net,
        "route add default dev vpn7 table 77",
        "rule add iif lan0 from 192.168.2.0/24 lookup 77 pref 6001",
        "rule add fwmark 0x640000/0xff0000 lookup 77 pref 6000",
        "rule add uidrange 4711-4711 lookup 77 pref 6002",
        "rule add to 10.98.0.0/16 lookup 77 pref 6003",
    )
    settled(net)

    def taken(words: str) -> str:
        found = ns.route_get(words)
        assert found
        return str(found["dev"])

    assert taken("9.9.9.9 from 192.168.2.10 iif lan0") == "vpn7"
    for words in ("9.9.9.9 mark 0x640000", "9.9.9.9 uid 4711", "10.98.7.7"):
        assert taken(words) == "vpn7"
        assert taken(f"{words} from 10.1.0.2") == "vpn7"  # as a packet that netfilter marks when it has a source
    assert taken("9.9.9.9") == taken("9.9.9.9 from 10.1.0.2") == "eth1"
    ns.ip("rule del fwmark 0x640000/0xff0000 lookup 77")  # takes the program's rule, not ours
    assert taken("9.9.9.9 mark 0x640000 from 10.2.0.2") == "eth2"
    lay(net, "route add default dev lan0 table 78")
    lay(net, *(f"rule add uidrange {user}-{user} lookup 78 pref {user}" for user in KEPT_OUT))
    settled(net)
    for words in (f"10.98.7.7 uid {user}" for user in KEPT_OUT):  # also where they stand between our rules
        assert taken(words) == taken(f"{words} from 10.1.0.2") == "lan0"


def test_a_pinned_flow_of_the_lan_goes_into_the_tunnel_once_that_takes_all(lab: Lab) -> None:
    net = machine(lab, pin="yes", client=True)
    settled(net)
    assert net.client
    lab.tunnel(net.router, "ts7", 0x80000)
    lay(net, *TAILSCALE)
    settled(net)
    flow = lab.flow(net.client, BOTH[0])
    assert flow.carried_by() == "isp1"
    lay(net, "route add default dev ts7 table 52")
    net.router.check()
    assert flow.carried_by() == "isp1"  # through the tunnel
    for one in net.isps:
        one.forget()
    assert flow.carried_by() == "isp1"
    assert BOTH[0] not in {packet.destination for packet in net.isps[0].seen() if packet.port == 7}
    flow.stop()


def test_a_refusal_of_everything_is_kept_and_said(lab: Lab) -> None:
    net = machine(lab)
    lay(net, "rule add pref 30000 prohibit", "-6 rule add pref 30000 prohibit")
    assert "ip rule 30000 of another program refuses everything (prohibit)" in settled(net)
    assert net.router.ns.route_get("9.9.9.9") is None
    assert net.router.ns.route_get("9.9.9.9 from 10.1.0.2")


def test_what_was_the_default_before_us_is_not_in_front_of_it(lab: Lab) -> None:
    net = machine(lab)
    lay(net, "route add default via 10.1.0.1 dev eth1 table 90", "rule add pref 7000 lookup 90")
    settled(net)
    with net.isps[0].broken("blackhole"):
        settled(net)
        assert lab.connect(net.router.ns, 1) == ["isp2"]


def test_a_host_route_by_a_dead_line_is_named_once(lab: Lab) -> None:
    net = machine(lab)
    net.router.ns.ip("route add 9.8.7.6 via 10.1.0.1 dev eth1")
    settled(net)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        said = net.router.check().stderr
        assert "main has 9.8.7.6 via 10.1.0.1 dev eth1, and fiber is offline" in said
        settled(net)
    found = json.loads(net.router.mwan("plan", "--json").stdout)
    assert not [line for line in found["changes"] if "9.8.7.6" in line]
