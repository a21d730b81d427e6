"""OPNsense and pfSense: gateways, groups and rules of config.xml."""

from __future__ import annotations

import pytest

from mwan_hook.model import UsageError
from tests.unit.imports.bsd import OPN_LEGACY, OPN_MODEL, PF
from tests.unit.imports.made import Made, made

KINDS = {"opnsense": OPN_MODEL, "pfsense": PF}
DEVICES = {"wan": "enp1s0", "opt1": "enp2s0", "opt2": "usb0", "lan": "br0", "opt3": "br0.20"}


def opnsense(old: str = "", new: str = "") -> Made:
    """The newer one's configuration with something else in it."""
    assert old in OPN_MODEL
    return made("opnsense", OPN_MODEL.replace(old, new, 1), **DEVICES)


def pfsense(old: str = "", new: str = "") -> Made:
    """The other's configuration with something else in it."""
    assert old in PF
    return made("pfsense", PF.replace(old, new, 1), wan="enp1s0", opt1="enp2s0", lan="br0", opt2="br0.50")


def test_gateways_of_the_model_are_uplinks_one_for_an_interface() -> None:
    done = opnsense()
    found = [(one.name, one.literal, one.metric, one.weight) for one in done.config.uplinks]
    assert found == [("fibre_gw", "enp1s0", 10, 3), ("cable_gw", "enp2s0", 20, 1), ("opt2_dhcp", "usb0", 255, 1)]
    fibre, cable, stick = done.config.uplinks
    assert [family.value for family in fibre.families] == ["ipv4", "ipv6"]
    assert (fibre.gateways, cable.gateways) == (("203.0.113.1", "2001:db8:1::1"), ())
    assert [one.text for one in fibre.probe.targets] == ["icmp://9.9.9.9", "icmp://2620:fe::fe"]
    assert stick.probe.targets == ()


def test_limits_of_dpinger_in_our_words() -> None:
    """A dead line was found after 12 s by default; in bursts of its interval it is so still."""
    done = opnsense()
    fibre, cable, _ = (one.probe for one in done.config.uplinks)
    assert (fibre.fall * fibre.burst_interval, fibre.timeout, fibre.latency_high) == (12, 4, 500)
    assert (cable.fall * cable.burst_interval, cable.timeout) == (12, 3)
    assert (cable.latency_high, cable.latency_low, cable.interval) == (400, 150, 2)
    assert (cable.loss_high, cable.loss_low, cable.degraded) == (30, 10, "offline")
    assert (fibre.loss_high, fibre.degraded) == (0, "")
    low = opnsense("<losslow/>", "<losslow>5</losslow>").uplink("fibre_gw").probe
    assert (low.loss_high, low.loss_low, low.degraded) == (20, 5, "offline")
    assert done.said("[[cable_gw]]", "mwan-hook-check.timer")
    assert done.said("[probe]", "share of echoes")


def test_rules_of_the_model_by_sequence_and_then_those_of_the_filter() -> None:
    done = opnsense()
    assert [policy.name for policy in done.config.policies] == ["talk", "guests-share", "legacy-mail-by-cable"]
    talk, guests, mail = done.config.policies
    assert (talk.iif, talk.protocols, talk.sources) == (("br0",), (17,), ("192.168.30.128/25",))
    assert talk.destinations == ("192.0.2.10", "192.0.2.20/30")
    assert talk.dport == ((5060, 5060), (10000, 10100))
    assert talk.order == (("cable_gw",), ("fibre_gw",))
    assert (guests.iif, guests.protocols, guests.sticky) == (("br0.20",), (), 600)
    assert guests.order == (("fibre_gw", "cable_gw"), ("opt2_dhcp",))
    assert (mail.dport, mail.destinations, mail.uplinks) == (((587, 587),), ("0.0.0.0/0",), ("cable_gw",))


