"""Bad input and faults: clear words, the right exit code, nothing broken, and the next run is right."""

from __future__ import annotations

import json
import sys
import time
from unittest.mock import ANY

import pytest

from tests.lab import AS_NOBODY, WITHOUT_CAPABILITIES, Lab, LabError, Network, topologies, wait_for, with_mounts
from tests.lab.router import PROJECT
from tests.lab.uplinks import FIBER_LTE
from tests.netns.layout import layout, ours

GOOD = (
    """
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
rise = 1
hysteresis_delay = 0
"""
    + FIBER_LTE
)
WITHOUT_IPV6 = ("unshare", "--mount", "--", sys.executable, str(PROJECT / "tests/lab/without_ipv6.py"))


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2)
    made.router.configure(GOOD)
    return made


MISTAKES = [
    (GOOD.replace("metric = 100", "metrik = 100"), ("fiber", "metrik")),
    (GOOD.replace("metric = 100", "metric = soon"), ("fiber", "metric", "soon")),
    (GOOD.replace("[probe]", "[probe]\ntargets = gopher://9.9.9.9"), ("probe", "targets", "gopher://9.9.9.9")),
    (GOOD.replace("[probe]", "[probe]\ntargets = icmp://nine"), ("probe", "targets", "icmp://nine")),
    (
        GOOD.replace("metric = 100", "table = 2000").replace("metric = 200", "table = 2000"),
        ("table", "2000", "lte"),
    ),
    (GOOD.replace("metric = 100", "table = 254"), ("fiber", "table", "254")),
    (GOOD.replace("metric = 100", "table = 0"), ("fiber", "table")),
    (GOOD.replace("metric = 100", "gateway = 10.1.0.300"), ("fiber", "gateway", "10.1.0.300")),
    (GOOD.replace("[probe]", "[probe]\nfall = 0"), ("probe", "fall")),
    (GOOD.replace("[[lte]]", "[lte"), (":12", "lte")),
    (GOOD.replace("[probe]", "[nonsense]\na = 1\n[probe]"), ("nonsense",)),
]


def test_a_mistake_is_named_and_nothing_is_changed(lab: Lab, net: Network) -> None:
    net.router.check()
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    for bad, words in MISTAKES:
        net.router.configure(bad)
        for command in (("check", "--now"), ("event", "add", "eth1"), ("config", "--check"), ("plan",)):
            said = net.router.mwan(*command, code=2).stderr
            assert "mwan-hook.conf" in said
            assert [word for word in words if word not in said] == [], said
        assert monitor.written() == [], words


def test_all_mistakes_are_told_at_once(net: Network) -> None:
    net.router.configure(GOOD.replace("metric = 100", "metrik = 1\ntable = 254").replace("metric = 200", "weight = no"))
    net.router.write("etc/mwan-hook/conf.d/50-more.conf", "[probe]\nfell = 3\n")
    said = net.router.mwan("check", code=2).stderr
    assert [word for word in ("metrik", "254", "weight", "fell", "50-more.conf") if word not in said] == [], said


def test_an_uplink_that_matches_nothing_is_a_warning(net: Network) -> None:
    net.router.configure(GOOD + "[[ghost]]\nmatch = eth9\nmetric = 1\n")
    assert "ghost" in net.router.check().stderr
    assert net.router.way_out() == ["fiber"]
    assert net.router.status()["uplinks"]["ghost"]["present"] is False


def test_an_event_of_an_unknown_interface_is_no_failure(net: Network) -> None:
    net.router.event("remove", "eth77")
    net.router.event("add", "../../etc/passwd")
    assert net.router.way_out() == ["fiber"]


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
def test_an_interface_that_goes_in_mid_run_is_left_out(net: Network, family: str) -> None:
    net.router.check()
    net.isps[0].fault("blackhole")
    run = net.router.start("check", "--now")
    wait_for("a bad round", lambda: net.router.family("fiber", family)["bad"] > 0, step=0)
    net.router.unplug("eth1")
    assert (run.wait(20), run.communicate()[1].count("Traceback")) == (0, 0)
    net.router.event("remove", "eth1")
    assert net.router.way_out(family) == ["lte"]
    assert net.router.status()["errors"] == []


