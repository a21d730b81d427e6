"""Doctor and files: networkd's settings as systemd reads them, units, what others print, and what --fix writes."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from mwan_hook.commands import doctor
from mwan_hook.doctor import files, fix
from mwan_hook.doctor.checks import networkd
from mwan_hook.doctor.checks import state as doctorstate
from mwan_hook.doctor.checks import units as doctorunits
from mwan_hook.doctor.checks.dns import Resolver
from mwan_hook.doctor.checks.marks import Flowtable, Marker
from mwan_hook.doctor.checks.state import Memory
from mwan_hook.doctor.checks.units import UNITS
from mwan_hook.doctor.finding import NETWORKD, SYSCTLS, Case, Finding, Fix, Severity, sysctl_fix, without_systemd
from mwan_hook.doctor.fix import HEADER
from mwan_hook.doctor.read import kernel, resolvers, rulesets
from mwan_hook.machine import dropins, units
from mwan_hook.machine import values as machine
from mwan_hook.machine.resolvconf import nameservers
from mwan_hook.machine.values import STATES, Installed, Networkd, Unit, WaitOnline
from mwan_hook.model import (
    Activate,
    Allotment,
    Dial,
    FamilyState,
    Match,
    State,
    Status,
    Sysctl,
    UplinkConfig,
    UplinkState,
)
from mwan_hook.routing.priorities import ALL_BITS
from mwan_hook.routing.uplinks import Inputs, bind
from tests.unit import builders

PROJECT = Path(__file__).resolve().parents[3]
NO = "[Network]\nManageForeignRoutes=no\nManageForeignRoutingPolicyRules=no\nManageForeignNextHops=no\n"


def put(root: Path, path: str, text: str = "x\n") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def codes(findings: Iterable[Finding]) -> list[str]:
    return [one.code for one in findings]


def told(root: Path, version: int = 257, since: float | None = None, own: bool = False) -> list[Finding]:
    """What is said of the networkd whose files are below a root."""
    settings = dropins.networkd_settings(str(root), version)
    return list(networkd.check(Networkd(version, settings, since), own))


# ---------------------------------------------------------------- networkd.conf


def test_without_a_file_networkd_takes_out_what_is_ours(tmp_path: Path) -> None:
    found = told(tmp_path)
    assert [(one.code, one.severity) for one in found] == [
        ("foreign-routes", Severity.PROBLEM),
        ("foreign-rules", Severity.PROBLEM),
        ("foreign-nexthops", Severity.NOTE),
    ]
    assert found[0].fix.path == NETWORKD
    assert found[0].fix.lines == ("ManageForeignRoutes=no",)
    assert "the default, no file sets it" in found[0].what
    assert told(tmp_path, own=True)[2].severity is Severity.WARNING


@pytest.mark.parametrize("top", ["etc", "run", "usr/local/lib", "usr/lib"])
def test_a_drop_in_counts_in_each_of_systemds_directories(tmp_path: Path, top: str) -> None:
    put(tmp_path, f"{top}/systemd/networkd.conf.d/50-x.conf", NO)
    assert told(tmp_path) == []


@pytest.mark.parametrize(("version", "wanted"), [(257, 3), (256, 3), (255, 2), (249, 2), (0, 2)])
def test_keys_are_asked_for_by_the_version(tmp_path: Path, version: int, wanted: int) -> None:
    assert len(told(tmp_path, version)) == wanted


def test_a_version_without_a_key_is_told_even_if_the_file_sets_it(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/networkd.conf", NO)
    assert [(one.code, one.severity) for one in told(tmp_path, 247)] == [("foreign-rules", Severity.WARNING)]


def test_the_last_one_wins_and_the_main_file_comes_first(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/networkd.conf", NO.replace("no", "yes"))
    put(tmp_path, "usr/lib/systemd/networkd.conf.d/10-a.conf", NO)
    assert told(tmp_path) == []
    put(tmp_path, "run/systemd/networkd.conf.d/90-b.conf", "[Network]\nManageForeignRoutes=yes\n")
    [found] = told(tmp_path)
    assert f"ManageForeignRoutes=yes in {tmp_path}/run/systemd/networkd.conf.d/90-b.conf:2" in found.what
    assert found.fix.path == NETWORKD  # which comes after it


def test_a_drop_in_behind_ours_is_the_operators_to_change(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/networkd.conf.d/zzz.conf", NO.replace("ForeignRoutes=no", "ForeignRoutes=1"))
    [found] = told(tmp_path)
    assert not found.fix.written
    assert "zzz.conf:2" in found.fix.words


def test_the_same_name_in_etc_masks_the_shipped_one(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/networkd.conf.d/50-mwan-hook.conf", NO)
    assert told(tmp_path) == []
    masking = tmp_path / "etc/systemd/networkd.conf.d/50-mwan-hook.conf"
    masking.parent.mkdir(parents=True)
    masking.symlink_to("/dev/null")
    assert codes(told(tmp_path)) == ["foreign-routes", "foreign-rules", "foreign-nexthops"]


@pytest.mark.parametrize("word", ["no", "No", "n", "FALSE", "f", "0", "off"])
def test_every_spelling_of_no_is_one(tmp_path: Path, word: str) -> None:
    put(tmp_path, "etc/systemd/networkd.conf.d/a.conf", NO.replace("=no", f"= {word} "))
    assert told(tmp_path) == []


@pytest.mark.parametrize("word", ["", "nope", "2"])
def test_what_is_no_boolean_changes_nothing_and_is_told(tmp_path: Path, word: str) -> None:
    put(tmp_path, "etc/systemd/networkd.conf.d/a.conf", NO.replace("ForeignRoutes=no", f"ForeignRoutes={word}"))
    [found] = told(tmp_path)
    assert "which is ignored" in found.what
    put(tmp_path, "etc/systemd/networkd.conf.d/0.conf", NO)
    assert told(tmp_path) == []


def test_a_key_in_another_section_is_none(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/networkd.conf.d/a.conf", NO.replace("[Network]", "[DHCPv4]"))
    assert len(told(tmp_path)) == 3


def test_old_systemd_reads_its_main_file_in_etc_only(tmp_path: Path) -> None:
    put(tmp_path, "usr/lib/systemd/networkd.conf", NO)
    assert told(tmp_path, 257) == []
    assert len(told(tmp_path, 252)) == 2


def test_a_file_that_is_newer_than_the_running_networkd_is_not_in_force(tmp_path: Path) -> None:
    file = put(tmp_path, "etc/systemd/networkd.conf.d/a.conf", NO)
    os.utime(file, (1, 1))  # as a package leaves it: when the file came here says more
    came = file.stat().st_ctime
    assert codes(told(tmp_path, since=came - 10)) == ["networkd-restart"]
    assert told(tmp_path, since=came + 10) == []


def test_the_version_is_the_librarys(tmp_path: Path) -> None:
    assert dropins.systemd_version(str(tmp_path)) == 0
    put(tmp_path, "usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.9-1.so")
    assert dropins.systemd_version(str(tmp_path)) == 257
    put(tmp_path, "usr/lib/systemd/libsystemd-shared-252.so")
    assert dropins.systemd_version(str(tmp_path)) == 252


def test_nixos_has_the_library_and_the_modules_elsewhere(tmp_path: Path) -> None:
    put(tmp_path, "run/current-system/systemd/lib/systemd/libsystemd-shared-258.so")
    assert dropins.systemd_version(str(tmp_path)) == 258
    top = "run/booted-system/kernel-modules/lib/modules"
    put(tmp_path, f"{top}/{os.uname().release}/modules.dep", "kernel/net/netfilter/nft_ct.ko.xz:\n")
    assert kernel.kernel(str(tmp_path)).known == frozenset(("nft_ct",))


# ---------------------------------------------------------------- wait-online

WAIT = "usr/lib/systemd/systemd-networkd-wait-online"
UNIT = "systemd/system/systemd-networkd-wait-online.service"
SHIPPED = f"usr/lib/{UNIT}"
GENERATOR = Path(__file__).parents[3] / "systemd/system-generators/mwan-hook-wait-online"


def waits(*words: str, required: tuple[str, ...] = ("wan1",)) -> list[str]:
    return codes(networkd.check_wait(WaitOnline(((f"/{WAIT}", *words),), "/x.service:9", required)))


def test_a_boot_waits_for_what_networkd_requires_unless_any_is_enough() -> None:
    assert waits() == ["wait-online"]
    assert waits("--any") == []
    assert waits(required=()) == []
    assert waits("--ignore=wan1") == waits("--ignore", "wan1") == []
    assert waits("--interface=eth9:degraded") == waits("-i", "eth9") == waits("-ieth9") == []
    assert waits("--interface=wan1:routable") == waits("-i", "wan1") == waits("-iwan1") == ["wait-online"]
    assert waits("--ignore=wan1", required=("wan1", "wan2")) == ["wait-online"]


def test_the_cure_takes_the_old_command_away_and_keeps_its_program() -> None:
    stock = f"/{SHIPPED}:9"
    (found,) = networkd.check_wait(WaitOnline(((f"/{WAIT}", "--timeout=9"),), stock, ("wan1",)))
    assert found.fix.lines[:2] == ("ExecStart=", f"ExecStart=/{WAIT} --any")
    assert found.fix.commands == ("systemctl daemon-reload",)


@pytest.mark.parametrize("place", ["etc/systemd/system/x.service", f"{SHIPPED}.d/10-theirs.conf", "run/x.conf"])
def test_a_command_that_is_not_systemds_own_is_named_and_left(place: str) -> None:
    (found,) = networkd.check_wait(WaitOnline(((f"/{WAIT}", "-i", "wan1"),), f"/{place}:3", ("wan1",)))
    assert not found.fix.written
    assert found.fix.words == f"nothing, if that is meant; else add --any in /{place}:3"


def test_the_command_in_force_is_that_of_the_last_drop_in(tmp_path: Path) -> None:
    unit = UNIT
    put(tmp_path, SHIPPED, f"[Service]\nExecStart=/{WAIT}\n")
    assert dropins.wait_online(str(tmp_path), ()) is None  # nothing wants it
    wants = tmp_path / "etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service"
    wants.parent.mkdir(parents=True)
    wants.symlink_to(f"/usr/lib/{unit}")
    found = dropins.wait_online(str(tmp_path), ("wan1",))
    assert found
    assert found.commands == ((f"/{WAIT}",),)
    [finding] = networkd.check_wait(found)
    writing = fix.written([finding.fix], {finding.fix.path: None})
    files.write(str(tmp_path), writing)
    again = dropins.wait_online(str(tmp_path), ("wan1",))
    assert again
    assert again.commands[0] == (f"/{WAIT}", "--any")
    assert list(networkd.check_wait(again)) == []
    put(tmp_path, f"etc/{unit}", "")
    assert dropins.wait_online(str(tmp_path), ("wan1",)) is None  # masked


OURS = ((f"/{WAIT}", "--any"), ("/usr/sbin/mwan-hook", "wait-online", "--timeout", "60"))
THEIRS = "[Service]\nExecStart=/opt/wait -i lan0 -i wan1\n"
OVER = "[Service]\nExecStart=\nExecStart=/opt/wait -i lan0 -i wan1\n"


@pytest.mark.parametrize(
    ("path", "text", "commands"),
    [
        ("", "", OURS),
        (f"etc/{UNIT}.d/90-more.conf", "[Service]\nTimeoutStartSec=3min\n", OURS),
        (f"etc/{UNIT}", THEIRS, None),
        (f"run/{UNIT}", THEIRS, None),
        (f"usr/local/lib/{UNIT}", THEIRS, None),
        (f"run/{UNIT}.d/10-netplan.conf", OVER, None),  # of a generator that may run later than ours
        (f"etc/{UNIT}.d/override.conf", OVER, None),
        (f"etc/{UNIT}.d/00-site.conf", OVER, None),
        (f"etc/{UNIT}.d/00-mwan-hook.conf", "", ((f"/{WAIT}",),)),
        (f"etc/{UNIT}.d/50-mwan-hook.conf", "", ((f"/{WAIT}",),)),
    ],
)
def test_a_boot_waits_for_an_uplink_unless_the_operator_says_what_for(
    tmp_path: Path, path: str, text: str, commands: tuple[tuple[str, ...], ...] | None
) -> None:
    put(tmp_path, SHIPPED, f"[Service]\nExecStart=/{WAIT}\n")
    put(tmp_path, f"etc/systemd/system/network-online.target.wants/{Path(UNIT).name}", "")
    if path:
        put(tmp_path, path, text)
    place = str(tmp_path / dropins.GENERATED)
    subprocess.run([str(GENERATOR), place, place, place], env={"MWAN_HOOK_ROOT": str(tmp_path)}, check=True)
    found = dropins.wait_online(str(tmp_path), ())
    assert found
    assert found.commands == (commands or (("/opt/wait", "-i", "lan0", "-i", "wan1"),))


# ---------------------------------------------------------------- units

PRESENT = tuple(Unit(name, f"/usr/lib/systemd/system/{name}", True) for name in UNITS)
WHOLE = Installed(
    units=PRESENT,
    spooler="/usr/lib/mwan-hook/spool-event",
    udev_rule="/usr/lib/udev/rules.d/90-mwan-hook.rules",
    networkd=True,
    dispatcher=Unit("networkd-dispatcher.service", "/x", True),
    dispatcher_links="/usr/lib/networkd-dispatcher",
    linked=frozenset(STATES),
)


def without(name: str, **values: object) -> Installed:
    return WHOLE._replace(units=tuple(u._replace(**values) if u.name == name else u for u in PRESENT))  # type: ignore[arg-type]


def test_a_whole_installation_has_nothing_to_be_told() -> None:
    assert list(doctorunits.check(WHOLE)) == []


@pytest.mark.parametrize("name", UNITS)
def test_each_unit_is_missed(name: str) -> None:
    severity = Severity.PROBLEM if name == doctorunits.TIMER else Severity.WARNING
    for values, code in (
        ({"path": ""}, "unit-missing"),
        ({"enabled": False}, "unit-disabled"),
        ({"masked": True}, "unit-masked"),
        ({"active": False}, "unit-stopped"),
    ):
        channels = frozenset({doctorunits.MAIL, doctorunits.WEBHOOK, doctorunits.RECORD})
        found = list(doctorunits.check(without(name, **values)._replace(channels=channels)))
        if name in (doctorunits.BOOT, doctorunits.EARLY) and code == "unit-stopped":
            assert found == []  # it has done its work
        else:
            assert [(one.code, one.about, one.severity) for one in found] == [(code, name, severity)]


@pytest.mark.parametrize("timer", [doctorunits.MAIL, doctorunits.WEBHOOK, doctorunits.RECORD])
def test_a_channel_s_timer_is_missed_only_where_something_is_sent(timer: str) -> None:
    assert list(doctorunits.check(without(timer, enabled=False))) == []


@pytest.mark.parametrize(
    ("fix", "commands", "words"),
    [
        (Fix(commands=("mwan-hook check", "systemctl enable --now x.timer")), ("mwan-hook check",), ""),
        (Fix(path=NETWORKD, lines=("A=b",), commands=("systemctl restart x",)), (), ""),
        (Fix(words="update it", commands=("systemctl daemon-reload",)), (), "update it"),
        (
            Fix(commands=("systemctl unmask x", "systemctl start x")),
            (),
            "nothing while systemd does not run; where it does: systemctl unmask x and systemctl start x",
        ),
        (Fix(commands=("apt install nftables",)), ("apt install nftables",), ""),
    ],
)
def test_no_command_of_systemd_s_is_advised_where_it_does_not_run(
    fix: Fix, commands: tuple[str, ...], words: str
) -> None:
    found = without_systemd(Finding("x", Severity.NOTE, "", "what", "breaks", fix)).fix
    assert (found.commands, found.words, found.lines) == (commands, words, fix.lines)


def test_systemd_runs_where_it_has_booted_and_will_where_its_files_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not units.runs(str(tmp_path))
    put(tmp_path, "usr/lib/systemd/systemd")
    assert units.runs(str(tmp_path))
    for booted in (True, False):
        monkeypatch.setattr(units, "live", lambda _, booted=booted: booted)
        assert units.runs("/") is booted, "its files alone are nothing there"


def test_what_else_starts_runs_is_missed() -> None:
    assert codes(doctorunits.check(WHOLE._replace(udev_rule=""))) == ["udev-rule"]
    assert codes(doctorunits.check(WHOLE._replace(user=False))) == ["user-missing"]
    assert codes(doctorunits.check(WHOLE._replace(systemd=False))) == ["no-systemd"]
    assert codes(doctorunits.check(WHOLE._replace(units=tuple(Unit(name) for name in UNITS)))) == ["not-installed"]
    for values in ({"path": ""}, {"enabled": False}, {"masked": True}):
        unit = WHOLE.dispatcher._replace(**values)
        assert codes(doctorunits.check(WHOLE._replace(dispatcher=unit))) == ["dispatcher"]
        assert list(doctorunits.check(WHOLE._replace(dispatcher=unit, networkd=False))) == []


def test_a_missing_hook_is_linked_where_the_installer_had_it() -> None:
    [found] = doctorunits.check(WHOLE._replace(linked=frozenset(STATES) - {"off"}))
    assert found.fix.links == (("usr/lib/networkd-dispatcher/off.d/50-mwan-hook", "/usr/lib/mwan-hook/spool-event"),)


@pytest.mark.parametrize(
    "line",
    [
        'Environment="networkd_dispatcher_args=--verbose --script-dir {}"',
        "ExecStart=",
        "ExecStart=/x/networkd-dispatcher --script-dir={} -v",
    ],
)
def test_links_are_looked_for_where_the_dispatcher_is_told_to(tmp_path: Path, line: str) -> None:
    scripts = tmp_path / "store/scripts"
    put(tmp_path, "usr/lib/systemd/system/networkd-dispatcher.service", "[Service]\nExecStart=/x/networkd-dispatcher\n")
    put(tmp_path, "store/scripts/routable.d/50-mwan-hook")
    put(tmp_path, "etc/networkd-dispatcher/off.d/50-mwan-hook")
    name = "etc/systemd/system/networkd-dispatcher.service.d/overrides.conf"
    put(tmp_path, name, f"[Service]\n{line.format(scripts)}\n")
    wanted = frozenset(STATES) if "{}" in line else {"off"}
    assert units.installed(str(tmp_path), frozenset(), ()).linked == wanted


def test_nothing_is_fixed_where_etc_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    conf = put(tmp_path, "etc/mwan-hook/mwan-hook.conf", "[routing]\nwrite_etc = no\n")
    hurts = Finding("x", Severity.WARNING, "", "it is so", "much", Fix(path=SYSCTLS, lines=("net.a = 1",)))
    monkeypatch.setattr(doctor, "findings", lambda root: ((hurts,), True))
    assert doctor.run(str(tmp_path), fix=True, as_json=False) == 1
    said = capfd.readouterr()
    assert "net.a = 1" in said.out and doctor.NOT_WRITTEN in said.err
    assert list((tmp_path / "etc").rglob("*.conf")) == [conf]


def test_the_states_are_those_of_the_installer() -> None:
    text = (PROJECT / "install/files.sh").read_text()
    listed = re.search(r'^states="([^"]*)"', text, re.M)
    assert listed
    assert sorted(listed[1].split()) == sorted(STATES)
    triggers = re.search(r'^triggers="([^"]*)"', (PROJECT / "install/start.sh").read_text(), re.M)
    assert triggers
    assert set(triggers[1].split()) | {doctorunits.BOOT, doctorunits.EARLY} == set(UNITS)


def test_units_are_found_enabled_and_masked_by_their_files(tmp_path: Path) -> None:
    name = "mwan-hook-check.timer"
    assert units.unit(str(tmp_path), name, {}) == Unit(name)
    file = put(tmp_path, f"usr/lib/systemd/system/{name}")
    assert units.unit(str(tmp_path), name, {}) == Unit(name, str(file))
    (tmp_path / "etc/systemd/system/timers.target.wants").mkdir(parents=True)
    (tmp_path / f"etc/systemd/system/timers.target.wants/{name}").symlink_to(f"/usr/lib/systemd/system/{name}")
    assert units.unit(str(tmp_path), name, {name: True}) == Unit(name, str(file), True, False, True)
    mask = tmp_path / f"etc/systemd/system/{name}"
    mask.symlink_to("/dev/null")
    assert units.unit(str(tmp_path), name, {}).masked


def test_what_is_active_is_read_from_systemctls_blocks() -> None:
    text = "Id=a.timer\nActiveState=active\n\nActiveState=failed\nId=b.path\n\nId=c.service\nActiveState=activating\n"
    assert units.states(text) == {"a.timer": True, "b.path": False, "c.service": True}
    assert units.states("") == {}


@pytest.mark.parametrize(
    ("live", "name", "there"), [(True, "root", True), (True, "no-one-of", False), (False, "no-one-of", True)]
)
def test_the_services_user_is_missed_where_systemd_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, live: bool, name: str, there: bool
) -> None:
    monkeypatch.setattr(units, "live", lambda root: live)
    monkeypatch.setattr(units, "active", lambda root, names: {})
    monkeypatch.setattr(units, "USER", name)
    assert units.installed(str(tmp_path), frozenset(), ()).user == there


def test_networkd_counts_where_it_runs_or_will(tmp_path: Path) -> None:
    root = str(tmp_path)
    assert units.networkd(root) is None
    put(tmp_path, "usr/lib/systemd/system/systemd-networkd.service")
    assert units.networkd(root) is None
    (tmp_path / "run/systemd/units").mkdir(parents=True)
    started = tmp_path / "run/systemd/units/invocation:systemd-networkd.service"
    started.symlink_to("0123456789abcdef")
    os.utime(started, (1000, 1000), follow_symlinks=False)
    running = units.networkd(root)
    assert running
    assert running.since == 1000
    started.unlink()
    state = put(tmp_path, "run/systemd/netif/state")
    assert units.networkd(root) == Networkd()
    state.unlink()
    assert units.networkd(root) is None
    (tmp_path / "etc/systemd/system/multi-user.target.wants").mkdir(parents=True)
    (tmp_path / "etc/systemd/system/multi-user.target.wants/systemd-networkd.service").symlink_to("/x")
    assert units.networkd(root) == Networkd()


# ---------------------------------------------------------------- state and configuration


def case(late: float | None = 0.0, config: UplinkConfig | None = None, **memory: object) -> Case:
    """One uplink that was to be probed so many seconds ago, at 1000 s after the boot."""
    entry = config or builders.uplink("fiber")
    seen = builders.snapshot("fiber")
    due = None if late is None else 1000 - late
    family = FamilyState(Status.ONLINE, judged=True, way="x", next_probe_at=due, probed_at=1.0)._replace(**memory)  # type: ignore[arg-type]
    state = builders.state()._replace(boot_id="x", uplinks={"fiber": UplinkState("fiber", 2, ipv4=family)})
    made = builders.config(entry)
    return Case(made, bind(made, Inputs(seen, state, Allotment())).uplinks, state, seen, 1000.0)


STORED = State("this boot", saved_at=995.0)
ALIVE = Memory(True, STORED)


def test_a_state_that_moves_is_passed_over_and_one_that_does_not_told() -> None:
    assert list(doctorstate.check(case(), ALIVE)) == []
    assert list(doctorstate.check(case(50), ALIVE)) == []
    [found] = doctorstate.check(case(61), ALIVE._replace(state=STORED._replace(saved_at=900.0)))
    assert (found.code, found.severity) == ("runs-stopped", Severity.PROBLEM)
    assert "saved 1 min 40 s ago" in found.what


def test_the_uplinks_own_interval_counts_and_what_is_never_probed_does_not() -> None:
    slow = builders.uplink("fiber", probe=builders.uplink("x").probe._replace(interval=60))
    assert list(doctorstate.check(case(170, slow), ALIVE)) == []
    assert codes(doctorstate.check(case(190, slow), ALIVE)) == ["runs-stopped"]
    assert list(doctorstate.check(case(500, by_facts=True), ALIVE)) == []
    assert list(doctorstate.check(case(500, way=""), ALIVE)) == []


def test_what_was_never_probed_is_due_since_the_state_was_saved() -> None:
    assert list(doctorstate.check(case(None), ALIVE)) == []
    assert codes(doctorstate.check(case(None), ALIVE._replace(state=STORED._replace(saved_at=800.0)))) == [
        "runs-stopped"
    ]


def test_no_run_in_this_boot_a_bad_state_and_failures_are_told() -> None:
    assert codes(doctorstate.check(case(), Memory())) == ["never-run"]
    [found] = doctorstate.check(case(), Memory(True))
    assert "of another boot" in found.what
    assert codes(doctorstate.check(case(), ALIVE._replace(messages=("torn",)))) == ["state-bad"]
    assert codes(doctorstate.check(case(), ALIVE._replace(set_aside=5.0))) == ["state-bad"]
    failures = ALIVE._replace(
        state=STORED._replace(errors=("ip route ...: no",), firewall=STORED.firewall._replace(failed="nft: no"))
    )
    assert codes(doctorstate.check(case(), failures)) == ["run-failed", "run-failed"]


def test_uplinks_without_an_interface_are_told_a_name_louder_than_a_template() -> None:
    assert list(doctorstate.check_uplinks(case())) == []
    [found] = doctorstate.check_uplinks(case(config=builders.uplink("cable")))
    assert (found.code, found.about, found.severity) == ("no-interface", "cable", Severity.WARNING)
    template = UplinkConfig("lte", (Match("driver", "cdc_ether"),))
    [found] = doctorstate.check_uplinks(case(config=template))
    assert (found.code, found.severity) == ("no-interface", Severity.NOTE)


def test_an_interface_that_comes_with_a_dial_is_not_missed_while_it_stands_by() -> None:
    dsl = builders.uplink("ppp-dsl", dial=Dial("unit:pppd@dsl", activate=Activate.ON_DEMAND))
    assert list(doctorstate.check_uplinks(case(config=dsl))) == []
    lte = builders.uplink("wwan0", dial=Dial("networkd", activate=Activate.ON_DEMAND))
    assert codes(doctorstate.check_uplinks(case(config=lte))) == ["no-interface"]


def test_without_configured_uplinks_those_with_a_default_are_taken_if_there_are_any() -> None:
    taken = case()._replace(config=builders.config())
    assert codes(doctorstate.check_uplinks(taken)) == ["no-configuration"]
    assert codes(doctorstate.check_uplinks(Case(builders.config()))) == ["no-configuration", "no-uplinks"]


# ---------------------------------------------------------------- sysctl.d


def test_the_file_that_sets_a_key_is_named_the_last_one_and_exact_names_before_globs(tmp_path: Path) -> None:
    put(
        tmp_path,
        "usr/lib/sysctl.d/50-default.conf",
        "# x\nnet.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n",
    )
    put(tmp_path, "etc/sysctl.d/60-a.conf", "net/ipv4/conf/wan1.7/rp_filter = 1\nnet.ipv4.conf.wan2.rp_filter=1\n")
    one, two, three = (f"net/ipv4/conf/{name}/rp_filter" for name in ("wan1.7", "wan2", "wan3"))
    places = dropins.sysctl_places(str(tmp_path), (one, two, three, "net/ipv4/ip_forward"))
    assert places == {
        one: f"{tmp_path}/etc/sysctl.d/60-a.conf:1",
        two: f"{tmp_path}/etc/sysctl.d/60-a.conf:2",
        three: f"{tmp_path}/usr/lib/sysctl.d/50-default.conf:2",
    }


# ---------------------------------------------------------------- what nft(8) and iptables-save(8) print


def mangled(value: object, key: str = "meta", table: str = "mangle") -> list[Marker]:
    statement = {"mangle": {"key": {key: {"key": "mark"}}, "value": value}}
    rule = {"family": "ip", "table": table, "chain": "PRE", "handle": 2, "expr": [statement]}
    return rulesets.markers(json.dumps({"nftables": [{"metainfo": {}}, {"rule": rule}]}))[0]


MARK, CT = {"meta": {"key": "mark"}}, {"ct": {"key": "mark"}}


@pytest.mark.parametrize(
    ("value", "bits", "becomes"),
    [
        (0x123, ALL_BITS, 0x123),
        ({"|": [{"&": [MARK, 0xFFFF00FF]}, 0x100]}, 0xFF00, 0x100),
        ({"&": [MARK, 0xFFFFC0FF]}, 0x3F00, 0),
        ({"|": [MARK, 0x40000]}, 0x40000, 0x40000),
        ({"^": [MARK, 0x10]}, 0x10, 0x10),
        ({"|": [MARK, 0x1, 0x2]}, 3, 3),
        ({"map": {"key": {"numgen": {"mode": "inc", "mod": 2}}, "data": {"set": [[0, 256]]}}}, ALL_BITS, None),
    ],
)
def test_the_bits_that_a_rule_changes_are_read_from_nfts_json(value: object, bits: int, becomes: int | None) -> None:
    assert mangled(value) == [Marker("nft ip mangle PRE", bits, becomes, False, ("mangle", "PRE"))]


def test_copies_between_packet_and_connection_are_seen_where_they_are_set() -> None:
    assert mangled(CT) == mangled({"&": [CT, 0xFF00]}) == mangled(MARK, "ct") == []
    assert [(one.connection, one.value) for one in mangled(5, "ct")] == [(True, 5)]


def test_our_own_table_is_left_out_and_flowtables_are_read() -> None:
    rule = {"family": "inet", "table": "mwan_hook", "chain": "x", "expr": [{"mangle": {"key": MARK, "value": 1}}]}
    flowtables = [
        {"flowtable": {"family": "inet", "name": "f", "table": "filter", "hook": "ingress", "prio": 0, "dev": dev}}
        for dev in ("wan1", ["wan1", "br0"])
    ]
    text = json.dumps(
        {"nftables": [{"rule": rule}, *flowtables, {"rule": {**rule, "table": "x", "expr": [{"drop": None}]}}]}
    )
    where = "nft flowtable inet filter f"
    assert rulesets.markers(text) == ([], [Flowtable(where, ("wan1",)), Flowtable(where, ("wan1", "br0"))])
    assert rulesets.markers("") == ([], [])


SAVED = """# Generated by iptables-save v1.8.9 (nf_tables) on Mon Jan  5 10:00:00 2026
*mangle
:PREROUTING ACCEPT [0:0]
:KUBE-MARK-MASQ - [0:0]
-A PREROUTING -i wan1 -m conntrack --ctstate NEW -j MARK --set-xmark 0x100/0x3f00
-A PREROUTING -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff
-A PREROUTING -m comment --comment "a --set-xmark b" -j CONNMARK --set-xmark 0x200/0xffffffff
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
COMMIT
"""


def test_marks_are_read_from_iptables_save() -> None:
    text = SAVED.replace(' -m comment --comment "a --set-xmark b"', "")
    assert list(rulesets.saved_markers("iptables-save", text)) == [
        Marker("iptables -t mangle PREROUTING", 0x3F00, 0x100, False, ("PREROUTING",)),
        Marker("iptables -t mangle PREROUTING", ALL_BITS, 0x200, True, ("PREROUTING",)),
        Marker("iptables -t mangle KUBE-MARK-MASQ", 0x4000, 0x4000, False, ("KUBE-MARK-MASQ",)),
    ]


def test_a_comment_that_looks_like_an_option_is_one(tmp_path: Path) -> None:
    assert len(list(rulesets.saved_markers("iptables-save", SAVED))) == 3


# ---------------------------------------------------------------- kernel and resolv.conf


def test_modules_are_those_on_disk_and_those_built_in(tmp_path: Path) -> None:
    assert kernel.kernel(str(tmp_path)).known is None
    base = f"lib/modules/{os.uname().release}"
    put(tmp_path, f"{base}/modules.dep", "kernel/net/netfilter/nft_ct.ko.xz: kernel/net/netfilter/nf-tables.ko\n")
    put(tmp_path, f"{base}/modules.builtin", "kernel/net/netfilter/nf_conntrack.ko\n")
    assert kernel.kernel(str(tmp_path)).known == frozenset(("nft_ct", "nf_conntrack"))


def test_servers_are_the_addresses_of_nameserver_lines(tmp_path: Path) -> None:
    lines = ("# x", "nameserver 9.9.9.9", "nameserver fe80::1%wan1", "search x", "nameserver no", "nameserver 9.9.9.9")
    text = "\n".join((*lines, "nameserver"))
    assert nameservers(str(put(tmp_path, "etc/resolv.conf", text))) == ["9.9.9.9", "fe80::1"]
    assert nameservers(str(tmp_path / "nothing")) == []


def test_resolved_asks_a_links_servers_through_the_link_unless_they_were_taken_from_it(tmp_path: Path) -> None:
    put(tmp_path, "etc/resolv.conf", "nameserver 127.0.0.53\n")
    put(tmp_path, "run/systemd/resolve/resolv.conf", "nameserver 192.168.3.1\nnameserver 192.168.2.1\n")
    links = tuple(builders.link(name) for name in ("fiber", "cable"))
    for one in links:
        put(tmp_path, f"run/systemd/netif/links/{one.index}", f"DNS=192.168.{one.index}.1\n")
    both = [Resolver(f"192.168.{index}.1", "systemd-resolved", index) for index in (3, 2)]
    assert resolvers.servers(str(tmp_path), links, frozenset((2, 3))) == both
    put(tmp_path, "run/mwan-hook-root/resolved/cable", "")
    assert resolvers.servers(str(tmp_path), links, frozenset((2,))) == both[1:]


# ---------------------------------------------------------------- --fix

STRICT = sysctl_fix([Sysctl("net/ipv4/conf/wan1/rp_filter", "2")])
HASH = sysctl_fix([Sysctl("net/ipv4/fib_multipath_hash_policy", "1")])
ROUTES, RULES = (
    Fix(path=NETWORKD, section="[Network]", lines=(f"{key}=no",))
    for key in ("ManageForeignRoutes", "ManageForeignNextHops")
)


def test_findings_of_one_kind_share_a_file_and_what_was_written_stays() -> None:
    writing = fix.written([STRICT, ROUTES, HASH, RULES], {SYSCTLS: None, NETWORKD: None})
    assert writing.files[NETWORKD] == f"{HEADER}\n[Network]\nManageForeignRoutes=no\nManageForeignNextHops=no\n"
    assert writing.files[SYSCTLS].splitlines()[1:] == [*STRICT.lines, *HASH.lines]
    first = fix.written([STRICT], {SYSCTLS: None}).files[SYSCTLS]
    assert fix.written([HASH], {SYSCTLS: first}).files == {SYSCTLS: writing.files[SYSCTLS]}


def test_the_second_time_nothing_is_written() -> None:
    first = fix.written([STRICT, HASH], {SYSCTLS: None}).files[SYSCTLS]
    assert fix.written([STRICT, HASH], {SYSCTLS: first}).files == {}
    changed = first.replace("rp_filter = 2", "rp_filter = 0")
    assert fix.written([STRICT], {SYSCTLS: changed}).files[SYSCTLS].splitlines()[1:] == [
        *HASH.lines,
        *STRICT.lines,
    ]


def test_a_foreign_file_or_link_is_refused(tmp_path: Path) -> None:
    link = Fix(links=(("usr/x/50-mwan-hook", "/y"),))
    assert fix.written([STRICT], {SYSCTLS: "mine\n"}) == ({}, {}, (SYSCTLS,))
    assert fix.written([link], {"usr/x/50-mwan-hook": ""}) == ({}, {}, ("usr/x/50-mwan-hook",))
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    (tmp_path / SYSCTLS).symlink_to("/dev/null")
    assert files.there(str(tmp_path), [SYSCTLS, NETWORKD]) == {SYSCTLS: "", NETWORKD: None}


def test_what_is_written_is_noted_with_the_directories_that_were_made(tmp_path: Path) -> None:
    (tmp_path / "etc/sysctl.d").mkdir(parents=True)
    fixes = [STRICT, ROUTES, Fix(links=(("usr/lib/d/off.d/50-mwan-hook", "/y"),))]
    paths = [SYSCTLS, NETWORKD, "usr/lib/d/off.d/50-mwan-hook"]
    files.write(str(tmp_path), fix.written(fixes, files.there(str(tmp_path), paths)))
    made = ["/etc/systemd/", "/etc/systemd/networkd.conf.d/", f"/{NETWORKD}", "/usr/", "/usr/lib/", "/usr/lib/d/"]
    noted = [f"/{SYSCTLS}", *made, "/usr/lib/d/off.d/", "/usr/lib/d/off.d/50-mwan-hook"]
    assert (tmp_path / files.RECORD).read_text().splitlines() == noted
    assert (tmp_path / SYSCTLS).stat().st_mode & 0o777 == 0o644
    files.write(str(tmp_path), fix.written([HASH], files.there(str(tmp_path), [SYSCTLS])))
    assert (tmp_path / files.RECORD).read_text().splitlines() == noted


# ---------------------------------------------------------------- documentation


def _codes_of_the_program() -> set[str]:
    found = {code for _, code, _, _ in machine.KEYS}
    for file in sorted((PROJECT / "lib/mwan_hook/doctor/checks").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Finding":
                found |= {node.args[0].value} if isinstance(node.args[0], ast.Constant) else set()  # type: ignore[arg-type]
    return found


def test_every_code_is_documented_and_no_other() -> None:
    table = (PROJECT / "docs/doctor.md").read_text().partition("## What is looked for")[2]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {code for row in rows for code in re.findall(r"`([a-z0-9-]+)`", row)} == _codes_of_the_program()
    assert len(_codes_of_the_program()) > 40
