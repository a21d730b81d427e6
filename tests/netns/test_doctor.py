"""The command `doctor` on a machine with two uplinks: a real kernel with real troubles, real files of systemd's."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Lab, Line, Netns, Router
from tests.lab.isp import Isp
from tests.lab.process import run
from tests.lab.router import AS_NOBODY, PROJECT, with_mounts
from tests.netns.installer import look
from tests.netns.layout import layout
from tests.netns.test_router import PINNED, _asked, _served

UNITS = "usr/lib/systemd/system"
WANTS = {
    "timers.target": ("mwan-hook-check.timer", "mwan-hook-mail.timer", "mwan-hook-record.timer"),
    "paths.target": tuple(f"mwan-hook-{name}.path" for name in ("chores", "event", "hooks", "notify")),
    "sockets.target": ("mwan-hook-netlink.socket",),
    "multi-user.target": (
        *("mwan-hook-boot.service", "mwan-hook-early.service"),
        *("systemd-networkd.service", "networkd-dispatcher.service"),
    ),
    "network-online.target": ("systemd-networkd-wait-online.service",),
}
WAIT = f"{UNITS}/systemd-networkd-wait-online.service"
GENERATOR = "systemd/system-generators/mwan-hook-wait-online"
STARTED = "run/systemd/units/invocation:systemd-networkd.service"
CONFIG = """
[probe]
interval = 60
fall = 1
rise = 1
hysteresis_backoff = 0
portal_interval = 0
[uplinks]
  [[fiber]]
  match = wan1
  metric = 100
  [[cable]]
  match = wan2
  metric = 100
