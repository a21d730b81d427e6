"""Mistakes in the configuration, collected with their places; shared by the steps that read a file."""

from __future__ import annotations

from mwan_hook.config import build, consistency
from mwan_hook.config.keys import KEYS, MANY, METRICS, POLICY, UPLINK
from mwan_hook.config.names import plain_name, uplink_name
from mwan_hook.config.places import heading, label, line_of, near, places
from mwan_hook.light import NamedTuple
from mwan_hook.redact import hidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from configobj import Section

    Path = tuple[str, ...]
    Origin = tuple[str, int]

URL = ("webhook", "url")  # all of it may be a secret
_NAMED = {UPLINK: "an uplink", METRICS: "[[[metrics]]] of an uplink", POLICY: "a policy"}
_RELATED = (
    {"targets", "required"},
    {"loss_low", "loss_high"},
    {"latency_low", "latency_high"},
    {"jitter_low", "jitter_high"},
    {"window", "interval"},
    {"match", "table", "mark"},
    {"gateway", "families"},
    {"portal_targets", "portal_interval"},
    {"metered", "metered_interval", "interval"},
    {"nat6", "nat6_prefix", "masquerade"},
    {"quota", "quota_reset_day", "quota_warn"},
    {"activate", "start", "stop", "reset"},
    {"retry_min", "retry_max"},
    {"to", "smtp_host", "sendmail"},
    {"security", "user", "password_file", "smtp_host"},
    {"backoff_min", "backoff_max"},
    {"from", "to", "proto", "sport", "dport", "iif", "mark", "uid"},
)


class Source(NamedTuple):
    """One file as read, and the lines of its sections and keys."""

    path: str
    lines: tuple[str, ...]
    places: dict[Path, int]


def source(path: str, text: str) -> Source:
    """``text`` in lines, with the places of what is in it."""
    lines = tuple(line.rstrip("\r") for line in text.split("\n"))
    return Source(path, lines, places(lines))


class Problems:
    """A collection of mistakes; nothing is raised before everything was looked at."""

    def __init__(self) -> None:
        self._wrong: list[tuple[str, int, str]] = []
        self._doubts: list[tuple[str, int, str]] = []
        self._bad: set[Path] = set()  # keys with a mistake: that they were dropped must not cause more

    def add(self, path: str, line: int, words: str) -> None:
        """A mistake that is no value's; line 0 where it is the whole file's."""
        self._wrong.append((path, line, words))

    def at(self, file: Source, path: Path, words: str, *, key: bool, value: object = None) -> None:
        """A mistake at a section or key of a file."""
        shown = ""
        if value is not None:
            self._bad.add(path)
            shown = f" = {_shown(value)}" if path != URL else ""
        self.add(file.path, line_of(file.places, path), f"{label(path, key=key)}{shown}: {words}")

    def doubt(self, file: Source, path: Path, words: str) -> None:
        """A warning at a key."""
        self._doubts.append((file.path, line_of(file.places, path), f"{label(path, key=True)}: {words}"))

    def check(self, plain: dict[str, Any], origins: dict[Path, Origin]) -> None:
        """Look for what no single value shows, once all files are merged."""
        for finding in consistency.check(build.build(plain), plain):
            if self._follows(finding.path):
                continue
            path = finding.path
            while path and path not in origins:
                path = path[:-1]
            file, line = origins.get(path, ("", 0))
            value: Any = plain
            for word in finding.path:
                value = value.get(word, {})
            section = bool(value) and isinstance(value, dict)
            told = value and not section and finding.path[-1] != "mark" and finding.path != URL
            shown = f" = {_shown(value)}" if told else ""
            words = f"{label(finding.path, key=not section)}{shown}: {finding.words}"
            (self._wrong if finding.fatal else self._doubts).append((file, line, words))

    def _follows(self, path: Path) -> bool:
        """True if a finding at ``path`` may come of a mistake that was said already."""
        related = next((group for group in _RELATED if path[-1] in group), {path[-1]})
        return any((*section, key) in self._bad for section in (path[:-1], ("probe",)) for key in related)

    @property
    def wrong(self) -> list[tuple[int, str]]:
        """The mistakes with their lines."""
        return [(line, words) for _, line, words in self._wrong]

    @property
    def lines(self) -> list[str]:
        """The mistakes by file and line."""
        return _lines(self._wrong)

    @property
    def warnings(self) -> list[str]:
        """The doubts by file and line."""
        return _lines(self._doubts)


