"""Leases of NetworkManager 1.42, dhclient 4.4.3 and dhcpcd 9.4.1, as these have written them, and as they might."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mwan_hook import plainos
from mwan_hook.machine import leasefiles, leases, managers, programs
from mwan_hook.machine.leasefiles import Offer
from mwan_hook.model import Lease

NETWORK_MANAGER = """\
[device]
managed=true
perm-hw-addr-fake=02:00:5E:10:02:87
connection-uuid=959d976a-8f62-37aa-b28a-7974198154fe
nm-owned=false
route-metric-default-effective=101
route-metric-default-aspired=100
next-server=192.168.3.1

[dhcp4]
dhcp4.broadcast_address=192.168.3.255
dhcp4.dhcp_client_identifier=01:02:00:5e:10:02:87
dhcp4.dhcp_lease_time=120
dhcp4.dhcp_server_identifier=192.168.3.1
dhcp4.domain_name_servers=192.168.3.1
dhcp4.expiry=1795996247
dhcp4.host_name=hut
dhcp4.ip_address=192.168.3.99
dhcp4.next_server=192.168.3.1
dhcp4.routers=192.168.3.1
dhcp4.subnet_mask=255.255.255.0
"""
EXTERNAL = "[device]\nmanaged=true\nconnection-uuid=2ec56774-6caf-478e-893d-f2b2fcf925e8\nnm-owned=false\n"
DHCLIENT = """\
default-duid "\\000\\001\\000\\0012\\237v}\\002\\000^\\020\\002\\207";
lease {
  interface "wan1";
  fixed-address 192.168.1.76;
  option subnet-mask 255.255.255.0;
  option dhcp-lease-time 120;
  option routers 192.168.1.1;
  option dhcp-message-type 5;
  option dhcp-server-identifier 192.168.1.1;
  option domain-name-servers 192.168.1.1;
  option broadcast-address 192.168.1.255;
  option host-name "hut";
  renew 0 2026/11/29 23:55:35;
  rebind 0 2026/11/29 23:56:22;
  expire 0 2026/11/29 23:56:37;
}
lease {
  interface "wan2";
  fixed-address 192.168.3.99;
  option subnet-mask 255.255.255.0;
  option routers 192.168.3.1;
  option domain-name-servers 192.168.3.1,9.9.9.9;
  expire 0 2026/11/29 23:56:37;
}
"""
LATER = """\
lease {
  interface "wan2";
  fixed-address 192.168.3.99;
  option routers 192.168.3.254, 192.168.3.1;
  expire 0 2026/11/30 00:56:37;
}
lease6 {
  interface "wan2";
}
lease {
  interface "wan2";
  fixed-address 192.168.3.99;
  option routers 6.6"""  # not yet written to the end
OPTIONS = "350105 3604c0a80301 330400000078 3a040000003c 3b0400000069 0104ffffff00 1c04c0a803ff"
ENDS = "0604c0a80301 0304c0a80301 ff 0000000000000000"
DUMP = """\
reason=BOUND
interface=wan2
protocol=dhcp
ip_address=192.168.3.99
subnet_cidr=24
routers=192.168.3.1
domain_name_servers=192.168.3.1
rapid_commit=
"""
WAN2 = Offer("192.168.3.99", ("192.168.3.1",), ("192.168.3.1",))


def dhcpcd(options: str) -> bytes:
    """A file of dhcpcd's with these options."""
    head = "02010600 9166c023 00000000 00000000 c0a80363 c0a80301 00000000 02005e100287"
    return bytes.fromhex(head).ljust(236, b"\0") + bytes.fromhex(f"63825363 {options}")


def put(root: Path, path: str, content: str | bytes) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content if isinstance(content, bytes) else content.encode())


