"""VyOS: balancing rules and failover routes, as config.boot and as commands."""

from __future__ import annotations

import pytest

from mwan_hook.model import UsageError
from tests.unit.imports.made import Made, made

BOOT = """
firewall {
    ipv4 {
        name OUTSIDE {
            default-action "drop"
        }
    }
}
interfaces {
    ethernet eth0 {
        address "dhcp"
        description "Cable { 500 }"
        hw-id "00:50:56:00:00:10"
    }
    ethernet eth1 {
        address "198.51.100.2/30"
    }
    ethernet eth2 {
        address "192.168.40.1/24"
        vif 7 {
            address "192.168.47.1/24"
        }
    }
    loopback lo {
    }
}
/* lines of the office */
load-balancing {
    wan {
        enable-local-traffic
        interface-health eth0 {
            failure-count "4"
            nexthop "dhcp"
            success-count "2"
            test 20 {
                resp-time "3"
                target "9.9.9.10"
            }
            test 10 {
                resp-time "2"
                target "1.0.0.1"
                ttl-limit "1"
                type "ping"
            }
        }
        interface-health eth1 {
            nexthop "198.51.100.1"
            test 5 {
                target "8.8.4.4"
            }
        }
        rule 20 {
            inbound-interface "eth2"
            interface eth0 {
                weight "30"
            }
            interface eth1 {
                weight "10"
            }
        }
        rule 5 {
            description "telephones"
            destination {
                port "5060,10000-10999"
            }
            failover
            inbound-interface "eth2"
            interface eth0 {
                weight "1"
            }
            interface eth1 {
                weight "9"
            }
            protocol "udp"
            source {
                address "192.168.40.64/27"
            }
        }
        sticky-connections {
            inbound
        }
    }
}
service {
    ssh {
        port "22"
    }
}
// Warning: Do not remove the following line.
// vyos-config-version: "bgp@4:broadcast-relay@1:cluster@1"
// Release version: 1.4.2
"""

COMMANDS = """
set interfaces ethernet eth0 description 'It'\\''s {the} "cable"'
set load-balancing wan disable-source-nat
set load-balancing wan enable-local-traffic
set load-balancing wan interface-health eth0 nexthop 'dhcp'
set load-balancing wan interface-health eth0 test 10 target '1.0.0.1'
set load-balancing wan interface-health pppoe1 nexthop 'dhcp'
set load-balancing wan interface-health pppoe1 test 10 target '8.8.4.4'
set load-balancing wan rule 10 failover
set load-balancing wan rule 10 inbound-interface 'any'
set load-balancing wan rule 10 interface eth0 weight '3'
set load-balancing wan rule 10 interface pppoe1 weight '7'
set load-balancing wan rule 10 protocol 'all'
"""

ROUTES = """
protocols {
    failover {
        route 0.0.0.0/0 {
            next-hop 203.0.113.1 {
                check {
                    policy "all-available"
                    target "9.9.9.9"
                    target "1.1.1.1"
                    timeout "5"
                }
                interface "eth0"
                metric "20"
            }
            next-hop 192.0.2.1 {
                check {
                    port "443"
                    target "1.1.1.1"
                    type "tcp"
                }
                interface "eth1"
                metric "10"
            }
        }
        route 10.77.0.0/16 {
            next-hop 192.0.2.1 {
                check {
                    target "10.77.0.1"
                }
                interface "eth1"
            }
        }
    }
}
// vyos-config-version: "x"
// Release version: 1.5-stream-2025-Q1
"""


def wan(*lines: str) -> Made:
    """An import of a balancing configuration with two good lines, and these commands."""
    given = [f"interface-health {name} nexthop dhcp" for name in ("eth0", "eth1")]
    given += ["rule 90 inbound-interface eth9", "rule 90 interface eth0", "rule 90 interface eth1"]
    return made("vyos", "".join(f"set load-balancing wan {line}\n" for line in (*given, *lines)))


