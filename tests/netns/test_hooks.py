"""The operator's programs, with the real command: once each, in order, after routing, no matter what they do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mwan_hook.model import Notice
from mwan_hook.store import files, outbox
from tests.lab import Lab, Network, topologies
from tests.lab.measured import MOST, measured
from tests.lab.process import wait_for
from tests.lab.router import PROJECT
from tests.lab.uplinks import FIBER_LTE_IPV4, probing

CONFIG = (
    probing("icmp://9.9.9.9")
    + """[hooks]
timeout = 2
"""
    + FIBER_LTE_IPV4
)
TELL = (
    'echo "$EVENT_ID|$EVENT|$IFACE|$STATE|$OLD_STATE|$UPLINK|$FAMILY|$IPV4_ADDR|$IPV4_GATEWAY" >>"$MWAN_HOOK_ROOT/told"'
)
EVENTS = ("full", "portal", "limited", "none", "online", "offline", "default-route", "plugged", "unplugged")


def hook(net: Network, event: str, text: str, name: str = "50-tell", place: str = "etc/mwan-hook") -> Path:
    """An executable of the operator's."""
    path = net.router.write(f"{place}/{event}.d/{name}", f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def quiet(net: Network) -> str:
    """Wait until everything is told; the words of the two that may have told: this run, or the one a check started."""
    by_hand = net.router.mwan("notify", code=None)
    spool = net.router.root / "run/mwan-hook/notify"
    assert not spool.exists() or not [name for name in os.listdir(spool) if not name.startswith(".")]
    log = net.router.root / "run/mwan-hook/notify.log"
    return (log.read_text() if log.exists() else "") + by_hand.stdout + by_hand.stderr


def told(net: Network, name: str = "told") -> list[list[str]]:
    """What the hooks wrote: lines of id, event, interface, ..."""
    quiet(net)
    path = net.router.root / name
    return [line.split("|") for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two uplinks online, and every event told from now on."""
    made = topologies.probed(lab, 2)
    made.router.configure(CONFIG)
    made.router.check()
    for event in EVENTS:
        hook(made, event, TELL)
    return made


def test_default_route_hooks_run_once_for_each_way_that_it_changes(net: Network) -> None:
    fiber, lte = net.router.lines["eth1"], net.router.lines["eth2"]

    def moved() -> list[list[str]]:
        found = [line[2:] for line in told(net) if line[1] == "default-route"]
        (net.router.root / "told").unlink()
        return found

    by_fiber = ["eth1", "", "", "fiber", "ipv4", fiber.source, fiber.isp.gateway]
    by_lte = ["eth2", "", "", "lte", "ipv4", lte.source, lte.isp.gateway]
    net.isps[0].fault("blackhole")
    net.router.check()
    assert moved() == [by_lte]
    net.isps[0].heal()
    net.router.check()
    assert moved() == [by_fiber]
    net.router.ns.ip("link set eth1 down")
    net.router.event("change", "eth1")
    assert moved() == [by_lte]
    net.router.lease(fiber)
    net.router.event("change", "eth1")
    assert moved() == [by_fiber]
    old, fresh = fiber.source, "10.1.0.77"
    net.router.ns.batch(f"addr del {fiber.address} dev eth1", f"addr add {fresh}/24 dev eth1", "link set eth1 up")
    net.router.ns.ip(f"route replace default via {fiber.isp.gateway} dev eth1 metric 100")
    net.router.event("change", "eth1")
    assert old != fresh and moved() == [[*by_fiber[:5], fresh, fiber.isp.gateway]]
    for interface in ("eth1", "eth2"):
        net.router.ns.ip(f"link set {interface} down")
    net.router.event("change", "eth1")
    assert moved() == [["", "", "", "", "ipv4", "", ""]]


def test_a_line_that_is_dead_at_boot_is_told_as_offline_once(net: Network) -> None:
    net.router.mwan("flush")
    net.router.reboot_files()
    (net.router.root / "told").unlink(missing_ok=True)
    net.isps[0].fault("blackhole")
    for _ in range(3):
        net.router.check()
    fiber = [line[1:7] for line in told(net) if line[5] == "fiber" and line[1] in ("online", "offline")]
    assert fiber == [["offline", "eth1", "offline", "unknown", "fiber", "ipv4"]]
    stored = [(one["old"], one["new"]) for one in net.router.history("fiber") if one["event"] == "offline"]
    assert stored[-1] == ("unknown", "offline")


def test_hooks_get_all_of_the_event_in_their_environment_and_as_json(net: Network) -> None:
    hook(
        net, "offline", 'cat >"$MWAN_HOOK_ROOT/json"; env >"$MWAN_HOOK_ROOT/env"; pwd >"$MWAN_HOOK_ROOT/pwd"', "90-all"
    )
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    given = json.loads((net.router.root / "json").read_text())
    variables = dict(line.split("=", 1) for line in (net.router.root / "env").read_text().splitlines() if "=" in line)
    fiber, lte = net.router.lines["eth1"], net.router.lines["eth2"]
    assert {key: given[key] for key in ("event", "uplink", "interface", "family", "old", "new")} == {
        "event": "offline",
        "uplink": "fiber",
        "interface": "eth1",
        "family": "ipv4",
        "old": "online",
        "new": "offline",
    }
    assert given["id"] == variables["EVENT_ID"]
    assert given["reason"] == variables["REASON"] != ""
    assert (given["old_state"], given["state"]) == (3, 3), "limited since its first bad round"
    assert given["ipv4"] == {"address": fiber.source, "gateway": fiber.isp.gateway}
    assert (given["online"], given["offline"]) == (["lte"], ["eth1"])
    way = {"uplink": "lte", "interface": "eth2", "address": lte.source, "gateway": lte.isp.gateway}
    assert given["default"]["ipv4"] == way
    assert abs(given["at"] - time.time()) < 60
    assert (variables["ONLINE"], variables["OFFLINE_IFACES"], variables["OLD_STATE"]) == ("lte", "eth1", "online")
    assert (variables["IPV6_ADDR"], variables["IPV6_GATEWAY"]) == ("", ""), "families = ipv4"
    assert not [name for name in variables if name.startswith("PYTHON")]


def test_hooks_of_other_dispatchers_work_unchanged(net: Network) -> None:
    hook(net, "limited", 'IFS= read -r none; echo "$IFACE $STATE" >>"$MWAN_HOOK_ROOT/dispatcher"', "a-reads-a-line")
    hook(net, "limited", "exec sh -c 'exit 0'", "b-never-reads")
    hook(net, "default-route", 'echo "$IFACE/$IPV4_ADDR->$IPV4_GATEWAY" >>"$MWAN_HOOK_ROOT/routemon"', "routemon")
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    lte = net.router.lines["eth2"]
    assert (net.router.root / "dispatcher").read_text() == "eth1 limited\n"
    assert (net.router.root / "routemon").read_text() == f"eth2/{lte.source}->{lte.isp.gateway}\n"


def flap(net: Network, times: int) -> None:
    """So many transitions of one uplink, and of nothing else: it is switched by hand."""
    for number in range(times):
        net.router.mwan("disable" if number % 2 == 0 else "enable", "lte")


def test_twenty_transitions_are_told_once_and_in_order_while_hooks_are_slow(net: Network) -> None:
    for event in ("online", "offline"):
        hook(net, event, "sleep 0.1", "10-slow")
    flap(net, 20)
    events = [line for line in told(net) if line[5] == "lte" and line[1] in {"online", "offline"}]
    assert [line[1] for line in events] == ["offline", "online"] * 10
    assert [line[0] for line in events] == sorted({line[0] for line in events})


def test_a_check_never_waits_for_a_hook_that_hangs(net: Network) -> None:
    hook(net, "offline", "sleep 60", "10-hangs")
    net.isps[0].fault("blackhole")
    net.router.check()
    assert net.router.way_out() == ["lte"]
    assert spooled(net), "the run is over, and the hook is not"
    net.router.mwan("check")
    offline = [line[1:4] for line in told(net) if line[1] == "offline"]
    assert offline == [["offline", "eth1", "offline"]], "the next hook was run all the same"


def alive(mark: str) -> list[int]:
    """Processes with these words in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        if mark.encode() in words:
            found.append(int(place.parent.name))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "sleep 71{0} & sleep 72{0}",
        "setsid sleep 71{0} & setsid sh -c 'setsid sleep 72{0} & setsid sleep 73{0}' & exit 0",
        "trap '' TERM HUP INT; (setsid sh -c 'trap \"\" TERM; while :; do sleep 71{0}; done' &) ; sleep 72{0}",
        "python3 -c 'import os, time\nif os.fork() == 0:\n os.setsid()\n if os.fork() == 0: time.sleep(710) # {0}'",
    ],
)
def test_what_hangs_is_killed_with_all_that_it_started(net: Network, text: str) -> None:
    mark = f"{os.getpid()}{time.time_ns() % 10**6:06d}"
    hook(net, "offline", text.format(mark), "10-hangs")
    net.isps[0].fault("blackhole")
    net.router.check()
    wait_for("the hook", lambda: alive(mark))
    log = quiet(net)
    assert alive(mark) == []
    assert "offline.d/10-hangs was killed after 2 s" in log


