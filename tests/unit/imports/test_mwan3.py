"""mwan3: each key of each kind of section, and what the rules mean together."""

from __future__ import annotations

import pytest

from mwan_hook.model import Fallback, Family, LastResort, Nat6, UsageError
from tests.unit.imports.made import Made, made

HEAD = """
config interface 'wan'
	option enabled '1'
	list track_ip '192.0.2.1'
config interface 'lte'
	option enabled '1'
	list track_ip '192.0.2.2'
config member 'wan_1'
	option interface 'wan'
	option weight '3'
config member 'lte_1'
	option interface 'lte'
config member 'lte_2'
	option interface 'lte'
	option metric '2'
	option weight '2'
config policy 'only_wan'
	list use_member 'wan_1'
config policy 'both'
	list use_member 'wan_1'
	list use_member 'lte_1'
	option last_resort 'default'
config policy 'wan_lte'
	list use_member 'wan_1'
	list use_member 'lte_2'
	option last_resort 'blackhole'
"""
ALL = "config rule 'all'\n\toption dest_ip '0.0.0.0/0'\n\toption use_policy '{}'\n"


def of(text: str, **devices: str) -> Made:
    """A whole file."""
    return made("mwan3", text, **{"wan": "eth1", "lte": "wwan0"} | devices)


def rule(*options: str, name: str = "r", default: str = "both") -> Made:
    """The usual interfaces, one rule with these options, and one for all IPv4 that is left."""
    lines = "".join(f"\toption {option}\n" for option in options)
    return of(HEAD + f"config rule '{name}'\n{lines}" + ALL.format(default))


def interface(*options: str, name: str = "wan") -> Made:
    """One interface with these options."""
    lines = "".join(f"\t{'' if option.startswith('list') else 'option '}{option}\n" for option in options)
    return of(f"config interface '{name}'\n\toption enabled 1\n{lines}" + ONLY)


ONLY = """
config member m
	option interface wan
config policy p
	list use_member m
	option last_resort default
config rule
	option use_policy p
"""


# ---------------------------------------------------------------- interfaces


def test_an_interface_is_an_uplink_on_the_device_of_its_map() -> None:
    done = of(HEAD + ALL.format("both"))
    assert [(one.name, one.literal, one.families) for one in done.config.uplinks] == [
        ("wan", "eth1", (Family.IPV4,)),
        ("lte", "wwan0", (Family.IPV4,)),
    ]
    assert not done.loses


def test_a_device_that_is_not_told_is_asked_for() -> None:
    done = made("mwan3", HEAD + ALL.format("both"), wan="eth1")
    assert done.uplink("lte").literal == "lte"
    assert done.said("--map lte=DEVICE")
    assert done.loses


def test_one_that_is_not_enabled_is_off() -> None:
    done = made(
        "mwan3", HEAD.replace("option enabled '1'\n\tlist track_ip '192.0.2.2'", "") + ALL.format("both"), wan="e"
    )
    assert [(one.name, one.enabled) for one in done.config.uplinks] == [("wan", True), ("lte", False)]
    assert done.said("--map lte=DEVICE")
    assert not done.loses
    assert done.config.policies == ()


BOTH = """
config interface wan
	option enabled 1
	list track_ip 192.0.2.1
	option down 2
config interface wan6
	option enabled 1
	option family ipv6
	list track_ip 2001:db8::1
	list track_ip 2001:db8::2
	option down {}
config member a
	option interface wan
config member b
	option interface wan6
config policy p
	list use_member a
	list use_member b
config rule r
	option use_policy p
"""


@pytest.mark.parametrize("devices", [{}, {"wan6": "eth1"}])
def test_the_sections_of_both_families_on_one_device_are_one_uplink(devices: dict[str, str]) -> None:
    done = of(BOTH.format(2), **devices)
    [uplink] = done.config.uplinks
    assert (uplink.name, uplink.literal, uplink.families) == ("wan", "eth1", tuple(Family))
    asked = [target.text for target in uplink.probe.targets]
    assert asked == ["icmp://192.0.2.1", "icmp://[2001:db8::1]", "icmp://[2001:db8::2]"]
    assert done.config.policies == ()
    assert done.config.routing.last_resort is LastResort.UNREACHABLE
    assert not done.loses