def test_a_group_of_ipv4_carries_none_of_the_other_family() -> None:
    assert opnsense().policy("guests-share").destinations == ("0.0.0.0/0",)
    both = opnsense("<item>OPT2_DHCP|2</item>", "<item>FIBRE_V6|2</item>").policy("guests-share")
    assert (both.destinations, both.order) == ((), (("fibre_gw", "cable_gw"),))
    done = opnsense("<ipprotocol>inet46</ipprotocol>", "<ipprotocol>inet6</ipprotocol>")
    assert done.said("guests share", "POOL is no gateway of inet6")


def test_what_the_whole_router_does() -> None:
    router = opnsense().config.router
    assert router.pin
    assert [family.value for family in router.masquerade] == ["ipv4"]
    manual = opnsense("<mode>automatic</mode>", "<mode>advanced</mode>")
    assert not manual.config.router.masquerade
    assert manual.said("[router]", "advanced")


def test_a_link_local_gateway_is_one_of_its_interface() -> None:
    done = opnsense("<gateway>2001:db8:1::1<", "<gateway>fe80::1%igb0<")
    assert done.uplink("fibre_gw").gateways == ("203.0.113.1", "fe80::1")


def test_groups_in_lists_by_tier_and_by_uuid() -> None:
    first = "11111111-0000-4000-8000-00000000000"
    old = "<item>FIBRE_GW|1</item><item>CABLE_GW|1</item><item>OPT2_DHCP|2</item>"
    new = f"<item>OPT2_DHCP</item><item2>{first}3,{first}1</item2><item3/>"
    assert opnsense(old, new).policy("guests-share").order == (("opt2_dhcp",), ("cable_gw", "fibre_gw"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<gw_switch_default>1<", "<gw_switch_default>0<", ("gw_switch_default",)),
        ("<losshigh>30<", "<losshigh>5<", ("loss_low",)),
        ("<data_length/>", "<data_length>64</data_length>", ("data_length 64",)),
        ("<gateway>POOL<", "<gateway>NOWHERE<", ("rule 20", "NOWHERE")),
        ("<item>CABLE_GW|1<", "<item>GONE|1<", ("gateway GONE", "POOL")),
        ("<destination_net>servers<", "<destination_net>video<", ("talk", "cdn.example.net")),
        ("<destination_net>servers<", "<destination_net>unknown<", ("talk", "unknown")),
        ("<destination_port>talk<", "<destination_port>unknown<", ("talk", "unknown")),
        ("<direction>in<", "<direction>out<", ("direction is out",)),
        ("<quick>1</quick><interfacenot>", "<quick>0</quick><interfacenot>", ("rule 20", "quick")),
        ("<interfacenot>0<", "<interfacenot>1<", ("what is not",)),
        ("<protocol>any<", "<protocol>what<", ("what",)),
        ("<weight>1</weight>", "<weight>0</weight>", ("weight",)),
        ("<mode>automatic<", "<mode>hybrid<", ("outbound NAT",)),
    ],
)
def test_what_cannot_be_said_is_lost(old: str, new: str, words: tuple[str, ...]) -> None:
    done = opnsense(old, new)
    assert done.said(*words)
    assert done.loses


@pytest.mark.parametrize(
    ("old", "new"),
    [("<source_not>0<", "<source_not>1<"), ("<destination_net>servers<", "<destination_net>lan,opt9<")],
)
def test_a_rule_that_cannot_be_said_is_no_policy_at_all(old: str, new: str) -> None:
    text = OPN_MODEL[: OPN_MODEL.index('<rule uuid="a1">')], OPN_MODEL[OPN_MODEL.index('<rule uuid="a1">') :]
    done = made("opnsense", text[0] + text[1].replace(old, new, 1), **DEVICES)
    assert "talk" not in [policy.name for policy in done.config.policies]
    assert done.said("talk", "lost")


