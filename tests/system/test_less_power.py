"""The services as a user of their own: what an earlier version left as root's, and what they must leave to root."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import modems
from tests.lab.router import PROJECT
from tests.system import running
from tests.system.beds import Container
from tests.system.beds.files import Files
from tests.system.test_told import CONFIG

PAGE = "/var/www/uplinks.html"
TEXTFILE = "/var/lib/prometheus/node-exporter/mwan_hook.prom"
MORE = f"""
[router]
masquerade = yes
[prometheus]
textfile = {TEXTFILE}
interval = 1
[report]
html = {PAGE}
[mail]
to = owner@example.org
sendmail = /usr/local/bin/taken
min_interruption = 0
backoff_min = 1
backoff_step = 0
"""
WEBHOOK = """
[webhook]
url = http://127.0.0.1:8099/
header_file = /etc/mwan-hook/headers
backoff_min = 1
"""
# answers each post, and writes down who it says it is from
TAKER = """
from http.server import BaseHTTPRequestHandler, HTTPServer

class Taker(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with open("/run/posts", "a") as file:
            print(self.headers["Authorization"], body, file=file)
        self.send_response(204)
        self.end_headers()

HTTPServer(("127.0.0.1", 8099), Taker).serve_forever()
"""
PAGE_OF_ROOTS = ["root", "644", "others.html", "uplinks.html"]
TELL = "#!/bin/sh\nid -u >>/run/told\n"
FILES: Files = {
    "etc/mwan-hook/mwan-hook.conf": CONFIG + MORE,
    "etc/mwan-hook/conf.d/50-closed.conf": "[snmp]\noid = .1.3.6.1.4.1.99999\n",
    "etc/mwan-hook/offline.d/50-tell": TELL,
    "usr/local/bin/taken": "#!/bin/sh\ncat >>/run/mails\n",
    "root/webhook.conf": WEBHOOK,
    "etc/mwan-hook/headers": "Authorization: Bearer 4711\n",
    "root/taker.py": TAKER,
    # as root's runs of an earlier version have left it
    "var/lib/mwan-hook/history.jsonl": "",
    "var/lib/mwan-hook/usage.json": "{}",
    "var/lib/prometheus/node-exporter/others.prom": "",
    "var/www/others.html": "",
}
MODEM = "mwan-hook-modem@wwan0"
# A container has no udev, so there is no unit of a device that this one could be bound to.
UNIT = "".join(
    line
    for line in (PROJECT / "systemd/mwan-hook-modem@.service").read_text().splitlines(keepends=True)
    if ".device" not in line
)
LTE = """
[uplinks]
[[modem]]
match = wwan0
metric = 400
start = modem:apn=internet,pin_file=/etc/pin
"""
# ModemManager is mocked: a container has no modem.  The bus, systemd-resolved and the sandbox are real.
DIALS: Files = {
    "etc/dbus-1/system.d/modems.conf": modems.POLICY.lstrip(),
    "root/modems.py": Path(modems.__file__).read_bytes(),
    "etc/systemd/system/mwan-hook-modem@.service": UNIT,
    "etc/mwan-hook/conf.d/60-modem.conf": LTE,
    "etc/pin": "4711\n",
}
CLOSED = "chmod 600 /etc/mwan-hook/conf.d/50-closed.conf"
OLD = (
    "mkdir -p /run/mwan-hook/events /run/mwan-hook/notify; "
    "touch /run/mwan-hook/state.json.lock /run/mwan-hook/mail.lock; "
    "chmod 600 /run/mwan-hook/*.lock; chown -R root: /run/mwan-hook /var/lib/mwan-hook"
)


@pytest.fixture(scope="module")
def bed(image: Path) -> Iterator[Container]:
    """A machine with files of root's everywhere, and a part of the configuration that only root may read."""
    with Container(binds=running.program(), files={**running.units(), **FILES}, client=False) as made:
        made.wait_configured("wan1", "wan2")
        running.stop_ours(made)
        made.sh(
            f"chmod 755 /etc/mwan-hook/*.d/* /usr/local/bin/taken; chmod 600 /etc/mwan-hook/headers; {CLOSED}; {OLD}"
        )
        made.sh("cp /root/webhook.conf /etc/mwan-hook/conf.d/; systemd-run -q --unit=taker python3 /root/taker.py")
        running.start_ours(made)
        yield made
        # systemd's own words on a unit that is both OnSuccess= and OnFailure= of another, and on one that was killed
        expected = ("multiple trigger source", "mwan-hook-modem@", "Mobile data")
        assert [line for line in running.unwell(made) if not any(word in line for word in expected)] == []


@pytest.fixture(autouse=True)
def calm(bed: Container) -> None:
    """Both uplinks are online."""
    bed.provider[1].heal()
    bed.wait("both to be online", lambda: running.online(bed, "wan1", "wan2"))


def theirs(bed: Container) -> bool:
    """Whether all of the state is the services' own."""
    return bed.sh("find /run/mwan-hook /var/lib/mwan-hook ! -user mwan-hook") == ""


def saved_at(bed: Container) -> float:
    """When a run last stored the state."""
    return float(json.loads(bed.sh("cat /run/mwan-hook/state.json"))["saved_at"])


def test_what_an_earlier_version_left_is_theirs_and_closed_configuration_is_opened_to_them(bed: Container) -> None:
    bed.wait("the files", lambda: theirs(bed))
    seen = bed.sh("stat -c '%U %G %a' /etc/mwan-hook/conf.d/50-closed.conf /etc/mwan-hook/mwan-hook.conf").splitlines()
    assert seen == ["root mwan-hook 640", "root root 644"]
    assert json.loads(bed.sh("cat /run/mwan-hook/state.json"))["uplinks"]
    assert bed.sh("sysctl -n net.ipv4.conf.wan1.ignore_routes_with_linkdown") == "1\n"


def test_what_only_root_may_do_is_done(bed: Container) -> None:
    assert "1001\tfiber" in bed.sh("cat /etc/iproute2/rt_tables.d/mwan-hook.conf")
    assert "masquerade" in bed.sh("nft list table inet mwan_hook")
    bed.sh(f"rm -f {TEXTFILE} /etc/iproute2/rt_tables.d/mwan-hook.conf; ip rule del priority 1900")
    bed.wait("the textfile", lambda: not bed.run("test", "-e", TEXTFILE, check=False).returncode)
    names = "fiber /etc/iproute2/rt_tables.d/mwan-hook.conf"
    bed.wait("the names", lambda: not bed.run("grep", "-q", *names.split(), check=False).returncode)


def test_a_lock_of_roots_and_a_stopped_run_of_roots_stop_nothing(bed: Container) -> None:
    """As no run of ours leaves it; the run that meets it has root's unit mend it."""
    bed.sh("rm /run/mwan-hook/probe.lock; install -m 600 /dev/null /run/mwan-hook/probe.lock")
    bed.provider[1].fault("blackhole4")
    bed.wait("failover", lambda: running.verdicts(bed)["wan1"] == "offline")
    bed.wait("the files", lambda: theirs(bed))  # of root's for a moment
    bed.provider[1].heal()
    holder = (
        "import fcntl, os, signal; lock = open('/run/mwan-hook/state.json.lock', 'r+'); fcntl.flock(lock, 2); "
        "os.kill(os.getpid(), signal.SIGSTOP)"
    )
    bed.write({"root/mwan-hook": f"#!/usr/bin/python3\n{holder}\n"})
    bed.sh("chmod 755 /root/mwan-hook; /root/mwan-hook >/dev/null 2>&1 &")
    began = time.monotonic()
    bed.sh("systemctl start mwan-hook-check", check=False)
    assert time.monotonic() - began < 9
    assert "continued" in bed.sh("journalctl -b --no-pager -o cat -u mwan-hook-chores")


def test_hooks_are_roots_and_mail_and_posts_go_and_the_page_is_made(bed: Container) -> None:
    bed.sh(f"rm -f /run/told {PAGE}")
    bed.provider[1].fault("blackhole")
    bed.wait("the hook", lambda: bed.sh("cat /run/told", check=False) == "0\n0\n")
    bed.provider[1].heal()
    mail = "systemctl start mwan-hook-mail; cat /run/mails"  # which the timer would
    bed.wait("the mail", lambda: "fiber" in bed.sh(mail, check=False), 20)
    post = "systemctl start mwan-hook-webhook; grep -c '^Bearer 4711 .*\"offline\".*fiber' /run/posts"
    bed.wait("the posts", lambda: int(bed.sh(post, check=False) or 0) >= 2, 20)
    bed.wait("the page", lambda: bed.sh(f"stat -c '%U %a' {PAGE}; ls /var/www", check=False).split() == PAGE_OF_ROOTS)
    assert "fiber" in bed.sh(f"cat {PAGE}")
    bed.wait("the files", lambda: theirs(bed))  # of root's for a moment


def dialled(bed: Container) -> list[str]:
    """Exit status and state of the unit, addresses, defaults and name servers of the modem's interface."""
    look = (
        f"systemctl show --value -p ExecMainStatus,ActiveState {MODEM}; ip -4 -o addr show wwan0 | cut -d' ' -f7; "
        "ip route show default dev wwan0; resolvectl dns wwan0"
    )
    return [line.strip() for line in bed.sh(look, check=False).splitlines()]


def test_the_record_goes_to_the_disk_by_its_unit_and_when_the_machine_goes_down(bed: Container) -> None:
    """In the sandbox of the services, as their user; a stop of the boot's unit is what a shutdown does."""
    assert "OnCalendar=hourly" in bed.sh("systemctl cat mwan-hook-record.timer")
    bed.sh("systemctl start mwan-hook-record")
    size = "cat /var/lib/mwan-hook/record/*.xz | wc -c"
    first = int(bed.sh(size))
    assert bed.sh("stat -c '%U %a' /var/lib/mwan-hook/record/*.xz") == "mwan-hook 644\n"
    before = saved_at(bed)
    bed.wait("another run", lambda: saved_at(bed) > before)
    bed.sh("systemctl restart mwan-hook-boot")
    assert int(bed.sh(size)) > first
    assert theirs(bed)


def test_the_unit_that_dials_has_one_capability_and_hangs_up_what_was_killed(bed: Container) -> None:
    running.stop_ours(bed)  # a run would dial what is hung up here
    bed.write(DIALS)
    try:
        bed.sh(
            "chmod 600 /etc/pin; systemctl daemon-reload; systemctl reload dbus; "
            "ip link add wwan0 type veth peer name tower; ip link set wwan0 arp off; ip link set tower up; "
            "systemd-run -q --unit=modems python3 /root/modems.py "
            f"unix:path=/run/dbus/system_bus_socket {modems.NAME}"
        )
        bed.wait("the modem", lambda: modems.NAME in bed.sh("busctl --acquired --no-legend"))
        bed.sh(f"systemctl start {MODEM}")
        index = bed.sh("cat /sys/class/net/wwan0/ifindex").strip()
        up = ["0", "active", "10.64.7.91/30", "default proto static scope link src 10.64.7.91 metric 4496"]
        assert dialled(bed) == [*up, f"Link {index} (wwan0): 1.1.1.1"]
        bed.sh(f"systemctl stop {MODEM}")
        down = f"Link {index} (wwan0):"
        assert dialled(bed) == ["0", "inactive", down]
        change = "busctl call org.freedesktop.ModemManager1 /lab lab.Modems Change s"
        bed.sh(f"{change} '{{\"delay\": 60}}'; systemctl start --no-block {MODEM}")
        bed.wait("the connect", lambda: '\\"state\\": 10' in bed.sh(change.replace("Change s", "Look")))
        bed.sh(f"systemctl kill -s KILL {MODEM}")
        bed.wait("the unit to end", lambda: dialled(bed)[1] == "failed")
        assert dialled(bed) == ["9", "failed", down]
        assert '\\"bearers\\": {}' in bed.sh(change.replace("Change s", "Look"))
        said = bed.sh(f"journalctl -b --no-pager -o cat -u {MODEM}")
        assert "connected (APN internet), 10.64.7.91/30, default of ipv4 with metric 4496" in said
        assert "4711" not in said
    finally:
        names = " ".join(f"/{name}" for name in DIALS)
        bed.sh(f"systemctl stop modems {MODEM}; systemctl reset-failed; ip link del wwan0; rm -f {names}")
        bed.sh("systemctl daemon-reload; systemctl reload dbus")
        running.start_ours(bed)
