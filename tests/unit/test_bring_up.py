"""hooks/bring-up: what is plugged in comes up where our .network file has it, and only there."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

HOOK = Path(__file__).resolve().parents[2] / "hooks/bring-up"
OURS = "NETWORK_FILE=/usr/lib/systemd/network/89-mwan-hook-usb.network\n"
DROP_IN = "{}/systemd/network/89-mwan-hook-usb.network.d/mine.conf"
POLICY = "[Link]\nActivationPolicy = down\n"


def put(root: Path, path: str, text: str, mode: int = 0o644) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    file.chmod(mode)


@pytest.mark.parametrize(
    ("link", "drop_in", "text", "asked"),
    [
        (f"ADMIN_STATE=configuring\n{OURS}", "", "", "up 7\n"),
        (OURS, DROP_IN.format("etc"), "[Match]\nDriver=qmi_wwan\n#ActivationPolicy=down\n", "up 7\n"),
        (OURS, DROP_IN.format("etc"), POLICY, ""),
        (OURS, DROP_IN.format("usr/lib"), POLICY, ""),
        ("NETWORK_FILE=/etc/systemd/network/20-own.network\n", "", "", ""),
        (None, "", "", ""),  # no networkd
    ],
)
def test_a_link_comes_up_where_networkd_took_our_file(
    tmp_path: Path, link: str | None, drop_in: str, text: str, asked: str
) -> None:
    if link is not None:
        put(tmp_path, "run/systemd/netif/links/7", link)
    if drop_in:
        put(tmp_path, drop_in, text)
    put(tmp_path, "bin/networkctl", '#!/bin/sh\necho "$*" >>"$MWAN_HOOK_ROOT/asked"\n', 0o755)
    environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "MWAN_HOOK_ROOT": str(tmp_path)}
    subprocess.run([str(HOOK), "7"], env=environment, check=True, timeout=30)
    told = tmp_path / "asked"
    assert (told.read_text() if told.exists() else "") == asked
