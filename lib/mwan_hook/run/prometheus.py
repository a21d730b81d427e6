"""The textfile for Prometheus' node_exporter: replaced whole after transitions, and by the check run when it is old.

No daemon and no timer of its own: the check run comes every few seconds anyway, and looks at the age of one file.
"""

from __future__ import annotations

import time

from mwan_hook import __version__
from mwan_hook import plainos as os
from mwan_hook.model import Busy, MwanError
from mwan_hook.say import complain
from mwan_hook.store import chores, files, foreign, lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Notice
    from mwan_hook.run.scene import Scene

LOCK = files.RUN + "/prometheus.lock"  # its time is that of the last attempt: a message comes once an interval, too
WAIT = 5.0  # seconds for another run that is just writing


def deliver(root: str, loaded: Loaded, _notices: Sequence[Notice]) -> bool:
    """Replace the file: it tells how things stand now.  A run that probes tries again what failed."""
    complain(write(root, loaded))
    return True


def refresh(root: str, loaded: Loaded) -> tuple[str, ...]:
    """Write it if the last attempt is ``interval`` ago.  Returns messages and raises nothing."""
    try:
        age = time.time() - os.stat(files.under(root, LOCK)).st_mtime
    except OSError:
        return write(root, loaded)
    # a clock that was set back makes no file young
    return () if 0 <= age < loaded.config.prometheus.interval else write(root, loaded)


def write(root: str, loaded: Loaded) -> tuple[str, ...]:
    """Write it now, if the configuration names a file.  Returns messages and raises nothing: nothing waits for it.

    The look is taken under the lock, so that of two runs the later one has the last word.
    """
    textfile = loaded.config.prometheus.textfile
    if not textfile:
        return ()
    path = files.under(root, textfile.lstrip("/"))
    try:
        if not os.access(os.path.dirname(path), os.W_OK) and chores.ask(root, chores.TEXTFILE, {}):
            return ()
        with lock.Flock(files.under(root, LOCK), WAIT, lock.LONGEST) as held:
            os.utime(held.path)
            _refuse_without_directory(path)
            foreign.replace(path, _content(root, loaded).encode())
    except Busy:
        return ()  # the run that writes looks at the same uplinks
    except MwanError as error:
        return (f"[prometheus] textfile: {error}",)
    except OSError as error:
        return (f"[prometheus] textfile: cannot write {path}: {files.why(error)}",)
    return ()


def _refuse_without_directory(path: str) -> None:
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        raise MwanError(
            f"there is no directory {directory}; "
            f"name one that node_exporter reads (--collector.textfile.directory), or make it"
        )


def _content(root: str, loaded: Loaded) -> str:
    from mwan_hook.notify import exposition
    from mwan_hook.run import judge, look

    seen = look.to_read(root, loaded)
    if seen.state.usage or any(uplink.config.probe.measured for uplink in seen.uplinks):
        seen = judge.judge(seen).scene  # a quota or its quality may have moved an uplink behind others
    return exposition.text(__version__, seen.uplinks, seen.state, seen.now, seen.wall, _repairs(root, seen))


def _repairs(root: str, seen: Scene) -> Mapping[str, Mapping[str, int]]:
    """Steps done, by uplink and step; empty where no uplink has a ladder."""
    if not any(uplink.config.repair for uplink in seen.uplinks):
        return {}
    from mwan_hook.store import repairs

    return {name: one.counts for name, one in repairs.load(root, writes=False)[0].uplinks.items()}
