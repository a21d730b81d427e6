"""`install.sh demo`: it tells its story and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import wait_for
from tests.lab.router import PROJECT

INSTALL = str(PROJECT / "install.sh")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with a place of its own for the records of labs, so that `clean` meets only this test's."""
    environment = {**os.environ, "MWAN_LAB_STATE": str(tmp_path / "labs")}
    yield environment
    subprocess.run([INSTALL, "demo", "clean"], env=environment, check=True, timeout=60)


def namespaces(environment: dict[str, str]) -> list[str]:
    tags = [path.name for path in Path(environment["MWAN_LAB_STATE"]).glob("mwl*")]
    return [p.name for p in Path("/run/netns").glob("mwl*") if p.name.partition("-")[0] in tags]


def demo(environment: dict[str, str], *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [INSTALL, "demo", *words], env=environment, input=text, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_demonstration_tells_its_story_in_a_minute_and_cleans_up(state: dict[str, str]) -> None:
    begun = time.monotonic()
    done = demo(state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begun < 60
    for words in ("Sharing", "black hole", "unplugged", "Held: full, yet offline", "plugged in again", "4 (full)"):
        assert words in done.stdout
    assert "nexthop via" in done.stdout
    assert namespaces(state) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_demonstration_that_is_interrupted_cleans_up(state: dict[str, str], number: int) -> None:
    process = subprocess.Popen(
        [INSTALL, "demo"], env=state, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    wait_for("the router", lambda: [name for name in namespaces(state) if name.endswith("-router")], 30)
    time.sleep(2)
    os.killpg(process.pid, number)  # as a terminal does
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert namespaces(state) == []
    assert list(Path(state["MWAN_LAB_STATE"]).glob("*")) == []


def test_a_kept_demonstration_can_be_played_with_and_cleaned(state: dict[str, str]) -> None:
    assert demo(state, "--keep").returncode == 0
    assert len(namespaces(state)) == 5
    played = demo(
        {**state, "SHELL": "/bin/sh"},
        "shell",
        text="mwan-hook status\nunplug enp0s20u1\nplug enp0s20u1\nisp fiber blackhole\n"
        "client ping -c1 -W1 192.168.2.1\n"
        "mwan-hook check --now >/dev/null\nmwan-hook status -H\n",
    )
    assert played.returncode == 0, played.stderr
    after = played.stdout.splitlines()[-3:]
    assert [line.split()[0] for line in after] == ["fiber", "cable", "lte@enp0s20u1"]
    assert after[0].split()[2:4] == ["3", "(limited)"]
    assert " 0% packet loss" in played.stdout
    assert len(namespaces(state)) == 5
    assert demo(state, "clean").returncode == 0
    assert namespaces(state) == []


def test_without_root_or_with_other_words_it_says_what_it_needs() -> None:
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    for prefix, words, code in ((nobody, ["demo"], 1), ([], ["instal"], 2), ([], ["demo", "x"], 2)):
        done = subprocess.run([*prefix, INSTALL, *words], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == code
        assert "root" in done.stderr
