"""netplan: which devices are uplinks, and what their files say of them."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

from mwan_hook.model import UplinkConfig, UsageError
from tests.unit.imports.made import Made, made

CLOUD_INIT = """
# This file is generated from information provided by the datasource.  Changes
# to it will not persist across an instance reboot.
network:
    ethernets:
        ens3:
            dhcp4: true
            dhcp6: false
            match:
                macaddress: 52:54:00:12:34:56
            set-name: ens3
    version: 2
"""

SERVER = """
network:
  version: 2
  renderer: networkd
  ethernets:
    enp1s0:
      addresses: [192.0.2.10/24, "2001:db8::10/64"]
      routes:
        - to: default
          via: 192.0.2.1
          metric: 50
        - to: default
          via: 2001:db8::1
      nameservers:
        addresses: [9.9.9.9]
    enp2s0:
      dhcp4: yes
      dhcp6: true
      dhcp4-overrides: {route-metric: 300}
      dhcp6-overrides: {route-metric: 300}
      optional: true
    enp3s0:
      addresses:
        - 192.168.1.1/24
        - 10.0.0.1/8: {label: "enp3s0:a"}
    enp4s0:
      dhcp4: true
      dhcp4-overrides: {use-routes: false}
  vlans:
    vlan7: {id: 7, link: enp3s0, dhcp4: true, accept-ra: false}
  bridges:
    br0: {interfaces: [enp5s0], dhcp4: false, addresses: [10.8.0.1/24]}
"""

TWO_LINES = """
network:
  version: 2
  ethernets:
    fibre:
      match: {macaddress: "52:54:00:12:34:57"}
      set-name: wan0
      addresses: [203.0.113.2/29]
      gateway4: 203.0.113.1
      routes:
        - {to: 0.0.0.0/0, via: 203.0.113.1, table: 101}
      routing-policy:
        - {from: 203.0.113.2, table: 101}
        - {from: 192.168.5.0/24, table: 102, priority: 300}
        - {to: 198.51.100.0/24, table: 102, mark: 7}
        - {from: 192.168.6.0/24, table: 254}
        - {from: 192.168.7.0/24, table: 102, type-of-service: 8}
    stick:
      match:
        driver: [cdc_ether, rndis_host]
      dhcp4: true
      routes:
        - to: default
          scope: link
          table: 102
  wifis:
    wlan0:
      renderer: NetworkManager
      dhcp4: true
      access-points: {home: {password: "secret"}}
  tunnels:
    wg0: {mode: wireguard, addresses: [10.6.0.2/24], routes: [{to: default, via: 10.6.0.1}]}
  vrfs:
    blue: {table: 1000, interfaces: [mgmt]}
  nm-devices: {}