def test_rules_and_tests_of_a_whole_file() -> None:
    done = made("vyos", BOOT, eth0="enp1s0", eth1="enp2s0", eth2="br0")
    cable, fixed = done.uplink("eth0"), done.uplink("eth1")
    assert (cable.literal, cable.metric, cable.weight, cable.gateways) == ("enp1s0", 100, 3, ())
    assert (fixed.literal, fixed.metric, fixed.weight, fixed.gateways) == ("enp2s0", 100, 1, ("198.51.100.1",))
    assert [one.text for one in cable.probe.targets] == ["icmp://1.0.0.1", "icmp://9.9.9.10"]
    assert (cable.probe.required, cable.probe.timeout, cable.probe.fall, cable.probe.rise) == (2, 3, 4, 2)
    assert (fixed.probe.required, fixed.probe.timeout, fixed.probe.fall, fixed.probe.rise) == (1, 5, 1, 1)
    assert {one.probe.interval for one in done.config.uplinks} == {5}
    assert {one.families for one in done.config.uplinks} == {fixed.families}
    assert [family.value for family in fixed.families] == ["ipv4"]
    assert done.config.router.pin
    assert [family.value for family in done.config.router.masquerade] == ["ipv4"]


def test_a_rule_that_chooses_is_a_policy_before_the_default() -> None:
    done = made("vyos", BOOT, eth2="br0")
    assert [policy.name for policy in done.config.policies] == ["rule-5"]
    policy = done.policy("rule-5")
    assert (policy.iif, policy.sources, policy.protocols) == (("br0",), ("192.168.40.64/27",), (17,))
    assert policy.order == (("eth1",), ("eth0",))
    assert policy.dport == ((5060, 5060), (10000, 10999))
    assert done.said("[policies]", "telephones")


def test_commands_say_the_same_as_braces() -> None:
    done = made("vyos", COMMANDS)
    assert [(one.name, one.metric, one.weight) for one in done.config.uplinks] == [("eth0", 200, 1), ("pppoe1", 100, 1)]
    assert not done.config.policies
    assert not done.config.router.masquerade
    assert not done.loses, done.remarks


def test_no_test_is_a_link_with_an_address() -> None:
    assert {one.probe.targets for one in wan().config.uplinks} == {()}


def test_none_of_the_tests_is_no_target_and_not_the_default() -> None:
    done = wan("interface-health eth0 test 10 type user-defined")
    assert done.uplink("eth0").probe.targets == ()
    assert done.said("[[eth0]]", "none of its tests")


def test_the_default_of_one_network_is_said_to_be_for_all() -> None:
    assert wan("enable-local-traffic").said("rule 90", "eth9")
    assert wan().said("[router]", "enable-local-traffic")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("rule 90 limit rate 10", ("limit", "rule 90")),
        ("rule 90 per-packet-balancing", ("per-packet-balancing",)),
        ("interface-health eth0 test 10 type ttl", ("test 10 (ttl)",)),
        ("interface-health eth0 test 10 type user-defined", ("test 10 (user-defined)",)),
        ("interface-health eth1 nexthop nonsense", ("nonsense",)),
        ("flush-connections", ("flush-connections",)),
        ("hook /config/scripts/wlb", ("/config/scripts/wlb", "online.d")),
        ("rule 5 source address !10.0.0.0/8", ("rule 5", "what is not")),
        ("rule 5 source group network-group LAN", ("rule 5", "group")),
        ("rule 5 destination port nonsense", ("rule 5", "nonsense")),
        ("rule 5 protocol !tcp", ("rule 5",)),
        ("rule 5 inbound-interface !eth7", ("rule 5",)),
        ("rule 5 inbound-interface eth*", ("rule 5", "eth*")),
    ],
)
def test_what_cannot_be_said_is_lost(line: str, words: tuple[str, ...]) -> None:
    done = wan("rule 5 interface eth1", "rule 5 protocol udp", line)
    assert done.loses
    assert done.said(*words)
    assert bool(done.config.policies) != line.startswith("rule 5")


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("source address 10.1.0.0-10.1.1.255", "sources", ("10.1.0.0/23",)),
        ("source address 10.1.2.3", "sources", ("10.1.2.3",)),
        ("destination address 203.0.113.77/24", "destinations", ("203.0.113.0/24",)),
        ("protocol tcp_udp", "protocols", (6, 17)),
        ("protocol 47", "protocols", (47,)),
        ("protocol esp", "protocols", (50,)),
    ],
)
def test_what_a_rule_chooses_by(line: str, key: str, value: tuple[str | int, ...]) -> None:
    done = wan("rule 5 interface eth1", f"rule 5 {line}")
    assert getattr(done.policy("rule-5"), key) == value