def test_an_interface_that_is_renamed_in_mid_run_is_left_out(net: Network) -> None:
    net.router.check()
    run = net.router.start("check", "--now")
    net.router.ns.batch("link set eth1 down", "link set eth1 name wan9", "link set wan9 up")
    assert (run.wait(20), run.communicate()[1].count("Traceback")) == (0, 0)
    net.router.event("move", "wan9")
    assert net.router.way_out() == ["lte"]
    assert not [r for r in net.router.ns.rules() if r.get("oif") == "eth1"]
    net.router.ns.batch("link set wan9 down", "link set wan9 name eth1", "link set eth1 up")
    net.router.lease(net.lines["eth1"])
    net.router.event("move", "eth1")
    assert net.router.way_out() == ["fiber"]


@pytest.mark.parametrize("wrap", [WITHOUT_CAPABILITIES, AS_NOBODY])
def test_without_rights_a_run_says_so_and_status_works(lab: Lab, net: Network, wrap: tuple[str, ...]) -> None:
    net.router.check()
    net.isps[0].fault("blackhole")
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    for command in (("check", "--now"), ("event", "add", "eth1"), ("flush",), ("disable", "fiber")):
        if command == ("disable", "fiber") and wrap is WITHOUT_CAPABILITIES:
            continue  # root's files can be written
        said = net.router.mwan(*command, wrap=wrap, code=1).stderr
        assert "root" in said or "not permitted" in said or "denied" in said, said
    assert monitor.written() == []
    status = json.loads(net.router.mwan("status", "--json", wrap=wrap).stdout)
    assert status["uplinks"]["fiber"]["interface"] == "eth1"
    assert "fiber" in net.router.mwan("status", wrap=wrap).stdout
    net.router.mwan("plan", wrap=wrap)


def test_a_read_only_run_directory_is_named_and_routing_goes_on(net: Network) -> None:
    run = net.router.root / "run"
    read_only = with_mounts(f"mount --bind {run} {run}; mount -o remount,ro,bind {run}")
    said = net.router.mwan("check", "--now", wrap=read_only, code=1).stderr
    assert "Read-only file system" in said
    assert "run/mwan-hook" in said
    net.router.check()
    assert net.router.way_out() == ["fiber"]


def test_files_of_ours_that_cannot_be_read_stop_no_routing(net: Network) -> None:
    """A bad block, or what came back from a backup for another user; a link to itself is as unreadable to root."""
    stored = [f"var/lib/mwan-hook/{name}.json" for name in ("allotment", "usage", "dials")]
    for name in ("run/mwan-hook/state.json", "run/mwan-hook/events", *stored):
        path = net.router.root / name
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(path.name)
    dialled = "quota = 1G\nactivate = on-demand\nstart = command:/bin/true\nstop = command:/bin/true"
    net.router.configure(GOOD.replace("metric = 200", f"metric = 200\n{dialled}"))
    said = net.router.check().stderr
    assert (said.count("set aside"), said.count("mwan-hook/events: Too many levels")) == (4, 1)
    assert net.router.way_out() == ["fiber"]
    (net.router.root / "run/mwan-hook/events").unlink()
    assert net.router.check().stderr == ""


def test_what_was_refused_once_is_done_by_the_next_run(net: Network) -> None:
    """Sysctls and the names for ip(8), where the first run may write neither; and sysctls once more the other way."""
    names = net.router.root / "etc/iproute2"
    names.mkdir(parents=True)
    places = ("/proc/sys", str(names))
    read_only = with_mounts("; ".join(f"mount --bind {one} {one}; mount -o remount,ro,bind {one}" for one in places))
    key = "/proc/sys/net/ipv4/conf/eth2/ignore_routes_with_linkdown"

    def standing() -> tuple[str, set[str]]:
        return net.router.ns.run("cat", key).stdout, {path.name for path in names.iterdir()}

    for config, done in (
        (GOOD, ("1\n", {"rt_tables.d", "rt_protos.d"})),
        (GOOD.partition("[[lte]]")[0], ("0\n", ANY)),
    ):
        before = standing()
        net.router.configure(config)
        said = net.router.mwan("check", "--now", wrap=read_only, code=1).stderr
        assert "ignore_routes_with_linkdown" in said and standing() == before
        assert "ignore_routes_with_linkdown" in net.router.mwan("plan").stdout
        net.router.mwan("check")
        assert standing() == done
        assert net.router.mwan("plan").stdout == ""


