"""systemd-networkd's files: leases, the search order of .network files, their syntax and whom they match."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyfakefs.fake_filesystem import FakeFilesystem

from mwan_hook import config
from mwan_hook.config import build, networkfiles, networks
from mwan_hook.machine import networkd
from mwan_hook.machine.networkd import Network
from mwan_hook.machine.unitfile import parse_file, timespan
from mwan_hook.model import Family, Lease, Link, Metrics, UplinkConfig

ETH0 = Link(7, "eth0", True, True, "00:11:22:aa:bb:cc", altnames=("fiber0",))
MATCH = "[Match]\nName=eth0\n"
SOURCE = "http://probe.example/"


def network(fs: FakeFilesystem, path: str, text: str) -> None:
    """A file of networkd's; ``path`` is below the directories' common end where it is relative."""
    fs.create_file(path if path.startswith("/") else f"/etc/systemd/network/{path}", contents=text)


def values(link: Link = ETH0, attributes: dict[str, str] | None = None) -> dict[str, object]:
    """What the .network files give a link."""
    found, _ = networkfiles.read("/", lambda path: None)
    if attributes is None:
        chosen = networks.network_for("/", found, link)
    else:
        chosen = next((one for one in found if networks.applies(one.match, link, attributes)), None)
    return dict(chosen.values) if chosen else {}


def warnings() -> list[str]:
    """What is said of the files."""
    return networkfiles.read("/", lambda path: None)[1]


def monitor(text: str) -> str:
    """A file for eth0 with lines of [ConnectivityMonitord]."""
    return f"{MATCH}[ConnectivityMonitord]\n{text}\n"


def test_the_interface_has_its_section_s_values(fs: FakeFilesystem) -> None:
    text = f"ProbeURL={SOURCE}=Network%20is%20up\nInterval=15\nTimeout=1min 30s"
    metric = "[ConnectivityMetric]\nfull=100\nportal=1\nlimited=2\nnone=3\nhysteresisdelay=5\nhysteresisbackoff=6\n"
    network(fs, "10-eth0.network", monitor(text) + metric)
    assert values() == {
        "targets": [f"{SOURCE}=Network%20is%20up"],
        "portal_targets": [],
        "required": 1,
        "interval": 15,
        "timeout": 90,
        "metrics": {"full": 100, "portal": 1, "limited": 2, "none": 3},
        "hysteresis_delay": 5,
        "hysteresis_backoff": 6,
    }
    assert warnings() == []


def test_no_directory_and_no_section_is_nothing(fs: FakeFilesystem) -> None:
    assert networkfiles.read("/", lambda path: None) == ([], [])
    network(fs, "10-eth0.network", MATCH + "[Network]\nDHCP=yes\n")
    assert networkfiles.read("/", lambda path: None) == ([], [])


@pytest.mark.parametrize(
    ("higher", "lower"),
    [
        ("/etc", "/run"),
        ("/run", "/usr/local/lib"),
        ("/usr/local/lib", "/usr/lib"),
        ("/usr/lib", "/lib"),
    ],
)
def test_a_name_in_a_higher_directory_masks_it_in_a_lower_one(fs: FakeFilesystem, higher: str, lower: str) -> None:
    network(fs, f"{lower}/systemd/network/10-a.network", monitor("Interval=1\nTimeout=1"))
    assert values() == {"interval": 1, "timeout": 1}
    network(fs, f"{higher}/systemd/network/10-a.network", monitor("Interval=2"))
    assert values() == {"interval": 2}


def test_files_are_tried_by_name_over_all_directories(fs: FakeFilesystem) -> None:
    network(fs, "/etc/systemd/network/50-a.network", monitor("Interval=5"))
    network(fs, "/usr/lib/systemd/network/40-b.network", monitor("Interval=4"))
    network(fs, "/run/systemd/network/45-c.network", "[Match]\nName=wlan0\n[ConnectivityMonitord]\nInterval=9\n")
    assert values() == {"interval": 4}


def test_an_earlier_file_without_our_sections_still_takes_the_interface(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", "[Match]\nName=eth*\n")
    network(fs, "20-b.network", monitor("Interval=5"))
    assert values() == {}


def test_an_empty_file_and_a_link_to_dev_null_mask(fs: FakeFilesystem) -> None:
    network(fs, "/usr/lib/systemd/network/10-a.network", monitor("Interval=1"))
    network(fs, "/usr/lib/systemd/network/20-b.network", monitor("Interval=2"))
    network(fs, "/usr/lib/systemd/network/30-c.network", monitor("Interval=3"))
    network(fs, "10-a.network", "")
    fs.create_symlink("/etc/systemd/network/20-b.network", "/dev/null")
    assert values() == {"interval": 3}


def test_drop_ins_of_all_directories_are_read_by_name(fs: FakeFilesystem) -> None:
    network(fs, "/usr/lib/systemd/network/10-a.network", monitor("Interval=1\nTimeout=1"))
    network(fs, "/usr/lib/systemd/network/10-a.network.d/50-x.conf", "[ConnectivityMonitord]\nInterval=2\n")
    network(fs, "/run/systemd/network/10-a.network.d/40-y.conf", "[ConnectivityMonitord]\nInterval=3\nTimeout=3\n")
    network(fs, "/run/systemd/network/10-a.network.d/note.txt", "[ConnectivityMonitord]\nInterval=4\n")
    assert values() == {"interval": 2, "timeout": 3}
    network(fs, "/etc/systemd/network/10-a.network.d/50-x.conf", "[ConnectivityMonitord]\nInterval=5\n")
    assert values() == {"interval": 5, "timeout": 3}


def test_a_drop_in_can_be_masked_and_can_empty_a_list(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", monitor(f"ProbeURL={SOURCE}a\nProbeURL={SOURCE}b\nInterval=1"))
    assert values()["targets"] == [f"{SOURCE}a", f"{SOURCE}b"]
    network(fs, "10-a.network.d/a.conf", f"[ConnectivityMonitord]\nProbeURL=\nProbeURL={SOURCE}c\n")
    network(fs, "/usr/lib/systemd/network/10-a.network.d/b.conf", "[ConnectivityMonitord]\nInterval=2\n")
    network(fs, "10-a.network.d/b.conf", "")
    assert values() == {"targets": [f"{SOURCE}c"], "portal_targets": [], "required": 1, "interval": 1}


def test_an_empty_assignment_is_back_to_the_default(fs: FakeFilesystem) -> None:
    text = f"ProbeURL={SOURCE}\nProbeURL=\nInterval=3\nInterval=\n[ConnectivityMetric]\nfull=1\nfull=\n"
    network(fs, "10-a.network", monitor(text + "hysteresisdelay=1\nhysteresisdelay="))
    assert values() == {}


def test_names_are_case_sensitive(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", monitor("probeurl=http://h/\ninterval=3") + "[connectivitymetric]\nfull=1\n")
    assert values() == {}
    found = "\n".join(warnings())
    assert "10-a.network:4: [ConnectivityMonitord] probeurl=http://h/: ignored: expected one of ProbeURL" in found
    assert "10-a.network:7: ignored: the section is spelled [ConnectivityMetric]" in found


def test_both_spellings_of_networkd_connectivity_s_manual_are_known(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", MATCH + "[ConnectivityMetric]\nHysteresisDelay=1min\nHysteresisBackoff=2min\n")
    assert values() == {"hysteresis_delay": 60, "hysteresis_backoff": 120}
    assert warnings() == []


def test_a_key_counts_in_its_own_section_only(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", monitor("hysteresisdelay=1\nfull=1\n[ConnectivityMetric]\nInterval=3"))
    assert values() == {}
    assert len(warnings()) == 3


@pytest.mark.parametrize(
    "line",
    ["ProbeURL=icmp://1.1.1.1", "ProbeURL=h", "Interval=0", "Interval=infinity", "Timeout=-1", "Timeout=soon", "junk"],
)
def test_a_bad_value_is_a_warning_that_names_the_file_and_the_rest_counts(fs: FakeFilesystem, line: str) -> None:
    network(fs, "10-a.network", monitor(f"{line}\nInterval=7"))
    assert values() == {"interval": 7}
    assert len(warnings()) == 1
    assert warnings()[0].startswith("/etc/systemd/network/10-a.network:4: [ConnectivityMonitord] ")
    assert "expected" in warnings()[0]


@pytest.mark.parametrize("line", ["full=x", "none=4294967295", "limited=-1", "hysteresisdelay=x", "ful=1"])
def test_a_bad_metric_is_a_warning(fs: FakeFilesystem, line: str) -> None:
    network(fs, "10-a.network", f"{MATCH}[ConnectivityMetric]\n{line}\nportal=7\n")
    assert values() == {"metrics": {"portal": 7}}
    assert len(warnings()) == 1


def test_the_syntax_is_systemd_s(fs: FakeFilesystem) -> None:
    text = """\ufeff; comment
