"""Files that others write, or that were ours: configuration, networkd's, udev's, state, spools."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from mwan_hook import config
from mwan_hook.config import build, keep, networkfiles
from mwan_hook.config import cache as configcache
from mwan_hook.config import networks as networkmatch
from mwan_hook.machine import claims, networkd, programs, udev
from mwan_hook.model import Family, Link, MwanError, Notice, Notified, State, Transition
from mwan_hook.notify import unsent
from mwan_hook.store import codec, files, history, outbox, spool, state, usage
from mwan_hook.store import state as states
from tests.fuzz.rules import NASTY, Command, accepted, bent, bounded, chances, command, modest, printable, put

__all__ = ["command"]  # a fixture

GOOD = b"""[routing]
default_table = 1000
mark_mask = 0x3f00
[probe]
targets = icmp://1.1.1.1, "http://a.test/x=ok", tcp://[2001:db8::1]:443, dns://9.9.9.9/a.test/TXT, gateway:
required = 2
timeout = 1.5
[router]
masquerade = ipv4
pin = yes
[mail]
to = me@example.org
smtp_host = mail.test
[policies]
  [[voip]]
  from = 192.168.9.0/24
  proto = tcp, udp
  dport = 80, 5000-5100
  uplinks = lte@usb0 + lte@usb1, fiber
[uplinks]
  [[fiber]]
  match = eth0
  metric = 100
  weight = 2
    [[[metrics]]]
    full = 100
  [[lte]]
  match = driver:cdc_ether, id:12d1:14db, usb*
  metric = 200
  quota = 5G
  gateway = 10.0.0.1, fe80::1
