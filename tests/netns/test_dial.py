"""A backup that is dialled by a program, without systemd: real interfaces, a real dialler, the real command."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator

import pytest

from tests.lab import Lab, wait_for
from tests.netns import dying, operators
from tests.netns.dialled import CONFIG, QUICK, Site


@pytest.fixture(scope="module")
def built() -> Iterator[Site]:
    with Lab() as lab:
        yield Site(lab)


@pytest.fixture
def site(built: Site) -> Site:
    built.fresh()
    return built


def test_an_outage_dials_and_the_return_hangs_up(site: Site) -> None:
    site.router.check()
    assert site.calls() == []
    assert site.activation()["state"] == "idle"
    assert site.activation()["reason"] == "fiber is online"
    assert "standby" in site.router.mwan("status").stdout
    site.cut()
    line = f"{site.program} up eth2"
    assert site.router.mwan("plan").stdout.splitlines()[-1] == line
    assert site.calls() == []
    assert f"[#] {line}\n" in site.router.check().stdout
    site.until("lte online", lambda: site.router.way_out() == ["lte"])
    assert site.activation()["state"] == "up"
    site.mend()
    site.until_state("idle")
    assert site.router.way_out() == ["fiber"]
    assert site.calls() == ["up", "down"]
    assert site.events() == ["dialling", "dialled", "hung-up"]
    assert site.activation()["tries"] == 0
    assert "idle: fiber is online" in site.router.mwan("status").stdout


@pytest.mark.parametrize("routing", ["nexthops = objects", "default_table = main"])
def test_it_is_hung_up_where_the_default_is_a_group_or_stands_in_main_too(built: Site, routing: str) -> None:
    built.fresh(extra=f"{QUICK}[routing]\n{routing}\n")
    built.cut()
    built.until("lte online", lambda: built.router.way_out() == ["lte"])
    built.mend()
    built.until_state("idle")
    assert built.router.way_out() == ["fiber"]
    assert built.calls() == ["up", "down"]


def test_a_redial_within_ten_minutes_is_held_by_nothing(site: Site) -> None:
    for _ in range(4):
        site.cut()
        site.until("lte online", lambda: site.router.way_out() == ["lte"])
        assert site.router.family("lte")["held_until"] is None
        site.mend()
        site.until_state("idle")


@pytest.mark.parametrize(
    ("mode", "timeout", "words", "calls"),
    [
        ("fail", 20, "exit code 7: NO DIALTONE", ["up", "down"]),
        ("hang", 2, "no address and way", ["up", "down"]),
        ("noaddr", 2, "no address and way", ["up", "down"]),
    ],
)
def test_a_failed_dial_is_ended_and_waited_for(
    built: Site, mode: str, timeout: int, words: str, calls: list[str]
) -> None:
    built.fresh(mode, f"ready_timeout = {timeout}\nretry_min = 300\n")
    built.cut()
    built.until_state("waiting")
    assert built.calls() == calls
    assert built.activation()["reason"].startswith(words)
    assert f"1 failed dial ({words}" in built.router.mwan("status").stdout
    assert built.events() == ["dialling", "dial-failed"]
    assert not built.router.ns.run("pgrep", "-f", str(built.program), check=False).stdout
    built.router.mwan("dial", "lte", "--for", "1h")  # a word of the operator's waits for no pause
    wait_for("another dial", lambda: built.calls() == [*calls, "up"])


def test_hooks_hear_of_each_dial_with_its_number_and_why(built: Site) -> None:
    built.fresh("fail", "ready_timeout = 20\nretry_min = 0.1\n")
    heard = built.here / "heard"
    events = ("dialling", "dial-failed", "dialled")
    for event in events:
        hook = built.router.write(
            f"etc/mwan-hook/{event}.d/10-note", f'#!/bin/sh\necho "$EVENT $DIAL_TRY $REASON" >>{heard}\n'
        )
        hook.chmod(0o755)
    built.cut()
    built.until("two failed dials", lambda: built.events().count("dial-failed") == 2)
    built.mode("ok")
    built.until_state("up")
    built.router.mwan("notify")
    for event in events:
        shutil.rmtree(built.router.root / f"etc/mwan-hook/{event}.d")
    told = heard.read_text().splitlines()
    assert told[:2] == ["dialling 1 no better uplink is online", "dial-failed 1 exit code 7: NO DIALTONE"]
    assert "dial-failed 2 exit code 7: NO DIALTONE" in told
    assert told[-1].startswith("dialled 2 it has an address and a way")


def test_what_cannot_be_dialled_is_reset_and_repaired_and_then_dialled_at_once(built: Site) -> None:
    def told(word: str) -> int:
        return built.calls().count(word)

    hook = built.router.write("etc/mwan-hook/repair.d/50-cure", f"#!/bin/sh\necho ok >{built.here}/mode.eth2\n")
    hook.chmod(0o755)
    reset = f"reset = command:/bin/sh -c 'echo reset >>{built.here}/calls.eth2'\n"
    built.fresh("fail", f"retry_min = 300\nrepair = hook@1, hook@600\n{reset}")
    built.cut()
    built.until("lte online", lambda: built.router.way_out() == ["lte"])
    hook.unlink()
    assert built.calls() == ["up", "down", "reset", "up"]
    assert built.events() == ["dialling", "dial-failed", "repair-step", "dialling", "dialled"]
    assert told("reset") == 1


def test_a_session_without_data_is_dialled_again_once(built: Site) -> None:
    built.fresh("ok", "ready_timeout = 20\nretry_min = 300\n")
    with built.isps[1].broken("blackhole"):
        built.cut()
        built.until("a failed dial", lambda: "dial-failed" in built.events())
        built.until_state("waiting")
    assert built.calls() == ["up", "down", "up", "down"]
    assert built.activation()["reason"] == "connected without data"


def test_backups_are_tried_one_by_one(built: Site) -> None:
    built.fresh("hang", "ready_timeout = 3\nretry_min = 300\n", second="ok")
    built.cut()
    built.router.check()
    began = time.monotonic()
    built.until("gsm online", lambda: built.router.way_out() == ["gsm"])
    assert time.monotonic() - began > 1
    assert built.calls() == ["up", "down"]
    assert built.calls("eth3") == ["up"]


def test_what_does_not_hang_up_is_asked_again(site: Site) -> None:
    site.cut()
    site.until_state("up")
    site.mode("stuck")
    site.mend()
    site.until_state("stopping")
    record = json.loads(site.router.state_file.read_text())
    record["dials"]["lte"]["stop_at"] -= 31
    site.mode("ok")
    site.router.write_state(json.dumps(record))
    site.until_state("idle")
    assert site.calls() == ["up", "down", "down"]


def test_what_another_hand_brought_up_is_used_and_left_alone(site: Site) -> None:
    site.router.ns.run(str(site.program), "up", "eth2")
    site.cut()
    site.until("lte online", lambda: site.router.way_out() == ["lte"])
    site.mend()
    site.until("fiber online", lambda: site.router.way_out() == ["fiber"])
    site.router.check()
    assert site.calls() == ["up"]
    assert (site.activation()["state"], site.activation()["ours"]) == ("up", False)


def test_a_word_of_the_operators(site: Site) -> None:
    site.router.mwan("dial", "lte")
    site.until_state("up")
    site.router.check()
    assert site.calls() == ["up"]
    site.router.mwan("hangup", "lte")
    site.until_state("idle")
    assert site.calls() == ["up", "down"]
    assert site.router.way_out() == ["fiber"]
    site.cut()
    site.until("lte online", lambda: site.router.way_out() == ["lte"])
    client = operators.come_by(site.lab, site.router, site.router.lines["eth2"])
    assert "goes by it; `hangup --yes`" in site.router.mwan("hangup", "lte", code=2).stderr
    assert site.calls() == ["up", "down", "up"]
    site.router.mwan("hangup", "lte", "--yes", code=None)
    client.kill()
    site.until_state("idle")
    site.router.check()
    assert site.calls() == ["up", "down", "up", "down"]
    assert "is not dialled" in site.router.mwan("dial", "fiber", code=2).stderr


def test_an_exercise_by_hand_says_each_step(site: Site) -> None:
    said = site.router.mwan("dial", "--exercise", "lte").stdout
    assert "went well" in said
    assert site.calls() == ["up", "down"]
    assert site.events() == ["dialling", "dialled", "hung-up"]
    with site.isps[1].broken("blackhole"):
        assert "failed" in site.router.mwan("dial", "--exercise", "lte", code=1).stdout
    assert site.events()[-2:] == ["exercise-failed", "hung-up"]
    site.cut()
    assert "nothing but lte" in site.router.mwan("dial", "--exercise", "lte", code=2).stderr


def test_disabling_hangs_up(site: Site) -> None:
    site.cut()
    site.until_state("up")
    site.router.mwan("disable", "lte", code=None)
    site.until_state("idle")
    assert site.calls() == ["up", "down"]


def test_an_uplink_taken_out_of_the_configuration_is_hung_up_by_what_is_remembered(site: Site) -> None:
    site.cut()
    site.until_state("up")
    text = CONFIG.format(program=site.program)
    site.router.configure(text[: text.index("[[lte]]")])
    site.router.check()
    assert site.calls() == ["up"], "it is the only way out"
    site.mend()
    site.until("hung up", lambda: site.calls() == ["up", "down"])
    site.until("forgotten", lambda: "dials" not in json.loads(site.router.state_file.read_text()))


def test_flush_leaves_the_only_way_out_and_hangs_up_beside_another(site: Site) -> None:
    site.cut()
    site.until_state("up")
    assert "lte (eth2) stays up" in site.router.mwan("flush").stderr
    assert site.calls() == ["up"]
    site.fresh(extra="ready_timeout = 20\nlinger = 600\n")
    site.cut()
    site.until_state("up")
    site.mend()
    site.until_state("lingering")
    site.router.mwan("flush")
    wait_for("hung up", lambda: site.calls() == ["up", "down"])


def test_a_reboot_while_dialling_forgets_no_failed_dial(built: Site) -> None:
    built.fresh("fail", "ready_timeout = 20\nretry_min = 1\n")
    built.cut()
    built.until("two failed dials", lambda: built.activation()["tries"] == 2)
    built.reboot()
    built.router.ns.batch("addr flush dev eth2", "link set eth2 down")
    built.mode("ok")
    built.mend()
    built.router.check()
    assert built.activation()["tries"] == 2
    assert built.activation()["state"] == "idle"


def test_twenty_triggers_at_once_are_one_dial(site: Site) -> None:
    site.cut()
    runs = [site.router.start("event", "change", "eth1") for _ in range(20)]
    for run in runs:
        run.wait(60)
    site.until("lte online", lambda: site.router.way_out() == ["lte"])
    assert site.calls() == ["up"]


def test_a_run_that_is_killed_anywhere_dials_once(built: Site) -> None:
    """Before each file of ours gets its content, and after the first: what is between storing and asking, too."""
    number, points = 0, 0
    alive = True
    while alive:
        number += 1
        for when in ("before", "after") if number == 1 else ("before",):
            built.fresh()
            built.cut()
            alive = dying.killed(built.router, number, when, "check", "--now")
            points += alive
            built.until("lte online", lambda: built.router.way_out() == ["lte"])
            assert built.calls() == ["up"], (number, when)
    assert points > 3


def test_a_dialler_in_the_background_lives_on_and_is_ended_with_its_group(built: Site) -> None:
    built.fresh("ok", QUICK)
    built.program.write_text(built.program.read_text().replace("ip link set", "sleep 777 &\n  ip link set", 1))
    try:
        built.cut()
        built.until("lte online", lambda: built.router.way_out() == ["lte"])
        assert built.router.ns.run("pgrep", "-f", "sleep 777", check=False).stdout
        built.mend()
        built.until_state("idle")
        assert not built.router.ns.run("pgrep", "-f", "sleep 777", check=False).stdout
        assert built.calls() == ["up", "down"]
    finally:
        built.program.write_text(built.program.read_text().replace("sleep 777 &\n  ", "", 1))
