"""Mail to servers that refuse, hang or die half way, over kills and boots, and by a sendmail."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import time
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mwan_hook.model import Config, Mail
from mwan_hook.notify import unsent
from mwan_hook.notify.mail import deliver
from tests.lab.measured import MOST, measured
from tests.netns import mail_servers as servers
from tests.netns.mail_machine import CONFIG, SLACK, TO, Machine, box, machine, text
from tests.netns.mail_servers import Mailbox

__all__ = ["box", "machine"]  # fixtures


@pytest.mark.parametrize("behaviour", [servers.silent, servers.dripping, servers.endless])
def test_a_server_that_hangs_holds_a_run_no_longer_than_the_timeout(
    machine: Machine, behaviour: servers.Behaviour
) -> None:
    machine.interrupted(30)
    with servers.misbehaving(behaviour) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, timeout=2)
        began = time.monotonic()
        said = machine.command("--send", code=1)
        assert time.monotonic() - began < 2 + SLACK, said
    assert "no end of it within 2 s" in said or "the server does not answer" in said
    assert "kept, tried again in 1 s" in said and machine.waits
    assert len(unsent.MAIL.load(str(machine.root), writes=True).ended) == 1


@pytest.mark.parametrize(
    ("behaviour", "security", "words"),
    [
        (servers.babbling, "none", "the server does not stop talking: more than 64 KiB of replies"),
        (servers.babbling, "starttls", "the server does not stop talking: more than 64 KiB of replies"),
        (servers.greeting_then_babbling, "none", "the server does not stop talking: more than 64 KiB of replies"),
        (servers.breathless, "none", "the server said 500 Line too long."),
        (servers.breathless, "tls", "no TLS there"),
    ],
)
def test_a_server_that_does_not_stop_talking_takes_neither_memory_nor_time(
    machine: Machine, behaviour: servers.Behaviour, security: str, words: str
) -> None:
    with servers.misbehaving(behaviour) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, security=security, timeout=30)
        began = time.monotonic()
        sender = measured(machine.words("--test"), machine.environment)
    assert time.monotonic() - began < 2 + SLACK
    assert (sender.code, words in sender.errors) == (1, True), sender.errors
    assert sender.peak < MOST


def test_a_servers_words_reach_neither_terminal_nor_mail_as_they_are(machine: Machine, box: Mailbox) -> None:
    machine.interrupted(30)
    with servers.misbehaving(servers.rude) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port)
        said = machine.command("--test", code=1) + machine.command("--send", code=1) + machine.command()
    assert said.replace("\n", "").isprintable()
    assert said.count("421 not now \\x1b]0;mine\\x07\\x1b[2J \\u202edeppots \\x9b1A") == 3
    unsent.MAIL.change(str(machine.root), lambda book: book._replace(unreached="me: 550 \x1b[2J", retry=0.0))
    machine.configure(smtp_host="127.0.0.1", smtp_port=box.port)
    machine.command("--send")
    assert "me: 550 \\x1b[2J" in text(box)


def test_an_address_that_swallows_everything(machine: Machine) -> None:
    name = f"mwm{secrets.token_hex(3)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        for line in (
            "link add dumb type veth peer deaf",
            "link set deaf up",
            "addr add 10.9.9.1/24 dev dumb",
            "link set dumb up",
        ):
            subprocess.run(["ip", "-n", name, *line.split()], check=True)
        neighbour = "neigh add 10.9.9.9 lladdr 02:00:00:00:00:09 nud permanent dev dumb"
        subprocess.run(["ip", "-n", name, *neighbour.split()], check=True)
        machine.configure(smtp_host="10.9.9.9", timeout=1)
        command = ["ip", "netns", "exec", name, *machine.words("--test")]
        done = subprocess.run(command, env=machine.environment, capture_output=True, text=True, timeout=30, check=False)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)
    assert done.returncode == 1 and "connecting to 10.9.9.9 port 25 (10.9.9.9): no " in done.stderr


@pytest.mark.parametrize("answer", ["451 4.3.0 try again", "554 5.7.1 not from you"])
def test_a_refusal_of_either_kind_is_said_kept_and_tried_again(machine: Machine, box: Mailbox, answer: str) -> None:
    box.answers = [answer] * 2
    machine.configure(smtp_host="127.0.0.1", smtp_port=box.port, backoff_min=60)
    machine.interrupted(30)
    assert f"not sent: sending the text to 127.0.0.1: the server said {answer}" in machine.command("--send", code=1)
    assert machine.command("--send") == "" and not box.mails, "not due yet"
    assert f"last try: sending the text to 127.0.0.1: the server said {answer}" in machine.command()
    machine.impatient()
    machine.command("--send", code=1)
    machine.interrupted(40)
    machine.impatient()
    machine.command("--send")
    assert len(box.mails) == 1 and "fiber was offline 2 times" in str(box.mails[0]["Subject"])
    assert not machine.waits


def test_a_mail_in_doubt_that_is_refused_is_written_anew_for_the_recipients_of_now(
    machine: Machine, box: Mailbox
) -> None:
    swallowing = servers.Swallowing(hang=False)
    machine.interrupted(30)
    with servers.misbehaving(swallowing) as port:
        machine.configure(to="unknown@example.org", smtp_host="127.0.0.1", smtp_port=port)
        machine.command("--send", code=1)
    machine.configure(smtp_host="127.0.0.1", smtp_port=box.port)
    machine.impatient()
    assert "unknown@example.org: 550" in machine.command("--send", code=1)
    machine.impatient()
    machine.command("--send")
    assert box.recipients == [[TO]] and not machine.waits


@pytest.mark.parametrize("hang", [True, False])
def test_a_server_that_dies_before_its_answer_gets_the_same_mail_again(
    machine: Machine, box: Mailbox, hang: bool
) -> None:
    plain = (machine.root / "etc/mwan-hook/mwan-hook.conf").read_text()
    swallowing = servers.Swallowing(hang)
    machine.interrupted(30)
    with servers.misbehaving(swallowing) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, timeout=2)
        assert "sending the text" in machine.command("--send", code=1)
    machine.impatient()
    assert "connection refused" in machine.command("--send", code=1), "which says nothing of the mail before"
    machine.write("etc/mwan-hook/mwan-hook.conf", plain)
    machine.interrupted(40)
    machine.impatient()
    machine.command("--send")
    first = message_from_bytes(swallowing.contents[0], policy=policy.default)
    assert first["Message-ID"] == box.mails[0]["Message-ID"] and first["Subject"] == box.mails[0]["Subject"]
    machine.command("--send")
    assert len(box.mails) == 2 and "for 40 s" in str(box.mails[1]["Subject"])
    assert box.mails[1]["Message-ID"] != box.mails[0]["Message-ID"] and not machine.waits


def test_kill_9_between_acceptance_and_its_record_repeats_the_same_message_id(machine: Machine, box: Mailbox) -> None:
    plain = (machine.root / "etc/mwan-hook/mwan-hook.conf").read_text()
    swallowing = servers.Swallowing(hang=True)
    machine.interrupted(30)
    with servers.misbehaving(swallowing) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, timeout=60)
        run = subprocess.Popen(machine.words("--send"), env=machine.environment, start_new_session=True)
        until = time.monotonic() + 20
        while not swallowing.contents and time.monotonic() < until:
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    machine.write("etc/mwan-hook/mwan-hook.conf", plain)
    machine.command("--send")
    (again,) = box.mails
    assert again["Message-ID"].encode() in swallowing.contents[0]
    machine.command("--send")
    assert len(box.mails) == 1 and not machine.waits


def test_runs_at_once_send_one_mail(machine: Machine, box: Mailbox) -> None:
    machine.interrupted(30)
    runs = [subprocess.Popen(machine.words("--send"), env=machine.environment) for _ in range(6)]
    assert [run.wait(60) for run in runs] == [0] * 6
    assert len(box.mails) == 1


def test_a_reboot_between_loses_nothing(machine: Machine, box: Mailbox) -> None:
    machine.interrupted(30)
    deliver.record(str(machine.root), CONFIG, (machine.notice("offline", "fiber", 0, "cable"),))
    place = machine.root / unsent.MAIL.path
    book = json.loads(place.read_text())
    ahead = 1e7  # the boot before had been up for longer
    days = 10 + int(time.clock_gettime(time.CLOCK_BOOTTIME) // 86400)  # what began before this boot is no younger
    book |= {"boot_id": "another", "at": book["at"] + ahead, "wall": book["wall"] - days * 86400}
    book["open"][0]["begin"] += ahead
    book["open"][0]["begin_wall"] -= days * 86400
    place.write_text(json.dumps(book))
    machine.command("--send")
    assert "fiber was offline for 30 s" in str(box.mails[0]["Subject"])
    assert f"{days} d so far (over a reboot)" in text(box)
    up = machine.notice("online", "fiber", 0, "fiber", "cable")
    deliver.record(str(machine.root), CONFIG, (up,))
    machine.command("--send")
    assert f"fiber was offline for {days} d" in str(box.mails[1]["Subject"])


def test_started_by_systemd_notices_are_written_down_and_the_sending_is_left_to_its_own_unit(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured = Config(mail=Mail(to=(TO,), smtp_host="127.0.0.1", smtp_port=9, timeout=30))
    happened = [machine.notice("offline", "fiber", 30, "cable"), machine.notice("online", "fiber", 0, "fiber")]
    machine.online("cable")
    with servers.misbehaving(servers.silent) as port:
        configured = configured._replace(mail=configured.mail._replace(smtp_port=port))
        monkeypatch.setenv("SYSTEMD_EXEC_PID", str(os.getpid()))
        began = time.monotonic()
        deliver.deliver(str(machine.root), machine.loaded(configured), happened)
        assert time.monotonic() - began < 2 and machine.waits


def test_a_delivery_by_hand_sends_at_once(machine: Machine, box: Mailbox) -> None:
    machine.online("cable")
    happened = [machine.notice("offline", "fiber", 30, "cable"), machine.notice("online", "fiber", 0, "fiber")]
    with servers.real(box) as port:
        configured = Config(mail=Mail(to=(TO,), smtp_host="127.0.0.1", smtp_port=port))
        deliver.deliver(str(machine.root), machine.loaded(configured), happened)
    assert len(box.mails) == 1


# ---------------------------------------------------------------- sendmail


def sendmail(machine: Machine, script: str) -> Path:
    """A program that is called as one."""
    made = machine.write("sendmail", f"#!/bin/sh\n{script}\n")
    made.chmod(0o755)
    machine.configure(sendmail=made, **{"from": "Hut <hut@example.org>"}, timeout=2)
    return made


def test_a_sendmail_gets_the_mail_and_its_exit_code_is_the_answer(machine: Machine) -> None:
    sendmail(machine, f'echo "$@" > {machine.root}/args; cat > {machine.root}/mail')
    machine.interrupted(30)
    machine.command("--send")
    assert (machine.root / "args").read_text() == "-i -t -f hut@example.org\n"
    content = (machine.root / "mail").read_bytes()
    assert b"\r" not in content
    assert message_from_bytes(content, policy=policy.default)["From"] == "Hut <hut@example.org>"
    assert not machine.waits


def test_a_sendmail_that_fails_or_hangs_loses_nothing(machine: Machine) -> None:
    made = sendmail(machine, "echo queue full >&2; exit 75")
    machine.interrupted(30)
    assert f"{made} ended with exit code 75: queue full" in machine.command("--send", code=1)
    sendmail(machine, f"sleep 60 & echo $! > {machine.root}/child; wait")
    machine.impatient()
    began = time.monotonic()
    assert "did not end within 2 s and was killed" in machine.command("--send", code=1)
    assert time.monotonic() - began < 2 + SLACK
    child = int((machine.root / "child").read_text())
    time.sleep(0.2)
    state = Path(f"/proc/{child}/stat")
    assert not state.exists() or ") Z " in state.read_text(), "its children are killed with it"
    machine.configure(sendmail="/nowhere/sendmail")
    machine.impatient()
    assert "cannot start /nowhere/sendmail" in machine.command("--send", code=1)
    assert machine.waits and len(unsent.MAIL.load(str(machine.root), writes=True).ended) == 1