# comment \\
Name=outside
[Match]
 Name = eth0 \\
# a comment inside
   wlan0  # no comment
[A]
Path=C:\\\\
[B
X=1
[A]
 Empty =
Equals = a = b
Last=x \\"""
    network(fs, "x", text)
    entries, odd = parse_file("/etc/systemd/network/x")
    assert [(one.section, one.key, one.value, one.place.rpartition(":")[2]) for one in entries] == [
        ("Match", "Name", "eth0  wlan0  # no comment", "5"),
        ("A", "Path", "C:\\\\", "9"),
        ("A", "Empty", "", "13"),
        ("A", "Equals", "a = b", "14"),
        ("A", "Last", "x", "15"),
    ]
    assert odd == []


def test_a_file_that_cannot_be_decoded_does_no_harm(fs: FakeFilesystem) -> None:
    fs.create_file("/etc/systemd/network/10-a.network", contents=b"\xff\xfe[Match]\n\x00\n[Match]\nName=eth0\n")
    network(fs, "20-b.network", monitor("Interval=2"))
    assert values() == {}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15", 15),
        ("500ms", 0.5),
        ("1min 30s", 90),
        ("1h30min", 5400),
        ("1.5s", 1.5),
        ("2 min", 120),
        ("0", 0),
        (" 1 ", 1),
    ],
)
def test_time_spans_are_systemd_s(text: str, seconds: float) -> None:
    assert timespan(text) == seconds


@pytest.mark.parametrize("text", ["", " ", "s", "1x", "-1", "1 2", "infinity", "1min s", "nan", "٣"])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time span"):
        timespan(text)


@given(st.text(alphabet="0123456789. smihndM-", max_size=20))
def test_any_text_is_a_time_span_within_a_year_or_refused(text: str) -> None:
    try:
        assert 0 <= timespan(text) <= 31_536_000
    except ValueError as error:
        assert "expected" in str(error)


@pytest.mark.parametrize(
    ("match", "fits"),
    [
        ("Name=eth0", True),
        ("Name=eth*", True),
        ("Name=wlan0 eth?", True),
        ("Name=fiber0", True),
        ("Name=wlan0", False),
        ("Name=wlan0\nName=eth0", True),
        ("Name=wlan0\nName=\nName=eth0", True),
        ("Name=eth0\nName=wlan0\nName=\nName=usb0", False),
        ("Name=!wlan*", True),
        ("Name=*", True),
        ("", False),
        ("Name=", False),
        ("MACAddress=00:11:22:AA:BB:CC", True),
        ("MACAddress=00-11-22-aa-bb-cc 01:02:03:04:05:06", True),
        ("MACAddress=0011.22aa.bbcc", True),
        ("MACAddress=00:11:22:aa:bb:cd", False),
        ("PermanentMACAddress=00:11:22:aa:bb:cc", True),
        ("Driver=e1000*", True),
        ("Driver=!r8169", True),
        ("Driver=!e1000e", False),
        ("Path=pci-0000:00:19.0-*", True),
        ("Path=pci-1*", False),
        ("Property=ID_MODEL=X ID_VENDOR=Y*", True),
        ("Property=ID_MODEL=X ID_VENDOR=Z", False),
        ("Property=!ID_MODEL=Z", True),
        ("Property=ID_NONE=*", False),
        ("Property=!ID_NONE=*", True),
        ('Property="ID_TEXT=a b"', True),
        ("Type=ether", True),
        ("Type=wlan", False),
        ("Name=eth0\nType=!wlan", True),
        ("Name=eth0\nDriver=r8169", False),
        ("Name=eth0\nSSID=home", False),
    ],
)
def test_match_holds_as_in_systemd(fs: FakeFilesystem, match: str, fits: bool) -> None:
    network(fs, "10-a.network", f"[Match]\n{match}\n[ConnectivityMonitord]\nInterval=7\n")
    attributes = {
        "driver": "e1000e",
        "path": "pci-0000:00:19.0-x",
        "property:ID_MODEL": "X",
        "property:ID_VENDOR": "Yy",
        "property:ID_TEXT": "a b",
    }
    assert bool(values(ETH0, attributes)) is fits


def test_an_inverted_name_excludes_its_interface(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", "[Match]\nName=!eth0 eth1\n[ConnectivityMonitord]\nInterval=7\n")
    assert values(Link(8, "eth2", True, True)) == {"interval": 7}
    assert values(Link(9, "eth1", True, True)) == {}


@pytest.mark.parametrize(
    ("link", "kind"),
    [
        (Link(1, "lo", True, True), "loopback"),
        (Link(2, "ppp0", True, True, noarp=True), "none"),
        (ETH0, "ether"),
    ],
)
def test_the_type_follows_from_the_link(fs: FakeFilesystem, link: Link, kind: str) -> None:
    network(fs, "10-a.network", f"[Match]\nType={kind}\n[ConnectivityMonitord]\nInterval=7\n")
    assert values(link) == {"interval": 7}


def test_the_file_that_networkd_names_is_the_one(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", monitor("Interval=1"))
    network(fs, "20-b.network", "[Match]\nSSID=home\n[ConnectivityMonitord]\nInterval=2\n")
    fs.create_file("/run/systemd/netif/links/7", contents="ADMIN_STATE=configured\nNETWORK_FILE=/x/20-b.network\n")
    assert values() == {"interval": 2}
    assert values(ETH0._replace(index=8)) == {"interval": 1}
    network(fs, "/run/systemd/netif/links/9", "NETWORK_FILE=/usr/lib/systemd/network/80-other.network\n")
    assert values(ETH0._replace(index=9)) == {}


def load(fs: FakeFilesystem, text: str, beneath: str) -> UplinkConfig:
    """The one uplink of a configuration, on eth0 with this .network file."""
    fs.create_file("/etc/mwan-hook/mwan-hook.conf", contents=text)
    network(fs, "10-a.network", MATCH + beneath)
    loaded = config.load("/")
    uplink = loaded.config.uplinks[0] if loaded.config.uplinks else UplinkConfig("eth0", probe=loaded.config.probe)
    return config.for_interface(loaded, uplink, ETH0)


OURS = f"[ConnectivityMonitord]\nProbeURL={SOURCE}=OK\nInterval=15\nTimeout=5\n"


def test_a_network_file_lies_above_the_defaults(fs: FakeFilesystem) -> None:
    probe = load(fs, "", OURS).probe
    assert [target.text for target in probe.targets] == [f"{SOURCE}=OK"]
    assert (probe.portal_targets, probe.required, probe.interval, probe.timeout, probe.fall) == ((), 1, 15, 5, 3)


def test_and_beneath_what_the_configuration_sets(fs: FakeFilesystem) -> None:
    text = "[probe]\ninterval = 3\n[uplinks]\n[[a]]\nmatch = eth0\ntargets = gateway:\nportal_targets = http://h/\n"
    probe = load(fs, text, OURS).probe
    assert [target.text for target in probe.targets] == ["gateway:"]
    assert [target.text for target in probe.portal_targets] == ["http://h/"]
    assert (probe.interval, probe.timeout) == (3, 5)


def test_required_is_never_more_than_the_urls_there_are(fs: FakeFilesystem) -> None:
    probe = load(fs, "[probe]\nrequired = 3\n", OURS).probe
    assert (len(probe.targets), probe.required) == (1, 1)


def test_metrics_of_a_network_file_fill_what_the_configuration_leaves(fs: FakeFilesystem) -> None:
    text = "[uplinks]\n[[a]]\nmatch = eth0\n[[[metrics]]]\nfull = 1\n"
    assert load(fs, text, "[ConnectivityMetric]\nfull=5\nnone=6\n").metrics == Metrics(full=1, none=6)


def test_another_interface_keeps_its_uplink(fs: FakeFilesystem) -> None:
    network(fs, "10-a.network", MATCH + OURS)
    loaded = config.load("/")
    uplink = UplinkConfig("wlan0", probe=loaded.config.probe)
    assert config.for_interface(loaded, uplink, Link(3, "wlan0", True, True)) is uplink
    assert [target.text for target in loaded.config.probe.targets] == list(build.TARGETS)


def test_a_lease_gives_gateway_and_servers(fs: FakeFilesystem) -> None:
    lease = "# This is private data.\nADDRESS=192.0.2.7\nROUTER=192.0.2.1 192.0.2.2\nDNS=192.0.2.53 9.9.9.9\n"
    fs.create_file("/run/systemd/netif/leases/7", contents=lease)
    names = "9.9.9.9 2620:fe::fe [2001:db8::1]:53#x.example 1.1.1.1:853#y fe80::1%eth0 junk"
    fs.create_file("/run/systemd/netif/links/7", contents=f"OPER_STATE=routable\nDNS={names}\n")
    servers = ("192.0.2.53", "9.9.9.9", "2620:fe::fe", "2001:db8::1", "1.1.1.1", "fe80::1")
    assert networkd.lease("/", 7) == Lease("192.0.2.1", servers)
    assert {Family.of(server) for server in servers} == {Family.IPV4, Family.IPV6}


@pytest.mark.parametrize("content", ["", "ROUTER=\nDNS=\n", "ROUTER=0.0.0.0\n", "ROUTER\n=x\n", "\x00"])
def test_a_lease_that_says_nothing_is_empty(fs: FakeFilesystem, content: str) -> None:
    assert networkd.lease("/", 7) == Lease()
    fs.create_file("/run/systemd/netif/leases/7", contents=content)
    assert networkd.lease("/", 7) == Lease()


def test_leases_are_found_by_index_below_the_root(fs: FakeFilesystem) -> None:
    fs.create_file("/elsewhere/run/systemd/netif/leases/2", contents="ROUTER=192.0.2.1\n")
    fs.create_file("/elsewhere/run/systemd/netif/links/3", contents="DNS=::1\n")
    fs.create_file("/elsewhere/run/systemd/netif/links/4", contents="OPER_STATE=off\n")
    found = {index: networkd.lease("/elsewhere", index) for index in (2, 3, 4, 9)}
    assert found == {2: Lease("192.0.2.1"), 3: Lease(None, ("::1",)), 4: Lease(), 9: Lease()}
    assert networkd.lease("/", 2) == Lease()


def test_a_network_without_match_is_no_links() -> None:
    assert networks.network_for("/nowhere", [Network("a", "a", {}, {"interval": 1}, {})], ETH0) is None