def test_what_a_hook_leaves_in_the_background_may_end_in_its_time(net: Network) -> None:
    hook(net, "offline", "setsid sh -c 'sleep 1; echo done >\"$MWAN_HOOK_ROOT/late\"' >/dev/null 2>&1 &", "10-later")
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    assert (net.router.root / "late").read_text() == "done\n"


def test_a_hook_that_fails_is_named_with_its_words_and_stops_no_other(net: Network) -> None:
    hook(net, "offline", "echo out; echo err >&2; printf 'half\\001'; exit 3", "10-fails")
    hook(net, "offline", "kill -SEGV $$", "20-dies")
    hook(net, "offline", "i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done", "30-talks")
    (net.router.root / "etc/mwan-hook/offline.d/40-strange").write_bytes(b"\x7fno program")
    (net.router.root / "etc/mwan-hook/offline.d/40-strange").chmod(0o755)
    net.isps[0].fault("blackhole")
    net.router.check()
    log = quiet(net).splitlines()
    assert [line[1] for line in told(net) if line[5] == "fiber"] == ["limited", "offline"]
    for wanted in ("10-fails: out", "10-fails: err", "10-fails: half\\x01"):
        assert f"offline.d/{wanted}" in log
    assert "mwan-hook: offline.d/10-fails failed with exit code 3" in log
    assert "mwan-hook: offline.d/20-dies died of signal 11" in log
    assert "mwan-hook: offline.d/40-strange cannot be run: Exec format error" in log
    talk = [line for line in log if "30-talks" in line]
    assert len(talk) == 201 and talk[-1].endswith("... and more, which is left out")


