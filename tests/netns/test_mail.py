"""Mail by the real command to real servers, and to servers that refuse, hang or die half way."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from mwan_hook.model import Config, Family, FamilyState, Mail, Notice, State, Status, UplinkState, WayOut
from mwan_hook.notify import mail
from mwan_hook.store import files, unsent
from mwan_hook.store import state as states
from tests.netns import mail_servers as servers
from tests.netns.mail_servers import PASSWORD, USER, Mailbox

TO = "owner@example.org"
SLACK = 8.0  # seconds that a busy machine takes to start a Python
CONFIG = Config(mail=Mail(to=(TO,), smtp_host="x"))


class Machine:
    """A machine's files below a directory of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0
        self.environment = {**os.environ, "MWAN_HOOK_ROOT": str(root), "TZ": "Europe/Vienna"}

    def configure(self, **keys: object) -> None:
        """``[mail]``; by default no gap between mails."""
        values = {"to": TO, "backoff_min": 0, "backoff_step": 0, "timeout": 10, **keys}
        self.write("etc/mwan-hook/mwan-hook.conf", "[mail]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()))

    def write(self, path: str, text: str) -> Path:
        """A file below the root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def online(self, *names: str) -> None:
        """What the last run said."""
        up = FamilyState(status=Status.ONLINE)
        best = {Family.IPV4: WayOut(names[0], f"{names[0]}0", "10.0.0.2", "10.0.0.1")} if names else {}
        (self.root / "run/mwan-hook").mkdir(parents=True, exist_ok=True)
        states.save(str(self.root), State(uplinks={name: UplinkState(ipv4=up) for name in names}, best=best))

    def notice(self, event: str, uplink: str, ago: float, *online: str) -> Notice:
        """Of something that happened ``ago`` seconds before now."""
        self.count += 1
        now = time.clock_gettime(time.CLOCK_BOOTTIME) - ago
        return Notice(
            id=f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME):020d}-{self.count}",
            event=event,
            uplink=uplink,
            interface=f"{uplink}0",
            reason="0 of 3 targets answered",
            at=time.time() - ago,
            boottime=now,
            online=online,
        )

    def interrupted(self, length: float, uplink: str = "fiber") -> None:
        """An uplink was offline, and something is online now."""
        down, up = self.notice("offline", uplink, length, "cable"), self.notice("online", uplink, 0, uplink, "cable")
        up = up._replace(boottime=down.boottime + length)
        mail.record(str(self.root), CONFIG, (down, up))
        self.online("cable", uplink)

    def command(self, *words: str, code: int = 0, **environment: str) -> str:
        """``mwan-hook mail WORDS``; all that it says."""
        done = subprocess.run(
            self.words(*words),
            env={**self.environment, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout
        return done.stdout

    def words(self, *words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "mwan_hook", "mail", *words]

    @property
    def waits(self) -> bool:
        """What systemd looks at before it starts anything."""
        return (self.root / files.MAIL_WAITING).exists()

    def impatient(self) -> None:
        """The next try is due."""
        unsent.change(str(self.root), lambda book: book._replace(retry=0.0))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without a configuration yet."""
    return Machine(tmp_path)


@pytest.fixture
def box(machine: Machine) -> Iterator[Mailbox]:
    """The mailbox of a plain server that the machine is configured for."""
    made = Mailbox()
    with servers.real(made) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port)
        yield made


def text(box: Mailbox, number: int = -1) -> str:
    """A mail's text."""
    body = box.mails[number].get_body()
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


# ---------------------------------------------------------------- what it says


@pytest.mark.parametrize(("length", "mails"), [(3, 0), (5, 1), (30, 1)])
def test_n1_what_is_shorter_than_min_interruption_is_no_mail(
    machine: Machine, box: Mailbox, length: float, mails: int
) -> None:
    machine.interrupted(length)
    assert machine.waits is bool(mails)
    machine.command("--send")
    assert len(box.mails) == mails and not machine.waits
    machine.command("--send")
    assert len(box.mails) == mails


