"""mwan-hook on a booted system: the real installer, the timer, the kernel's news, a black hole, no dispatcher."""

from __future__ import annotations

import itertools
import json
import re
import statistics
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import running
from tests.system.beds import Container

INTERVAL, RISE = 10.0, 3
ROUTES, LINKS = 10_000, 50


@pytest.fixture(scope="module")
def bed(image: Path, checkout: dict[str, str]) -> Iterator[Container]:
    """A router where the installer has run."""
    with Container(binds=checkout, files={**running.TOLD, **running.NO_HOLD}) as made:
        made.wait_configured("wan1", "wan2")
        made.sh(running.ROUTER)
        made.sh("cd /opt/mwan-hook && ./install.sh", timeout=300)
        yield made
        assert running.unwell(made) == []


@pytest.fixture(autouse=True)
def calm(bed: Container) -> None:
    """Each test begins when all is well."""
    bed.wait("both to be online", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))


def test_after_the_installer_the_timer_runs_and_status_shows_the_uplinks(bed: Container) -> None:
    assert running.unwell(bed) == []
    assert bed.run("systemctl", "is-enabled", *running.TRIGGERS).stdout.split() == ["enabled"] * len(running.TRIGGERS)
    lines = bed.run("mwan-hook", "status", "-H").stdout.splitlines()
    assert [words[:3:2] for words in map(str.split, lines)] == [["wan1", "online"], ["wan2", "online"]]


def test_the_doctor_finds_little_on_a_machine_as_the_installer_leaves_it_and_can_mend_that(bed: Container) -> None:
    def codes(*words: str) -> set[str]:
        found = json.loads(bed.run("mwan-hook", "doctor", "--json", *words, check=False).stdout)["findings"]
        return {one["code"] for one in found if one["severity"] != "note"}

    assert codes() == {"hash-policy"}, "equal metrics share, and by addresses alone until more is asked for"
    assert codes("--fix") == set()
    bed.run("systemctl", "stop", "mwan-hook-check.timer")
    try:
        done = bed.run("mwan-hook", "doctor", check=False)
        assert done.returncode == 1
        assert "problem unit-stopped mwan-hook-check.timer" in done.stdout
    finally:
        bed.run("systemctl", "start", "mwan-hook-check.timer")
    assert codes() == set()


def test_the_sandboxes_are_tight(bed: Container) -> None:
    most = {**dict.fromkeys((*running.SERVICES, "mwan-hook-early", "mwan-hook-notify"), 1.7), "mwan-hook-netlink": 2.2}
    for name, limit in most.items():
        last = bed.sh(f"systemd-analyze security --no-pager {name}.service | tail -n1")
        found = re.search(r"level for .*: ([0-9.]+)", last)
        assert found, last
        assert float(found[1]) <= limit, last


def test_the_services_have_a_user_of_their_own_and_leave_nothing_on_the_disk(bed: Container) -> None:
    """Also what a run by hand, as root, leaves there is theirs."""
    before = bed.sh("stat -c %z /var/tmp")  # PrivateTmp= alone makes a directory there with each start
    bed.sh("rm -f /run/mwan-hook/state.json.lock; mwan-hook check --now; systemctl start mwan-hook-check")
    assert bed.sh("stat -c %z /var/tmp") == before
    assert bed.sh("find /run/mwan-hook /var/lib/mwan-hook ! -user mwan-hook") == ""
    assert bed.sh("find /run/mwan-hook-root ! -user root") == ""
    assert bed.run("systemctl", "show", "-P", "ExecMainStatus", "mwan-hook-check").stdout == "0\n"


def test_a_run_by_hand_and_the_services_share_one_state(bed: Container) -> None:
    """A service that saw another boot id took the state for one of another boot, and began at first sight."""
    state = "/run/mwan-hook/state.json"
    boot = bed.sh("cat /proc/sys/kernel/random/boot_id").strip()
    since = {name: uplink["ipv4"]["since"] for name, uplink in status(bed).items()}
    for start in ("mwan-hook check --now", "systemctl start mwan-hook-check", "systemctl start mwan-hook-netlink"):
        bed.sh(start)
        assert json.loads(bed.sh(f"cat {state}"))["boot_id"] == boot
        assert {name: uplink["ipv4"]["since"] for name, uplink in status(bed).items()} == since


def status(bed: Container) -> dict[str, dict[str, dict[str, str]]]:
    """The uplinks of `mwan-hook status --json`."""
    found: dict[str, dict[str, dict[str, str]]] = json.loads(bed.run("mwan-hook", "status", "--json").stdout)["uplinks"]
    return found


