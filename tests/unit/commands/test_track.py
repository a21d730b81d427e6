"""``mwan-hook track`` answers what the store holds, without the store's modules, and doubts what is not renewed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mwan_hook import __main__, model
from mwan_hook.commands import track
from mwan_hook.model import Family, FamilyState, MwanError, State, Status, UplinkState
from mwan_hook.store import codec, files, state

LO = socket.if_nametoindex("lo")  # a device that is there, and up
NOWHERE = (1 << 31) - 1
LIB = Path(__file__).resolve().parents[3] / "lib"
TEMPLATE = "[uplinks]\n[[lte]]\nmatch = usb*\n"


def clock() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def online(**more: object) -> FamilyState:
    values = {"status": Status.ONLINE, "judged": True, "next_probe_at": clock() + 5, **more}
    return FamilyState(**values)  # type: ignore[arg-type]


def save(root: Path, saved_at: float | None = None, **uplinks: UplinkState) -> Path:
    named = {name.replace("_AT_", "@"): uplink for name, uplink in uplinks.items()}
    state.save(str(root), State(uplinks=named, saved_at=clock() if saved_at is None else saved_at))
    return root / files.STATE


def ask(root: Path, *words: str) -> int | None:
    return track.quick(str(root), words)


def test_it_knows_the_state_file_as_the_store_does() -> None:
    assert (track.STATE, track.BOOT_ID, track.VERSION) == (files.STATE, state.BOOT_ID, codec.VERSION)
    assert tuple(family.value for family in model.FAMILIES) == track.FAMILIES
    assert {*UplinkState._fields} >= {"interface", "index", *track.FAMILIES}
    assert {*FamilyState._fields} >= {"status", "next_probe_at", "by_facts"}
    assert {*State._fields} >= {"boot_id", "uplinks", "saved_at"}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("family", track.FAMILIES)
def test_the_verdict_of_either_family_counts(tmp_path: Path, status: Status, family: str) -> None:
    save(tmp_path, one=UplinkState("lo", LO).with_family(Family(family), online(status=status)))
    wanted = 0 if status is Status.ONLINE else 1
    other = next(one for one in track.FAMILIES if one != family)
    assert ask(tmp_path) == ask(tmp_path, "--family", family) == ask(tmp_path, "one") == wanted
    assert ask(tmp_path, "--family", other) == 1


def test_a_name_is_an_uplinks_a_templates_or_an_interfaces(tmp_path: Path) -> None:
    save(tmp_path, fiber=UplinkState("eth7", 0), lte_AT_usb0=UplinkState("usb0", LO, ipv4=online()))
    for names in (["lte"], ["usb0"], ["lte@usb0"], ["fiber", "lte"], ["eth7", "usb0"], []):
        assert ask(tmp_path, *names) == 0, names
    for names in (["fiber"], ["eth7"], ["fiber", "eth7"]):
        assert ask(tmp_path, *names) == 1, names


def test_a_name_that_nothing_knows_is_a_usage_error_even_while_another_is_online(tmp_path: Path) -> None:
    save(tmp_path, fiber=UplinkState("lo", LO, ipv4=online()))
    (tmp_path / "etc/mwan-hook").mkdir(parents=True)
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text(TEMPLATE)
    with pytest.raises(MwanError, match="no uplink is called fibre; configured are: lte") as raised:
        ask(tmp_path, "fiber", "fibre")
    assert raised.value.code == 2
    assert ask(tmp_path, "fiber", "lte") == 0
    assert ask(tmp_path, "lte") == 1, "a template that nothing is plugged in for"


def test_a_bad_configuration_gives_no_address_away(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path, fiber=UplinkState("lo", LO, ipv4=online()))
    (tmp_path / "etc/mwan-hook").mkdir(parents=True)
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text("[nonsense]\n")
    assert ask(tmp_path, "fiber", "lte") == 0
    assert "nonsense" in capsys.readouterr().err
    assert ask(tmp_path, "lte") == 1


def test_without_a_state_of_this_boot_nothing_is_online(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(tmp_path) == ask(tmp_path, "fiber") == 1
    assert "no run of mwan-hook in this boot" in capsys.readouterr().err
    path = save(tmp_path, one=UplinkState("lo", LO, ipv4=online()))
    assert ask(tmp_path) == 0
    path.write_text(path.read_text().replace(state.boot_id(), "6a9f2a4e-0000-4000-8000-000000000000"))
    assert ask(tmp_path) == 1
    assert "another boot" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"7",
        b'{"version":1',
        b'{"version":2,"boot_id":"BOOT"}',
        b'{"boot_id":"BOOT"}',
        b'{"version":1,"boot_id":"BOOT","uplinks":[]}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":7}}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":{"ipv4":[]}}}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":{"ipv4":{"status":"online","next_probe_at":"x"}}}}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":{"index":-1,"ipv4":{"status":"online","by_facts":true}}}}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":{"index":1e9,"ipv4":{"status":"online","by_facts":true}}}}',
        b'{"version":1,"boot_id":"BOOT","uplinks":{"one":{"index":99999999999,"ipv4":{"status":"online","by_facts":1}}}}',
        b'{"version":1,"boot_id":"BOOT"} {}',
        b"[" * 100000,
    ],
)
def test_a_state_file_that_cannot_be_used_is_said_and_left_alone(
    tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save(tmp_path)
    path.write_bytes(content.replace(b"BOOT", state.boot_id().encode()))
    before = path.read_bytes()
    assert ask(tmp_path) == 1
    assert f"{path} cannot be used" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_verdict_that_is_not_renewed_is_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soon, late = clock() - track.LATE + 20, clock() - track.LATE - 1
    for due, code in ((soon, 0), (late, 1)):
        save(tmp_path, saved_at=late, one=UplinkState("lo", LO, ipv4=online(next_probe_at=due)))
        assert ask(tmp_path) == code
    assert "one was online by ipv4, but was to be probed 181 s ago: does the timer run?" in capsys.readouterr().err
    for saved, code in ((soon, 0), (late, 1)):
        save(tmp_path, saved_at=saved, one=UplinkState("lo", LO, ipv4=online(next_probe_at=None)))
        assert ask(tmp_path) == code


def test_what_the_facts_alone_judge_is_never_late(tmp_path: Path) -> None:
    save(tmp_path, saved_at=1.0, one=UplinkState("lo", LO, ipv4=online(next_probe_at=None, by_facts=True)))
    assert ask(tmp_path) == 0


def test_a_device_that_is_gone_since_the_last_run_is_not_online(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path, one=UplinkState("usb0", NOWHERE, ipv4=online()))
    assert ask(tmp_path) == 1
    assert "one was online by ipv4, but its interface is gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--help"], ["-x"], ["--family"], ["--family", "ipv7"], ["--family", "ipv4", "--family", "ipv6"], ["--"]]
)
def test_unusual_words_are_for_argparse(tmp_path: Path, words: list[str]) -> None:
    assert ask(tmp_path, *words) is None


@pytest.mark.parametrize("words", [["--family=ipv4", "one"], ["one", "--family", "ipv4"], ["--", "one"]])
def test_argparse_leads_to_the_same(tmp_path: Path, words: list[str]) -> None:
    assert __main__.main(["--root", str(tmp_path), "track", *words]) == 1
    save(tmp_path, one=UplinkState("lo", LO, ipv4=online()))
    assert __main__.main(["--root", str(tmp_path), "track", *words]) == 0
    assert __main__.main(["track", "--root", str(tmp_path), *words]) == 0


def test_it_imports_no_more_than_it_needs(tmp_path: Path) -> None:
    save(tmp_path, one=UplinkState("lo", LO, ipv4=online()))
    code = (
        "import sys; from mwan_hook.__main__ import main;"
        f"print(main(['--root', {str(tmp_path)!r}, 'track', 'one']), *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        env={**os.environ, "PYTHONPATH": str(LIB)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    answer, *modules = done.stdout.split()
    assert answer == "0"
    ours = {name for name in modules if name.startswith("mwan_hook.")}
    assert ours == {"mwan_hook.__main__", "mwan_hook.commands", "mwan_hook.commands.track", "mwan_hook.plainjson"}
    assert not {"json", "re", "enum", "collections", "argparse", "socket", "typing"} & {*modules}
