"""The state file: verdicts and last results of this boot; and the allotment, which outlives it.

Reading takes no lock, because they are replaced whole.
"""

from __future__ import annotations

from mwan_hook import credible
from mwan_hook import plainos as os
from mwan_hook.model import Allotment, State
from mwan_hook.store import codec, files

BOOT_ID = "/proc/sys/kernel/random/boot_id"
BOOT_VARIABLE = "MWAN_HOOK_BOOT_ID"  # without dashes; a container's own, where its services see the host's /proc


def boot_id() -> str:
    """The name of this boot, of systemd in our units, else of the kernel.  Raises MwanError."""
    told = os.variable(BOOT_VARIABLE)
    if len(told) == 32:
        return "-".join((told[:8], told[8:12], told[12:16], told[16:20], told[20:]))
    return (files.read(BOOT_ID) or b"").decode("ascii", "replace").strip()


def load(root: str, writes: bool, boot: str | None = None) -> tuple[State, tuple[str, ...]]:
    """The state of this boot and messages; ``State()``, whose boot_id is empty, if there is none to be had.

    A file of another boot says nothing of this kernel and counts as none; one that cannot be used is set
    aside by a caller that ``writes``.  ``boot``: this boot's id, where it is known.  Raises MwanError.
    """
    state, messages = codec.load_always(files.under(root, files.STATE), "State", State(), credible.state, writes)
    if state.boot_id != (boot_id() if boot is None else boot):
        return State(), messages
    return state, messages


def save(root: str, state: State) -> None:
    """Replace the state file.  The caller holds the state lock.  Raises MwanError; the old file is whole then."""
    whole = state if state.boot_id else state._replace(boot_id=boot_id())
    files.replace(files.under(root, files.STATE), codec.encode(whole), durable=False)


def stamp(root: str) -> tuple[int, int]:
    """Changes whenever the state was saved; (0, 0) if there is none."""
    try:
        status = os.stat(files.under(root, files.STATE))
    except OSError:
        return (0, 0)
    return (status.st_ino, status.st_mtime_ns)


def load_allotment(root: str, writes: bool) -> tuple[Allotment, tuple[str, ...]]:
    """Tables and marks given to uplinks, what was switched by hand, and messages.

    A caller that ``writes`` sets an unusable file aside.  Raises MwanError if it cannot be read.
    """
    return codec.load_always(files.under(root, files.ALLOTMENT), "Allotment", Allotment(), credible.allotment, writes)


def save_allotment(root: str, allotment: Allotment) -> None:
    """Write it if it says anything new.  The caller holds the state lock.  Raises MwanError."""
    files.keep(files.under(root, files.ALLOTMENT), codec.encode(allotment), durable=True)
