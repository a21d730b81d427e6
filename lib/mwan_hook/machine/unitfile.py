"""The syntax that all of systemd's files share (systemd.syntax(7)), and its time spans (systemd.time(7))."""

from __future__ import annotations

import re

from mwan_hook.light import NamedTuple

LONGEST = 31_536_000  # seconds; a longer span is cut to a year
_LARGEST = 1 << 20
_UNITS = {
    "us": 1e-6, "usec": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "msec": 1e-3,
    "": 1, "s": 1, "sec": 1, "second": 1, "seconds": 1, "m": 60, "min": 60, "minute": 60, "minutes": 60,
    "h": 3600, "hr": 3600, "hour": 3600, "hours": 3600, "d": 86400, "day": 86400, "days": 86400,
    "w": 604800, "week": 604800, "weeks": 604800, "M": 2629800, "month": 2629800, "months": 2629800,
    "y": 31557600, "year": 31557600, "years": 31557600,
}  # fmt: skip
_SPAN = re.compile(r"\s*([0-9]+(?:\.[0-9]*)?|\.[0-9]+)\s*([^\W\d_]*)")


class Assignment(NamedTuple):
    """One assignment and where it stands (``FILE:LINE``)."""

    section: str
    key: str
    value: str
    place: str


def parse_file(path: str) -> tuple[list[Assignment], list[Assignment]]:
    """The assignments of a file in order, and the lines that are none (whole, as the value).  Raises OSError."""
    with open(path, "rb") as stream:
        return parse_text(stream.read(_LARGEST).decode("utf-8-sig", "replace"), path)


def parse_text(text: str, path: str) -> tuple[list[Assignment], list[Assignment]]:
    """:func:`parse_file` of a text that was read already."""
    entries: list[Assignment] = []
    odd: list[Assignment] = []
    section = ""
    for number, line in _logical_lines(text):
        if line.startswith("["):
            section = line[1:-1] if line.endswith("]") else ""
            continue
        key, equals, value = line.partition("=")
        if section and equals:
            entries.append(Assignment(section, key.strip(), value.strip(), f"{path}:{number}"))
        elif section:
            odd.append(Assignment(section, "", line, f"{path}:{number}"))
    return entries, odd


def _logical_lines(text: str) -> list[tuple[int, str]]:
    """Lines with their number: comments out (inside a continued line too), a backslash at the end joins."""
    lines: list[tuple[int, str]] = []
    begun, held = 0, ""
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.rstrip("\r").lstrip()
        if line.startswith(("#", ";")):
            continue
        begun = begun if held else number
        held += line
        if (len(line) - len(line.rstrip("\\"))) % 2:
            held = held[:-1] + " "
            continue
        if held.strip():
            lines.append((begun, held.strip()))
        held = ""
    if held.strip():
        lines.append((begun, held.strip()))
    return lines


def timespan(text: str) -> float:
    """Seconds of a time span as in systemd.time(7): ``15``, ``500ms``, ``1min 30s``.  ValueError."""
    total, at, end = 0.0, 0, len(text.rstrip())
    while at < end or not at:
        part = _SPAN.match(text, at)
        unit = _UNITS.get(part[2]) if part else None
        if part is None or unit is None or (not part[2] and part.end() < end) or total > LONGEST:
            raise ValueError(f"expected a time span, as in 15, 500ms or 1min 30s, not {text!r}")
        total += float(part[1][:20]) * unit
        at = part.end()
    return round(min(total, LONGEST), 6)