# ---------------------------------------------------------------- the kernel's news


def changed(bed: Container, *commands: str) -> list[str]:
    """Lines of ours that a script takes away; they are back before this returns."""
    before = running.ours(bed)
    for command in commands:
        bed.hut.ip(command)
    missing = sorted(set(before) - set(running.ours(bed)))
    bed.wait("ours to be back", lambda: running.ours(bed) == before, 9)
    return missing


SILENT = (
    "import sys; sys.path.insert(0, '/usr/lib/mwan-hook'); from mwan_hook.run import listening as heard; "
    "sys.exit(not heard.nothing_new('/', heard.known('/')))"
)


def test_the_timers_run_knows_in_its_sandbox_that_there_are_no_news(bed: Container) -> None:
    """So it need not read what systemd's sockets would have told of."""
    place = "etc/systemd/system/mwan-hook-check.service.d/silent.conf"
    bed.write({place: f'[Service]\nExecCondition=/usr/bin/python3 -I -c "{SILENT}"\n'})
    bed.sh("systemctl daemon-reload")
    try:

        def silent() -> bool:
            bed.run("systemctl", "start", "mwan-hook-check")
            return bed.run("systemctl", "show", "-P", "Result", "mwan-hook-check").stdout == "success\n"

        bed.wait("a run without news", silent)
        bed.run("systemctl", "stop", "mwan-hook-netlink.socket")
        assert not silent()
    finally:
        bed.sh(f"rm /{place}; systemctl daemon-reload; systemctl start mwan-hook-netlink.socket")


def test_what_is_removed_by_hand_comes_back_by_the_sockets(bed: Container) -> None:
    bed.run("systemctl", "stop", "mwan-hook-check.timer", "mwan-hook-event.path")
    since = running.clock()
    changed(bed, "rule del priority 1900", "-6 rule del priority 1000")
    changed(bed, "route del default table 1000 metric 1", "-6 route flush table 1002 proto 172")
    found = running.starts(bed, since)
    assert found["mwan-hook-netlink"] and not found["mwan-hook-check"] and not found["mwan-hook-event"]
    running.start_ours(bed)


def activity(bed: Container, service: str) -> str:
    """What systemd calls the state of a service."""
    return bed.run("systemctl", "is-active", service, check=False).stdout.strip()


