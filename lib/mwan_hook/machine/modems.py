"""Which modem an interface is a port of, as ModemManager says; and having it reset."""

from __future__ import annotations

import json

from mwan_hook.machine import programs
from mwan_hook.model import MwanError

TIMEOUT = 20.0  # seconds for one question
PROGRAM = "mmcli"


def of_interface(interface: str) -> str:
    """The modem's object path; empty where none has such a port.  Raises MwanError."""
    for modem in _asked("--list-modems").get("modem-list", []):
        generic = _asked(f"--modem={modem}").get("modem", {}).get("generic", {})
        if interface in [str(port).partition(" ")[0] for port in generic.get("ports", [])]:
            return str(modem)
    return ""


def reset(modem: str) -> None:
    """Have it reset.  Raises MwanError."""
    wrong = programs.run((PROGRAM, f"--modem={modem}", "--reset"), TIMEOUT).wrong
    if wrong:
        raise MwanError(wrong)


def _asked(option: str) -> dict[str, dict[str, dict[str, list[object]]]]:
    done = programs.run((PROGRAM, option, "--output-json"), TIMEOUT)
    if done.wrong:
        raise MwanError(done.wrong)
    try:
        found = json.loads(done.output)
    except ValueError:
        raise MwanError(f"{PROGRAM} {option} did not answer with JSON") from None
    return found if isinstance(found, dict) else {}