def test_a_full_disk_is_named_and_the_old_state_stays_whole(net: Network) -> None:
    net.router.check()
    before = net.router.state_file.read_text()
    run = net.router.root / "run"
    full = with_mounts(
        f"mkdir -p /run/full; cp -a {run}/mwan-hook /run/full.copy 2>/dev/null || true;"
        f"mount -t tmpfs -o size=64k none {run}; cp -a /run/full.copy {run}/mwan-hook; rm -rf /run/full.copy /run/full;"
        f"dd if=/dev/zero of={run}/filler bs=4k 2>/dev/null || true"
    )
    net.isps[0].fault("blackhole")
    net.router.told_by_hand = True  # that run is in the history, and neither its state nor its record is kept
    said = net.router.mwan("check", "--now", wrap=full, code=1).stderr
    assert "No space left" in said
    assert net.router.state_file.read_text() == before
    net.router.check()
    assert net.router.way_out() == ["lte"]


# Everything that has an order of its own: local looked up behind others' rules, jumps around them, a lease's claims,
# and an nft table whose translations forget connections.
CROWD = (
    "rule add priority 5000 lookup local",
    "rule del priority 0",
    "rule add priority 1150 fwmark 0x40000/0x40000 lookup 77",
    "rule add priority 1850 to 198.51.100.0/24 lookup 78",
    "route add 203.0.113.0/24 dev lo table 77",
    "route add 198.51.100.0/24 dev lo table 78",
    "route add 0.0.0.0/1 via 10.2.0.1 dev eth2 proto dhcp metric 2048",
    "route add 128.0.0.0/1 via 10.2.0.1 dev eth2 proto dhcp metric 2048",
    "-6 route add 2000::/3 via fe80::1 dev eth2 proto ra metric 2048",
)


@pytest.mark.parametrize("crowded", [False, True])
def test_a_run_that_was_killed_anywhere_leaves_nothing_wrong_for_the_next(net: Network, crowded: bool) -> None:
    def standing() -> tuple[list[str], str]:
        return layout(net.router.ns), net.router.ns.run("nft", "-s", "list", "ruleset").stdout

    for line in CROWD if crowded else ():
        net.router.ns.ip(line)
    net.router.configure(GOOD + ("[router]\npin = yes\nmasquerade = yes\n" if crowded else ""))
    before = layout(net.router.ns)
    net.router.check()
    good = standing()
    net.router.mwan("flush")
    net.router.reboot_files()
    for step in range(20 if crowded else 25):
        run = net.router.start("check", "--now")
        time.sleep(0.004 + (0.03 if crowded else 0.012) * step)
        run.kill()
        run.wait()
        if step % 5 == 4:
            net.router.check()
            assert standing() == good
            json.loads(net.router.state_file.read_text())
            net.router.mwan("flush")
            assert layout(net.router.ns) == before
            net.router.reboot_files()


@pytest.mark.parametrize(
    "content", ["", "{", '{"version": 99, "uplinks": {}}', "[]", '{"version": 1, "uplinks": 7}', "\0" * 4096]
)
def test_a_foreign_state_file_is_set_aside(net: Network, content: str) -> None:
    net.router.check()
    good = layout(net.router.ns)
    net.router.write_state(content)
    said = net.router.check().stderr
    assert "state.json" in said
    assert layout(net.router.ns) == good
    assert net.router.way_out() == ["fiber"]
    assert len(list(net.router.state_file.parent.glob("state.json*"))) > 2, "the old file is kept aside"


def test_a_clock_that_is_set_back_a_day_changes_nothing(lab: Lab, net: Network) -> None:
    net.router.check()
    monitor = lab.monitor(net.router.ns)
    monitor.written()
    # the wall clock alone: CLOCK_BOOTTIME and CLOCK_MONOTONIC stay what they are
    yesterday = ("env", "FAKETIME_DONT_FAKE_MONOTONIC=1", "DONT_FAKE_MONOTONIC=1", "faketime", "-f", "-1d")
    for _ in range(2):
        net.router.mwan("check", "--now", wrap=yesterday)
        found = json.loads(net.router.mwan("status", "--json", wrap=yesterday).stdout)
        assert found["default"]["ipv4"] == ["fiber"]
        assert found["uplinks"]["fiber"]["ipv4"]["since"] <= found["time"]
    assert monitor.written() == []
    net.router.configure(GOOD.replace("[probe]", "[probe]\nfall = 1"))  # no burst: faketime breaks sleep()
    net.isps[0].fault("blackhole")
    net.router.mwan("check", "--now", wrap=yesterday)
    assert net.router.way_out() == ["lte"]


