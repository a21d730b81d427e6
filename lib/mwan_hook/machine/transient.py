"""A program in a transient unit of systemd's, which outlives the run that has asked for it."""

from __future__ import annotations

import os

from mwan_hook.light import NamedTuple
from mwan_hook.machine import programs
from mwan_hook.model import MwanError
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TIMEOUT = 15.0  # seconds that systemctl(1) and its like get
STOP_TIMEOUT = 30  # seconds of a program that hangs up
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_.-")
_KILLED = 128  # and the signal, as in a shell


class Shown(NamedTuple):
    """What systemd says of a unit."""

    invocation: str = ""
    description: str = ""
    failed: bool = False
    code: int | None = None  # exit status of its main process; None: none has ended


def call(*argv: str) -> programs.Ran:
    """Run a program that answers at once."""
    return programs.run(argv, TIMEOUT)


def show(name: str) -> Shown:
    """Ask systemd about a unit."""
    wanted = "InvocationID,Description,ActiveState,ExecMainStatus,ExecMainCode"
    listing = call("systemctl", "show", f"--property={wanted}", "--", name).output
    found = dict(line.partition("=")[::2] for line in listing.splitlines())
    status, how = (found.get(key, "") for key in ("ExecMainStatus", "ExecMainCode"))
    number = int(status) if status.isdigit() else 0
    return Shown(
        found.get("InvocationID", ""),
        found.get("Description", ""),
        found.get("ActiveState") == "failed",
        None if how in ("", "0") else number if how == "1" else _KILLED + number,
    )


def invocation(root: str, name: str) -> str:
    """A unit's invocation as long as it is activating or active; no process is needed to see that."""
    try:
        return os.readlink(files.under(root, f"run/systemd/units/invocation:{name}"))
    except OSError:
        return ""


def unit(job: str) -> str:
    """The unit of a job."""
    escaped = "".join(c if c in _PLAIN else "".join(f"\\x{byte:02x}" for byte in c.encode()) for c in job)
    return f"mwan-hook-{escaped}.service"


def start(job: str, argv: Sequence[str], variables: Mapping[str, str], key: str, stops: bool) -> None:
    """Start it, unless this request was served before.  Raises MwanError.

    What dials may leave processes behind: they are of its unit until that is stopped.  What hangs up ends.
    """
    name = unit(job)
    words = f"mwan-hook {job} ({key})"
    if show(name).description == words:
        return
    call("systemctl", "reset-failed", "--", name)
    kind = ("Type=oneshot", f"TimeoutStartSec={STOP_TIMEOUT}") if stops else ("Type=exec", "RemainAfterExit=yes")
    properties = [f"--property={one}" for one in (*kind, "TimeoutStopSec=10")]
    given = [f"--setenv={name}={value}" for name, value in variables.items()]
    run = ("systemd-run", "--quiet", "--no-block", f"--unit={name}", f"--description={words}")
    done = call(*run, *properties, *given, "--", *argv)
    if done.code:
        raise MwanError(f"cannot start {argv[0]}: {done.said}")


def ended(job: str, key: str) -> int | None:
    """The exit status of what was started for this request; None where that is not known."""
    found = show(unit(job))
    return found.code if found.description == f"mwan-hook {job} ({key})" else None


def end(job: str) -> None:
    """End it and all that it has started."""
    call("systemctl", "stop", "--no-block", "--", unit(job))
