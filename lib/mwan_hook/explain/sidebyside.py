"""Two histories side by side, for people and for programs.  Pure."""

from __future__ import annotations

from textwrap import wrap

from mwan_hook import dates
from mwan_hook.durations import HOUR, duration
from mwan_hook.light import NamedTuple
from mwan_hook.phrases import many
from mwan_hook.quota.words import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from mwan_hook.explain.figures import Comparison, History, LineSum
    from mwan_hook.explain.replay import Played
    from mwan_hook.model import Transition

WIDTH = 80
MOST = 40  # transitions that people are shown
HONESTY = (
    "Replay judges the answers that were recorded, and no others: it cannot ask more rounds or targets than were asked."
)
_NUMBER = 14  # columns of a figure


def amount(value: float) -> str:
    """Bytes for people."""
    return shown(round(value))


class ReplayRow(NamedTuple):
    """One figure: in words, its name as an attribute and in JSON, and what spells it."""

    words: str
    name: str
    spelled: Callable[[float], str] = str

    def plain(self, history: History | LineSum) -> float:
        """The figure in JSON."""
        value: float = getattr(history, self.name)
        return round(value, 3) if self.spelled is duration else round(value)


WHOLE = (
    ReplayRow("failovers", "failovers"),
    ReplayRow("nothing online", "nothing_online_seconds", duration),
    ReplayRow("default on a failing line", "failing_default_seconds", duration),
    ReplayRow("on metered uplinks", "metered_seconds", duration),
    ReplayRow("data on metered uplinks", "metered_bytes", amount),
)
UPLINK = (
    ReplayRow("failovers from it", "failovers"),
    ReplayRow("outages", "outages"),
    ReplayRow("online", "online_seconds", duration),
    ReplayRow("offline", "offline_seconds", duration),
    ReplayRow("had the default", "default_seconds", duration),
    ReplayRow("data", "bytes", amount),
)


class Told:
    """Transitions of both histories."""

    def __init__(self, exact: bool) -> None:
        """``exact``: other words make another transition."""
        self._exact = exact
        self.recorded = self.replayed = 0
        self.gone: list[Transition] = []  # recorded, and not replayed
        self.new: list[Transition] = []

    @property
    def same(self) -> bool:
        """Whether both tell the same."""
        return not (self.gone or self.new)

    def add(self, one: Played) -> None:
        """Take one more frame."""
        was, now = list(one.frame.happened), list(one.happened)
        self.recorded += len(was)
        self.replayed += len(now)
        if was == now:
            return
        known, others = {self._key(each) for each in now}, {self._key(each) for each in was}
        self.gone += [each for each in was if self._key(each) not in known]
        self.new += [each for each in now if self._key(each) not in others]

    def _key(self, one: Transition) -> Transition:
        return one if self._exact else one._replace(reason="")


# ---------------------------------------------------------------- for people


def lines(found: Comparison, told: Told, options: Sequence[str], notes: Iterable[str]) -> Iterator[str]:
    """All of it in 80 columns."""
    yield from _folded(_span(found))
    for option in options:
        yield from _folded(f"with {option}")
    if not options:
        words = "is the recorded one, exactly" if told.same else "differs from the recorded one"
        yield from _folded(f"same configuration: the history {words} ({many(told.recorded, 'transition')})")
    if options:
        yield ""
        yield from _table(found)
        yield ""
        yield from _folded(
            "~ is an estimate: what the uplink that had the default carried moves with it, hour by hour."
        )
    yield from _transitions(told)
    if options:
        yield from _folded(HONESTY)
    for note in notes:
        yield from _folded(note)


def _span(found: Comparison) -> str:
    form = dates.SECOND if found.end - found.begin < HOUR else dates.MINUTE
    begin, end = (dates.local(at, form) for at in (found.begin, found.end))
    words = f"{begin} to {end}: {many(found.runs, 'run')} in {duration(found.observed)}"
    if found.gaps:
        words += f"; {many(found.gaps, 'gap')} in the record, {duration(found.unknown)} unknown"
    return words


def _table(found: Comparison) -> Iterator[str]:
    yield _line("", "RECORDED", "REPLAYED")
    yield from _lines(WHOLE, "", found.recorded, found.replayed)
    for name in dict.fromkeys((*found.recorded.uplinks, *found.replayed.uplinks)):
        yield ""
        yield from wrap(name, WIDTH) or [name]
        yield from _lines(UPLINK, "  ", found.recorded.of(name), found.replayed.of(name))


def _lines(rows: Sequence[ReplayRow], indent: str, was: History | LineSum, now: History | LineSum) -> Iterator[str]:
    for row in rows:
        recorded, replayed = (row.spelled(getattr(one, row.name)) for one in (was, now))
        yield _line(indent + row.words, recorded, f"~{replayed}" if row.spelled is amount else replayed)


def _line(words: str, was: str, now: str) -> str:
    return f"{words:<30}{was:>{_NUMBER}}{now:>{_NUMBER}}".rstrip()


def _transitions(told: Told) -> Iterator[str]:
    both = sorted(
        [*((one, "-") for one in told.gone), *((one, "+") for one in told.new)], key=lambda one: (one[0].at, one[1])
    )
    if not both:
        return
    yield ""
    yield from _folded(f"{many(len(both), 'transition')} only recorded (-) or only replayed (+):")
    for one, sign in both[:MOST]:
        what = f"{one.old or '-'} -> {one.new or '-'}"
        change = what if one.event == one.new else f"{one.event}: {what}"
        words = [dates.local(one.at, dates.SECOND), one.uplink, one.family.value if one.family else "", change]
        yield from _folded(f"{sign} {' '.join(filter(None, words))} ({one.reason})", "    ")
    if len(both) > MOST:
        yield f"... and {len(both) - MOST} more; --json has all"
    yield ""


def _folded(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


# ---------------------------------------------------------------- for programs


def document(found: Comparison, told: Told, options: Sequence[str], notes: Iterable[str]) -> dict[str, Any]:
    """The same as values; docs/replay.md has the fields."""
    return {
        "version": 1,
        "since": dates.utc(found.begin),
        "until": dates.utc(found.end),
        "runs": found.runs,
        "gaps": found.gaps,
        "observed_seconds": round(found.observed, 3),
        "unknown_seconds": round(found.unknown, 3),
        "with": {key.strip(): value.strip() for key, _, value in (option.partition("=") for option in options)},
        "same": told.same,
        "recorded": _sums(found.recorded, told.recorded),
        "replayed": _sums(found.replayed, told.replayed),
        "only_recorded": list(map(_plain, told.gone)),
        "only_replayed": list(map(_plain, told.new)),
        "notes": [*([HONESTY] if options else ()), *notes],
    }


def _sums(history: History, transitions: int) -> dict[str, Any]:
    return {
        "transitions": transitions,
        **{row.name: row.plain(history) for row in WHOLE},
        "uplinks": {name: {row.name: row.plain(line) for row in UPLINK} for name, line in history.uplinks.items()},
    }


def _plain(one: Transition) -> dict[str, Any]:
    return {**one._asdict(), "family": one.family.value if one.family else None, "at": dates.utc(one.at)}