"""
NETWORK = b"""[Match]
Name=eth* !eth9
MACAddress=02:00:00:00:00:01
[Network]
DHCP=yes
[ConnectivityMonitord]
ProbeURL=http://a.test/x=ok
Interval=1min 30s
[ConnectivityMetric]
full=100
portal=2000
hysteresisdelay=3min
"""
LEASE = b"# private\nADDRESS=10.0.0.2\nROUTER=10.0.0.1 10.0.0.3\nDNS=10.0.0.1 9.9.9.9\nDOMAINNAME=lan\n"
LINK = b"""ADMIN_STATE=configured
NETWORK_FILE=/etc/systemd/network/10-a.network
DNS=2001:db8::1#a.test [fe80::1]:53%eth0
"""
UDEV = b"I:1234\nE:ID_NET_DRIVER=cdc_ether\nE:ID_PATH=pci-0000:00:14.0-usb-0:2:1.0\nE:ID_VENDOR_ID=12d1\nG:systemd\n"
JOURNAL = b"""eth1: DHCPv6 lease lost
eth0: DHCP: received delegated prefix 2001:db8:7::/56
eth1: DHCP: received delegated prefix 2001:db8:7::/56
"""
PREFIX = b'{"Prefix":[32,1,13,184,0,7,0,0,0,0,0,0,0,0,0,0],"PrefixLength":56}'
TOLD = b'{"Name":"eth0","DHCPv6Client":{"Prefixes":[%b]}}\n{"Name":"eth1","DHCPv6Client":{"DUID":[0]}}\n' % PREFIX


def test_a_configuration_is_taken_or_refused_in_words(command: Command) -> None:
    path = command.root / "etc/mwan-hook/mwan-hook.conf"
    with modest():
        for chance in chances("configuration", 250):
            put(path, bent(chance, GOOD))
            command("config", "--check", codes=(0, 2))
    put(path, GOOD)
    assert command("config", "--check", codes=(0,)).endswith(": good\n")


def test_a_configuration_that_is_taken_can_be_shown(command: Command) -> None:
    path = command.root / "etc/mwan-hook/conf.d/\x1b[2J.conf"
    for chance in chances("effective", 30):
        put(path, bent(chance, GOOD))
        command("config", "--effective", codes=(0, 2))
        command("config", codes=(0, 2))


def test_files_of_networkd_and_udev_say_something_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, link = str(tmp_path), Link(7, "eth0", up=True, carrier=True, mac="02:00:00:00:00:01")
    monkeypatch.setattr(keep, "RACY_NS", 0)  # what a cache holds is no matter here, and is not waited for
    with modest():
        for chance in chances("networkd", 400):
            said = bent(chance, JOURNAL).decode(errors="replace")
            monkeypatch.setattr(programs, "run", lambda _words, _timeout, said=said: programs.Ran(said))
            put(tmp_path / networkd.LEASES / "7", bent(chance, LEASE))
            put(tmp_path / networkd.LINKS / "7", bent(chance, LINK))
            put(tmp_path / udev.DATABASE / "n7", bent(chance, UDEV))
            put(tmp_path / "etc/systemd/network/10-a.network", bent(chance, NETWORK))
            put(tmp_path / "run/systemd/network/10-a.network.d/x.conf", bent(chance, NETWORK))
            put(tmp_path / claims.WRITTEN / "eth0", bent(chance, b"2001:db8:7::/56\n2001:db8:8::/48\n"))
            with bounded():
                lease = networkd.lease(root, 7)
                assert all(printable(word) for word in (lease.gateway4 or "", *lease.servers))
                networkd.link_facts(root, 7)
                networks, _ = networkfiles.read(root, lambda path: None)
                loaded = config.load(root)
                udev.attributes(root, "eth0", 7)
                networkmatch.network_for(root, networks, link)
                config.for_interface(loaded, build.build({"uplinks": {"eth0": {}}}).uplinks[0], link)
                list(claims.read(root, ("eth0",)).holders())
                assert all(printable(word) for word in claims.leases(bent(chance, TOLD).decode(errors="replace")))


KEPT: dict[str, Callable[[str], object]] = {
    files.STATE: lambda root: states.load(root, writes=True),
    files.ALLOTMENT: lambda root: state.load_allotment(root, writes=True),
    files.NOTIFIED: outbox.notified,
    files.USAGE: lambda root: usage.load(root, writes=True),
    unsent.MAIL.path: lambda root: unsent.MAIL.load(root, writes=True),
    files.HISTORY: history.read,
}


@pytest.fixture(scope="module")
def good() -> list[bytes]:
    """Files as a run writes them."""
    family = {"status": "online", "connectivity": 4, "good": 3, "since": 12.5, "reason": "1 of 1", "targets": []}
    notice = Notice(id="00000000000000000042-0", event="online", uplink="fiber", interface="eth0")
    state = {
        "version": 1,
        "boot_id": states.boot_id(),
        "uplinks": {"fiber": {"interface": "eth0", "index": 7, "ipv4": family}},
        "tables": [1000, 1001],
        "sysctls": [{"key": "net/ipv4/conf/eth0/rp_filter", "value": "2", "index": 7}],
        "errors": ["x"],
        "outbox": [codec.plain(notice)],
    }
    transition = Transition("online", "fiber", "eth0", Family.IPV4, "offline", "online", "x", 1.5)
    return [
        json.dumps(state).encode(),
        codec.encode(State(boot_id=states.boot_id(), saved_at=9.0)),
        codec.encode(Notified(states.boot_id(), last="00000000000000000042-0")),
        b'{"version":1,"tables":{"fiber":1001},"marks":{"fiber":256},"enabled":{"fiber":false}}',
        b'{"version":1,"uplinks":{"fiber":{"index":7,"period":"2026-02-28","reset_day":31,"received":5}}}',
        b'{"version":1,"ended":[{"subject":"fiber","begin":1.5,"end":9.0,"reason":"x"}],"error":"no"}',
        json.dumps(codec.plain(transition)).encode() + b"\n",
    ]


def test_what_was_ours_is_used_or_set_aside(command: Command, good: list[bytes]) -> None:
    with modest():
        for chance in chances("kept", 500):
            for path, load in KEPT.items():
                put(command.root / path, bent(chance, *good))
                accepted(partial(load, str(command.root)), MwanError)
    for path in KEPT:
        put(command.root / path, good[1])
    assert states.load(str(command.root), writes=True) == (State(boot_id=states.boot_id(), saved_at=9.0), ())


def test_commands_that_read_what_was_ours_answer(command: Command, good: list[bytes]) -> None:
    for chance in chances("commands", 60):
        for path in KEPT:
            put(command.root / path, bent(chance, *good))
        command("track", codes=(0, 1))
        put(command.root / files.STATE, bent(chance, *good))
        command("connectivity-state", codes=(0, 1))
        command("history", codes=(0, 1))
        command("history", "--json", codes=(0, 1))
        put(command.root / files.STATE, bent(chance, *good))
        command("snmp", "-n", ".1.3.6.1.4.1", codes=(0, 1))
        command("mail", codes=(0, 1, 2))


def test_a_cache_that_was_bent_changes_no_value(tmp_path: Path) -> None:
    put(tmp_path / "etc/mwan-hook/mwan-hook.conf", GOOD)
    put(tmp_path / "etc/systemd/network/10-a.network", NETWORK)
    wanted = config.load(str(tmp_path))
    cache = tmp_path / configcache.PATH
    while not cache.exists():  # the files have to be older than a tick of the kernel's clock
        config.load(str(tmp_path))
    kept = cache.read_bytes()
    for chance in chances("cache", 150):
        cache.write_bytes(bent(chance, kept))
        with bounded():
            assert config.load(str(tmp_path)) == wanted


NAMES = ["00000000000000000007-1", "x\x1b[2J", "\u202ey", ".hidden", "-rf", "a b", "$(x)", "n" * 200]
EVENT = [b'{"action":"add","interface":"eth0"}', b"add eth0\n"]


@pytest.mark.parametrize("place", [files.EVENTS, files.NOTIFY])
def test_a_spool_is_emptied_of_all_in_it(tmp_path: Path, place: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = tmp_path / place
    notice = json.dumps(codec.plain(Notice(id="0", event="online", uplink="fiber", interface="eth0"))).encode()
    with modest():
        for chance in chances(place, 120):
            for name in chance.sample(NAMES, 3):
                put(directory / name, bent(chance, *EVENT, notice, *NASTY))
            if chance.random() < 0.2:
                os.mkfifo(directory / f"fifo{chance.random()}")
                (directory / f"d{chance.random()}").mkdir()
                (directory / f"l{chance.random()}").symlink_to("/etc/shadow")
            with bounded():
                if place == files.EVENTS:
                    interfaces, _ = spool.take(str(tmp_path))
                    assert all(len(one) <= 256 for one in interfaces)
                    left = [name for name in os.listdir(directory) if not name.startswith(".")]
                else:
                    notices, _ = outbox.waiting(str(tmp_path), files.NOTIFY)
                    for one in notices:
                        outbox.drop(str(tmp_path), files.NOTIFY, one)
                    left = list(outbox.names(str(tmp_path), files.NOTIFY))
            assert left == []
    assert Path("/etc/shadow").exists()