"""


def netplan(*lines: str, kind: str = "ethernets") -> Made:
    """An import of one device with these lines, beside a plain one."""
    text = f"network:\n  version: 2\n  {kind}:\n    dev0:\n" + "".join(f"      {line}\n" for line in lines)
    return made("netplan", f"{text}  bonds: {{plain: {{dhcp4: true}}}}\n")


def matched(uplink: UplinkConfig) -> list[str]:
    """The alternatives of its match."""
    return [f"{one.kind}:{one.glob}" for one in uplink.match]


def test_a_machine_of_a_cloud_has_one_uplink() -> None:
    done = made("netplan", CLOUD_INIT)
    assert [(one.name, one.literal, one.metric) for one in done.config.uplinks] == [("ens3", "ens3", 100)]
    assert not done.loses, done.remarks
    assert done.said("[uplinks]", "stay in force")


def test_a_server_with_two_lines_and_a_network_behind() -> None:
    done = made("netplan", SERVER)
    found = {one.name: (one.metric, [family.value for family in one.families]) for one in done.config.uplinks}
    both = ["ipv4", "ipv6"]
    assert found == {"enp1s0": (50, both), "enp2s0": (300, both), "vlan7": (100, ["ipv4"])}
    assert not done.loses, done.remarks


def test_probes_are_ours_because_it_has_none() -> None:
    assert made("netplan", SERVER).uplink("enp1s0").probe.targets


def test_a_device_is_matched_as_there() -> None:
    done = made("netplan", TWO_LINES)
    assert {one.name: matched(one) for one in done.config.uplinks} == {
        "fibre": ["name:wan0"],
        "stick": ["driver:cdc_ether", "driver:rndis_host"],
        "wlan0": ["name:wlan0"],
    }


def test_tables_and_rules_of_two_lines() -> None:
    done = made("netplan", TWO_LINES)
    assert {one.name: one.table for one in done.config.uplinks} == {"fibre": 101, "stick": None, "wlan0": None}
    first, second = done.config.policies
    assert (first.sources, first.destinations, first.uplinks) == (("192.168.5.0/24",), (), ("stick",))
    assert (second.destinations, second.marks, second.uplinks) == (("198.51.100.0/24",), ((7, None),), ("stick",))
    assert done.said("192.168.6.0/24", "stays in force")
    assert done.said("lost", "192.168.7.0/24", "type-of-service")
    assert done.said("[[fibre]]", "table 101")
    assert done.said("[[stick]]", "table 102", "several")


def test_tunnels_and_vrfs_are_no_uplinks() -> None:
    done = made("netplan", TWO_LINES)
    assert done.said("wg0", "tunnel")
    text = TWO_LINES.replace("interfaces: [mgmt]", "interfaces: [wlan0]")
    assert [one.name for one in made("netplan", text).config.uplinks] == ["fibre", "stick"]


@pytest.mark.parametrize(
    ("lines", "metric"),
    [
        (["dhcp4: true"], 100),
        (["dhcp4: true", "dhcp4-overrides: {route-metric: 7}"], 7),
        (["dhcp4: true", "routes: [{to: default, via: 192.0.2.1, metric: 20}]"], 20),
        (["routes: [{to: default, via: 192.0.2.1}]"], None),
        (["gateway4: 192.0.2.1"], None),
        (["gateway6: 2001:db8::1"], None),
        (["dhcp4: true", "gateway4: 192.0.2.1"], None),
        (["routes: [{to: default, via: 192.0.2.1, table: 254, metric: 5}]"], 5),
    ],
)
def test_the_metric_is_that_of_the_file_or_of_main(lines: list[str], metric: int | None) -> None:
    assert netplan(*lines).uplink("dev0").metric == metric


@pytest.mark.parametrize(("kind", "metric"), [("wifis", 600), ("modems", 700), ("bridges", 100)])
def test_leases_have_the_metric_of_their_kind(kind: str, metric: int) -> None:
    assert netplan("dhcp4: true", kind=kind).uplink("dev0").metric == metric


def test_a_modem_is_a_way_without_a_word_about_it() -> None:
    assert netplan("apn: internet", kind="modems").uplink("dev0").metric == 700


@pytest.mark.parametrize(
    ("lines", "families"),
    [
        (["dhcp4: true"], ["ipv4", "ipv6"]),
        (["dhcp4: true", "accept-ra: no"], ["ipv4"]),
        (["dhcp4: true", "link-local: []"], ["ipv4"]),
        (["dhcp4: true", "link-local: [ ipv4 ]"], ["ipv4"]),
        (["dhcp4: true", "accept-ra: no", "gateway6: 2001:db8::1"], ["ipv4", "ipv6"]),
        (["dhcp6: true"], ["ipv6"]),
        (["accept-ra: true"], ["ipv6"]),
        (["routes:", "- to: ::/0", "  via: fe80::1"], ["ipv6"]),
    ],
)
def test_families_are_those_that_the_file_does_not_rule_out(lines: list[str], families: list[str]) -> None:
    assert [family.value for family in netplan(*lines).uplink("dev0").families] == families


@pytest.mark.parametrize(
    "lines",
    [
        ["dhcp4: false"],
        ["addresses: [192.0.2.5/24]"],
        ["routes: [{to: 10.0.0.0/8, via: 192.0.2.1}]"],
        ["routes: [{to: default, type: blackhole}]"],
        ["dhcp4: true", "dhcp4-overrides: {use-routes: no}"],
        ["dhcp4: [yes]", "routes: default", "match: 7"],
    ],
)
def test_what_has_no_default_is_no_uplink(lines: list[str]) -> None:
    assert [one.name for one in netplan(*lines).config.uplinks] == ["plain"]


@pytest.mark.parametrize(
    ("match", "ours", "loses"),
    [
        ("match: {macaddress: '52:54:00:12:34:56'}", "mac:52:54:00:12:34:56", False),
        ("match: {macaddress: 52:54:00:12:34:56}", "mac:52:54:00:12:34:56", False),
        ("match: {driver: virtio_net}", "driver:virtio_net", False),
        ("match: {name: en*, driver: virtio_net}", "name:en*", True),
        ("match: {macaddress: '52:54:00:12:34:56', name: en*}", "mac:52:54:00:12:34:56", True),
    ],
)
def test_conditions_of_match(match: str, ours: str, loses: bool) -> None:
    done = netplan(match, "dhcp4: true")
    assert matched(done.uplink("dev0")) == [ours]
    assert done.loses == loses


def test_a_name_that_is_given_is_the_device() -> None:
    done = netplan("match: {macaddress: 52:54:00:12:34:56}", "set-name: wan0", "dhcp4: true")
    assert done.uplink("dev0").literal == "wan0"


def test_two_metrics_of_one_device_are_one_too_many() -> None:
    lines = ("dhcp4: true", "dhcp6: true", "dhcp6-overrides: {route-metric: 9}")
    assert netplan(*lines).uplink("dev0").metric == 100
    assert netplan(*lines).said("[[dev0]]", "metric 9 of ipv6")


def test_network_manager_is_named() -> None:
    assert netplan("dhcp4: true", "renderer: NetworkManager").said("NetworkManager", "20000")
    assert not netplan("dhcp4: true").said("NetworkManager")
    text = CLOUD_INIT.replace("    ethernets:\n", "    renderer: NetworkManager\n    ethernets:\n")
    assert made("netplan", text).said("NetworkManager")


BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
MERGES = "a0: &a0 {x: y}\n" + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "---\n",
        "network:\n",
        "network: []\n",
        "network: yes\n",
        "[network]\n",
        "network: {version: 2}\n",
        "network: {version: 1, ethernets: {eth0: {dhcp4: true}}}\n",
        "network: {version: 2, ethernets: {eth0: {dhcp4: false}}}\n",
        "network: {version: 2, ethernets: [eth0]}\n",
        "network:\n\tversion: 2\n",
        "network: {version: 2\n",
        "network: {version: 2, version: 2}\n",
        "network: {version: 2, ? [a, b] : c}\n",
        "a: 1\n---\nb: 2\n",
        "network: !!python/object/apply:os.system ['true']\n",
        "network: &n\n  ethernets: *n\n",
        "network: *nowhere\n",
        f"{BOMB}network: *a8\n",
        f"{MERGES}network: *a8\n",
        "[" * 5_000,
        "[a, " * 5_000,
        "- " * 5_000,
        "network: " + "{a: " * 60 + "}" * 60,
        "x " * 70_000,
        "\x01\x02",
        "<?xml version='1.0'?><opnsense/>",
        "set load-balancing wan\n",
    ],
)
def test_what_is_no_such_file_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        made("netplan", text)


def test_an_alias_may_be_used_as_often_as_a_person_would() -> None:
    text = "network:\n  version: 2\n  ethernets:\n    a: &line {dhcp4: true}\n    b: *line\n"
    assert [one.name for one in made("netplan", text).config.uplinks] == ["a", "b"]


def test_half_a_file_is_never_more_than_the_whole() -> None:
    for cut in range(0, len(SERVER), 61):
        try:
            names = {one.name for one in made("netplan", SERVER[:cut]).config.uplinks}
        except UsageError:
            continue
        assert all(any(whole.startswith(name) for whole in ("enp1s0", "enp2s0", "vlan7", "enp4s0")) for name in names)


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_lines_may_end_as_on_other_systems(end: str) -> None:
    assert made("netplan", SERVER.replace("\n", end)).text == made("netplan", SERVER).text


def test_the_library_is_asked_for_by_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name == "yaml":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match="python3-yaml"):
        made("netplan", SERVER)
