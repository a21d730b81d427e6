"""Probes tell what an uplink reaches, through that uplink only (P1, P5, P6)."""

from __future__ import annotations

import json

import pytest

from mwan_hook.redact import hidden
from tests.lab import Lab, Network, topologies
from tests.lab.uplinks import ONE_TWO

OPEN = f"""
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
{ONE_TWO}"""
# target, and the connectivity it finds over IPv4
TARGETS = (
    ("icmp://9.9.9.9", "full"),
    ("tcp://9.9.9.9:80", "full"),
    ("tcp://9.9.9.9:81", "limited"),
    ("dns://9.9.9.9/example.test", "full"),
    ("gateway:", "full"),
    ("http://9.9.9.9/generate_204", "full"),
    ("http://probe.test/generate_204", "full"),
    ("http://9.9.9.9/check_network_status.txt=NetworkManager%20is%20online%0A", "full"),
    ("http://9.9.9.9/body/hello=hello", "full"),
    ("http://9.9.9.9/body/hello=hell", "portal"),
    ("http://9.9.9.9/body/hello=hell...", "full"),
    ("http://9.9.9.9/body/hello=...llo", "full"),
    ("http://9.9.9.9/body/hello=...ell...", "full"),
    ("http://9.9.9.9/body/one+two=one+two", "full"),
    ("http://9.9.9.9/query?a=b=a%3Db", "full"),
    ("http://9.9.9.9/query?a=b", "portal"),
    ("http://9.9.9.9/redirect", "portal"),
    ("http://9.9.9.9/status/511", "portal"),
    ("http://9.9.9.9/status/404", "limited"),
    ("http://9.9.9.9/status/500", "limited"),
    ("http://9.9.9.9/garbage", "limited"),
    ("http://9.9.9.9/hang", "limited"),
    ("http://9.9.9.9/slow", "limited"),
    ("http://9.9.9.9:81/", "limited"),
    ("https://9.9.9.9/generate_204", "portal"),
    ("https://9.9.9.9:80/", "limited"),
)


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2)
    made.router.write("etc/resolv.conf", "nameserver 9.9.9.9\n")
    made.router.configure(OPEN)
    return made


def test_every_target_finds_the_connectivity_of_the_contract(net: Network) -> None:
    targets = ", ".join(f'"{target}"' for target, _ in TARGETS)
    net.router.configure(OPEN.replace("timeout = 1", f"targets = {targets}"))
    net.router.check()
    net.router.mwan("probe", "one", "--json", code=None)
    found = net.router.family("one")["targets"]
    assert [(t["target"].partition(" #")[0], t["connectivity"]) for t in found] == [
        (hidden(target), connectivity) for target, connectivity in TARGETS
    ]


def test_the_portal_targets_of_the_defaults_find_full_and_portal(net: Network) -> None:
    net.router.configure(OPEN.replace("portal_interval = 0\n", "portal_interval = 1\n"))
    net.router.check()
    assert net.router.family("one")["connectivity"] == "full"
    assert {r["path"] for r in net.lab.requests()} == {"/check_network_status.txt", "/generate_204"}
    net.isps[0].fault("portal")
    for _ in range(4):
        net.router.ns.run("sleep", "1.1")
        net.router.check()
    assert net.router.family("one")["connectivity"] == "portal"
    assert net.router.verdict("one") == "offline"
    assert net.router.way_out() == ["two"]