def test_a_mail_says_what_how_long_since_when_and_which_way_out(machine: Machine, box: Mailbox) -> None:
    machine.interrupted(75)
    machine.command("--send")
    (mail_,) = box.mails
    host = os.uname().nodename
    assert mail_["Subject"] == f"{host}: fiber was offline for 1 min 15 s"
    assert (mail_["To"], mail_["Auto-Submitted"]) == (TO, "auto-generated")
    assert mail_["Date"] and mail_["Message-ID"] and mail_.get_content_charset() == "utf-8"
    said = text(box)
    assert "fiber (fiber0) offline\n" in said and ", 1 min 15 s\n    0 of 3 targets answered\n" in said
    assert " CET" in said or " CEST" in said
    assert "IPv4: cable (cable0), 10.0.0.2 via 10.0.0.1\n" in said and "IPv6: none\n" in said
    assert max(len(line) for line in said.splitlines()) <= 76


def test_several_interruptions_and_the_whole_machines_are_one_mail(machine: Machine, box: Mailbox) -> None:
    happened = [
        machine.notice("offline", "fiber", 100, "cable"),
        machine.notice("offline", "cable", 90),
        machine.notice("online", "fiber", 60, "fiber"),
        machine.notice("offline", "fiber", 50),
        machine.notice("online", "fiber", 40, "fiber"),
    ]
    mail.record(str(machine.root), CONFIG, happened)
    machine.online("fiber")
    machine.command("--send")
    (mail_,) = box.mails
    subject = str(mail_["Subject"])
    assert "no internet 2 times, 40 s altogether; fiber was offline 2 times, 50 s altogether; cable is off" in subject
    said = text(box)
    assert said.index("No internet at all") < said.index("cable (cable0) offline") < said.index("fiber (fiber0)")
    assert re.search(r"since \d\d:\d\d:\d\d CES?T, 1 min \d+ s so far\n", said)


def test_umlauts_and_line_ends_in_names_and_reasons_break_nothing(machine: Machine, box: Mailbox) -> None:
    down = machine.notice("offline", "Büro", 60, "cable")._replace(reason="bad\r\nBcc: all@example.org\n.\n")
    up = machine.notice("online", "Büro", 0, "Büro")
    mail.record(str(machine.root), CONFIG, (down, up))
    machine.online("Büro")
    machine.command("--send")
    assert "Büro was offline for 1 min" in str(box.mails[0]["Subject"]) and box.recipients == [[TO]]
    assert "bad??Bcc: all@example.org?.?" in text(box)


def test_nothing_goes_while_nothing_is_online(machine: Machine, box: Mailbox) -> None:
    machine.interrupted(30)
    machine.online()
    machine.command("--send")
    assert not box.mails and machine.waits
    assert "next mail: now, but nothing is online" in machine.command()
    machine.online("cable")
    machine.command("--send")
    assert len(box.mails) == 1


def test_the_book_is_shown_to_people(machine: Machine, box: Mailbox) -> None:
    assert machine.command() == "nothing waits to be told\n"
    machine.interrupted(30)
    assert "fiber: offline for 30 s, since " in machine.command()
    machine.command("--send")
    assert "last mail: " in machine.command()


def test_without_a_recipient_the_timer_does_nothing_and_a_person_is_told(machine: Machine) -> None:
    assert machine.command("--send") == ""
    assert "[mail] to is not set" in machine.command("--test", code=2)
    mail.deliver(str(machine.root), Config(), (machine.notice("offline", "fiber", 9),))
    assert not (machine.root / files.MAIL).exists()
    machine.interrupted(30)
    assert machine.waits and machine.command("--send") == "" and not machine.waits, "mail was switched off"
    assert len(unsent.load(str(machine.root)).ended) == 1


# ---------------------------------------------------------------- encryption and passwords


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # tls is below what aiosmtpd sees
@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_encryption_and_a_password(machine: Machine, tmp_path: Path, security: str) -> None:
    made, box = servers.certificate(tmp_path), Mailbox()
    secret = machine.write("etc/mwan-hook/password", f"{PASSWORD}\n")
    secret.chmod(0o600)
    with servers.real(box, **{security: made}) as port:
        machine.configure(
            smtp_host="localhost",
            smtp_port=port,
            security=security,
            user=USER,
            password_file="/etc/mwan-hook/password",
        )
        said = machine.command("--test", SSL_CERT_FILE=f"{made}.crt")
        assert f"logging in as {USER}" in said and f"look for it at {TO}" in said
        assert box.private == [True] and str(box.mails[0]["From"]) == USER
        wrong = machine.command("--test", code=1)
        assert "certificate is not to be trusted" in wrong
        secret.write_text("pässword\n")
        assert "letters that the server cannot be told" in machine.command(
            "--test", code=1, SSL_CERT_FILE=f"{made}.crt"
        )
        secret.write_text("another\n")
        wrong = machine.command("--test", code=1, SSL_CERT_FILE=f"{made}.crt")
        assert "user or password refused: 535" in wrong and "(for good)" in wrong
        secret.chmod(0o644)
        assert "can be read by others" in machine.command("--test", code=1, SSL_CERT_FILE=f"{made}.crt")
    assert len(box.mails) == 1