def test_a_rule_for_ipv4_alone_says_so() -> None:
    done = wan("rule 5 interface eth1", "rule 5 protocol tcp", "rule 5 destination port https")
    assert done.policy("rule-5").destinations == ("0.0.0.0/0",)
    assert done.policy("rule-5").dport == ((443, 443),)


def test_ports_end_before_the_last_one() -> None:
    done = wan("rule 5 interface eth1", "rule 5 protocol tcp", "rule 5 source port 1024-65535")
    assert done.policy("rule-5").sport == ((1024, 65534),)


@pytest.mark.parametrize("ports", ["1-65535", "0-65535", "22,1-65534"])
def test_all_ports_are_no_choice(ports: str) -> None:
    done = wan("rule 5 interface eth1", "rule 5 protocol tcp", f"rule 5 source port {ports}")
    assert done.policy("rule-5").sport == ()


def test_uplinks_share_in_a_policy_by_the_weights_that_they_have() -> None:
    same = wan("rule 5 interface eth0", "rule 5 interface eth1", "rule 5 protocol udp")
    assert same.policy("rule-5").order == (("eth0", "eth1"),)
    assert not same.said("weight")
    other = wan("rule 5 interface eth0 weight 4", "rule 5 interface eth1", "rule 5 protocol udp")
    assert other.said("eth0 4", "eth1 1")


def test_what_comes_in_by_another_interface_may_go_another_way() -> None:
    done = wan("rule 95 inbound-interface eth8", "rule 95 interface eth1")
    assert (done.policy("rule-95").iif, done.policy("rule-95").uplinks) == (("eth8",), ("eth1",))
    assert not wan("rule 95 inbound-interface eth8", "rule 95 interface eth0", "rule 95 interface eth1").config.policies


@pytest.mark.parametrize("line", ["rule 95 inbound-interface eth9", "rule 95 inbound-interface any"])
def test_rules_behind_the_default_of_their_interface_are_never_reached(line: str) -> None:
    done = wan("rule 20 inbound-interface any", "rule 20 interface eth0", line, "rule 95 interface eth1")
    assert not done.config.policies
    assert done.said("rule 95", "never reached")


def test_excluded_packets_go_as_the_default() -> None:
    done = wan("rule 3 exclude", "rule 3 destination address 10.0.0.0/8", "rule 3 inbound-interface eth9")
    assert done.policy("rule-3").order == (("eth0", "eth1"),)
    assert done.said("exclude of rule 3")


def test_an_uplink_of_no_rule_is_the_last_resort() -> None:
    done = wan("interface-health eth5 nexthop dhcp")
    assert done.uplink("eth5").metric == 200
    assert done.said("[[eth5]]", "last resort")


def test_without_a_rule_for_the_rest_main_decides() -> None:
    text = COMMANDS.replace("protocol 'all'", "protocol 'tcp'")
    done = made("vyos", text)
    assert {one.metric for one in done.config.uplinks} == {None}
    assert done.policy("rule-10").order == (("pppoe1",), ("eth0",))


def test_rules_without_an_interface_are_no_policies() -> None:
    given = (f"set load-balancing wan rule {rule} inbound-interface eth9\n" for rule in (10, 20))
    done = made(
        "vyos", "".join((COMMANDS, *given, "set load-balancing wan rule 20 protocol udp\n")).replace("10", "30")
    )
    assert not done.config.policies
    assert done.said("rule-20", "at least one")


def test_all_but_an_uplink_is_what_comes_in_elsewhere() -> None:
    done = wan("rule 1 inbound-interface !eth0", "rule 1 interface eth1", "rule 1 interface eth0")
    assert [one.metric for one in done.config.uplinks] == [100, 100]
    assert not done.config.policies


