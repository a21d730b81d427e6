"""The hook 50-resolved with programs that stand for the bus: one that is slow or fails must not lose its notice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).parents[2] / "hooks/online.d/50-resolved"


def run(
    tmp_path: Path, busctl: str, taken: bool, resolvectl: str = "exit 0", interface: str = "gone0"
) -> subprocess.CompletedProcess[str]:
    """The hook of ``flushed``; resolvectl and timeout say what they are asked."""
    programs = {"busctl": busctl, "resolvectl": resolvectl, "timeout": 'shift; exec "$@"'}
    (tmp_path / "bin").mkdir(exist_ok=True)
    for name, text in programs.items():
        file = tmp_path / "bin" / name
        file.write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/called\n{text}\n')
        file.chmod(0o755)
    kept = tmp_path / "run/mwan-hook-root/resolved"
    kept.mkdir(parents=True, exist_ok=True)
    (tmp_path / "run/mwan-hook").mkdir(exist_ok=True)
    if taken:
        (kept / interface).touch()
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "MWAN_HOOK_ROOT": str(tmp_path)}
    return subprocess.run([HOOK], env=environment, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("taken", [True, False])
def test_a_bus_that_never_answers_is_a_failure(tmp_path: Path, taken: bool) -> None:
    done = run(tmp_path, "exit 124", taken)
    assert done.returncode == 1
    assert "no answer of D-Bus" in done.stdout
    assert (tmp_path / "run/mwan-hook-root/resolved/gone0").exists() == taken  # to be given back yet
    assert (tmp_path / "run/mwan-hook/again").exists()


def test_a_link_that_the_services_have_put_there_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "run/mwan-hook").mkdir(parents=True)
    (tmp_path / "run/mwan-hook/again").symlink_to(tmp_path / "nologin")
    assert run(tmp_path, "exit 124", taken=False).returncode == 1
    assert not (tmp_path / "nologin").exists()


def test_a_bus_that_answers_late_is_asked_again(tmp_path: Path) -> None:
    late = f"[ $(grep -c '^busctl' {tmp_path}/called) -ge 2 ] || exit 124; echo 'b true'"
    assert run(tmp_path, late, taken=True).returncode == 0
    assert not (tmp_path / "run/mwan-hook-root/resolved/gone0").exists()


@pytest.mark.parametrize(("busctl", "taken"), [("echo 'b false'", True), ("exit 1", False)])
def test_without_resolved_or_without_a_bus_there_is_nothing_to_do(tmp_path: Path, busctl: str, taken: bool) -> None:
    assert run(tmp_path, busctl, taken).returncode == 0


@pytest.mark.parametrize(("resolvectl", "code"), [("kill -9 $PPID", -9), ("exit 1", 1)])
def test_what_was_not_given_back_is_on_record_for_the_next_time(tmp_path: Path, resolvectl: str, code: int) -> None:
    taken = tmp_path / "run/mwan-hook-root/resolved/lo"
    assert run(tmp_path, "echo 'b true'", True, resolvectl, "lo").returncode == code
    assert taken.exists()
    assert run(tmp_path, "echo 'b true'", False).returncode == 0
    assert not taken.exists()
    assert "resolvectl -- default-route lo yes" in (tmp_path / "called").read_text()