def test_a_long_spool_and_a_hook_that_roars_take_little_memory(tmp_path: Path) -> None:
    words = " ".join(["0 of 3 targets answered: timed out after 3 s"] * 10)
    notices = [Notice(f"{number:020d}-0", "plugged", "lte", "wwan0", reason=words) for number in range(100)]
    outbox.hand_over(str(tmp_path), [*notices[1:], notices[-1]._replace(id="9" * 20 + "-0", event="offline")])
    roaring = tmp_path / "etc/mwan-hook/offline.d/50-roars"
    roaring.parent.mkdir(parents=True)
    roaring.write_text("#!/bin/sh\nhead -c 33000000 /dev/zero\nyes | head -c 33000000\n")
    roaring.chmod(0o755)
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text("[hooks]\ntimeout = 120\n")  # for a busy machine
    done = measured([sys.executable, "-m", "mwan_hook", "--root", str(tmp_path), "notify"], os.environ)
    assert (done.code, outbox.names(str(tmp_path), files.NOTIFY)) == (0, frozenset()), done.errors
    assert "50-roars: ... and more, which is left out" in done.said
    assert done.peak < MOST


def test_hooks_of_etc_mask_those_of_usr_by_name_and_all_run_in_lexical_order(net: Network) -> None:
    say = 'echo "$0" >>"$MWAN_HOOK_ROOT/order"'
    usr = "usr/lib/mwan-hook"
    for name in ("05-usr", "20-masked", "30-null", "40-empty", "45-plain", "70-usr"):
        hook(net, "offline", say, name, usr)
    hook(net, "offline", say, "20-masked")
    hook(net, "offline", say, "60-etc")
    place = net.router.root / "etc/mwan-hook/offline.d"
    (place / "30-null").symlink_to("/dev/null")
    (place / "40-empty").touch(0o755)
    (place / "45-plain").write_text("#!/bin/sh\nexit 1\n")
    for name in ("61-old~", "62.dpkg-old", ".63-hidden", "64.swp"):
        hook(net, "offline", say, name)
    (place / "65-directory").mkdir()
    (place / "66-nowhere").symlink_to("/nonexistent")
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    order = [Path(line) for line in (net.router.root / "order").read_text().splitlines()]
    assert [path.name for path in order] == ["05-usr", "20-masked", "60-etc", "70-usr"]
    assert order[1].parent == place