def test_a_dead_line_is_limited_and_no_packet_of_a_probe_takes_another(net: Network) -> None:
    targets = "http://probe.test/generate_204, icmp://1.1.1.1, icmp://[2620:fe::fe], tcp://8.8.8.8:80"
    net.router.configure(OPEN.replace("[probe]", f"[probe]\ntargets = {targets}"))
    net.router.check()
    net.isps[0].fault("blackhole")
    for isp in net.isps:
        isp.forget()
    answer = net.router.mwan("probe", "one", "two", "--json", code=None)
    assert answer.returncode != 0
    assert json.loads(answer.stdout)
    net.router.check()
    assert net.router.family("one")["connectivity"] == "limited"
    assert net.router.family("two")["connectivity"] == "full"
    for line in net.lines.values():
        packets = {p for p in line.isp.seen() if not p.source.startswith("fe80")}
        assert {p.source for p in packets} == {line.source, line.source6}
        assert {(p.destination, p.proto, p.port) for p in packets} >= {
            ("1.1.1.1", "icmp", 0),
            ("2620:fe::fe", "icmp", 0),
            ("8.8.8.8", "tcp", 80),
            ("9.9.9.9", "udp", 53),
        }


def test_strict_reverse_path_filters_do_not_hurt(net: Network) -> None:
    net.router.ns.sysctl({f"ipv4/conf/{name}/rp_filter": 1 for name in ("all", "default", "eth1", "eth2")})
    net.router.check()
    assert net.router.family("two")["connectivity"] == "full"
    answer = json.loads(net.router.mwan("probe", "two", "--json").stdout)
    assert "limited" not in json.dumps(answer)


@pytest.mark.parametrize(
    ("fault", "words"), [("gwdead", "limited"), ("reject", "limited"), ("noicmp", "limited"), ("blackhole", "limited")]
)
def test_a_line_that_answers_nothing_is_limited_and_has_its_facts(net: Network, fault: str, words: str) -> None:
    net.router.check()
    net.isps[0].fault(fault)
    net.router.check()
    found = net.router.status()["uplinks"]["one"]
    assert (found["present"], found["carrier"], found["ipv4"]["connectivity"]) == (True, True, words)
    assert found["ipv4"]["reason"]


def test_a_line_without_carrier_address_or_gateway_is_none_and_sends_nothing(net: Network) -> None:
    ns = net.router.ns
    net.router.check()
    net.isps[0].forget()
    net.router.carrier("eth1", False)
    net.router.check()
    assert net.router.family("one")["connectivity"] == "none"
    net.router.carrier("eth1", True)
    ns.ip("addr del 10.1.0.2/24 dev eth1")
    net.isps[0].forget()
    net.router.check()
    assert net.router.family("one")["connectivity"] == "none"
    assert not [p for p in net.isps[0].seen() if ":" not in p.source]
    ns.ip("addr add 10.1.0.2/24 dev eth1")
    net.router.check()
    assert net.router.family("one")["connectivity"] == "none", "the address is back, the route is not"


def test_a_slow_server_does_not_stretch_a_round(net: Network) -> None:
    urls = '"http://9.9.9.9/slow", "http://9.9.9.9/hang", "icmp://9.9.9.9"'
    net.router.configure(OPEN.replace("[probe]", f"[probe]\ntargets = {urls}"))
    net.router.mwan("check", "--now", timeout=5)
    assert net.router.family("one")["connectivity"] == "full"


def test_probe_bytes_are_counted(net: Network) -> None:
    net.router.configure(OPEN.replace("[probe]", "[probe]\ntargets = icmp://9.9.9.9"))
    net.router.check()
    first = net.router.family("one")["probe_bytes"]
    net.router.check()
    assert (first, net.router.family("one")["probe_bytes"]) == (72, 144)


def test_latency_above_the_limit_is_a_bad_round_and_between_both_changes_nothing(lab: Lab, net: Network) -> None:
    net.router.configure(OPEN.replace("[probe]", "[probe]\nlatency_high = 200\nlatency_low = 50\nrise = 1\nfall = 1"))
    net.router.check()
    lab.delay(net.isps[0], 120)
    net.router.check()
    assert net.router.verdict("one") == "online"
    assert net.router.family("one")["latency_ms"] >= 120
    net.router.configure(OPEN.replace("[probe]", "[probe]\nlatency_high = 100\nlatency_low = 50\nrise = 1\nfall = 1"))
    net.router.check()
    assert net.router.verdict("one") == "offline"