def test_a_certificate_for_another_name_is_no_certificate(machine: Machine, tmp_path: Path) -> None:
    made, box = servers.certificate(tmp_path, "mail.test"), Mailbox()
    with servers.real(box, starttls=made) as port:
        machine.configure(smtp_host="localhost", smtp_port=port, security="starttls")
        said = machine.command("--test", code=1, SSL_CERT_FILE=f"{made}.crt")
    assert "Hostname mismatch" in said and not box.mails


def test_without_starttls_at_the_server_nothing_goes_in_the_clear(machine: Machine, box: Mailbox) -> None:
    with servers.real(box) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, security="starttls")
        assert "the server cannot do that: STARTTLS" in machine.command("--test", code=1)
    assert not box.mails


# ---------------------------------------------------------------- what a test says


def test_each_failure_has_its_words(machine: Machine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    machine.configure(smtp_host="127.0.0.1", smtp_port=port)
    assert "connection refused: no server there, or the wrong port" in machine.command("--test", code=1)
    machine.configure(smtp_host="nowhere.invalid")
    assert "looking up nowhere.invalid: the name has no address" in machine.command("--test", code=1)
    with servers.misbehaving(servers.foreign) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port)
        assert "the server" in machine.command("--test", code=1)
        machine.configure(smtp_host="127.0.0.1", smtp_port=port, security="tls")
        assert "no TLS there" in machine.command("--test", code=1)


def test_recipients_that_are_refused_are_named_and_the_others_have_the_mail(machine: Machine) -> None:
    box = Mailbox()
    with servers.real(box) as port:
        machine.configure(to="unknown@example.org", smtp_host="127.0.0.1", smtp_port=port)
        assert "every recipient was refused: unknown@example.org: 550 5.1.1 no such user here (for good)" in (
            machine.command("--test", code=1)
        )
        machine.configure(to=f"later@example.org, {TO}", smtp_host="127.0.0.1", smtp_port=port)
        machine.interrupted(30)
        said = machine.command("--send", code=1)
        assert "refused for later@example.org: 451 4.7.1 greylisted (for now)" in said
        assert box.recipients == [[TO]] and not machine.waits
        machine.interrupted(31)
        machine.command("--send", code=1)
        assert "did not reach\n  later@example.org: 451" in text(box)


# ---------------------------------------------------------------- servers that do not


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
    assert len(unsent.load(str(machine.root)).ended) == 1


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
    mail.record(str(machine.root), CONFIG, (machine.notice("offline", "fiber", 0, "cable"),))
    place = machine.root / files.MAIL
    book = json.loads(place.read_text())
    ahead = 1e7  # the boot before had been up for longer
    book |= {"boot_id": "another", "at": book["at"] + ahead, "wall": book["wall"] - 864000}
    book["open"][0]["begin"] += ahead
    book["open"][0]["begin_wall"] -= 864000
    place.write_text(json.dumps(book))
    machine.command("--send")
    assert "fiber was offline for 30 s" in str(box.mails[0]["Subject"])
    assert "10 d so far (over a reboot)" in text(box)
    up = machine.notice("online", "fiber", 0, "fiber", "cable")
    mail.record(str(machine.root), CONFIG, (up,))
    machine.command("--send")
    assert "fiber was offline for 10 d" in str(box.mails[1]["Subject"])


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
        mail.deliver(str(machine.root), configured, happened)
        assert time.monotonic() - began < 2 and machine.waits


def test_a_delivery_by_hand_sends_at_once(machine: Machine, box: Mailbox) -> None:
    machine.online("cable")
    happened = [machine.notice("offline", "fiber", 30, "cable"), machine.notice("online", "fiber", 0, "fiber")]
    with servers.real(box) as port:
        mail.deliver(str(machine.root), Config(mail=Mail(to=(TO,), smtp_host="127.0.0.1", smtp_port=port)), happened)
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
    assert machine.waits and len(unsent.load(str(machine.root)).ended) == 1
