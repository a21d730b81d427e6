"""Mail of real interruptions: real uplinks go down and come back, and only `check` and `event` are called."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from mwan_hook.notify import unsent
from mwan_hook.notify.mail.book import MACHINE
from mwan_hook.store import files
from tests.lab import Lab, Network, topologies
from tests.lab.process import wait_for
from tests.lab.uplinks import FIBER_LTE_IPV4, probing
from tests.netns import mail_servers as servers
from tests.netns.mail_servers import Mailbox
from tests.netns.probe_lab import inside

CONFIG = (
    probing("icmp://9.9.9.9", fall=3)
    + """[mail]
to = owner@example.org
smtp_host = 127.0.0.1
smtp_port = {port}
timeout = {timeout}
backoff_min = 1
backoff_step = 0
"""
    + FIBER_LTE_IPV4
)


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two uplinks online."""
    made = topologies.probed(lab, 2)
    configure(made, 1)
    made.router.check()
    return made


def configure(net: Network, port: int, timeout: int = 10) -> None:
    """Where the server is."""
    net.router.configure(CONFIG.format(port=port, timeout=timeout))


def outage(net: Network, seconds: float, *interfaces: str) -> None:
    """Cables are out for so long."""
    for on in (False, True):
        for interface in interfaces:
            net.router.carrier(interface, on)
        net.router.event("change", interfaces[0])
        time.sleep(0 if on else seconds)


def idle(net: Network) -> bool:
    """Nothing waits, and nothing is at it."""
    return not (net.router.root / files.MAIL_WAITING).exists()


def subjects(box: Mailbox) -> list[str]:
    """Without the machine's name."""
    return [str(mail["Subject"]).partition(": ")[2] for mail in box.mails]


@pytest.mark.parametrize(("seconds", "mails"), [(1, 0), (5, 1)])
def test_n1_an_interruption_of_five_seconds_is_a_mail_and_a_short_one_is_none(
    net: Network, seconds: int, mails: int
) -> None:
    box = Mailbox()
    with inside(net.router.ns.name), servers.real(box) as port:
        configure(net, port)
        outage(net, seconds, "eth1")
        wait_for("the notices to be told", lambda: net.router.mwan("notify").returncode == 0)
        wait_for("the mail", lambda: len(box.mails) >= mails and idle(net), 20)
        net.router.check()
        net.router.mwan("mail", "--send")
    assert len(box.mails) == mails
    if mails:
        assert subjects(box)[0].startswith("fiber was offline for ")
        line = net.router.lines["eth1"]
        body = box.mails[0].get_body()
        assert body is not None
        assert f"IPv4: fiber (eth1), {line.source} via {line.isp.gateway}" in body.get_content()


def test_the_machines_interruption_is_told_when_something_is_online_again(net: Network) -> None:
    box = Mailbox()
    with inside(net.router.ns.name), servers.real(box) as port:
        configure(net, port)
        outage(net, 5, "eth1", "eth2")
        wait_for("the mail", lambda: bool(box.mails), 20)
    (subject,) = subjects(box)
    assert [word for word in ("no internet for ", "fiber was offline for ", "lte was offline for ") if word in subject]
    assert subject.startswith("no internet for ")


def test_an_uplink_that_is_switched_off_by_hand_is_not_interrupted(net: Network) -> None:
    root = str(net.router.root)
    net.router.mwan("disable", "fiber")
    net.router.mwan("notify")
    assert net.router.history("fiber")[-1]["new"] == "disabled"
    assert unsent.MAIL.load(root, writes=True).open == ()
    net.router.carrier("eth2", False)
    net.router.event("change", "eth2")
    net.router.mwan("notify")
    assert [span.subject for span in unsent.MAIL.load(root, writes=True).open] == ["lte", MACHINE]
    net.router.mwan("disable", "lte")
    net.router.mwan("mail", "--send")
    assert [span.subject for span in unsent.MAIL.load(root, writes=True).open] == [MACHINE]


def test_a_hanging_server_keeps_no_route_and_no_run_waiting_and_later_runs_send_what_was_kept(net: Network) -> None:
    box = Mailbox()
    with inside(net.router.ns.name), servers.misbehaving(servers.silent) as port:
        configure(net, port, timeout=3)
        outage(net, 5, "eth1")
        began = time.monotonic()
        net.router.carrier("eth1", False)
        net.router.event("change", "eth1")
        assert net.router.way_out() == ["lte"]
        assert time.monotonic() - began < 3, "a run waited for the server"
        net.router.carrier("eth1", True)
        net.router.event("change", "eth1")
        wait_for("the server to be given up", lambda: "not sent" in _log(net), 30)
    assert "kept, tried again" in _log(net) and not idle(net)
    with inside(net.router.ns.name), servers.real(box) as port:
        configure(net, port)
        wait_for("the mail by later runs", lambda: net.router.check().returncode == 0 and bool(box.mails), 30)
        wait_for("the end", lambda: idle(net))
        net.router.check()
    assert len(box.mails) == 1 and "fiber was offline" in subjects(box)[0]


def test_kill_9_of_the_notifier_after_the_server_has_the_mail_repeats_the_same_one(net: Network) -> None:
    box, swallowing = Mailbox(), servers.Swallowing(hang=True)
    with inside(net.router.ns.name), servers.misbehaving(swallowing) as port:
        configure(net, port, timeout=60)
        outage(net, 5, "eth1")
        wait_for("the server to have it", lambda: bool(swallowing.contents), 30)
        for pid in _notifiers(net.router.root):
            os.kill(pid, signal.SIGKILL)
    with inside(net.router.ns.name), servers.real(box) as port:
        configure(net, port)
        wait_for("the mail by later runs", lambda: net.router.check().returncode == 0 and bool(box.mails), 30)
        wait_for("the end", lambda: idle(net))
    (again,) = box.mails
    assert str(again["Message-ID"]).encode() in swallowing.contents[0]


def _log(net: Network) -> str:
    place: Path = net.router.root / files.NOTIFY_LOG
    return place.read_text() if place.exists() else ""


def _notifiers(root: Path) -> list[int]:
    """Processes of ours that tell this router's notices; their children have the same words."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                words = Path(f"/proc/{name}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if str(root).encode() in words and b"notify" in words:
                found.append(int(name))
    return found