def test_only_what_root_owns_and_no_other_user_can_write_is_run(net: Network) -> None:
    say = 'echo "${0##*/}" >>"$MWAN_HOOK_ROOT/ran"'
    place = net.router.root / "etc/mwan-hook/offline.d"
    hook(net, "offline", say, "10-good")
    hook(net, "offline", say, "20-group").chmod(0o775)
    hook(net, "offline", say, "30-all").chmod(0o757)
    os.chown(hook(net, "offline", say, "40-other"), 65534, 0)
    elsewhere = net.router.root / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "hook").write_text(f"#!/bin/sh\n{say}\n")
    (elsewhere / "hook").chmod(0o755)
    elsewhere.chmod(0o777)
    (place / "50-link").symlink_to(elsewhere / "hook")
    store = net.router.root / "store"
    shutil.copytree(elsewhere, store)
    store.chmod(0o1775)  # as Nix's, where its builders' group adds files and replaces none
    (place / "60-store").symlink_to(store / "hook")
    hook(net, "limited", say, "10-in-open-directory")
    (net.router.root / "etc/mwan-hook/limited.d").chmod(0o777)
    net.isps[0].fault("blackhole")
    net.router.check()
    log = quiet(net)
    assert (net.router.root / "ran").read_text() == "10-good\n60-store\n"
    for name, why in (
        ("20-group", "others than root may write"),
        ("30-all", "others than root may write"),
        ("40-other", "belongs to user 65534"),
        ("50-link", "others than root may write"),
    ):
        assert f"{place}/{name} is not run: " in log and why in log
    assert "limited.d: its hooks are not run: others than root may write" in log


def spooled(net: Network) -> list[Path]:
    """Notices that wait."""
    return sorted((net.router.root / "run/mwan-hook/notify").glob("[0-9]*"))


def holding(net: Network) -> subprocess.Popen[bytes]:
    """A process that tells already: no other does until it is killed."""
    lock = net.router.root / "run/mwan-hook/notify.lock"
    holder = subprocess.Popen(["flock", str(lock), "sleep", "60"], start_new_session=True)
    wait_for("the lock", lambda: subprocess.run(["flock", "-n", str(lock), "true"], check=False).returncode)
    return holder


def let_go(net: Network, holder: subprocess.Popen[bytes]) -> None:
    """Once those that a run has started have seen that one is at it."""
    wait_for("the others to leave", lambda: not alive(f"{net.router.root}\0notify"))
    os.killpg(holder.pid, signal.SIGKILL)
    holder.wait()


