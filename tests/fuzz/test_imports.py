"""Configurations of other programs, bent: taken or refused, and what comes out is a configuration."""

from __future__ import annotations

import pytest

from mwan_hook.imports.kinds import KINDS
from tests.fuzz.rules import Command, bent, chances, command, modest, put
from tests.unit.imports import bsd, test_connectivity, test_dynmhs, test_mwan3, test_netplan, test_vyos

__all__ = ["command"]  # a fixture

GOOD = {
    "dynmhs": (test_dynmhs.SHIPPED,),
    "mwan3": (test_mwan3.HEAD + test_mwan3.ALL.format("both"), test_mwan3.BOTH),
    "networkd-connectivity": (test_connectivity.WHOLE,),
    "netplan": (test_netplan.CLOUD_INIT, test_netplan.SERVER, test_netplan.TWO_LINES),
    "opnsense": (bsd.OPN_MODEL, bsd.OPN_LEGACY),
    "pfsense": (bsd.PF,),
    "vyos": (test_vyos.BOOT, test_vyos.COMMANDS, test_vyos.ROUTES),
}


def test_every_kind_is_bent() -> None:
    assert GOOD.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_import_prints_is_a_configuration(kind: str, command: Command) -> None:
    good = [text.encode() for text in GOOD[kind]]
    file, made = command.root / "given", command.root / "etc/mwan-hook/mwan-hook.conf"
    with modest():
        for chance in chances(f"import {kind}", 20):
            put(file, bent(chance, *good))
            if text := command("import", kind, str(file), codes=(0, 2, 3)):
                put(made, text.encode())
                command("config", "--check", codes=(0,))
