"""`install.sh demo`: it tells its story and leaves nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import wait_for
from tests.lab.demo import remains
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
        [INSTALL, "demo", *words], env=environment, input=text, capture_output=True, text=True, timeout=300, check=False
    )


IN_BACKGROUND = ("sh", "-c", 'trap "" INT; exec "$@"', "sh")  # as a shell without job control starts its jobs


@pytest.mark.parametrize(
    ("number", "starter"), [(signal.SIGINT, ()), (signal.SIGINT, IN_BACKGROUND), (signal.SIGTERM, ())]
)
def test_a_demonstration_that_is_interrupted_cleans_up(
    state: dict[str, str], number: int, starter: tuple[str, ...]
) -> None:
    process = subprocess.Popen(
        [*starter, INSTALL, "demo"], env=state, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    )
    wait_for("the router", lambda: [name for name in namespaces(state) if name.endswith("-router")], 60)
    time.sleep(2)
    os.killpg(process.pid, number)  # as a terminal does
    process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert namespaces(state) == []
    assert list(Path(state["MWAN_LAB_STATE"]).glob("*")) == []


def test_what_a_test_starts_ends_by_sigint_although_the_runner_ignores_it(tmp_path: Path) -> None:
    child = "import subprocess; print(subprocess.run(['sh', '-c', 'kill -INT $$; echo lives']).returncode)"
    test = f"import subprocess, sys\ndef test_it() -> None:\n    subprocess.run([sys.executable, '-c', {child!r}])\n"
    (tmp_path / "test_one.py").write_text(test)
    words = [sys.executable, "-m", "pytest", "-qs", "-p", "tests.conftest", "-p", "no:cacheprovider", "--rootdir"]
    environment = {**os.environ, "PYTHONPATH": f"{PROJECT}:{PROJECT}/lib"}
    done = subprocess.run(
        [*IN_BACKGROUND, *words, str(tmp_path), str(tmp_path)],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert f"{-signal.SIGINT}" in done.stdout and "lives" not in done.stdout, done.stdout


def test_a_failure_says_what_can_be_done_and_what_is_left(state: dict[str, str], tmp_path: Path) -> None:
    for name in ("nft", "ip"):
        (tmp_path / name).write_text("#!/bin/sh\necho 'Operation not permitted' >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    done = demo({**state, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 1
    for words in ("Operation not permitted", "Try again: ./install.sh demo", "--privileged", "compiled modules"):
        assert words in done.stderr
    assert "not touched; " in done.stderr and "Traceback" not in done.stderr


def test_what_apt_has_installed_is_named_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "stay" not in remains()
    monkeypatch.setenv("MWAN_DEMO_INSTALLED", "nftables iproute2")
    assert "the Debian packages nftables, iproute2 stay installed" in remains()


def test_the_demonstration_tells_its_story_can_be_played_with_and_is_cleaned(state: dict[str, str]) -> None:
    begun = time.monotonic()
    done = demo(state, "--keep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - begun < 90  # a minute where the machine has nothing else to do
    told = ("Sharing", "black hole", "unplugged", "Held: full, yet offline", "plugged in again", "* 67 %")
    for words in (*told, "lte was dialled", "so it is hung up", "nexthop via"):
        assert words in done.stdout
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
    assert after[0].split()[2] in ("offline", "online"), "it fell, or waits for a second opinion"
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