def test_on_two_devices_they_are_two() -> None:
    done = of(BOTH.format(2), wan6="sit1")
    assert [(one.name, one.literal, one.families) for one in done.config.uplinks] == [
        ("wan", "eth1", (Family.IPV4,)),
        ("wan6", "sit1", (Family.IPV6,)),
    ]


def test_what_they_say_differently_is_lost_of_the_second() -> None:
    done = of(BOTH.format(7))
    assert done.uplink("wan").probe.fall == 2
    assert done.said("[uplinks] [[wan]]", "wan6: fall = 7")
    assert done.loses


def test_a_second_section_for_the_same_device_and_family_is_lost() -> None:
    done = of(HEAD + ALL.format("both"), lte="eth1")
    assert [one.name for one in done.config.uplinks] == ["wan"]
    assert done.said("interface lte", "wan has the same")


# ---------------------------------------------------------------- probes


def test_without_a_word_the_counts_are_those_of_mwan3() -> None:
    probe = interface("list track_ip 192.0.2.1").uplink("wan").probe
    assert (probe.interval, probe.timeout, probe.fall, probe.rise, probe.required) == (10, 4, 5, 5, 1)
    assert (probe.burst_interval, probe.hysteresis_delay, probe.portal_interval) == (10, 0, 0)


@pytest.mark.parametrize(
    ("option", "key", "value"),
    [
        ("reliability 2", "required", 2),
        ("timeout 2", "timeout", 2),
        ("interval 7", "interval", 7),
        ("interval 7", "burst_interval", 7),
        ("failure_interval 3", "burst_interval", 3),
        ("down 9", "fall", 9),
        ("up 8", "rise", 8),
    ],
)
def test_counts_and_times_are_the_same(option: str, key: str, value: int) -> None:
    done = interface("list track_ip 192.0.2.1", "list track_ip 192.0.2.2", option)
    assert getattr(done.uplink("wan").probe, key) == value
    assert not done.loses


def test_an_option_may_hold_several_addresses() -> None:
    done = interface("track_ip '192.0.2.1 192.0.2.2'")
    assert [target.text for target in done.uplink("wan").probe.targets] == ["icmp://192.0.2.1", "icmp://192.0.2.2"]


@pytest.mark.parametrize("options", [(), ("list track_ip 192.0.2.1", "reliability 0")])
def test_who_asks_nothing_is_judged_by_the_link(options: tuple[str, ...]) -> None:
    done = interface(*options)
    assert done.uplink("wan").probe.targets == ()
    assert not done.loses


@pytest.mark.parametrize(
    ("method", "target", "loses"),
    [
        ("ping", "icmp://192.0.2.1", False),
        ("nping-icmp", "icmp://192.0.2.1", False),
        ("nslookup", "dns://192.0.2.1/www.google.com/A", False),
        ("smoke", "icmp://192.0.2.1", False),
        ("arping", "gateway:", True),
        ("nping-arp", "gateway:", True),
        ("httping", "tcp://192.0.2.1:80", True),
        ("nping-tcp", "tcp://192.0.2.1:80", True),
        ("nping-udp", "icmp://192.0.2.1", True),
    ],
)
def test_methods(method: str, target: str, loses: bool) -> None:
    done = interface("list track_ip 192.0.2.1", f"track_method {method}")
    assert [one.text for one in done.uplink("wan").probe.targets] == [target]
    assert done.loses is loses
    assert done.said("track_method", method) is loses


def test_httping_of_a_secure_page_asks_its_port() -> None:
    done = interface("list track_ip 192.0.2.1", "track_method httping", "httping_ssl 1")
    assert [one.text for one in done.uplink("wan").probe.targets] == ["tcp://192.0.2.1:443"]


def test_a_target_that_cannot_be_asked_is_lost_alone() -> None:
    done = interface("list track_ip example.org", "list track_ip 192.0.2.9")
    assert [one.text for one in done.uplink("wan").probe.targets] == ["icmp://192.0.2.9"]
    assert done.said("lost: target icmp://example.org")


