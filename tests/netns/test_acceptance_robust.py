"""What must not keep a run from doing its work: listeners, full disks, slow and dead neighbours, busy probers."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest

from tests.lab import Lab, Network, topologies
from tests.lab.process import wait_for
from tests.lab.uplinks import FIBER_LTE_IPV4
from tests.netns.layout import defaults, hops, layout

CONFIG = f"""
[probe]
portal_interval = 0
timeout = 2
burst_interval = 0.1
hysteresis_delay = 0
targets = icmp://9.9.9.9
{FIBER_LTE_IPV4}"""
THIRD = """
[[cable]]
match = eth3
metric = 300
families = ipv4
"""


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2)
    made.router.configure(CONFIG)
    return made


def good_rounds(net: Network, uplink: str) -> int:
    return int(net.router.family(uplink)["good"])


def test_a_reader_that_goes_away_or_a_full_output_keeps_no_route_from_its_place(net: Network) -> None:
    net.router.check()
    wanted = layout(net.router.ns)
    for output in (">&-", ">/dev/full", "| true"):
        net.router.mwan("flush")
        words = " ".join(net.router.argv("check", "--now"))
        done = subprocess.run(
            ["sh", "-c", f"{words} {output}"],
            env={**net.router.environment(), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONUNBUFFERED": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr, output
        assert layout(net.router.ns) == wanted, output


def test_a_black_hole_is_left_although_run_is_full(lab: Lab, net: Network) -> None:
    net.router.check()
    run = net.router.root / "run/mwan-hook"
    script = (
        f"mount -t tmpfs -o size=16k full {run}; cp -a {lab.dir}/kept/. {run}; "
        f"dd if=/dev/zero of={run}/filler bs=1k count=64 2>/dev/null; exec "
    )
    subprocess.run(["cp", "-a", str(run), str(lab.dir / "kept")], check=True)
    net.isps[0].fault("blackhole")
    wrap = ("unshare", "-m", "sh", "-c", f'{script} "$@"', "sh")
    done = net.router.mwan("check", "--now", wrap=wrap, code=1)
    assert "No space left" in done.stderr
    assert set(hops(defaults(net.router.ns, 1000)[0])) == {"eth2"}


def test_a_line_that_grows_slow_is_not_taken_for_a_dead_one(lab: Lab, net: Network) -> None:
    net.router.check()
    lab.delay(net.isps[0], 500)
    for _ in range(3):
        net.router.check()
        assert net.router.family("fiber")["status"] == "online"


def test_an_offline_uplinks_slow_round_does_not_delay_anothers_failover(lab: Lab) -> None:
    net = topologies.probed(lab, 3)
    net.router.configure(CONFIG.replace("timeout = 2", "timeout = 5") + THIRD)
    net.isps[1].fault("blackhole")
    net.router.check()
    assert [net.router.family(name)["status"] for name in ("fiber", "lte", "cable")] == ["online", "offline", "online"]
    net.isps[0].fault("blackhole")
    running = net.router.start("check", "--now")
    wait_for("the failover", lambda: net.router.family("fiber")["status"] == "offline", timeout=20, step=0.05)
    assert running.poll() is None, "the five seconds that the offline one waits come after the failover"
    running.communicate(timeout=60)


def test_switching_portal_checks_off_takes_their_word_back(net: Network) -> None:
    portal = CONFIG.replace(
        "portal_interval = 0", "portal_interval = 600\nportal_targets = http://9.9.9.9/generate_204"
    )
    net.router.configure(portal)
    net.isps[0].fault("portal")
    net.router.check()
    assert net.router.family("fiber")["connectivity"] == "portal"
    net.router.configure(CONFIG)
    for _ in range(3):
        net.router.check()
    assert net.router.family("fiber")["connectivity"] == "full"


def test_an_event_stays_in_the_spool_until_the_lock_is_had(net: Network) -> None:
    net.router.check()
    spooled = net.router.write("run/mwan-hook/events/1", '{"action": "add", "interface": "eth1"}')
    lock = net.router.root / "run/mwan-hook/state.json.lock"
    holder = subprocess.Popen(["flock", str(lock), "sleep", "13"])
    try:
        net.router.mwan("event", code=75)
        assert spooled.exists()
    finally:
        holder.kill()
        holder.wait()
    subprocess.run(["flock", "-w", "15", str(lock), "true"], check=True)
    before = good_rounds(net, "fiber")
    net.router.mwan("event")
    assert not spooled.exists() and good_rounds(net, "fiber") == before + 1


def test_a_run_that_was_stopped_while_it_probes_keeps_traffic_on_no_dead_line(net: Network) -> None:
    net.router.check()
    net.isps[1].fault("blackhole")
    prober = net.router.start("check", "--now")
    holder = net.router.root / "run/mwan-hook/probe.lock"
    wait_for("the prober", lambda: holder.read_text().startswith(f"{prober.pid} "))
    prober.send_signal(signal.SIGSTOP)
    net.isps[0].fault("blackhole")
    net.isps[1].heal()
    said = net.router.mwan("check", "--now").stderr
    assert f"process {prober.pid} " in said and "stopped: continued" in said
    prober.communicate(timeout=60)
    net.router.mwan("check", "--now")
    assert set(hops(defaults(net.router.ns, 1000)[0])) == {"eth2"}


def test_a_user_without_rights_opens_no_lock_and_reads_the_state(net: Network) -> None:
    net.router.check()
    places = {path.name: path.stat().st_mode & 0o777 for path in (net.router.root / "run/mwan-hook").iterdir()}
    assert {name: mode for name, mode in places.items() if name.endswith(".lock")} == {
        "state.json.lock": 0o600,
        "probe.lock": 0o600,
    }
    assert places["state.json"] == 0o644


def test_an_event_that_meets_a_prober_is_probed_by_it(net: Network) -> None:
    net.isps[1].fault("blackhole")
    net.router.check()
    before = good_rounds(net, "fiber")
    prober = net.router.start("check")
    time.sleep(0.1)
    net.router.event("change", "eth1")
    prober.communicate(timeout=60)
    net.router.mwan("check")
    assert good_rounds(net, "fiber") > before


def test_what_keeps_failing_is_said_by_every_run(net: Network) -> None:
    wrap = ("unshare", "-m", "sh", "-c", f'mount -t tmpfs -o ro none {net.router.root}/var && exec "$@"', "sh")
    (net.router.root / "var").mkdir(exist_ok=True)
    for _ in range(2):
        done = net.router.mwan("check", "--now", wrap=wrap, code=1)
        assert "Read-only file system" in done.stderr
    assert net.router.way_out() == ["fiber"]