def test_a_run_killed_between_verdict_and_delivery_loses_nothing(net: Network) -> None:
    """The spool cannot be written, so that what it has saved it cannot hand over; then it is killed for good."""
    quiet(net)
    spool = net.router.root / "run/mwan-hook/notify"
    spool.parent.mkdir(exist_ok=True)
    spool.write_text("")
    net.isps[0].fault("blackhole")
    net.router.check()
    stored = json.loads(net.router.state_file.read_text())
    assert [one["event"] for one in stored["outbox"]] == ["limited", "offline", "default-route"]
    spool.unlink()
    net.router.mwan("check")
    assert [line[1] for line in told(net)] == ["limited", "offline", "default-route"]
    assert [line[0] for line in told(net)] == [one["id"] for one in stored["outbox"]]
    assert "outbox" not in json.loads(net.router.state_file.read_text())


def test_a_notifier_killed_in_a_hook_runs_it_again_with_the_same_id_and_the_others_not(net: Network) -> None:
    net.router.configure(CONFIG.replace("timeout = 2", "timeout = 30"))
    started = net.router.root / "started"
    hook(net, "offline", 'echo "$EVENT_ID" >>"$MWAN_HOOK_ROOT/first"', "10-first")
    hook(net, "offline", f'echo "$EVENT_ID" >>{started}; while [ ! -e {started}.go ]; do sleep 0.1; done', "20-killed")
    holder = holding(net)
    net.isps[0].fault("blackhole")
    net.router.check()
    let_go(net, holder)
    running = net.router.start("notify")
    wait_for("the hook", lambda: started.exists() and started.read_text())
    running.kill()
    running.communicate()
    Path(f"{started}.go").touch()
    assert [line[1] for line in told(net)] == ["limited", "offline", "default-route"]
    first = (net.router.root / "first").read_text().split()
    assert started.read_text().split() == first * 2


def test_a_notifier_killed_between_delivery_and_its_removal_tells_nothing_twice(net: Network) -> None:
    holder = holding(net)
    net.isps[0].fault("blackhole")
    net.router.check()
    kept = {path: path.read_bytes() for path in spooled(net)}
    let_go(net, holder)
    before = told(net)
    assert len(kept) == len(before) == 3
    for path, content in kept.items():  # as it would find them after the kill
        path.write_bytes(content)
    assert told(net) == before
    assert spooled(net) == []


def test_one_who_comes_while_another_tells_waits_for_it_or_leaves_it_alone(net: Network) -> None:
    hook(net, "offline", 'touch "$MWAN_HOOK_ROOT/slow"; sleep 5', "10-slow")
    net.isps[0].fault("blackhole")
    net.router.check()
    wait_for("the run that tells", (net.router.root / "slow").exists)
    began = time.monotonic()
    net.router.mwan("notify", "--no-wait")
    assert time.monotonic() - began < 4
    net.router.mwan("notify")
    assert spooled(net) == [] and "default-route" in {line[1] for line in told(net)}


def test_a_bad_configuration_keeps_no_hook_from_running(net: Network) -> None:
    holder = holding(net)
    net.isps[0].fault("blackhole")
    net.router.check()
    let_go(net, holder)
    net.router.configure("[probe]\nfall = none\n")
    done = net.router.mwan("notify", code=1)
    assert "fall = none" in done.stderr
    assert [line[1] for line in told(net)] == ["limited", "offline", "default-route"]