def prune(section: Section, spec: Section, file: Source, problems: Problems, path: Path = ()) -> None:
    """Take out, and report, what the spec does not know or knows as something else."""
    for key in list(section.scalars):
        if key not in spec.scalars:
            words = "expected a section" if key in spec.sections else f"unknown key{_meant(key, spec)}"
            problems.at(file, (*path, key), words, key=True)
            del section[key]
    for name in list(section.sections):
        inner = (*path, name)
        below = spec[name] if name in spec.sections else spec[MANY] if MANY in spec.sections else None
        try:
            if name in spec.scalars:
                raise ValueError("expected a value, not a section")
            if below is None:
                raise ValueError(f"unknown section{_meant_section(name, spec, path)}")
            if path == ("uplinks",):
                uplink_name(name)
            elif path == ("policies",):
                plain_name(name)
        except ValueError as error:
            problems.at(file, inner, str(error), key=False)
            del section[name]
        else:
            prune(section[name], below, file, problems, inner)


def doubt_comments(section: Section, file: Source, problems: Problems, path: Path = ()) -> None:
    """A ``#`` right behind a value begins a comment for ConfigObj: seldom what is meant in a URL."""
    for key in section.scalars:
        comment = section.inline_comments.get(key)
        line = file.lines[line_of(file.places, (*path, key)) - 1].rstrip()
        before = line.removesuffix(comment) if comment else ""
        if before != line and before and not before[-1].isspace() and before[-1] not in "\"'=":
            problems.doubt(file, (*path, key), f"{comment!r} is read as a comment: put quotes around the value")
    for name in section.sections:
        doubt_comments(section[name], file, problems, (*path, name))


def merge(plain: dict[str, Any], more: dict[str, Any]) -> None:
    """Lay ``more`` over ``plain``, key by key."""
    for key, value in more.items():
        if isinstance(value, dict):
            merge(plain.setdefault(key, {}), value)
        else:
            plain[key] = value


def _meant(key: str, spec: Section) -> str:
    """A hint: the near miss, or the section that knows the key."""
    known = [name for name in spec.scalars if name != MANY]
    if meant := near(key, known):
        return f" (did you mean {meant}?)"
    found = [home for home, rows in KEYS.items() if key in [row.name for row in rows]]
    homes = [_NAMED.get(home) or label(home, key=False) for home in found]
    if homes:
        return f" here (it belongs in {' or '.join(homes)})"
    return f" (expected one of {', '.join(known)})" if known else ""


def _meant_section(name: str, spec: Section, path: Path) -> str:
    known = [section for section in spec.sections if section != MANY]
    depth = len(path) + 1
    if meant := near(name, known):
        return f" (did you mean {heading(meant, depth)}?)"
    words = ", ".join(heading(section, depth) for section in known)
    return f" (expected {words})" if words else " (expected no section here)"


def _shown(value: object) -> str:
    each = [hidden(str(one)) for one in value] if isinstance(value, list) else [hidden(str(value).removesuffix(".0"))]
    text = ", ".join(each)
    return text if len(text) <= 120 else text[:117] + "..."


def _lines(found: Sequence[tuple[str, int, str]]) -> list[str]:
    order: dict[str, int] = {}
    ranked = sorted(found, key=lambda one: (order.setdefault(one[0], len(order)), one[1]))
    lines = [
        f"{path}:{line}: {words}" if line else f"{path}: {words}" if path else words for path, line, words in ranked
    ]
    return list(dict.fromkeys(lines))
