"""Mail by the real command to real servers: what it says, in TLS and with a password, and what a test says."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest

from mwan_hook.notify import unsent
from mwan_hook.notify.mail import deliver
from tests.netns import mail_servers as servers
from tests.netns.mail_machine import CONFIG, TO, Machine, box, machine, text
from tests.netns.mail_servers import PASSWORD, USER, Mailbox

__all__ = ["box", "machine"]  # fixtures


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
    deliver.record(str(machine.root), CONFIG, happened)
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
    deliver.record(str(machine.root), CONFIG, (down, up))
    machine.online("Büro")
    machine.command("--send")
    assert "Büro was offline for 1 min" in str(box.mails[0]["Subject"]) and box.recipients == [[TO]]
    assert "bad\\x0d\\x0aBcc: all@example.org\\x0a.\\x0a" in text(box)


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
    assert not (machine.root / unsent.MAIL.path).exists()
    machine.interrupted(30)
    assert machine.waits and machine.command("--send") == "" and not machine.waits, "mail was switched off"
    assert len(unsent.MAIL.load(str(machine.root), writes=True).ended) == 1


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
