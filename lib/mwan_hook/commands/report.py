"""``mwan-hook report``: how the uplinks have done, for people, spreadsheets and providers."""

from __future__ import annotations

import os
import socket
import stat
import time

from mwan_hook import __version__, config, dates
from mwan_hook.commands.asked import span
from mwan_hook.commands.following import or_defaults
from mwan_hook.explain.report import figures, gather, publish, text
from mwan_hook.explain.report.figures import About
from mwan_hook.explain.report.gather import Gathered
from mwan_hook.explain.report.page import page
from mwan_hook.model import Config, MwanError, UsageError
from mwan_hook.say import complain, say
from mwan_hook.store import files, foreign

STDOUT = "-"
SYSTEMS_LINKS = ("/dev/std", "/dev/fd/", "/proc/")


def run(
    root: str,
    since: str,
    until: str | None,
    html: str | None,
    csv: str | None,
    only: str | None,
    refresh: bool,
) -> int:
    """Print the report, or write the files that are asked for.  Raises MwanError."""
    if refresh:
        words = publish.refreshed(root, config.load(root))
        complain(words)
        return int(bool(words))
    if html == csv == STDOUT:
        raise UsageError("--html and --csv cannot both go to standard output: name a file for one of them")
    known = or_defaults(root).config  # the record alone is enough
    begin, end = span(since, until, time.time())
    found = gather.gathered(root, begin, end)
    if only:
        _refuse_stranger(only, known, found)
        found = gather.of_one(found, only)
    if not found.hours:
        raise MwanError(_nothing(root, known, found))
    made = figures.report(found.hours, found.since, found.until, [one.name for one in known.uplinks])
    about = _about(known, only)
    if html:
        _write(html, page(made, about))
    if csv:
        from mwan_hook.explain.report import sheet

        _write(csv, sheet.text(found.hours, made, about))
    if STDOUT not in (html, csv):
        say(f"{path}: written" for path in (html, csv) if path)
    if not html and not csv:
        say(text.lines(made, about))
    return 0


def _about(known: Config, only: str | None) -> About:
    if only:
        return About(only, __version__, time.time(), True, gather.targets(known, only))
    return About(socket.gethostname(), __version__, time.time())


def _refuse_stranger(only: str, known: Config, found: Gathered) -> None:
    names = tuple(dict.fromkeys((*(one.name for one in known.uplinks), *found.uplinks)))
    if not any(only == name or name.startswith(f"{only}@") for name in names):
        raise UsageError(f"no uplink {only} is configured or on record; there are: {', '.join(names) or 'none'}")


def _nothing(root: str, known: Config, found: Gathered) -> str:
    words = f"nothing is on record since {dates.local(found.since, dates.MINUTE)}"
    if not known.record.keep:
        return f"{words}: `keep = no` in [record]"
    return f"{words}: check runs write it down ({files.under(root, files.RECORD)})"


def _is_stream(path: str) -> bool:
    """Whether it is written to instead of replaced: a pipe, a terminal, ``/dev/null``.

    A link is followed only where the system makes them: elsewhere it may be another user's, and lead to a disk.
    """
    try:
        mode = os.stat(path, follow_symlinks=os.path.abspath(path).startswith(SYSTEMS_LINKS)).st_mode
    except FileNotFoundError:
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode) or stat.S_ISDIR(mode)


def _write(path: str, content: str) -> None:
    """Replace a file at one stroke; what is no plain file, as a pipe, is written to.  Raises MwanError."""
    if path == STDOUT:
        say(content.splitlines())
        return
    try:
        if _is_stream(path):
            with open(path, "w", encoding="utf-8", errors="replace") as file:
                file.write(content)
            return
    except OSError as error:
        raise MwanError(f"cannot write {path}: {error.strerror}") from error
    foreign.replace(os.path.abspath(path), content.encode("utf-8", "replace"))
