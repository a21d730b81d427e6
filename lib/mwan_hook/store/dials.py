"""What outlives a boot of dialled uplinks: failed dials, and when they were exercised last."""

from __future__ import annotations

from mwan_hook.model import Activation, Dials
from mwan_hook.store import codec, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def load(root: str, writes: bool) -> tuple[dict[str, Activation], tuple[str, ...]]:
    """Records as a boot finds them, and messages.  Raises MwanError."""
    kept, messages = codec.load_always(files.under(root, files.DIALLED), "Dials", Dials(), None, writes)
    names = {*kept.tries, *kept.exercised_at}
    found = {
        name: Activation(tries=kept.tries.get(name, 0), exercised_at=kept.exercised_at.get(name, 0.0)) for name in names
    }
    return found, messages


def keep(root: str, before: Mapping[str, Activation], after: Mapping[str, Activation]) -> None:
    """Write it if it has changed.  The caller holds the state lock.  Raises MwanError."""
    if _lasting(before) != _lasting(after):
        files.replace(files.under(root, files.DIALLED), codec.encode(_lasting(after)), durable=True)


def _lasting(records: Mapping[str, Activation]) -> Dials:
    return Dials(
        {name: one.tries for name, one in records.items() if one.tries},
        {name: one.exercised_at for name, one in records.items() if one.exercised_at},
    )
