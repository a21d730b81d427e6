"""The operator's programs: executables in ``<event>.d`` directories, one after the other, each with a time limit.

/etc's come before /usr/lib's of the same name, and mask them.  Only what root owns, and only root can write, is run.
"""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.light import NamedTuple
from mwan_hook.say import complain, say, shown
from mwan_hook.store import files, wake

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice
    from mwan_hook.notify import process

DEFAULT_ROUTE = "default-route"
REPAIR = "repair"  # how the events of a step, and the directory of its programs, begin
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OTHERS = 0o022
_STICKY, _ADDED_TO = 0o1022, 0o1020  # of Nix's store, where a group may add files, and replace none
_LEFTOVERS = ("~", ".bak", ".orig", ".rej", ".swp", ".rpmsave", ".rpmnew", ".rpmorig")  # of editors and packagers


class Hook(NamedTuple):
    """One program."""

    name: str
    path: str
    event: str

    @property
    def shown(self) -> str:
        """What the journal calls it."""
        return f"{self.event}.d/{self.name}"


def deliver(root: str, loaded: Loaded, notices: Sequence[Notice]) -> bool:
    """Run the hooks of each notice that has not had them; False if one failed.  Raises MwanError.

    What is told is on record before the next one is told.
    """
    told = [_told(root, loaded.config.hooks.timeout, notice) for notice in notices]
    return all(told)


def _told(root: str, timeout: float, notice: Notice) -> bool:
    """Run the hooks of an event but those that had it; False if one failed."""
    from mwan_hook.store import outbox

    record, messages = outbox.notified(root)
    complain(messages)
    if notice.id <= record.last:
        return True
    had = record.done if record.begun == notice.id else ()
    outbox.note(root, record := record._replace(begun=notice.id, done=had))
    good = True
    for name, fine in _ran(root, timeout, notice, had):
        good &= fine
        outbox.note(root, record := record._replace(done=(*record.done, name)))
    outbox.note(root, record._replace(last=notice.id, begun="", done=()))
    return good


def run_each(root: str, timeout: float, notice: Notice) -> bool:
    """Run the programs of an event that is no notice in a spool; False if one failed.  Raises MwanError."""
    good = [fine for _, fine in _ran(root, timeout, notice, had=())]
    return all(good)