def test_what_is_forced_down_or_disabled_is_not_used() -> None:
    done = opnsense(
        "<priority>20<", "<force_down>1</force_down><priority>20<".replace("<force_down>1</force_down>", "")
    )
    assert done.uplink("cable_gw").enabled
    text = OPN_MODEL.replace("<fargw>1<", "<fargw>1</fargw><disabled>1</disabled><fargw>1<")
    text = text.replace("<disabled>0</disabled><name>CABLE_GW", "<disabled>1</disabled><name>CABLE_GW")
    assert not made("opnsense", text, **DEVICES).uplink("cable_gw").enabled
    text = OPN_MODEL.replace("<disabled>0</disabled><name>FIBRE_V6", "<disabled>1</disabled><name>FIBRE_V6")
    fibre = made("opnsense", text, **DEVICES).uplink("fibre_gw")
    assert (fibre.enabled, [family.value for family in fibre.families]) == (True, ["ipv4"])


def test_older_gateways_are_watched_unless_it_is_switched_off() -> None:
    done = made("opnsense", OPN_LEGACY, wan="enp1s0", lan="enp2s0", opt1="ppp0")
    static, dial = done.config.uplinks
    assert ([one.text for one in static.probe.targets], dial.probe.targets) == (["gateway:"], ())
    assert [(one.name, one.literal, one.metric) for one in done.config.uplinks] == [
        ("wangw", "enp1s0", 100),
        ("dsl_pppoe", "ppp0", 200),
    ]
    policy = done.policy("web-by-DSL")
    assert (policy.iif, policy.dport, policy.uplinks) == (("enp2s0",), ((80, 443),), ("dsl_pppoe",))
    assert len(done.config.policies) == 1


def test_devices_of_freebsd_are_asked_for_by_either_name() -> None:
    done = made("opnsense", OPN_LEGACY, em0="enp7s0")
    assert done.uplink("wangw").literal == "enp7s0"
    assert not done.said("--map wan=")
    assert done.said("--map lan=DEVICE")
    assert sum("--map lan=" in remark for remark in done.remarks) == 1


def test_gateways_of_pfsense_and_those_that_only_it_names() -> None:
    done = pfsense()
    found = [(one.name, one.literal, one.metric, one.weight) for one in done.config.uplinks]
    assert found == [("wan_dhcp", "enp1s0", 100, 2), ("wan2gw", "enp2s0", 200, 1)]
    first, second = done.config.uplinks
    assert [family.value for family in first.families] == ["ipv4", "ipv6"]
    assert [one.text for one in first.probe.targets] == ["icmp://8.8.8.8"]
    assert done.said("[[wan_dhcp]]", "WAN_DHCP6")
    assert (first.probe.fall * first.probe.burst_interval, first.probe.timeout) == (12, 2)
    assert (second.probe.fall * second.probe.burst_interval, second.probe.timeout) == (6, 4)
    assert (second.probe.interval, second.probe.latency_high, second.probe.latency_low) == (1, 700, 0)


def test_rules_of_pfsense() -> None:
    done = pfsense()
    assert [policy.name for policy in done.config.policies] == ["one-host-as-the-default", "LAN-shares", "pings"]
    host, lan, pings = done.config.policies
    assert host.order == (("wan_dhcp",), ("wan2gw",))
    assert (host.sources, host.dport) == (("10.9.0.40",), ((443, 443),))
    assert (lan.iif, lan.order, lan.sticky) == (("br0",), (("wan_dhcp", "wan2gw"),), 600)
    assert (pings.protocols, pings.destinations) == ((1,), ("192.0.2.0/25", "203.0.113.9"))