"""
GOOD = {"ipv4/fib_multipath_hash_policy": 1, "ipv6/fib_multipath_hash_policy": 1}


def systemd(root: Path) -> None:
    """What install.sh puts below a root, and a systemd that has enabled it."""
    for file in (PROJECT / "systemd").glob("mwan-hook-*.*"):
        if file.is_file():
            put(root, f"{UNITS}/{file.name}", file.read_text())
    shutil.copytree(PROJECT / "systemd/networkd.conf.d", root / "usr/lib/systemd/networkd.conf.d")
    put(root, "usr/lib/systemd/networkd.conf.d/60-test.conf", "[Network]\nManageForeignNextHops=no\n")
    put(root, "usr/lib/udev/rules.d/90-mwan-hook.rules", (PROJECT / "udev/90-mwan-hook.rules").read_text())
    put(root, "usr/lib/systemd/libsystemd-shared-257.so", "x")
    put(root, WAIT, "[Service]\nExecStart=/usr/lib/systemd/systemd-networkd-wait-online\n")
    run([str(PROJECT / GENERATOR), str(root / "run/systemd/generator")], env={"MWAN_HOOK_ROOT": str(root)})
    for target, names in WANTS.items():
        for name in names:
            if not (root / UNITS / name).exists():
                put(root, f"{UNITS}/{name}", "[Unit]\n")
            link(root / f"etc/systemd/system/{target}.wants/{name}", f"/{UNITS}/{name}")
    words = (PROJECT / "install/files.sh").read_text().partition('states="')[2].partition('"')[0]
    for state in words.split():
        link(root / f"usr/lib/networkd-dispatcher/{state}.d/50-mwan-hook", "/usr/lib/mwan-hook/spool-event")
    put(root, "etc/resolv.conf", "nameserver 9.9.9.9\n")
    (root / STARTED).parent.mkdir(parents=True, exist_ok=True)
    link(root / STARTED, "0123456789abcdef")


def put(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


class Machine:
    """The router, and its cable line's provider."""

    def __init__(self, router: Router, cable: Isp) -> None:
        self.router, self.cable = router, cable

    @property
    def ns(self) -> Netns:
        return self.router.ns

    def found(self, *words: str, code: int | None = None) -> list[dict[str, Any]]:
        """The findings."""
        done = self.router.mwan("doctor", "--json", *words, code=code)
        findings: list[dict[str, Any]] = json.loads(done.stdout)["findings"]
        return findings

    def codes(self) -> list[tuple[str, str]]:
        """Severity and code of each."""
        return [(one["severity"], one["code"]) for one in self.found()]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Nothing is wrong with it."""
    with Lab() as lab:
        fiber, cable = lab.isp("fiber", "192.168.1.0/24"), lab.isp("cable", "192.168.3.0/24")
        router = lab.router(
            Line(fiber, "wan1", "192.168.1.80/24", 100, "2001:db8:1:1::80/64", 100),
            Line(cable, "wan2", "192.168.3.80/24", 100, "2001:db8:2:1::80/64", 100),
        )
        router.ns.batch(
            *("link add lan0 type veth peer name lan0-p", "link set lan0 up", "link set lan0-p up"),
            "address add 192.168.99.1/24 dev lan0",
        )
        router.ns.sysctl(GOOD)
        lab.serve(tls=False)
        systemd(router.root)
        router.configure(CONFIG)
        router.check()
        yield Machine(router, cable)


@contextlib.contextmanager
def changed(ns: Netns, *lines: str) -> Iterator[None]:
    """Objects that are there for a while: `ip` lines with add."""
    try:
        for line in lines:
            ns.ip(line)
        yield
    finally:
        for line in reversed(lines):
            ns.ip(line.replace(" add ", " del ", 1), check=False)


@contextlib.contextmanager
def values(ns: Netns, **wanted: int) -> Iterator[None]:
    """Sysctls, `__` for a slash, for a while."""
    keys = {key.replace("__", "/"): value for key, value in wanted.items()}
    before = {key: ns.read_sysctl(key) for key in keys}
    ns.sysctl(keys)
    try:
        yield
    finally:
        ns.sysctl(before)


def test_a_clean_machine_has_no_findings_and_is_left_as_it_is(machine: Machine) -> None:
    before, files = layout(machine.ns), look(machine.router.root)
    done = machine.router.mwan("doctor", code=0)
    assert (done.stdout, done.stderr) == ("nothing found that would hurt\n", "")
    assert layout(machine.ns) == before
    assert look(machine.router.root) == files
    assert machine.router.mwan("doctor", "--fix", code=0).stdout == done.stdout
    assert look(machine.router.root) == files


# ---------------------------------------------------------------- the kernel

# what is put there by ip(8), and what is told of it
OBJECTS = {
    "rule add priority 5270 lookup 52": None,
    "-6 rule add priority 5271 lookup 52": None,
    "rule add priority 5272 lookup 53": ("warning", "rule-first", "ipv4 5272"),
    "rule add priority 5273 lookup 54": ("note", "rule-behind", "ipv4 5273"),
    "route add default via 192.168.1.1 table 54": None,
    "rule add priority 5274 to 10.9.0.0/16 lookup 52": ("warning", "rule-behind", "ipv4 5274"),
    "rule add priority 996 fwmark 0x40000/0x40000 lookup main": ("note", "rule-to-main", "ipv4 996"),
    "rule add priority 997 lookup 53": ("warning", "rule-first", "ipv4 997"),
    "rule add priority 998 lookup main": ("problem", "rule-first", "ipv4 998"),
    "-6 rule add priority 999 unreachable": ("problem", "rule-first", "ipv6 999"),
    "rule add priority 1500 lookup main": ("problem", "rule-first", "ipv4 1500"),
    "rule add priority 1501 from 10.0.0.0/8 lookup 53": ("note", "rule-between", "ipv4 1501"),
    "rule add priority 1000 from 10.0.0.0/8 lookup main suppress_prefixlength 0": ("note", "rule-between", "ipv4 1000"),
    "rule add priority 500 from 10.0.0.0/8 lookup 53": None,
    "route add default dev lan0 table 53": None,
    "route add 100.64.0.0/10 dev lan0 table 52": None,
    "route add default via 192.168.3.1 table 1000": ("problem", "default-beaten", "ipv4 1000"),
    "route add default via 192.168.1.1 table 1001": ("problem", "default-beaten", "ipv4 1001"),
    "route add 0.0.0.0/1 dev lan0": None,
    "route add 128.0.0.0/1 dev lan0": ("warning", "split-default", "ipv4 main"),
    "address add 192.168.3.80/24 dev lan0": ("warning", "address-twice", "192.168.3.80"),
    "address add 192.168.1.7/24 dev lan0": ("warning", "network-twice", "wan1 and lan0"),
}


def test_what_others_put_into_the_kernel_is_told(machine: Machine) -> None:
    with changed(machine.ns, *OBJECTS):
        found = machine.found(code=1)
    told = [(one["severity"], one["code"], one["about"]) for one in found]
    assert sorted(told) == sorted(one for one in OBJECTS.values() if one)
    assert [one["severity"] for one in found] == sorted((one["severity"] for one in found), key=WORST.index)


WORST = ["problem", "warning", "note"]


def test_wg_quick_and_mwan3_are_called_by_their_names(machine: Machine) -> None:
    tunnel = ("rule add not fwmark 0xca6c priority 998 lookup 51820", "route add default dev lan0 table 51820")
    with changed(machine.ns, *tunnel, "rule add priority 2001 fwmark 0x100/0x3f00 lookup 1"):
        found = {(one["severity"], one["code"]): one["what"] for one in machine.found(code=1)}
    assert set(found) == {
        ("warning", "rule-first"),
        ("note", "mark-overlap"),
        ("problem", "mark-clash"),
    }
    first = found["warning", "rule-first"]
    assert "998: not from all fwmark 0xca6c lookup 51820, of WireGuard (wg-quick) it seems," in first
    assert first.endswith("leads to lan0")
    assert "of mwan3 it seems," in found["problem", "mark-clash"]


NFT_WITHOUT_DSCP = """#!/bin/sh
case "$*" in *-c*) ;; *) exec {nft} "$@" ;; esac
grep -q dscp && {{ echo "Error: no dscp in this kernel" >&2; exit 1; }}
exit 0
"""


def test_a_table_that_is_refused_because_of_a_policy_is_told(machine: Machine) -> None:
    wrapper = put(machine.router.root, "bin/nft", NFT_WITHOUT_DSCP.format(nft=shutil.which("nft")))
    wrapper.chmod(0o755)
    machine.router.configure(f"{CONFIG}[policies]\n[[calls]]\ndscp = ef\nuplinks = cable, fiber\n")
    try:
        path = {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}
        found = json.loads(machine.router.mwan("doctor", "--json", code=1, env=path).stdout)["findings"]
        assert "no dscp in this kernel" in next(one["what"] for one in found if one["code"] == "nft-refuses")
    finally:
        machine.router.configure(CONFIG)


def test_marks_that_nftables_sets_are_read(machine: Machine) -> None:
    statements = {
        "ONE": "meta mark set 0x100",
        "TWO": "meta mark set meta mark & 0xffffc0ff | 0x3000",
        "THREE": "meta mark set meta mark | 0x40000",
        "FOUR": "ct mark set 0x100",  # nothing is pinned
    }
    chains = (f"chain {name} {{\n{statement}\n}}\n" for name, statement in statements.items())
    machine.ns.nft(f"table inet other {{\n{''.join(chains)}}}\n")
    try:
        found = machine.found(code=1)
    finally:
        machine.ns.nft("delete table inet other\n")
    assert [(one["severity"], one["code"], one["about"]) for one in found] == [
        ("problem", "mark-clash", "nft inet other ONE"),
        ("warning", "mark-overlap", "nft inet other TWO"),
    ]


def test_sysctls_are_read(machine: Machine) -> None:
    wrong = {
        "ipv4__conf__wan1__rp_filter": 1,
        "ipv4__conf__wan2__ignore_routes_with_linkdown": 0,
        "ipv4__fib_multipath_hash_policy": 0,
        "ipv6__fib_multipath_hash_policy": 0,
        "ipv6__conf__wan1__forwarding": 1,
    }
    with values(machine.ns, **wrong):
        found = [(one["code"], one["about"]) for one in machine.found(code=1)]
        with values(machine.ns, ipv4__conf__all__rp_filter=2):
            loose = [code for _, code in machine.codes()]
    told = [("linkdown", "wan2"), ("hash-policy", "ipv4"), ("hash-policy", "ipv6"), ("accept-ra", "wan1")]
    assert found == [("rp-filter", "wan1"), *told]
    assert loose == [code for code, _ in told]


def test_a_router_wants_to_forward_and_nft(machine: Machine) -> None:
    machine.router.configure(CONFIG.replace("[uplinks]", "[router]\nmasquerade = yes\n[uplinks]"))
    try:
        with values(machine.ns, ipv4__conf__all__rp_filter=1):
            assert machine.codes() == [("problem", "rp-filter")] * 2 + [("problem", "forwarding")]
        with values(machine.ns, ipv4__ip_forward=1):
            assert machine.codes() == []  # nft and the kernel take the table
            hidden = with_mounts('for nft in $(which -a nft); do mount --bind /dev/null "$nft"; done')
            done = machine.router.mwan("doctor", wrap=hidden, code=1)
        assert done.stdout.startswith("problem nft-missing nft: nft(8) is not installed")
    finally:
        machine.router.configure(CONFIG)


def test_with_the_shared_default_in_main_a_better_ipv6_default_is_told(machine: Machine) -> None:
    machine.router.configure(CONFIG.replace("[uplinks]", "[routing]\ndefault_table = main\n[uplinks]"))
    try:
        with changed(machine.ns, "-6 route add default dev lan0 metric 1"):
            machine.router.check()
            assert machine.codes() == [("problem", "default-beaten")]
        machine.router.check()
        assert machine.codes() == []
    finally:
        machine.router.configure(CONFIG)
        machine.router.check()


def test_a_name_server_behind_a_dead_line_is_told(machine: Machine) -> None:
    resolv = machine.router.root / "etc/resolv.conf"
    resolv.write_text("nameserver 192.168.3.1\nnameserver 9.9.9.9\n")
    try:
        with machine.cable.broken("blackhole"):
            machine.router.check()
            [found] = machine.found(code=1)
            resolv.write_text("nameserver 192.168.3.1\n")
            assert machine.codes() == [("problem", "dns-dead-link")]
        machine.router.check()
        assert machine.codes() == []
    finally:
        resolv.write_text("nameserver 9.9.9.9\n")
    assert (found["severity"], found["code"]) == ("warning", "dns-dead-link")
    assert "192.168.3.1 (/etc/resolv.conf) is asked through wan2, uplink cable, which is offline" in found["what"]


# ---------------------------------------------------------------- state and configuration


def test_a_timer_that_is_dead_shows_in_the_state(machine: Machine) -> None:
    kept = machine.router.state_file.read_text()
    state = json.loads(kept)
    for uplink in state["uplinks"].values():
        for family in ("ipv4", "ipv6"):
            uplink[family]["next_probe_at"] = 1.0
    try:
        machine.router.write_state(json.dumps(state))
        assert machine.codes() == [("problem", "runs-stopped")]
        machine.router.write_state("{")
        assert [code for _, code in machine.codes()] == ["never-run", "state-bad"]
        assert [code for _, code in machine.codes()] == ["never-run", "state-bad"]  # a look sets nothing aside
    finally:
        machine.router.write_state(kept)
    assert machine.codes() == []


def test_a_bad_configuration_ends_with_2_and_the_rest_is_told_all_the_same(machine: Machine) -> None:
    machine.router.configure(CONFIG.replace("metric", "mertic"))
    drop_in = machine.router.root / "usr/lib/systemd/networkd.conf.d/50-mwan-hook.conf"
    kept = drop_in.read_text()
    drop_in.write_text("")
    try:
        found = machine.found(code=2)
    finally:
        machine.router.configure(CONFIG)
        put(machine.router.root, str(drop_in.relative_to(machine.router.root)), kept)
        refresh(machine)
    assert [one["code"] for one in found] == ["configuration", "configuration", "foreign-routes", "foreign-rules"]
    assert "did you mean metric?" in found[0]["what"]


def refresh(machine: Machine) -> None:
    """networkd is started anew."""
    started = machine.router.root / STARTED
    started.unlink()
    link(started, "f")


def test_an_ordinary_user_is_told_what_was_not_seen(machine: Machine) -> None:
    done = machine.router.mwan("doctor", wrap=AS_NOBODY, code=0)
    assert done.stdout.startswith("note not-seen: not looked at: marks that nftables and iptables set")
    assert "not looked at: how large a packet the lines take" in done.stdout
    with changed(machine.ns, "rule add priority 5270 unreachable"):
        assert "rule-first" in machine.router.mwan("doctor", wrap=AS_NOBODY, code=1).stdout


# ---------------------------------------------------------------- --fix


def broken(machine: Machine) -> None:
    """All that --fix can put right."""
    root = machine.router.root
    shutil.rmtree(root / "usr/lib/systemd/networkd.conf.d")
    shutil.rmtree(root / "run/systemd/generator")
    (root / "usr/lib/networkd-dispatcher/off.d/50-mwan-hook").unlink()
    index = machine.ns.index("wan1")
    put(root, f"run/systemd/netif/links/{index}", "ADMIN_STATE=unmanaged\nREQUIRED_FOR_ONLINE=yes\n")
    zero = dict.fromkeys(GOOD, 0) | {"ipv4/conf/wan2/ignore_routes_with_linkdown": 0}
    machine.ns.sysctl({**zero, "ipv4/conf/all/rp_filter": 1, "ipv6/conf/wan1/forwarding": 1})
    machine.router.configure(CONFIG.replace("[uplinks]", "[router]\nmasquerade = yes\n[uplinks]"))


def test_after_fix_nothing_is_left_that_it_can_fix_and_again_writes_nothing(machine: Machine) -> None:
    root = machine.router.root
    assert machine.codes() == []
    foreign = put(root, "etc/sysctl.d/50-mine.conf", "net.ipv4.conf.all.rp_filter = 1\n")
    broken(machine)
    before = {(one["code"], one["about"]) for one in machine.found(code=1)}
    wanted = {"foreign-routes", "foreign-rules", "foreign-nexthops", "wait-online", "hook-missing", "rp-filter"}
    wanted |= {"linkdown", "hash-policy", "forwarding", "accept-ra"}
    assert {code for code, _ in before} == wanted
    done = machine.router.mwan("doctor", "--fix", code=1)  # networkd has to be restarted, which is not its to do
    assert f"wrote {root}/etc/systemd/networkd.conf.d/zz-mwan-hook-doctor.conf:" in done.stdout
    assert "    ManageForeignRoutes=no\n" in done.stdout
    assert "set at once: net.ipv4.ip_forward = 1 (was 0)" in done.stdout
    assert "still to be done by you:\n" in done.stdout
    assert "    systemctl restart systemd-networkd\n" in done.stdout
    assert [one["code"] for one in machine.found()] == ["networkd-restart"]
    files = look(root)
    again = machine.router.mwan("doctor", "--fix", code=1)
    assert "wrote" not in again.stdout
    assert "set at once" not in again.stdout
    assert look(root) == files
    refresh(machine)
    assert machine.router.mwan("doctor", code=0).stdout == "nothing found that would hurt\n"
    assert foreign.read_text() == "net.ipv4.conf.all.rp_filter = 1\n"


def test_a_port_forward_that_strict_checks_have_cut_works_after_fix(lab: Lab) -> None:
    net = _served(lab, PINNED)
    net.router.ns.sysctl({"ipv4/conf/all/rp_filter": 1})
    assert "timed out" in _asked(net.isps[1].ns, "10.2.0.2")
    assert "problem rp-filter eth2: " in net.router.mwan("doctor", code=1).stdout
    net.router.mwan("doctor", "--fix", code=None)
    assert _asked(net.isps[1].ns, "10.2.0.2") == "served"


def test_a_foreign_file_in_the_place_of_ours_is_not_touched(machine: Machine) -> None:
    file = machine.router.root / "etc/sysctl.d/zz-mwan-hook-doctor.conf"
    kept = file.read_text() if file.exists() else ""
    put(machine.router.root, "etc/sysctl.d/zz-mwan-hook-doctor.conf", "# mine\n")
    try:
        with values(machine.ns, ipv4__fib_multipath_hash_policy=0):
            done = machine.router.mwan("doctor", "--fix", code=1)
            assert "zz-mwan-hook-doctor.conf is another program's file: not touched" in done.stderr
            assert machine.ns.read_sysctl("ipv4/fib_multipath_hash_policy") == "1"
        assert file.read_text() == "# mine\n"
    finally:
        file.write_text(kept) if kept else os.unlink(file)


def test_what_stands_against_a_link_that_is_dialled_is_told(machine: Machine) -> None:
    unit = "pppd@dsl.service"
    dsl = f"  [[dsl]]\n  match = ppp-dsl\n  activate = on-demand\n  start = unit:{unit}\n  ready_timeout = 30\n"
    try:
        machine.router.configure(f"{CONFIG}{dsl}")
        machine.router.check()
        assert ("problem", "dial-unit") in machine.codes()
        text = "[Service]\nExecStart=/usr/sbin/pppd call %i nodetach\nRestart=on-failure\n"
        put(machine.router.root, f"{UNITS}/pppd@.service", text)
        link(machine.router.root / f"etc/systemd/system/multi-user.target.wants/{unit}", f"/{UNITS}/pppd@.service")
        told = {(one["code"], one["about"]) for one in machine.found()}
        assert {code for code, about in told if about == "dsl"} == {"dial-boot", "dial-twice", "dial-patience"}
    finally:
        machine.router.configure(CONFIG)
        machine.router.check()
