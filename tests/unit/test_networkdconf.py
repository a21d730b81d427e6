"""Whether systemd-networkd would take nexthop objects out: its files, and systemd's version."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mwan_hook.system import networkdconf

NO, YES = "[Network]\nManageForeignNextHops=no\n", "[Network]\nManageForeignNextHops=yes\n"
RUNS = "run/systemd/netif/state"
ENABLED = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
DROP_INS = "systemd/networkd.conf.d"


def machine(root: Path, monkeypatch: pytest.MonkeyPatch, version: str, files: dict[str, str]) -> str:
    """A root directory with these files, and a systemctl that tells this version."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "bin").mkdir()
    if version:
        (root / "bin/systemctl").write_text(f"#!/bin/sh\necho 'systemd {version}'\necho '+PAM'\n")
        (root / "bin/systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{root}/bin:/bin" if version else f"{root}/bin")
    return str(root)


@pytest.mark.parametrize(
    ("version", "files", "spares"),
    [
        ("252 (252.39-1~deb12u2)", {}, True),  # neither runs nor is enabled
        ("252 (252.39-1~deb12u2)", {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, False),  # knows no such setting
        ("256 (256.4-1)", {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, True),
        ("257~rc1 (257~rc1-3)", {ENABLED: "", "usr/lib/systemd/networkd.conf": NO}, True),
        ("257 (257.5-2)", {RUNS: ""}, False),
        ("257 (257.5-2)", {ENABLED: "", f"etc/{DROP_INS}/60.conf": YES}, False),
        ("257 (257.5-2)", {RUNS: "", f"usr/lib/{DROP_INS}/50.conf": NO, f"etc/{DROP_INS}/50.conf": ""}, False),
        ("257 (257.5-2)", {RUNS: "", f"usr/lib/{DROP_INS}/50.conf": NO, f"etc/{DROP_INS}/90.conf": YES}, False),
        ("257 (257.5-2)", {RUNS: "", f"run/{DROP_INS}/90.conf": NO, "etc/systemd/networkd.conf": YES}, True),
        ("257 (257.5-2)", {RUNS: "", "etc/systemd/networkd.conf": "[DHCPv4]\nManageForeignNextHops=no\n"}, False),
        ("", {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, False),  # nobody to ask
        ("newer than all", {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, False),
    ],
)
def test_objects_are_safe_where_networkd_is_not_or_is_told_to_spare_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, files: dict[str, str], spares: bool
) -> None:
    assert networkdconf.spares_nexthops(machine(tmp_path, monkeypatch, version, files)) is spares


def test_a_link_that_enables_networkd_counts_although_it_leads_nowhere_below_the_root(tmp_path: Path) -> None:
    unit = tmp_path / ENABLED
    unit.parent.mkdir(parents=True)
    os.symlink("/usr/lib/systemd/system/no-such.service", unit)
    assert not networkdconf.spares_nexthops(str(tmp_path))