@pytest.mark.parametrize(
    ("chosen", "order", "words"),
    [
        ("WAN2GW", ["wan2gw", "wan_dhcp"], "alone"),
        ("FAILOVER", ["wan_dhcp", "wan2gw"], ""),
        ("", ["wan_dhcp", "wan2gw"], ""),
        ("-", ["wan_dhcp", "wan2gw"], "defaultgw4 = -"),
        ("GONE", ["wan_dhcp", "wan2gw"], "GONE"),
    ],
)
def test_the_default_gateway_of_pfsense(chosen: str, order: list[str], words: str) -> None:
    done = pfsense("<defaultgw4>FAILOVER<", f"<defaultgw4>{chosen}<")
    assert [one.name for one in sorted(done.config.uplinks, key=lambda one: one.metric or 0)] == order
    assert (bool(words) and done.said("[uplinks]", words)) or not any("defaultgw4" in remark for remark in done.remarks)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("<tagged></tagged>", "<tagged>voip</tagged>", ("LAN shares", "tagged")),
        (
            "<type>pass</type><interface>opt2</interface>",
            "<type>pass</type><floating>yes</floating>",
            ("pings", "direction"),
        ),
        (
            "<gw_down_kill_states></gw_down_kill_states>",
            "<gw_down_kill_states>down</gw_down_kill_states>",
            ("kill_states",),
        ),
        ("<gateway>BALANCE<", "<gateway>ELSEWHERE<", ("ELSEWHERE",)),
        ("<address>10.9.0.40<", "<address>staff<", ("one host", "staff")),
        ("<monitor>8.8.8.8<", "<monitor>nonsense<", ("nonsense",)),
    ],
)
def test_what_pfsense_says_that_we_cannot(old: str, new: str, words: tuple[str, ...]) -> None:
    done = pfsense(old, new)
    assert done.loses
    assert done.said(*words)


def test_what_comes_in_elsewhere_has_the_network_written() -> None:
    done = pfsense("<source><network>opt2</network></source>", "<source><network>lan</network></source>")
    assert (done.policy("pings").iif, done.policy("pings").sources) == (("br0.50",), ("10.9.0.0/24",))


def test_floating_rules_come_first() -> None:
    floating = "<type>pass</type><floating>yes</floating><quick>yes</quick><direction>in</direction>"
    rule = f"<rule>{floating}<destination><port>853</port></destination><protocol>tcp</protocol>"
    done = pfsense("<separator><lan>", f"{rule}<gateway>WAN2GW</gateway><descr>names</descr></rule><separator><lan>")
    assert next(policy.name for policy in done.config.policies) == "names"
    assert (done.policy("names").iif, done.policy("names").dport) == ((), ((853, 853),))


def test_of_two_gateways_on_an_interface_the_one_in_use_counts() -> None:
    item = "<disabled></disabled><interface>opt1</interface><gateway>198.51.100.9</gateway><name>OFF</name>"
    done = pfsense("<gateways>", f"<gateways><gateway_item>{item}</gateway_item>")
    assert done.uplink("wan2gw").gateways == ("198.51.100.5",)


def test_candidates_for_the_default_come_before_the_others() -> None:
    done = opnsense("<defaultgw>1</defaultgw><fargw>1<", "<defaultgw>0</defaultgw><fargw>1<")
    assert [one.metric for one in done.config.uplinks] == [10, 20, 255]
    done = opnsense("<defaultgw>1</defaultgw><fargw>0<", "<defaultgw>0</defaultgw><fargw>0<")
    fibre, cable, stick = (one.metric or 0 for one in done.config.uplinks)
    assert cable < fibre < stick, "IPv4 decides, and of others the lower priority"
    assert not done.said("order of IPv6")


def test_ipv6_that_is_preferred_otherwise_is_said() -> None:
    item = "<name>CABLE_V6</name><interface>opt1</interface><ipprotocol>inet6</ipprotocol><priority>5</priority>"
    more = f"<gateway_item>{item}<defaultgw>1</defaultgw></gateway_item>"
    done = opnsense('<gateway_item uuid="11111111-0000-4000-8000-000000000003">', f"{more}<gateway_item>")
    assert [one.metric for one in done.config.uplinks] == [10, 20, 255]
    assert done.said("order of IPv6")


