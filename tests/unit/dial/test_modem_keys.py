"""``start = modem:...``: its keys, and that no secret stands in them; the table of why a dial failed."""

from __future__ import annotations

import subprocess

import pytest

from mwan_hook.dial import causes, modemkeys
from mwan_hook.dial.causes import CAUSES, Remedy
from mwan_hook.dial.modemkeys import ModemSettings, settings


def test_keys_are_read_with_underscores_and_as_modemmanager_writes_them() -> None:
    whole = ModemSettings("web.example", "me", "/etc/lte.password", "/etc/lte.pin", True, "ipv4v6")
    words = "apn=web.example,user=me,password_file=/etc/lte.password,pin_file=/etc/lte.pin,allow_roaming=yes"
    assert settings(f"{words},ip_type=ipv4v6") == whole
    assert settings(f"{words.replace('_', '-')}, ip-type = IPv4v6") == whole
    assert settings("") == ModemSettings()  # a SIM may know its APN


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("apn=a,password=geheim", "password_file=PATH"),
        ("pin=1234", "pin_file=PATH"),
        ("apn", "expected KEY=VALUE"),
        ("apm=internet", "expected KEY=VALUE of apn, user"),
        ("apn=a,apn=b", "twice"),
        ("apn=", "printable"),
        ("user=me", "user and password_file"),
        ("password_file=/etc/x", "user and password_file"),
        ("pin_file=etc/pin", "absolute path"),
        ("allow-roaming=perhaps", "allow_roaming=yes or"),
        ("ip-type=any", "ipv4 or ipv6 or ipv4v6"),
    ],
)
def test_a_mistake_is_told_with_what_was_expected(words: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected) as told:
        settings(words)
    assert "geheim" not in str(told.value)
    assert "1234" not in str(told.value)


@pytest.mark.parametrize("interface", ["wwan0", "wwx-0", "a.b", ".x", "w@n", "é"])
def test_the_unit_is_named_as_systemd_escapes_it(interface: str) -> None:
    words = ["systemd-escape", "--template=mwan-hook-modem@.service", "--", interface]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    assert modemkeys.unit(interface) == said


def test_every_cause_has_an_exit_status_that_no_shell_and_no_systemd_uses() -> None:
    assert all(0 < status < 126 for status in CAUSES)
    own = {value for name, value in vars(causes).items() if name.isupper() and isinstance(value, int)}
    assert own == set(CAUSES)


def test_only_the_operator_ends_what_costs_tries_of_a_pin_and_what_locks_out_waits_an_hour() -> None:
    final = {status for status, cause in CAUSES.items() if cause.remedy is Remedy.OPERATOR}
    assert final == {causes.NO_SIM, causes.LOCKED, causes.PIN_REFUSED, causes.PUK}
    hourly = {status for status, cause in CAUSES.items() if cause.remedy is Remedy.HOURLY}
    assert hourly > {causes.ROAMING, causes.WRONG_APN, causes.WRONG_PASSWORD, causes.WRONG_PASSWORD_PPP}
    assert causes.cause(1).remedy is Remedy.PAUSE
    assert causes.cause(1).words == "exit code 1"
