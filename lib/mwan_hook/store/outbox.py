"""The last steps of a transition out of the state: into the spools of notices, each under its own id.

Notices are stored in the state at one stroke with what they tell of.  Then they are put into the spool, and only then
taken out of the state: a run that is killed in between leaves them to the next one, which may put them there again
under the same name.  Who takes them out of a spool knows which it had.  ``place`` is one of the two spools.
"""

from __future__ import annotations

from mwan_hook import credible
from mwan_hook import plainos as os
from mwan_hook.model import MwanError, Notice, Notified
from mwan_hook.store import codec, files, spool
from mwan_hook.store.state import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST = 4096  # in the spool: where none is taken out, the oldest go


def hand_over(root: str, notices: Sequence[Notice]) -> int:
    """Spool them; how many old ones had to make room.  The caller holds the state lock.  Raises MwanError."""
    directory = files.under(root, files.NOTIFY)
    for one in notices:
        spool.add(directory, codec.plain(one), one.id)
    return _bounded(directory)


def pass_on(root: str, notice: Notice) -> None:
    """Move a notice from the first spool into the second.  Raises MwanError."""
    directory = files.under(root, files.HOOKS)
    files.make_directory(directory)
    try:
        os.rename(f"{files.under(root, files.NOTIFY)}/{notice.id}", f"{directory}/{notice.id}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise MwanError(f"cannot move {notice.id} into {directory}: {files.why(error)}") from error
    _bounded(directory)


def _bounded(directory: str) -> int:
    """Drop the oldest of too many; how many."""
    waiting = sorted(name for name in os.listdir(directory) if not name.startswith("."))
    old = waiting[: max(0, len(waiting) - MOST)]
    for name in old:
        spool.drop(directory, name)
    return len(old)


def waiting(root: str, place: str) -> tuple[tuple[Notice, ...], tuple[str, ...]]:
    """The spooled notices, the oldest first, left where they are, and messages.  Raises MwanError."""
    directory = files.under(root, place)
    entries, messages = spool.entries_of(directory)
    found: list[Notice] = []
    strange: list[str] = []
    for entry in entries:
        try:
            found.append(_notice(entry))
        except (ValueError, RecursionError) as error:
            strange.append(_dropped(directory, entry.name, str(error)))
    return tuple(found), (*messages, *strange)


def _notice(entry: spool.SpoolFile) -> Notice:
    notice: Notice = codec.decoder("Notice")(entry.content)._replace(id=entry.name)
    if doubt := credible.event(notice.event):
        raise ValueError(doubt)
    return notice


def _dropped(directory: str, name: str, why: str) -> str:
    words = f"{directory}/{name} is no notice ({why})"
    try:
        spool.drop(directory, name)
    except MwanError as error:
        return f"{words}, and stays: {error}"
    return f"{words}; removed"


def names(root: str, place: str) -> frozenset[str]:
    """All that lies in a spool."""
    try:
        return frozenset(name for name in os.listdir(files.under(root, place)) if not name.startswith("."))
    except OSError:
        return frozenset()


def drop(root: str, place: str, notice: Notice) -> None:
    """Remove a delivered notice.  Raises MwanError."""
    spool.drop(files.under(root, place), notice.id)


def notified(root: str) -> tuple[Notified, tuple[str, ...]]:
    """What was told in this boot, and messages: ids of another one mean nothing.  Raises MwanError."""
    fresh = Notified(boot_id())
    found, messages = codec.load(files.under(root, files.NOTIFIED), "Notified", fresh, None, writes=True)
    return (found if found.boot_id == fresh.boot_id else fresh), messages


def note(root: str, told: Notified) -> None:
    """Remember that, so that no hook hears a notice twice.  The caller holds the notifier's lock.  Raises MwanError."""
    files.replace(files.under(root, files.NOTIFIED), codec.encode(told), durable=False)