def test_what_has_no_monitor_is_judged_by_its_link() -> None:
    done = pfsense("<monitor>1.1.1.1</monitor>", "<monitor>1.1.1.1</monitor><monitor_disable></monitor_disable>")
    assert done.uplink("wan2gw").probe.targets == ()
    done = pfsense("<monitor>1.1.1.1</monitor>", "")
    assert [one.text for one in done.uplink("wan2gw").probe.targets] == ["gateway:"]


def test_a_second_router_on_one_interface_is_lost() -> None:
    item = "<gateway_item><interface>opt1</interface><gateway>198.51.100.9</gateway><name>OTHER</name></gateway_item>"
    done = pfsense("<gateway_group>", f"{item}<gateway_group>")
    assert done.uplink("wan2gw").gateways == ("198.51.100.5",)
    assert done.said("gateway OTHER", "198.51.100.9")


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE {0}>{1}",
        "<!DOCTYPE {0} [<!ENTITY l0 'ha'>" + LAUGHS + "]><{0}>&l9;</{0}>",
        "<!DOCTYPE {0} [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><{0}>&x;</{0}>",
        "<!DOCTYPE {0} SYSTEM 'http://192.0.2.1/x.dtd'><{0}/>",
        "<!DOCTYPE {0} [<!ENTITY % x SYSTEM 'file:///etc/passwd'> %x;]><{0}/>",
        "<{0}>&x;</{0}>",
        "<{0}/>",
        "<{0}><interfaces/><gateways/></{0}>",
        "<other/>",
        "<html><body>{1}</body></html>",
        "",
        "   ",
        "<{0}>",
        "\x7fELF\x02",
        "<{0}>" + "<a>" * 200 + "</a>" * 200 + "</{0}>",
        "<{0}>" * 100000,
        "<?xml version='1.0' encoding='klingon'?><{0}/>",
    ],
    ids=range(17),
)
def test_what_is_no_such_file_is_refused(kind: str, text: str) -> None:
    with pytest.raises(UsageError):
        made(kind, text.replace("{0}", kind).replace("{1}", KINDS[kind].partition("?>")[2]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", ["<a>" * 100 + "</a>" * 100, "<!DOCTYPE a>", "&a;"])
def test_a_good_file_with_one_bad_thing_is_refused(kind: str, more: str) -> None:
    head, end, _ = KINDS[kind].rpartition("</")
    with pytest.raises(UsageError):
        made(kind, f"{head}{more}{end}{kind}>")


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file_is_refused_wherever_it_ends(kind: str) -> None:
    for cut in range(0, len(KINDS[kind]) - 20, 331):
        with pytest.raises(UsageError):
            made(kind, KINDS[kind][:cut])


@pytest.mark.parametrize("kind", KINDS)
def test_the_other_ones_file_is_refused(kind: str) -> None:
    other = next(one for one in KINDS if one != kind)
    with pytest.raises(UsageError, match=f"root element {kind}"):
        made(kind, KINDS[other])


@pytest.mark.parametrize("kind", KINDS)
def test_lines_and_what_is_not_ours_change_nothing(kind: str) -> None:
    text = KINDS[kind]
    assert made(kind, text.replace("\n", "\r\n")).text == made(kind, text).text
    graph = f"<rrddata><xmldata>{'QUJD' * 20000}</xmldata></rrddata><!-- {'-'.join('x' * 9)} -->"
    end = f"</{kind}>"
    assert made(kind, text.replace(end, graph + end)).text == made(kind, text).text


@pytest.mark.parametrize("kind", KINDS)
def test_names_that_would_be_sections_or_keys_are_text(kind: str) -> None:
    text = KINDS[kind].replace("<name>POOL<", "<name>[uplinks]\nx = 1<").replace("<descr>CABLE<", "<descr>]]\n[[x<")
    text = text.replace("<descr>pings<", "<descr>[[x]]&#10;uplinks = y &quot;' # \x7f<")
    assert made(kind, text).config.uplinks