def _ran(root: str, timeout: float, notice: Notice, had: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Run the programs of an event but those that ``had`` it; the name of each, and whether nothing was wrong.

    Their orphans are ours meanwhile; what a sendmail leaves behind later is not.
    """
    import json

    from mwan_hook.notify import process

    given = json.dumps(as_json(notice)).encode() + b"\n"
    variables = environment(root, notice)
    process.adopt(True)
    try:
        for hook in found(root, notice.event):
            if hook.name not in had:
                yield hook.name, _run(hook, timeout, variables, given)
    finally:
        process.adopt(False)


def _run(hook: Hook, timeout: float, variables: dict[str, str], given: bytes) -> bool:
    from mwan_hook.notify import process

    try:
        outcome = process.run(
            hook.path, variables, given, timeout, lambda line: say((f"{hook.shown}: {line}",), at_once=True)
        )
    except OSError as error:
        complain((f"{hook.shown} cannot be run: {error.strerror}",))
        return False
    words = _words(outcome, timeout)
    if words:
        complain((f"{hook.shown} {words}",))
    return not words


def _words(outcome: process.Exit, timeout: float) -> str:
    """What was wrong; empty if nothing was."""
    if outcome.killed:
        others = f" with {outcome.killed - 1} more that it had started" if outcome.killed > 1 else ""
        left = f"; {outcome.survivors} cannot be killed" if outcome.survivors else ""
        return f"was killed after {timeout:g} s{others}{left}"
    if outcome.status < 0:
        return f"died of signal {-outcome.status}"
    return f"failed with exit code {outcome.status}" if outcome.status else ""


def found(root: str, event: str) -> Iterator[Hook]:
    """The hooks of an event in lexical order of their names; what may not be run is said and left out."""
    chosen: dict[str, str] = {}
    places = wake.hook_places(root)
    for place in places:
        directory = f"{place}/{event}.d"
        names = _names(directory)
        if names and (who := _open_to_others(directory, os.path.dirname(directory))):
            complain((f"{directory}: its hooks are not run: {who}",))
            names = [] if place != places[0] else names
            chosen.update((name, "") for name in names if name not in chosen)
        else:
            chosen.update((name, f"{directory}/{name}") for name in names if name not in chosen)
    for name in sorted(chosen):
        path = chosen[name]
        if path and _executable(path):
            target = os.path.realpath(path)
            if who := _open_to_others(target, os.path.dirname(target)):
                complain((f"{path} is not run: {who}",))
            else:
                yield Hook(name, path, event)


def _names(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        complain((f"cannot read {directory}: {files.why(error)}",))
        return []
    return [name for name in names if not (name[0] == "." or name.endswith(_LEFTOVERS) or ".dpkg-" in name)]


def _executable(path: str) -> bool:
    """False for what masks: an empty file, or a link to /dev/null; for a README, and for a link to nowhere."""
    try:
        there = os.stat(path)
    except OSError:
        return False
    return os.S_ISREG(there.st_mode) and bool(there.st_mode & 0o111) and there.st_size > 0


def _open_to_others(*paths: str) -> str:
    """Why other users than root could put something there; empty if none could.

    The last one holds the file: what is root's there stays so where others may only add files (Nix's store).
    """
    for path in paths:
        try:
            there = os.stat(path)
        except OSError as error:
            return f"{path}: {error.strerror}"
        if there.st_uid != 0:
            return f"{path} belongs to user {there.st_uid}, not to root"
        adding = path == paths[-1] and os.S_ISDIR(there.st_mode) and there.st_mode & _STICKY == _ADDED_TO
        if there.st_mode & OTHERS and not adding:
            return f"others than root may write {path}"
    return ""


def environment(root: str, notice: Notice) -> dict[str, str]:
    """What a hook finds in its environment; empty where there is none.

    Names are what the kernel calls things; the reason is words, of servers too, for people.
    """
    states = notice.event != DEFAULT_ROUTE
    given = {
        "IFACE": notice.interface,
        "STATE": notice.event if states else "",
        "OLD_STATE": notice.old if states else "",
        "UPLINK": notice.uplink,
        "FAMILY": notice.family.value if notice.family else "",
        "IPV4_ADDR": notice.ipv4.address,
        "IPV4_GATEWAY": notice.ipv4.gateway,
        "IPV6_ADDR": notice.ipv6.address,
        "IPV6_GATEWAY": notice.ipv6.gateway,
        "REASON": shown(notice.reason),
        "EVENT": notice.event,
        "EVENT_ID": notice.id,
        "DIAL_TRY": str(notice.dial_try or ""),
        "ONLINE": " ".join(notice.online),
        "ONLINE_IFACES": " ".join(notice.online_interfaces),
        "OFFLINE_IFACES": " ".join(notice.offline),
    }
    if notice.event.startswith(REPAIR):
        given["STEP"] = notice.new
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    own = {"PATH": kept.get("PATH", PATH), "MWAN_HOOK_ROOT": root or "/"}
    return {**kept, **own, **{key: value.replace("\0", "?") for key, value in given.items()}}


def as_json(notice: Notice) -> dict[str, object]:
    """A notice as the JSON that a hook can read: every field, empty or not."""
    return {
        **notice._asdict(),
        "state": int(notice.state),
        "old_state": int(notice.old_state),
        "ipv4": notice.ipv4._asdict(),
        "ipv6": notice.ipv6._asdict(),
        "default": {family.value: way._asdict() for family, way in notice.default.items()},
    }
