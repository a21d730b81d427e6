"""A report for spreadsheets: one table, whose first column says what a row is.  Pure.

``total``: a line in the whole time.  ``outage``: one time of trouble.  ``hour`` (``day`` beyond three months): a line
in a part of the time.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from mwan_hook.durations import DAY, HOUR
from mwan_hook.explain import outages
from mwan_hook.explain.outages import Outage, Probes
from mwan_hook.explain.report import words
from mwan_hook.explain.report.figures import About, LineFigures, Report, report
from mwan_hook.model import Hour

Row = dict[str, str]

MOST_HOURS = 93 * 24  # of rows a line
COLUMNS = (
    *("kind", "uplink", "family", "begin", "end", "seconds", "word", "cause", "reason"),
    *("availability_percent", "outages", "longest_s"),
    *("online_s", "degraded_s", "offline_s", "disabled_s", "standby_s", "unknown_s", "carried_s", "bridged_s"),
    *("probes", "lost", "loss_percent", "probes_while_out", "lost_while_out", "p50_ms", "p95_ms"),
    *("received_bytes", "sent_bytes"),
)
_OF_OTHERS = ("carried_s", "bridged_s")  # what only several uplinks tell
_FORMULA = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")  # what a spreadsheet would compute, wide ones too


def text(hours: Sequence[Hour], whole: Report, about: About) -> str:
    """The file.  ``whole``: what those hours say in total."""
    columns = [name for name in COLUMNS if not (about.one and name in _OF_OTHERS)]
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(_rows(hours, whole))
    return file.getvalue()


def _rows(hours: Sequence[Hour], whole: Report) -> Iterator[Row]:
    for uplink in whole.uplinks:
        for number, line in enumerate(uplink.lines):
            moved = (uplink.received, uplink.sent) if number == 0 else None
            out = {"outages": str(len(line.out)), "longest_s": _number(line.longest)}
            row = {**_place("total", line, whole.since, whole.until), **_stood(line.periods)}
            yield {**row, **out, **_counted(line.probes, moved)}
    for outage in reversed(whole.outages):
        yield _outage(outage)
    length = HOUR if whole.until - whole.since <= MOST_HOURS * HOUR else DAY
    fine = report(hours, whole.since, whole.until, [one.name for one in whole.uplinks], length)
    for uplink in fine.uplinks:
        for number, line in enumerate(uplink.lines):
            yield from _parts(line, whole, length, with_bytes=number == 0)


def _parts(line: LineFigures, whole: Report, length: int, *, with_bytes: bool) -> Iterator[Row]:
    """A row for each part of the time, also where nothing is known."""
    slots = {slot.begin: slot for slot in line.slots}
    first, kind = 0, "hour" if length == HOUR else "day"
    begin = whole.since
    while begin < whole.until:
        end = min(begin + length, whole.until)
        while first < len(line.periods) and line.periods[first].end <= begin:
            first += 1
        inside = []
        for period in line.periods[first:]:
            if period.begin >= end:
                break
            inside.append(period._replace(begin=max(begin, period.begin), end=min(end, period.end)))
        slot = slots.get(begin)
        row = {**_place(kind, line, begin, end), **_stood(inside)}
        if slot:
            row |= _counted(slot.probes, (slot.received, slot.sent) if with_bytes else None)
        yield row
        begin = end


def _place(kind: str, line: LineFigures, begin: float, end: float) -> Row:
    times = {"begin": words.utc(begin), "end": words.utc(end), "seconds": _number(end - begin)}
    return {"kind": kind, "uplink": line.uplink, "family": line.family.value, **times}


def _stood(periods: Sequence[outages.Period]) -> Row:
    by_word = outages.seconds(periods)
    share = outages.availability(by_word)
    return {
        "availability_percent": "" if share is None else f"{share:.6f}",
        **{f"{word}_s": _number(by_word[word]) for word in outages.WORDS},
        "carried_s": _number(sum(one.seconds for one in periods if one.carries)),
        "bridged_s": _number(sum(one.seconds for one in periods if one.bridged)),
    }


def _counted(probes: Probes, moved: tuple[int, int] | None) -> Row:
    """Bytes are the interface's: they stand in the row of the uplink's first family."""
    row = {
        "probes": str(probes.sent),
        "lost": str(probes.lost),
        "loss_percent": _number(probes.loss),
        "probes_while_out": str(probes.out_sent),
        "lost_while_out": str(probes.out_lost),
        "p50_ms": _number(probes.percentile(50)),
        "p95_ms": _number(probes.percentile(95)),
    }
    return {**row, "received_bytes": str(moved[0]), "sent_bytes": str(moved[1])} if moved else row


def _outage(outage: Outage) -> Row:
    return {
        "kind": "outage",
        "uplink": outage.uplink,
        "family": outage.family.value,
        "begin": words.utc(outage.begin),
        "end": words.utc(outage.end) if outage.over else "",
        "seconds": _number(outage.seconds),
        "word": outage.word,
        "cause": ", ".join(outage.causes),
        "reason": _harmless(outage.reason),
        "bridged_s": _number(outage.bridged),
    }


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def _number(value: float | None) -> str:
    """A figure with three places at most; empty where there is none."""
    return "" if value is None else f"{value:.3f}".rstrip("0").rstrip(".")