@pytest.mark.parametrize(
    "option",
    [
        *("count 3", "size 1400", "max_ttl 3", "recovery_interval 3", "keep_failure_interval 1", "local_source lan"),
        *("initial_state offline", "flush_conntrack sometimes"),
    ],
)
def test_what_has_no_counterpart_is_lost(option: str) -> None:
    done = interface("list track_ip 192.0.2.1", option)
    assert done.loses
    assert done.said(option.partition(" ")[0])


@pytest.mark.parametrize(
    "option", ["count 1", "size 56", "max_ttl 60", "recovery_interval 10", "check_quality 0", "initial_state online"]
)
def test_defaults_that_are_written_lose_nothing(option: str) -> None:
    assert not interface("list track_ip 192.0.2.1", option).loses


def test_quality_becomes_limits_of_loss_and_latency() -> None:
    done = interface("list track_ip 192.0.2.1", "check_quality 1", "failure_latency 900", "failure_loss 30")
    probe = done.uplink("wan").probe
    assert (probe.latency_high, probe.latency_low) == (900, 500)
    assert (probe.loss_high, probe.loss_low, probe.degraded) == (30, 10, "offline")
    assert done.said("check_quality")
    alone = interface("list track_ip 192.0.2.1", "track_method arping", "check_quality 1", "failure_loss 30")
    probe = alone.uplink("wan").probe
    assert (probe.latency_high, probe.loss_high, probe.degraded) == (1000, 0, "")
    assert alone.said("failure_loss = 30") and alone.said("recovery_loss = 10")
    assert interface("list track_ip 192.0.2.1", "failure_latency 900").uplink("wan").probe.latency_high == 0


def test_connections_are_led_anew_when_a_line_that_flushes_is_back() -> None:
    text = HEAD.replace("list track_ip '192.0.2.1'", "list track_ip '192.0.2.1'\n\tlist flush_conntrack connected")
    done = of(text + ALL.format("both"))
    assert [one.failback.value for one in done.config.uplinks] == ["soft", "hard"]
    assert done.said("flush_conntrack")
    assert not interface("list track_ip 192.0.2.1", "list flush_conntrack disconnected").loses


def test_words_of_the_nft_fork() -> None:
    uplink = interface("list track_ip 192.0.2.1", "track_gateway 1", "snat6 1").uplink("wan")
    assert [one.text for one in uplink.probe.targets] == ["icmp://192.0.2.1", "gateway:"]
    assert uplink.nat6 is Nat6.MASQUERADE


# ---------------------------------------------------------------- globals


def test_connections_keep_their_line() -> None:
    done = of(HEAD + ALL.format("both"))
    assert done.config.router.pin
    assert done.said("[router]", "masquerade")


@pytest.mark.parametrize(
    ("mask", "ours"), [("0x3F00", 0x3F00), ("0x3f00", 0x3F00), ("0xff0000", 0xFF0000), ("16128", 0x3F00)]
)
def test_the_mask_of_marks(mask: str, ours: int) -> None:
    text = f"config globals globals\n\toption mmx_mask '{mask}'\n\toption logging 1\n"
    done = of(text + HEAD + ALL.format("both"))
    assert done.config.routing.mark_mask == ours
    assert not done.loses


def test_networks_of_other_tables_are_lost() -> None:
    text = "config globals globals\n\tlist rt_table_lookup 220\n"
    assert of(text + HEAD + ALL.format("both")).said("rt_table_lookup 220")


# ---------------------------------------------------------------- the rule for all


def metrics(done: Made) -> dict[str, tuple[int | None, int]]:
    """Metrics and weights of the uplinks."""
    return {one.name: (one.metric, one.weight) for one in done.config.uplinks}


def test_the_rule_for_all_is_the_order_of_the_default() -> None:
    assert metrics(of(HEAD + ALL.format("both"))) == {"wan": (100, 3), "lte": (100, 1)}
    assert metrics(of(HEAD + ALL.format("wan_lte"))) == {"wan": (100, 1), "lte": (200, 1)}


