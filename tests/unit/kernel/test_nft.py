"""nft(8) as a program that may do anything: no kernel is asked here."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mwan_hook.kernel import nft
from mwan_hook.model import UNREAD, Change, Firewall, Op, Ruleset


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The only nft(8) that is found."""
    file = tmp_path / "nft"
    file.write_text(text)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


def test_one_that_hangs_is_ended_with_what_it_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child holds the pipes that are read from."""
    pid = tmp_path / "pid"
    program(tmp_path, monkeypatch, f"#!/bin/sh\n/bin/sleep 60 & echo $! > {pid}; wait\n")
    monkeypatch.setattr(nft, "TIMEOUT", 0.5)
    began = time.monotonic()
    assert nft.refusal(("add table inet x",)) == nft.NO_ANSWER
    assert time.monotonic() - began < 20
    deadline = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid.read_text().strip()}") and time.monotonic() < deadline:
        time.sleep(0.02)  # until init has taken note
    assert not os.path.exists(f"/proc/{pid.read_text().strip()}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#!/bin/sh\nexit 3\n", "nft: failed with exit code 3"),
        ("#!/bin/sh\nkill -9 $$\n", "nft: killed by signal 9"),
        ("#!/bin/sh\nprintf '\\377one\\ntwo\\n' >&2; exit 1\n", "nft: \\xffone"),
        ("#!/nowhere/at/all\n", "nft: {} cannot be started: No such file or directory"),
        ("#!/bin/sh\nexit 0\n", ""),
    ],
)
def test_every_failure_has_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, reason: str) -> None:
    program(tmp_path, monkeypatch, text)
    assert nft.refusal(("add table inet x",)) == reason.format(tmp_path / "nft")


def test_a_late_call_of_the_same_turn_gets_no_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, "#!/bin/sh\n/bin/sleep 60\n")
    began = time.monotonic()
    assert nft.listing(time.monotonic() - 1) == ""
    assert time.monotonic() - began < 20


# ---------------------------------------------------------------- what is there, and what was made of it

LISTED = """table inet mwan_hook {
\tset sticky_web {
\t\ttype ipv4_addr
\t}
\tset old {
\t\ttype ipv4_addr
\t}
\tct helper ftp {
\t}
\tchain policies {
\t\ttype filter hook prerouting priority -95; policy accept;
\t}
}
"""
SET = "add set inet mwan_hook sticky_web { type ipv4_addr; }"
WANTED = ("add table inet mwan_hook", "delete table inet mwan_hook", "add table inet mwan_hook", SET)
CHAIN = "add chain inet mwan_hook own"


class Kernel:
    """What nft(8) is told, in ``told``, and what it and the kernel say."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stands: bool = True, codes: tuple[int, ...] = ()) -> None:
        self.stands, self.codes, self.told = stands, list(codes), list[str]()
        self.number, self.changes, self.obeys, self.text = 5, True, True, LISTED
        monkeypatch.setattr(nft, "exists", lambda: self.stands)
        monkeypatch.setattr(nft, "generation", lambda: self.number)
        monkeypatch.setattr(nft, "_run", self._run)

    def _run(self, *words: str, until: float, text: str = "") -> tuple[int, str, str]:
        if "list" in words:
            return (0, self.text, "") if self.stands else (1, "", "none")
        self.told.append(text or " ".join(words))
        code = self.codes.pop(0) if self.codes else 0
        if not code:
            self.number += self.changes
            self.stands = "delete" not in (text or words[0]).splitlines()[-1] if self.obeys else self.stands
        return code, "", "no\nmore" if code else ""


def test_what_sets_hold_is_kept_when_all_else_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Kernel(monkeypatch)
    made = nft.apply(Change(Op.ADD, Ruleset((*WANTED, CHAIN))), 0.0)
    assert kernel.told == [
        "flush table inet mwan_hook\n"
        "delete chain inet mwan_hook policies\n"  # before what its rules hold on to
        "delete set inet mwan_hook old\n"
        "delete ct helper inet mwan_hook ftp\n"
        f"{CHAIN}\n"
    ]
    assert (made.generation, bool(made.listing), made.failed) == (6, True, "")
    assert made.commands == (*WANTED, CHAIN), "as if nothing had been kept"


@pytest.mark.parametrize(("stands", "commands"), [(False, (*WANTED, CHAIN)), (True, (*WANTED[:3], CHAIN))])
def test_without_a_set_to_keep_the_table_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, stands: bool, commands: tuple[str, ...]
) -> None:
    kernel = Kernel(monkeypatch, stands)
    nft.apply(Change(Op.ADD, Ruleset(commands)), 0.0)
    assert kernel.told == ["".join(f"{line}\n" for line in commands)]


@pytest.mark.parametrize(("codes", "failed"), [((1,), ""), ((1, 1), "nft: no")])
def test_where_sets_cannot_be_kept_they_are_lost(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], failed: str
) -> None:
    """A set of another type of that name: nft refuses the transaction."""
    kernel = Kernel(monkeypatch, codes=codes)
    made = nft.apply(Change(Op.ADD, Ruleset((*WANTED, CHAIN))), 0.0)
    assert len(kernel.told) == 2 and kernel.told[1].startswith(WANTED[0])
    assert made.failed == failed and made.listing, "the old one stands"


@pytest.mark.parametrize(
    ("settings", "failed"),
    [
        ({}, ""),
        ({"stands": False, "obeys": False}, "there is no table"),
        ({"changes": False}, "changed nothing"),
        ({"text": ""}, "does not list it"),
    ],
)
def test_nfts_word_is_not_taken_for_a_table(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], failed: str
) -> None:
    kernel = Kernel(monkeypatch)
    vars(kernel).update(settings)
    made = nft.apply(Change(Op.ADD, Ruleset((WANTED[0],))), 0.0)
    assert failed in made.failed and bool(made.failed) is bool(failed)


GONE = Change(Op.DELETE, Ruleset(("delete table inet mwan_hook",)))
STAYS = "nft(8) said yes, but did not take the table away"


@pytest.mark.parametrize(("codes", "obeys", "failed"), [((), True, ""), ((1,), True, "nft: no"), ((), False, STAYS)])
def test_a_table_that_is_not_gone_is_said_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, codes: tuple[int, ...], obeys: bool, failed: str
) -> None:
    kernel = Kernel(monkeypatch, codes=codes)
    kernel.obeys = obeys
    made = nft.apply(GONE, 0.0)
    assert made.failed == failed
    assert failed or made == Firewall(), "nothing is remembered of it"
    kernel = Kernel(monkeypatch, codes=codes)
    kernel.obeys = obeys
    assert nft.remove() == ([failed] if failed else [])


def test_one_that_is_gone_needs_no_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    Kernel(monkeypatch, stands=False, codes=(1,))
    assert nft.remove() == []


@pytest.mark.parametrize(
    ("number", "stands", "listing"), [(5, True, "known"), (None, True, "known"), (6, True, UNREAD), (6, False, "")]
)
def test_a_table_is_read_anew_only_after_some_table_changed(
    monkeypatch: pytest.MonkeyPatch, number: int | None, stands: bool, listing: str
) -> None:
    Kernel(monkeypatch, stands)
    monkeypatch.setattr(nft, "generation", lambda: number)
    known = Firewall(5, "known", ("x",))
    found = nft.look(known)
    assert found == (known if listing == "known" else Firewall(6, listing))
    assert len(nft.listing(0.0)) == (64 if stands else 0)
