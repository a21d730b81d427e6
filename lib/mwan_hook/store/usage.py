"""What uplinks with a quota have carried, over boots.  The running figure is in the state; a boot starts from here.

Every record counts by itself, with the reading that it goes on from: from either of the two files that a run finds, and
however old it is within a boot, it comes to the same figure.
"""

from __future__ import annotations

from mwan_hook import credible
from mwan_hook.model import Usages
from mwan_hook.quota import usage as quota
from mwan_hook.store import codec, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from mwan_hook.model import Usage

MOST = 100  # uplinks; sticks that come under ever new names must not fill the disk


def load(root: str, writes: bool) -> tuple[Usages, tuple[str, ...]]:
    """The records and messages; a caller that ``writes`` sets an unusable file aside.  Raises MwanError."""
    return codec.load_always(files.under(root, files.USAGE), "Usages", Usages(), credible.usages, writes)


def keep(root: str, usage: Mapping[str, Usage], quotas: Mapping[str, int], now: bool) -> tuple[str, ...]:
    """Write it if it has moved enough, or ``now`` if it has moved at all; messages.

    The disk may be flash, so it does not have every run's figure.  The caller holds the state lock.  Raises MwanError.
    """
    kept, messages = load(root, writes=True)
    moved = [
        name
        for name, new in usage.items()
        if quota.overdue(kept.uplinks.get(name), new, quotas.get(name, 0)) or (now and kept.uplinks[name] != new)
    ]
    if moved:
        _save(root, {**kept.uplinks, **usage}, usage)
    return messages


def _save(root: str, records: Mapping[str, Usage], mine: Mapping[str, Usage]) -> None:
    """Write both files; of uplinks that are not there now those of the latest periods stay."""
    others = sorted((name for name in records if name not in mine), key=lambda name: records[name].period)
    dropped = set(others[: max(0, len(records) - MOST)])
    stored = Usages({name: one for name, one in records.items() if name not in dropped})
    files.replace(files.under(root, files.USAGE), codec.encode(stored), durable=True)