@pytest.mark.parametrize(("policy", "resort"), [("both", LastResort.MAIN), ("wan_lte", LastResort.BLACKHOLE)])
def test_its_last_resort_is_that_of_the_default(policy: str, resort: LastResort) -> None:
    done = of(HEAD + "config rule all\n\toption family ipv4\n" + f"\toption use_policy {policy}\n" + REST6)
    assert done.config.routing.last_resort is resort
    assert done.config.policies == ()


REST6 = "config rule six\n\toption family ipv6\n\toption use_policy default\n"


def test_a_line_that_the_rule_for_all_does_not_name_carries_none_of_it() -> None:
    done = of(HEAD + ALL.format("only_wan"))
    [policy] = done.config.policies
    assert (policy.name, policy.order, policy.fallback) == ("all", (("wan",),), Fallback.UNREACHABLE)
    assert policy.destinations == ("0.0.0.0/0",)
    assert metrics(done) == {"wan": (100, 1), "lte": (200, 1)}


def test_rules_behind_it_do_nothing() -> None:
    done = of(HEAD + ALL.format("both") + "config rule late\n\toption dest_ip 192.0.2.0/24\n\toption use_policy both\n")
    assert done.config.policies == ()
    assert done.said("rule late", "does nothing")
    assert not done.loses


def test_a_family_that_no_line_carries_gets_the_last_resort() -> None:
    """mwan3 refuses IPv6 where the rule for all has no member of it, and so does the policy."""
    done = of(HEAD + "config rule all\n\toption use_policy wan_lte\n")
    [policy] = done.config.policies
    assert (policy.destinations, policy.fallback) == (("::/0",), Fallback.BLACKHOLE)
    assert metrics(done) == {"wan": (100, 1), "lte": (200, 1)}


def test_without_a_rule_for_all_metrics_are_those_of_main() -> None:
    done = of(HEAD)
    assert metrics(done) == {"wan": (None, 1), "lte": (None, 1)}
    assert done.said("[policies]", "no rule takes", "ipv4")
    assert not done.loses


@pytest.mark.parametrize("target", ["unreachable", "blackhole"])
def test_a_rule_may_refuse_all(target: str) -> None:
    [policy] = of(HEAD + ALL.format(target)).config.policies
    assert policy.fallback.value == target
    assert policy.order == (("nowhere",),)


# ---------------------------------------------------------------- rules


@pytest.mark.parametrize(
    ("options", "field", "value"),
    [
        (("src_ip 192.168.7.0/24",), "sources", ("192.168.7.0/24",)),
        (("src_ip 192.168.7.9/24",), "sources", ("192.168.7.0/24",)),
        (("dest_ip 198.51.100.7",), "destinations", ("198.51.100.7",)),
        (("proto udp",), "protocols", (17,)),
        (("proto icmp",), "protocols", (1,)),
        (("proto tcp", "dest_port 80,443,1000:2000"), "dport", ((80, 80), (443, 443), (1000, 2000))),
        (("proto udp", "src_port 500"), "sport", ((500, 500),)),
        (("proto udp", "src_port 0:1023,1024:65535"), "sport", ((1, 1023), (1024, 65534))),
        (("src_iface lan",), "iif", ("br0",)),
        (("src_iface wan",), "iif", ("eth1",)),
        (("family ipv4",), "destinations", ("0.0.0.0/0",)),
    ],
)
def test_what_a_rule_chooses(options: tuple[str, ...], field: str, value: object) -> None:
    lines = "".join(f"\toption {option}\n" for option in (*options, "use_policy only_wan"))
    done = of(HEAD + f"config rule r\n{lines}" + ALL.format("both"), lan="br0")
    assert getattr(done.policy("r"), field) == value
    assert not done.loses


def test_a_rule_has_the_device_of_its_interface_by_a_name_in_quotes_too() -> None:
    found = of(HEAD + "config rule r\n\toption src_iface wan\n\toption use_policy both\n", wan="a#b")
    assert found.policy("r").iif == ("a#b",)


def test_ports_without_a_protocol_that_has_them_are_passed_over() -> None:
    done = rule("proto icmp", "dest_port 80", "use_policy only_wan")
    assert done.policy("r").dport == ()
    assert done.said("rule r", "dest_port")
    assert not done.loses


