"""Whether systemd-networkd would take nexthop objects out: what `nexthops = auto` goes by."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook.run import sharing

NO, YES = "[Network]\nManageForeignNextHops=no\n", "[Network]\nManageForeignNextHops=yes\n"
RUNS = "run/systemd/netif/state"
ENABLED = "etc/systemd/system/multi-user.target.wants/systemd-networkd.service"
DROP_INS = "systemd/networkd.conf.d"


@pytest.mark.parametrize(
    ("version", "files", "spared"),
    [
        (252, {}, True),  # neither runs nor is enabled
        (252, {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, False),  # knows no such setting
        (256, {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, True),
        (257, {ENABLED: "", "usr/lib/systemd/networkd.conf": NO}, True),
        (257, {RUNS: ""}, False),
        (257, {ENABLED: "", f"etc/{DROP_INS}/60.conf": YES}, False),
        (257, {RUNS: "", f"usr/lib/{DROP_INS}/50.conf": NO, f"etc/{DROP_INS}/50.conf": "#"}, False),
        (257, {RUNS: "", f"usr/lib/{DROP_INS}/50.conf": NO, f"etc/{DROP_INS}/90.conf": YES}, False),
        (257, {RUNS: "", f"run/{DROP_INS}/90.conf": NO, "etc/systemd/networkd.conf": YES}, True),
        (257, {RUNS: "", "etc/systemd/networkd.conf": "[DHCPv4]\nManageForeignNextHops=no\n"}, False),
        (0, {RUNS: "", f"etc/{DROP_INS}/60.conf": NO}, False),  # the version is not known
    ],
)
def test_objects_are_safe_where_networkd_is_not_or_is_told_to_spare_them(
    tmp_path: Path, version: int, files: dict[str, str], spared: bool
) -> None:
    unit = {"usr/lib/systemd/system/systemd-networkd.service": "[Service]\n"}
    libraries = {f"usr/lib/systemd/libsystemd-shared-{version}.so": ""} if version else {}
    for name, text in {**unit, **files, **libraries}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert sharing.spared(str(tmp_path)) is spared


def test_a_setting_that_came_after_networkds_start_is_not_in_force_yet(tmp_path: Path) -> None:
    unit = tmp_path / "run/systemd/units/invocation:systemd-networkd.service"
    for path in (unit.parent, tmp_path / f"etc/{DROP_INS}", tmp_path / "usr/lib/systemd"):
        path.mkdir(parents=True)
    (tmp_path / "usr/lib/systemd/libsystemd-shared-257.so").touch()
    unit.symlink_to("0123")
    (tmp_path / f"etc/{DROP_INS}/60.conf").write_text(NO)
    assert not sharing.spared(str(tmp_path))
    unit.unlink()
    unit.symlink_to("4567")
    assert sharing.spared(str(tmp_path))
