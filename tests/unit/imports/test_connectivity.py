"""networkd-connectivity: a .network file as an uplink of its own, and what the reader of .network files says of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook.config import networkfiles
from mwan_hook.model import UsageError
from tests.unit.imports.made import Made, made

WHOLE = """[Match]
Name=eth0

[Network]
DHCP=yes

[ConnectivityMonitord]
ProbeURL=
ProbeURL=http://192.0.2.1/generate_204
ProbeURL=http://192.0.2.2/status.txt=NetworkManager is online, really
Interval=20
Timeout=2.5

[ConnectivityMetric]
full=100
portal=2000
limited=2100
none=2200
hysteresisdelay=90
hysteresisbackoff=300
"""


def of(text: str, **devices: str) -> Made:
    """A file."""
    return made("networkd-connectivity", text, **devices)


def monitor(*lines: str) -> Made:
    """A file with these lines below [ConnectivityMonitord]."""
    return of("\n".join(("[Match]", "Name=eth0", "[ConnectivityMonitord]", *lines, "")))


def test_a_file_is_an_uplink_with_its_probes_its_hold_and_its_metrics() -> None:
    done = of(WHOLE)
    [uplink] = done.config.uplinks
    probe = uplink.probe
    assert (uplink.name, uplink.literal, uplink.metric) == ("eth0", "eth0", 100)
    asked = [target.text for target in probe.targets]
    assert asked == ["http://192.0.2.1/generate_204", "http://192.0.2.2/status.txt=NetworkManager is online, really"]
    assert (probe.interval, probe.timeout, probe.fall, probe.rise, probe.portal_interval) == (20, 2.5, 1, 1, 0)
    assert (probe.hysteresis_delay, probe.hysteresis_backoff) == (90, 300)
    metrics = uplink.metrics
    assert (metrics.full, metrics.portal, metrics.limited, metrics.none) == (100, 2000, 2100, 2200)
    assert not done.loses


def test_it_says_what_the_reader_of_network_files_says(tmp_path: Path) -> None:
    path = tmp_path / "etc/systemd/network/10-eth0.network"
    path.parent.mkdir(parents=True)
    path.write_text(WHOLE)
    [network], warnings = networkfiles.read(str(tmp_path), lambda _: None)
    uplink = of(WHOLE).uplink("eth0")
    assert warnings == []
    assert network.values["targets"] == [target.text for target in uplink.probe.targets]
    for key in ("interval", "timeout", "hysteresis_delay", "hysteresis_backoff", "required"):
        assert network.values[key] == getattr(uplink.probe, key)


def test_urls_are_added_to_the_three_that_are_there_until_an_empty_one() -> None:
    own = "http://192.0.2.1/"
    assert len(monitor().uplink("eth0").probe.targets) == 3
    added = monitor(f"ProbeURL={own}").uplink("eth0").probe.targets
    assert [target.host for target in added] == ["nmcheck.gnome.org", "gstatic.com", "example.com", "192.0.2.1"]
    cleared = monitor("ProbeURL=http://192.0.2.9/", "ProbeURL=", f"probeurl={own}").uplink("eth0").probe.targets
    assert [target.text for target in cleared] == [own]


def test_without_metrics_there_is_no_hold_and_none_of_the_defaults_is_ours() -> None:
    done = monitor()
    probe = done.uplink("eth0").probe
    assert (probe.interval, probe.timeout, probe.fall, probe.hysteresis_delay) == (15, 5, 1, 0)
    assert done.uplink("eth0").metric is None
    assert done.said("without metrics")
    assert not done.loses


def test_the_hold_has_their_defaults() -> None:
    done = of("[Match]\nName=eth0\n[ConnectivityMetric]\nfull=100\nportal=1\nlimited=2\nnone=3\n")
    probe = done.uplink("eth0").probe
    assert (probe.hysteresis_delay, probe.hysteresis_backoff) == (180, 600)
    assert not done.loses


def test_a_state_without_a_metric_moves_nothing_there() -> None:
    done = of("[Match]\nName=eth0\n[ConnectivityMetric]\nfull=100\nnone=2000\n")
    assert done.said("[uplinks] [[eth0]]", "portal, limited")
    assert done.loses


def test_hooks_units_and_other_files_are_named() -> None:
    done = of(WHOLE)
    assert done.said("/etc/connectivity-dispatcher/STATE.d", "/etc/mwan-hook/STATE.d")
    assert done.said("/etc/routemon-dispatcher.d", "default-route.d")
    assert done.said("connectivity-monitord@")
    assert done.said("import each .network file")


@pytest.mark.parametrize(
    ("lines", "match", "name", "loses"),
    [
        ("Name=eth0 eth1", ["eth0", "eth1"], "example", False),
        ("Name=en*", ["en*"], "example", False),
        ("MACAddress=00:11:22:33:44:55", ["00:11:22:33:44:55"], "example", False),
        ("Driver=cdc_ether", ["cdc_ether"], "example", False),
        ("Path=pci-0000:02:00.0", ["pci-0000:02:00.0"], "example", False),
        ("Name=eth0\nDriver=e1000e", ["eth0"], "eth0", True),
        ("Name=eth1\nName=\nName=eth0", ["eth0"], "eth0", False),
    ],
)
def test_matches(lines: str, match: list[str], name: str, loses: bool) -> None:
    done = of(f"[Match]\n{lines}\n[ConnectivityMonitord]\n")
    [uplink] = done.config.uplinks
    assert (uplink.name, [one.glob for one in uplink.match]) == (name, match)
    assert done.loses is loses


def test_a_device_may_have_another_name_here() -> None:
    assert of(WHOLE, eth0="enp1s0").uplink("enp1s0").literal == "enp1s0"


@pytest.mark.parametrize(
    "line",
    ["Interval=soon", "Colour=blue", "ProbeURL=ftp://192.0.2.1/", "ProbeURL=http://192.0.2.1/?a=b=c", "nonsense"],
)
def test_what_means_something_else_or_nothing_is_told(line: str) -> None:
    done = monitor("ProbeURL=http://192.0.2.7/", line)
    assert done.loses
    assert done.uplink("eth0").probe.interval == 15


def test_a_metric_that_is_none_is_lost_alone() -> None:
    done = of("[Match]\nName=eth0\n[ConnectivityMetric]\nfull=low\nportal=1\nlimited=2\nnone=3\n")
    assert done.uplink("eth0").metrics is not None
    assert done.uplink("eth0").metric is None
    assert done.loses


@pytest.mark.parametrize(
    "text",
    [
        "[Match]\nName=eth0\n[Network]\nDHCP=yes\n",
        "[ConnectivityMonitord]\nInterval=5\n",
        "[Match]\nType=ether\n[ConnectivityMonitord]\n",
        "[Match]\nName=!eth0\n[ConnectivityMonitord]\n",
    ],
)
def test_what_names_no_interface_or_neither_section_is_not_understood(text: str) -> None:
    with pytest.raises(UsageError, match="not understood"):
        of(text)