def test_each_client_s_file_is_read_as_it_was_written() -> None:
    assert leasefiles.network_manager(NETWORK_MANAGER) == [WAN2]
    assert leasefiles.dhcpcd(dhcpcd(f"{OPTIONS} {ENDS}")) == [WAN2]
    assert leasefiles.dhcpcd_dump(DUMP) == [WAN2]
    assert leasefiles.dhclient(DHCLIENT, "wan2") == [WAN2._replace(servers=("192.168.3.1", "9.9.9.9"))]
    assert leasefiles.dhclient(DHCLIENT, "wan1") == [Offer("192.168.1.76", ("192.168.1.1",), ("192.168.1.1",))]


def test_of_several_leases_in_a_file_the_last_whole_one_comes_first() -> None:
    found = leasefiles.dhclient(DHCLIENT + LATER, "wan2")
    assert [offer.routers[0] for offer in found] == ["192.168.3.254", "192.168.3.1"]


@pytest.mark.parametrize(
    "offers",
    [
        leasefiles.network_manager(
            f"{NETWORK_MANAGER}dhcp4.rfc3442_classless_static_routes=10.0.0.0/8 10.1.1.1 0.0.0.0/0 10.2.2.2\n"
        ),
        leasefiles.dhcpcd_dump(f"{DUMP}classless_static_routes=10.0.0.0/8 10.1.1.1 0.0.0.0/0 10.2.2.2\n"),
        leasefiles.dhcpcd(dhcpcd(f"{OPTIONS} 790b 080a0a010101 000a020202 {ENDS}")),
        leasefiles.dhcpcd(dhcpcd(f"{OPTIONS} 7906 080a0a010101 7905 000a020202 {ENDS}")),
        leasefiles.dhclient(
            DHCLIENT.replace(
                "option routers", "option rfc3442-classless-static-routes 8,10,10,1,1,1,0,10,2,2,2;\n  option routers"
            ),
            "wan2",
        ),
    ],
)
def test_a_default_of_the_classless_routes_takes_the_router_s_place(offers: list[Offer]) -> None:
    assert offers[0].routers == ("10.2.2.2",)


def test_classless_routes_without_a_default_leave_no_router() -> None:
    """RFC 3442: a client that knows them must ignore the routers."""
    assert leasefiles.dhcpcd(dhcpcd(f"{OPTIONS} 7906 080a0a010101 {ENDS}"))[0].routers == ()


@given(st.binary(max_size=80), st.text(max_size=80))
@example(b"", "9" * 5000)  # more digits than int() takes
def test_any_content_is_read_without_an_error(data: bytes, text: str) -> None:
    for options in (data, bytes([121, len(data)]) + data):
        leasefiles.dhcpcd(dhcpcd("") + options)
    leasefiles.dhcpcd(data)
    for words in (text, f"dhcp4.ip_address=1.2.3.4\ndhcp4.routers={text}", data.decode("latin-1")):
        leasefiles.network_manager(words)
        leasefiles.dhcpcd_dump(words)
        leasefiles.dhclient(
            f'lease {{\n  interface "x";\n  fixed-address 1.2.3.4;\n  option routers {words};\n}}\n', "x"
        )
    for value in (f"option rfc3442-classless-static-routes {text}", f"fixed-address {text}"):
        leasefiles.dhclient(f'lease {{\n  interface "x";\n  fixed-address 1.2.3.4;\n  {value};\n}}\n', "x")


FILES = [
    ("run/NetworkManager/devices/4", NETWORK_MANAGER),
    ("var/lib/dhcp/dhclient.wan2.leases", DHCLIENT),
    ("var/lib/dhcp/dhclient.leases", DHCLIENT),
    ("var/lib/dhcpcd/wan2.lease", dhcpcd(f"{OPTIONS} {ENDS}")),
    ("var/lib/dhcpcd/wan2-Café.lease", dhcpcd(f"{OPTIONS} {ENDS}")),
]


