"""What outlives a boot: tables and marks given to uplinks, and uplinks that were switched by hand."""

from __future__ import annotations

from mwan_hook import credible
from mwan_hook.model import Allotment
from mwan_hook.store import codec, files


def load(root: str, writes: bool) -> tuple[Allotment, tuple[str, ...]]:
    """The allotment and messages; a caller that ``writes`` sets an unusable file aside.

    Raises MwanError if it cannot be read.
    """
    return codec.load_always(files.under(root, files.ALLOTMENT), "Allotment", Allotment(), credible.allotment, writes)


def save(root: str, allotment: Allotment) -> None:
    """Write it if it says anything new.  The caller holds the state lock.  Raises MwanError."""
    files.keep(files.under(root, files.ALLOTMENT), codec.encode(allotment), durable=True)