@pytest.mark.parametrize(
    ("policy", "order", "fallback"),
    [
        ("only_wan", (("wan",),), Fallback.UNREACHABLE),
        ("both", (("wan", "lte"),), Fallback.DEFAULT),
        ("wan_lte", (("wan",), ("lte",)), Fallback.BLACKHOLE),
        ("unreachable", (("nowhere",),), Fallback.UNREACHABLE),
        ("blackhole", (("nowhere",),), Fallback.BLACKHOLE),
    ],
)
def test_where_a_rule_leads(policy: str, order: object, fallback: Fallback) -> None:
    done = rule("dest_ip 198.51.100.0/24", f"use_policy {policy}")
    assert (done.policy("r").order, done.policy("r").fallback) == (order, fallback)
    assert not done.loses


def test_what_carries_nothing_is_off() -> None:
    assert not rule("dest_ip 198.51.100.0/24", "use_policy blackhole").uplink("nowhere").enabled


def test_rules_keep_their_order_and_anonymous_ones_have_a_number() -> None:
    names = "".join(
        f"config rule{name}\n\toption dest_ip 198.51.100.{n}\n\toption use_policy only_wan\n"
        for n, name in enumerate((" z", "", " a"))
    )
    assert [policy.name for policy in of(HEAD + names + ALL.format("both")).config.policies] == ["z", "rule-2", "a"]


def test_sticky_rules_of_one_line_need_no_mark() -> None:
    done = rule("proto tcp", "dest_port 443", "sticky 1", "timeout 300", "use_policy both")
    assert done.policy("r").sticky == 300
    assert done.said("sticky", "forwarded")
    assert rule("proto tcp", "sticky 1", "use_policy both").policy("r").sticky == 600
    assert rule("proto tcp", "sticky 1", "use_policy only_wan").policy("r").sticky == 0
    assert not done.loses


def test_a_sticky_rule_for_all_is_a_policy() -> None:
    done = of(HEAD + ALL.format("both") + "\toption sticky 1\n")
    assert done.policy("all").sticky == 600


@pytest.mark.parametrize(
    "options",
    [
        ("ipset streaming", "use_policy both"),
        ("dest_ip !198.51.100.0/24", "use_policy both"),
        ("dest_ip example.org", "use_policy both"),
        ("proto carrier-pigeon", "use_policy both"),
        ("proto tcp", "dest_port gopherd", "use_policy both"),
        ("src_ip 192.168.7.0/24", "use_policy default"),
    ],
)
def test_a_rule_that_cannot_be_said_is_lost_whole(options: tuple[str, ...]) -> None:
    done = rule(*options)
    assert done.config.policies == ()
    assert done.said("lost: rule r")
    assert done.loses


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("use_policy gone",), "r"),
        (("dest_ip 198.51.100.1",), "r"),
        (("use_policy both", "proto tcp"), "sixteen-letters-x"),
        (("src_ip 192.0.2.1", "dest_ip 2001:db8::1", "use_policy both"), "r"),
    ],
)
def test_what_does_nothing_in_mwan3_is_a_note(options: tuple[str, ...], name: str) -> None:
    done = rule(*options, name=name)
    assert done.config.policies == ()
    assert done.said(f"rule {name}", "does nothing")
    assert not done.loses


def test_of_two_rules_that_choose_the_same_the_second_does_nothing() -> None:
    twice = "".join(
        f"config rule {name}\n\toption dest_ip 198.51.100.1\n\toption use_policy {policy}\n"
        for name, policy in (("one", "only_wan"), ("two", "both"))
    )
    done = of(HEAD + twice + ALL.format("both"))
    assert [policy.name for policy in done.config.policies] == ["one"]
    assert done.said("rule two", "one chooses the same")
    assert not done.loses


def test_a_policy_with_too_long_a_name_is_none() -> None:
    text = HEAD.replace("'both'", "'both-lines-of-all'")
    done = of(text + ALL.format("both-lines-of-all"))
    assert done.config.policies == ()
    assert done.said("policy both-lines-of-all")