def news(bed: Container, command: str, mine: str) -> tuple[float, float]:
    """Milliseconds from a change to the start of the run, and to the last change of ours that follows it."""
    bed.wait("the last run to end, with its pause", lambda: activity(bed, "mwan-hook-netlink") == "inactive")
    words = ["ip", "-ts", "-o", "-n", bed.hut.name, "monitor", "rule", "route"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as monitor:
        try:
            time.sleep(0.1)
            begun, since = time.time(), running.clock()
            bed.hut.ip(command)
            bed.wait("our answer", lambda: running.settled(bed) and mine in "\n".join(running.ours(bed)), 30)
        finally:
            monitor.terminate()
        heard = monitor.stdout.read() if monitor.stdout else ""
    at = [line for line in heard.splitlines() if mine in line and "Deleted" not in line]
    stamp = at[-1].split("]")[0].strip("[")
    seconds, micro = stamp.split(".")
    end = time.mktime(time.strptime(seconds, "%Y-%m-%dT%H:%M:%S")) + float(f"0.{micro}")
    started = bed.wait("it in the journal", lambda: running.starts(bed, since)["mwan-hook-netlink"], 5)[0]
    return (started - since) * 1e3, (end - begun) * 1e3


def test_an_address_is_followed_at_once(bed: Container) -> None:
    """A tenth of a second where the machine has nothing else to do; ten times as much is granted to busy ones."""
    bed.run("systemctl", "stop", "mwan-hook-check.timer", "mwan-hook-event.path")
    measured = []
    try:
        for number in range(5):
            address = f"192.168.1.2{number}0"
            measured.append(news(bed, f"addr add {address}/24 dev wan1", address))
    finally:
        for number in range(5):
            bed.hut.ip(f"addr del 192.168.1.2{number}0/24 dev wan1", check=False)
    starts, ends = (statistics.median(column) for column in zip(*measured, strict=True))
    print(f"start {starts:.0f} ms, end {ends:.0f} ms: {measured}")
    running.start_ours(bed)
    assert starts < 500
    assert ends < 1000


def quiet(bed: Container, seconds: float) -> bool:
    """Nothing of ours starts for so long."""
    since = running.clock()
    time.sleep(seconds)
    return not any(running.starts(bed, since).values())


def test_a_storm_of_routes_and_links_leaves_the_triggers_as_they_were_and_comes_to_rest(bed: Container) -> None:
    bed.run("systemctl", "stop", "mwan-hook-check.timer")
    for n in bed.provider:
        bed.dhcp(n, on=False)  # router advertisements are news, too
    before, since = running.ours(bed), running.clock()
    many = [f"198.{18 + n // 65536}.{n // 256 % 256}.{n % 256}/32" for n in range(ROUTES)]
    bed.hut.batch(*[f"route add {destination} dev lan0" for destination in many])
    for _ in range(LINKS // 2):
        bed.hut.batch("link add storm type veth peer name storm2", "link del storm")
    bed.hut.batch(*[f"route del {destination} dev lan0" for destination in many])
    bed.wait("rest", lambda: quiet(bed, 1.5), 30)
    counted = {name: len(times) for name, times in running.starts(bed, since).items()}
    print(counted, running.clock() - since)
    assert 0 < counted["mwan-hook-netlink"] <= 5 * (running.clock() - since)
    for n in bed.provider:
        bed.dhcp(n, on=True)
    running.start_ours(bed)
    assert running.unwell(bed) == []
    assert running.ours(bed) == before


# ---------------------------------------------------------------- probes, and the dispatcher


def test_a_black_hole_is_left_within_the_interval_and_a_burst_and_taken_again(bed: Container) -> None:
    started = time.monotonic()
    with bed.provider[1].broken("blackhole"):
        bed.wait("wan1 to be left", lambda: running.online(bed, "wan2"), INTERVAL + 8)
        left = time.monotonic() - started
        bed.wait("clients to be carried by the other", lambda: set(bed.connect(bed.lan, 3)) == {"isp2"}, 2)
        assert bed.sh("curl -s -m2 http://9.9.9.9/isp").strip() == "isp2"
    # the next round may be that much later than the interval, because the timer fires by its own clock
    bed.wait("wan1 to be taken again", lambda: running.online(bed, "wan1", "wan2"), INTERVAL * (RISE + 2))
    print(f"left after {left:.1f} s, back after {time.monotonic() - started:.1f} s")
    assert left < INTERVAL + 5


def test_the_timer_fires_every_ten_seconds(bed: Container) -> None:
    """Since it was started last: the journal knows, so the seconds of the black hole need not be waited for again."""
    name, property_ = "mwan-hook-check", "ActiveEnterTimestampMonotonic"
    entered = bed.run("systemctl", "show", "--value", "-p", property_, f"{name}.timer").stdout
    since = int(entered) / 1e6 + 2  # the first run is a second after the start, with any period
    bed.wait("four runs", lambda: len(running.starts(bed, since)[name]) > 3, 50)
    times = running.starts(bed, since)[name]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    print(gaps)
    assert min(gaps) >= 9.9, gaps
    assert statistics.median(gaps) <= 10.5, "a busy machine may be late once"


def dropped(bed: Container) -> str:
    """What the dispatcher's hooks put into the spool while it is not taken out."""
    return bed.sh("cat /run/mwan-hook/events/* 2>&1", check=False)


def test_the_dispatcher_tells_of_states(bed: Container) -> None:
    running.stop_ours(bed)
    bed.carrier("wan2", on=False)
    bed.wait("the loss", lambda: "no-carrier wan2" in dropped(bed))
    bed.carrier("wan2", on=True)
    bed.wait("the way back", lambda: "routable wan2" in dropped(bed))
    running.start_ours(bed)
    bed.wait("the spool to be empty", lambda: not bed.sh("ls /run/mwan-hook/events"))


def test_it_works_with_the_dispatcher_stopped(bed: Container) -> None:
    bed.run("systemctl", "stop", "networkd-dispatcher")
    bed.carrier("wan2", on=False)
    bed.wait("wan2 to leave", lambda: "dev wan2" not in running.shared(bed) and running.online(bed, "wan1"), 9)
    bed.carrier("wan2", on=True)
    bed.wait("wan2 to be back", lambda: running.online(bed, "wan1", "wan2"))
    bed.wait("the shared default", lambda: "dev wan2" in running.shared(bed))
    bed.run("systemctl", "start", "networkd-dispatcher")