def test_a_boot_forgets_holds_and_verdicts(lab: Lab, net: Network) -> None:
    net.router.configure(GOOD.replace("hysteresis_delay = 0", "hysteresis_delay = 100"))
    net.router.check()
    for broken in (True, False):
        net.isps[0].fault("blackhole") if broken else net.isps[0].heal()
        net.router.check()
    assert net.router.family("fiber")["held_until"]
    another = lab.dir / "boot_id"
    another.write_text("11111111-2222-4333-8444-555555555555\n")
    # a state file that an unclean boot has left behind: other boot, and a boot time that begins anew
    rebooted = with_mounts(f"mount --bind {another} /proc/sys/kernel/random/boot_id")
    net.router.mwan("check", "--now", wrap=rebooted)
    found = json.loads(net.router.mwan("status", "--json", wrap=rebooted).stdout)["uplinks"]["fiber"]["ipv4"]
    assert (found["status"], found["held_until"]) == ("online", None)


def test_a_kernel_without_ipv6_routes_ipv4(net: Network) -> None:
    net.router.ns.sysctl({"ipv6/conf/all/disable_ipv6": 1})
    policy = "[policies]\n[[mail]]\nproto = tcp\ndport = 25\nuplinks = lte\nfallback = unreachable\n"
    net.router.configure(GOOD + policy)
    net.router.mwan("check", "--now", wrap=WITHOUT_IPV6)
    assert {line.split()[0] for line in ours(net.router.ns)} == {"ipv4"}
    found = json.loads(net.router.mwan("status", "--json", wrap=WITHOUT_IPV6).stdout)
    assert found["default"]["ipv4"] == ["fiber"]
    net.isps[0].fault("blackhole")
    net.router.mwan("check", "--now", wrap=WITHOUT_IPV6)
    assert net.router.way_out() == ["lte"]
    net.router.mwan("flush", wrap=WITHOUT_IPV6)
    assert ours(net.router.ns) == []


def test_ipv6_that_is_switched_off_leaves_ipv4_as_it_was(net: Network) -> None:
    net.router.check()
    net.router.ns.sysctl({"ipv6/conf/all/disable_ipv6": 1})
    net.router.check()
    assert net.router.way_out("ipv4") == ["fiber"]
    assert net.router.way_out("ipv6") == []
    assert net.router.status()["errors"] == []


def test_a_gateway_on_no_network_of_its_line_is_no_error_until_probes_find_it(net: Network) -> None:
    net.router.configure(GOOD.replace("metric = 200", "metric = 200\ngateway = 172.16.99.1"))
    net.router.check()
    assert (net.router.way_out(), net.router.status()["errors"]) == (["fiber"], [])
    assert (net.router.family("lte")["gateway"], net.router.verdict("lte")) == ("172.16.99.1", "offline")


def test_wrong_usage_is_told_with_exit_code_two(net: Network) -> None:
    for words in ((), ("chek",), ("check", "nobody"), ("probe",), ("event", "add"), ("disable", "nobody")):
        net.router.mwan(*words, code=2)


def test_a_lab_error_shows_the_words_of_the_program(net: Network) -> None:
    with pytest.raises(LabError, match="chek"):
        net.router.mwan("chek")


@pytest.mark.parametrize("words", [("--root=", "check"), ("--root", "", "flush"), ("flush", "--root", "")])
def test_an_empty_root_is_not_taken_for_the_live_system(net: Network, words: tuple[str, ...]) -> None:
    """As in `--root "$UNSET"`.  The last --root counts, so that of the test's own directory stands before it."""
    said = net.router.mwan(*words, code=2).stderr
    assert "--root needs a directory" in said


def test_probing_a_template_without_an_interface_says_so(net: Network) -> None:
    net.router.configure("[uplinks]\n[[lte]]\nmatch = usb*\n")
    done = net.router.mwan("probe", "lte", code=1)
    assert (done.stdout, done.stderr) == ("", "mwan-hook: lte: no interface matches it now\n")