def test_failover_routes() -> None:
    done = made("vyos", ROUTES)
    first, second = done.uplink("eth1"), done.uplink("eth0")
    assert (first.metric, first.gateways, second.metric, second.gateways) == (10, ("192.0.2.1",), 20, ("203.0.113.1",))
    assert [one.text for one in first.probe.targets] == ["tcp://1.1.1.1:443"]
    assert [one.text for one in second.probe.targets] == ["icmp://9.9.9.9", "icmp://1.1.1.1"]
    assert (first.probe.required, second.probe.required) == (1, 2)
    assert (first.probe.interval, second.probe.interval) == (10, 5)
    assert (done.policy("to-10.77.0.0-16").destinations, done.policy("to-10.77.0.0-16").uplinks) == (
        ("10.77.0.0/16",),
        ("eth1",),
    )
    assert not done.config.router.masquerade


def hop(interface: str, router: str, *lines: str) -> str:
    """Commands of one way of the default."""
    start = f"set protocols failover route 0.0.0.0/0 next-hop {router}"
    return "".join(f"{start} {line}\n" for line in (f"interface {interface}", "check target 9.9.9.9", *lines))


def test_equal_metrics_of_failover_routes_do_not_share() -> None:
    done = made("vyos", hop("eth0", "192.0.2.1") + hop("eth1", "203.0.113.1"))
    assert [one.metric for one in done.config.uplinks] == [1, 2]
    assert not done.loses


@pytest.mark.parametrize("target", ["192.0.2.1", "192.0.2.2"])
def test_arp_asks_the_gateway_and_no_other_host(target: str) -> None:
    text = hop("eth0", "192.0.2.1", "check type arp").replace("9.9.9.9", target)
    done = made("vyos", text)
    asked = [one.text for one in done.uplink("eth0").probe.targets]
    assert asked == (["gateway:"] if target == "192.0.2.1" else [])
    assert done.loses == (target != "192.0.2.1")


def test_a_dhcp_interface_has_no_gateway_of_its_own() -> None:
    start = "set protocols failover route 0.0.0.0/0 dhcp-interface eth3"
    done = made("vyos", f"{start} check target 9.9.9.9\n{start} metric 7\n")
    assert (done.uplink("eth3").metric, done.uplink("eth3").gateways) == (7, ())


def test_two_routers_of_one_interface_are_tried_in_turn() -> None:
    done = made("vyos", hop("eth0", "192.0.2.9", "metric 9") + hop("eth0", "192.0.2.1", "metric 3"))
    assert done.uplink("eth0").gateways == ("192.0.2.1", "192.0.2.9")
    assert done.loses


def test_a_route_by_a_way_that_is_no_default_is_lost() -> None:
    line = "set protocols failover route 10.0.0.0/8 next-hop 10.255.0.1 interface eth6\n"
    done = made("vyos", hop("eth0", "192.0.2.1") + line)
    assert done.said("10.0.0.0/8")
    assert made("vyos", hop("eth0", "192.0.2.1") + line.replace("10.0.0.0/8", "nowhere")).said("nowhere")
    assert [one.name for one in done.config.uplinks] == ["eth0"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "interfaces {\n}\n",
        "set system host-name router\n",
        "load-balancing {\n wan {\n",
        "load-balancing {\n}\n}\n",
        "set load-balancing wan rule 5 description 'open\n",
        '/* never closed\nload-balancing { wan { hook "/x" } }\n',
        f"{'a { ' * 5000}",
        "set " + "a " * 5000,
        "set load-balancing wan { rule 5 }\n",
        "set load-balancing wan hook /x\nshow configuration\n",
        "<?xml version='1.0'?><opnsense/>",
        "\x01\x02\x03",
    ],
)
def test_what_is_no_such_configuration_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        made("vyos", text)


@pytest.mark.parametrize("line", ["show configuration", "set", "set load-balancing wan {", "set " + "a " * 70, "wan"])
def test_commands_with_another_line_between_are_refused(line: str) -> None:
    with pytest.raises(UsageError, match="line 6"):
        made("vyos", COMMANDS.replace("\nset", f"\n{line}\nset", 5).replace(f"\n{line}\n", "\n", 4))


def test_half_a_file_is_refused_wherever_it_ends() -> None:
    end = BOOT.index("service {")
    for cut in range(BOOT.index("load-balancing {"), end, 37):
        with pytest.raises(UsageError):
            made("vyos", BOOT[:cut])


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_on_other_systems(end: str) -> None:
    assert made("vyos", BOOT.replace("\n", end)).text == made("vyos", BOOT).text