def test_shares_in_another_proportion_than_the_weights_are_lost() -> None:
    other = "config member heavy\n\toption interface lte\n\toption weight 9\nconfig policy odd\n"
    other += "\tlist use_member wan_1\n\tlist use_member heavy\n"
    lost = of(HEAD + other + "config rule r\n\toption proto udp\n\toption use_policy odd\n" + ALL.format("both"))
    assert metrics(lost) == {"wan": (100, 3), "lte": (100, 1)}
    assert lost.said("[policies] [[r]]", "shares wan 3, lte 9")
    assert lost.loses
    assert "lte 9, because" in next(remark for remark in lost.remarks if "shares" in remark)
    same = of(HEAD + other + "config rule r\n\toption proto udp\n\toption use_policy odd\n" + ALL.format("wan_lte"))
    assert metrics(same) == {"wan": (100, 1), "lte": (200, 3)}
    assert not same.loses


def test_families_that_go_different_ways_are_two_policies() -> None:
    text = BOTH.format(2) + HEAD.partition("config interface 'lte'")[2].join(["config interface 'lte'", ""])
    text += "config policy mixed\n\tlist use_member lte_1\n\tlist use_member b\n"
    text = text.replace(
        "config rule r\n", "config rule x\n\toption proto udp\n\toption use_policy mixed\nconfig rule r\n"
    )
    done = of(text)
    found = {policy.name: (policy.destinations, policy.order) for policy in done.config.policies}
    assert found["x-ipv4"] == (("0.0.0.0/0",), (("lte",),))
    assert found["x-ipv6"] == (("::/0",), (("wan",),))


def test_members_that_are_off_or_unknown_are_passed_over() -> None:
    text = HEAD + "config policy p\n\tlist use_member gone\n\tlist use_member wan_1\n\tlist use_member far\n"
    text += "config member far\n\toption interface lte\n\toption metric 300\n"
    done = of(text + "config rule r\n\toption proto udp\n\toption use_policy p\n" + ALL.format("both"))
    assert done.policy("r").order == (("wan",),)
    assert not done.loses


def test_the_shipped_example(shipped: str = "") -> None:
    """OpenWrt's own, in short: two lines of both families that share, https sticky, a rule for all of each family."""
    for name in ("wan", "wan6", "wanb", "wanb6"):
        family = "ipv6" if name.endswith("6") else "ipv4"
        address = "2001:db8::1" if name.endswith("6") else "192.0.2.1"
        shipped += f"config interface '{name}'\n\toption enabled '1'\n\toption family '{family}'\n"
        shipped += f"\tlist track_ip '{address}'\n\toption reliability '1'\n"
        shipped += (
            f"config member '{name}_m1_w3'\n\toption interface '{name}'\n\toption metric '1'\n\toption weight '3'\n"
        )
    members = "".join(f"\tlist use_member '{name}_m1_w3'\n" for name in ("wan", "wanb", "wan6", "wanb6"))
    shipped += f"config policy 'balanced'\n{members}"
    shipped += "config rule 'https'\n\toption sticky '1'\n\toption dest_port '443'\n\toption proto 'tcp'\n"
    shipped += "\toption use_policy 'balanced'\n"
    for number, address in ((4, "0.0.0.0/0"), (6, "::/0")):
        shipped += f"config rule 'default_rule_v{number}'\n\toption dest_ip '{address}'\n"
        shipped += f"\toption use_policy 'balanced'\n\toption family 'ipv{number}'\n"
    done = made("mwan3", shipped, wan="eth1", wanb="eth2")
    assert metrics(done) == {"wan": (100, 1), "wanb": (100, 1)}
    [https] = done.config.policies
    assert (https.name, https.order, https.sticky) == ("https", (("wan", "wanb"),), 600)
    assert done.config.routing.last_resort is LastResort.UNREACHABLE
    assert not done.loses


@pytest.mark.parametrize(
    "text",
    [
        "config interface 'lan'\n\toption device 'br-lan'\n\toption proto 'static'\n",
        "config device\n\toption name eth0\n",
        "config interface wan\n\toption enabled '1\n",
        "network.lan=interface\n",
    ],
)
def test_what_is_no_file_of_mwan3_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError, match="not understood as mwan3"):
        of(text)