@pytest.mark.parametrize(("path", "content"), FILES)
def test_a_lease_counts_while_the_interface_has_its_address(tmp_path: Path, path: str, content: str | bytes) -> None:
    assert leases.lease(str(tmp_path), 4, "wan2", ["192.168.3.99"]) == Lease()
    put(tmp_path, path, content)
    found = leases.lease(str(tmp_path), 4, "wan2", ["192.168.7.7", "192.168.3.99"])
    assert (found.gateway4, found.servers[0]) == ("192.168.3.1", "192.168.3.1")
    assert leases.lease(str(tmp_path), 4, "wan2", ["192.168.3.98"]) == Lease()
    assert leases.lease(str(tmp_path), 5, "wan20", ["192.168.3.99"]) == Lease()
    assert str(tmp_path / path) in leases.places(str(tmp_path), 4, "wan2")


def test_the_end_of_a_long_file_counts(tmp_path: Path) -> None:
    put(
        tmp_path,
        "var/lib/dhcp/dhclient.leases",
        DHCLIENT.replace("routers 192.168.3.1", "routers 6.6.6.6") * 300 + DHCLIENT,
    )
    assert leases.lease(str(tmp_path), 4, "wan2", ["192.168.3.99"]).gateway4 == "192.168.3.1"


def test_dhcpcd_is_asked_where_its_files_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's are root's, and the services are not root."""

    def closed(_: str) -> bytes:
        raise PermissionError

    asked = []

    def run(words: list[str], _: float) -> programs.Ran:
        asked.append(words)
        return programs.Ran(DUMP, "")

    monkeypatch.setattr(leases, "_read", closed)
    monkeypatch.setattr(leases, "_tail", lambda path: b"")
    monkeypatch.setattr(leases, "of_dhcpcd", lambda root, interface: ["wan2.lease"])
    monkeypatch.setattr(plainos.path, "isdir", lambda path: True)
    monkeypatch.setattr(programs, "run", run)
    assert leases.lease("/", 4, "wan2", ["192.168.3.99"]).gateway4 == "192.168.3.1"
    assert asked == [["dhcpcd", "-4", "--dumplease", "wan2"]]
    assert leases.lease("/elsewhere", 4, "wan2", ["192.168.3.99"]) == Lease()


@pytest.mark.parametrize(
    ("files", "by"),
    [
        ({}, ()),
        ({"run/systemd/netif/links/4": "ADMIN_STATE=configured\n"}, ("systemd-networkd",)),
        ({"run/systemd/netif/links/4": "ADMIN_STATE=unmanaged\n"}, ()),
        ({"run/NetworkManager/devices/4": NETWORK_MANAGER}, ("NetworkManager",)),
        ({"run/NetworkManager/devices/4": EXTERNAL}, ("NetworkManager",)),  # with a static address
        ({"run/NetworkManager/devices/4": EXTERNAL, f"{managers.EXTERNAL}/wan2.nmconnection": ""}, ()),
        ({"run/NetworkManager/devices/4": NETWORK_MANAGER.replace("managed=true", "managed=false")}, ()),
        ({"run/network/ifstate.wan2": "wan2\n", "run/dhclient.wan2.pid": "7\n"}, ("ifupdown", "dhclient")),
        ({"run/network/ifstate.wan2": "\n"}, ()),
        ({"run/dhcpcd/wan2.pid": "7\n"}, ("dhcpcd",)),
        ({"run/dhcpcd/pid": "7\n", "var/lib/dhcpcd/wan2.lease": ""}, ("dhcpcd",)),
        ({"run/dhcpcd/pid": "7\n", "var/lib/dhcpcd/wan1.lease": ""}, ()),
    ],
)
def test_who_looks_after_an_interface(tmp_path: Path, files: dict[str, str], by: tuple[str, ...]) -> None:
    for path, content in files.items():
        put(tmp_path, path, content)
    assert managers.of(str(tmp_path), 4, "wan2") == by


def test_netplan_is_known_by_the_files_that_it_makes(tmp_path: Path) -> None:
    put(tmp_path, "run/systemd/netif/links/4", "NETWORK_FILE=/run/systemd/network/10-netplan-wan2.network\n")
    put(tmp_path, "run/systemd/netif/links/5", "NETWORK_FILE=/etc/systemd/network/10-wan2.network\n")
    assert [managers.by_netplan(str(tmp_path), index) for index in (4, 5, 6)] == [True, False, False]