def test_without_a_listener_nothing_is_spooled_and_nothing_is_started(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(CONFIG)
    net.router.check()
    assert spooled(net) == []
    assert not (net.router.root / "run/mwan-hook/notify.log").exists()


def test_flush_tells_hooks_that_all_is_given_back(net: Network) -> None:
    hook(net, "flushed", TELL)
    net.router.mwan("flush")
    assert [line[1:4] for line in told(net)] == [["flushed", "", "flushed"]]
    net.router.mwan("flush")
    assert len(told(net)) == 1


def test_who_could_not_do_its_work_is_run_again_until_it_has(net: Network) -> None:
    quiet(net)
    record = net.router.root / files.AGAIN
    hook(net, "offline", '>"$MWAN_HOOK_ROOT/run/mwan-hook/again"; exit 1', "10-fails")
    hook(
        net,
        "again",
        '[ -e "$MWAN_HOOK_ROOT/ready" ] || { >>"$MWAN_HOOK_ROOT/run/mwan-hook/again"; exit 1; }',
        "10-fails",
    )
    hook(
        net,
        "again",
        'echo "$EVENT|$ONLINE|$ONLINE_IFACES|$OFFLINE_IFACES|$IFACE" >>"$MWAN_HOOK_ROOT/again"',
        "20-tells",
    )
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    assert record.exists()
    net.router.mwan("check")
    assert told(net, "again") == [["again", "lte", "eth2", "eth1", ""]]
    net.router.mwan("check")
    assert len(told(net, "again")) == 1, "it is put off"
    tries, due = record.read_text().split()
    assert (tries, 0 < float(due) - time.clock_gettime(time.CLOCK_BOOTTIME) <= 5) == ("1", True)
    record.write_text(f"{tries} 1\n")
    (net.router.root / "ready").touch()
    net.router.mwan("check")
    assert len(told(net, "again")) == 2 and not record.exists()


def test_a_second_run_writes_nothing_though_there_are_hooks(net: Network) -> None:
    quiet(net)
    net.router.mwan("check")
    before = net.router.state_file.stat()
    net.router.mwan("check")
    after = net.router.state_file.stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert spooled(net) == []


SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(self.headers["Idempotency-Key"].encode() + b" " + body)
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8123), Handler).serve_forever()
"""


def test_the_example_of_a_web_hook_posts_the_event(lab: Lab, net: Network) -> None:
    posted = net.router.root / "posted"
    lab.spawn(net.router.ns.argv(net.router.python, "-c", SERVER, str(posted)), "webhook")
    wait_for("the server", lambda: ":8123 " in net.router.ns.run("ss", "-Hnlt").stdout)
    text = (PROJECT / "docs/examples/hooks/webhook").read_text()
    hook(net, "offline", text.replace("https://hooks.example.org/mwan-hook", "http://127.0.0.1:8123/"), "80-webhook")
    net.isps[0].fault("blackhole")
    net.router.check()
    quiet(net)
    identity, _, body = posted.read_text().partition(" ")
    given = json.loads(body)
    assert (given["id"], given["event"], given["interface"]) == (identity, "offline", "eth1")


@pytest.mark.parametrize("event", ["default-route", "offline"])
def test_the_example_of_a_desktop_notice_fits_on_a_screen(net: Network, event: str) -> None:
    """Without a desktop: what stands for notify-send writes down what it was to show."""
    tools = net.router.root / "tools"
    for name, script in (
        ("notify-send", f'printf "%s\\n" "$3" "$4" >{net.router.root}/shown'),
        ("runuser", 'shift 3; exec "$@"'),
        ("stat", "echo another"),
    ):
        path = net.router.write(f"tools/{name}", f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
    bus = net.router.root / "user/1000"
    bus.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"{bus}/bus")
        text = (PROJECT / "docs/examples/hooks/desktop-notice").read_text()
        search = f"PATH={tools}:$PATH"
        hook(net, event, f"{search}\n" + text.replace("/run/user/*/bus", f"{net.router.root}/user/*/bus"), "80-desktop")
        net.isps[0].fault("blackhole")
        net.router.check()
        quiet(net)
    title, body = (net.router.root / "shown").read_text().splitlines()
    lte = net.router.lines["eth2"].source
    wanted = {"default-route": ("Internet by lte", f"eth2 {lte}"), "offline": ("fiber is offline", body)}
    assert (title, body) == wanted[event] and body
