"""Two histories side by side, for people and for programs.  Pure."""

from __future__ import annotations

from itertools import chain
from textwrap import wrap

from mwan_hook import dates
from mwan_hook.durations import HOUR, duration
from mwan_hook.light import NamedTuple
from mwan_hook.phrases import many
from mwan_hook.quota.words import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from mwan_hook.explain.figures import Compared, History, LineSum
    from mwan_hook.explain.replay import Played
    from mwan_hook.model import Transition

WIDTH = 80
MOST = 40  # transitions that people are shown
HONESTY = (
    "Replay judges the answers that were recorded, and no others: it cannot ask more rounds or targets than were asked."
)
_NUMBER = 14  # columns of a figure


class Differences(NamedTuple):
    """Transitions of two histories of the same time."""

    recorded: int
    replayed: int
    gone: tuple[Transition, ...]  # recorded, and not replayed
    new: tuple[Transition, ...]


class Told:
    """What both histories tell, while they are played."""

    def __init__(self, exact: bool) -> None:
        """``exact``: other words make another transition."""
        self._exact = exact
        self._recorded = self._replayed = 0
        self._gone: list[Transition] = []
        self._new: list[Transition] = []

    def add(self, one: Played) -> None:
        """Take one more frame."""
        was, now = list(one.frame.happened), list(one.happened)
        self._recorded += len(was)
        self._replayed += len(now)
        if was == now:
            return
        known, others = {self._key(each) for each in now}, {self._key(each) for each in was}
        self._gone += [each for each in was if self._key(each) not in known]
        self._new += [each for each in now if self._key(each) not in others]

    def _key(self, one: Transition) -> Transition:
        return one if self._exact else one._replace(reason="")

    def done(self) -> Differences:
        """What differs."""
        return Differences(self._recorded, self._replayed, tuple(self._gone), tuple(self._new))


# ---------------------------------------------------------------- for people


def lines(found: Compared, differ: Differences, options: Sequence[str], notes: Iterable[str]) -> Iterator[str]:
    """All of it in 80 columns."""
    yield from _folded(_span(found))
    for option in options:
        yield from _folded(f"with {option}")
    if not options:
        words = "differs from the recorded one" if differ.gone or differ.new else "is the recorded one, exactly"
        yield from _folded(f"same configuration: the history {words} ({many(differ.recorded, 'transition')})")
    if options:
        yield ""
        yield from _table(found)
        yield ""
        yield from _folded(
            "~ is an estimate: what the uplink that had the default carried moves with it, hour by hour."
        )
    yield from _transitions(differ)
    if options:
        yield from _folded(HONESTY)
    for note in notes:
        yield from _folded(note)


def _span(found: Compared) -> str:
    form = dates.SECOND if found.end - found.begin < HOUR else dates.MINUTE
    begin, end = (dates.local(at, form) for at in (found.begin, found.end))
    words = f"{begin} to {end}: {many(found.runs, 'run')} in {duration(found.observed)}"
    if found.gaps:
        words += f"; {many(found.gaps, 'gap')} in the record, {duration(found.unknown)} unknown"
    return words


def _table(found: Compared) -> Iterator[str]:
    yield _row("", "RECORDED", "REPLAYED")
    for words, was, now in _whole(found.recorded, found.replayed):
        yield _row(words, was, now)
    for name in dict.fromkeys((*found.recorded.uplinks, *found.replayed.uplinks)):
        yield ""
        yield from wrap(name, WIDTH) or [name]
        for words, was, now in _one(found.recorded.of(name), found.replayed.of(name)):
            yield _row(f"  {words}", was, now)


def _row(words: str, was: str, now: str) -> str:
    return f"{words:<30}{was:>{_NUMBER}}{now:>{_NUMBER}}".rstrip()


def _whole(was: History, now: History) -> Iterator[tuple[str, str, str]]:
    yield "failovers", str(was.failovers), str(now.failovers)
    yield "nothing online", duration(was.without), duration(now.without)
    yield "default on a failing line", duration(was.failing), duration(now.failing)
    yield "on metered uplinks", duration(was.metered), duration(now.metered)
    yield "data on metered uplinks", shown(round(was.metered_bytes)), f"~{shown(round(now.metered_bytes))}"


def _one(was: LineSum, now: LineSum) -> Iterator[tuple[str, str, str]]:
    yield "failovers from it", str(was.failovers), str(now.failovers)
    yield "outages", str(was.outages), str(now.outages)
    yield "online", duration(was.online), duration(now.online)
    yield "offline", duration(was.offline), duration(now.offline)
    yield "had the default", duration(was.carried), duration(now.carried)
    yield "data", shown(round(was.moved)), f"~{shown(round(now.moved))}"


def _transitions(differ: Differences) -> Iterator[str]:
    both = sorted(chain(((one, "-") for one in differ.gone), ((one, "+") for one in differ.new)), key=_place)
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


def _place(one: tuple[Transition, str]) -> tuple[float, str]:
    return one[0].at, one[1]


def _folded(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]


# ---------------------------------------------------------------- for programs


def document(found: Compared, differ: Differences, options: Sequence[str], notes: Iterable[str]) -> dict[str, Any]:
    """The same as values; docs/replay.md has the fields."""
    return {
        "version": 1,
        "since": dates.utc(found.begin),
        "until": dates.utc(found.end),
        "runs": found.runs,
        "gaps": found.gaps,
        "observed_seconds": round(found.observed, 3),
        "unknown_seconds": round(found.unknown, 3),
        "with": dict(map(_pair, options)),
        "same": not (differ.gone or differ.new),
        "recorded": _sums(found.recorded, differ.recorded),
        "replayed": _sums(found.replayed, differ.replayed),
        "only_recorded": [_plain(one) for one in differ.gone],
        "only_replayed": [_plain(one) for one in differ.new],
        "notes": [*([HONESTY] if options else ()), *notes],
    }


def _pair(option: str) -> tuple[str, str]:
    key, _, value = option.partition("=")
    return key.strip(), value.strip()


def _sums(history: History, transitions: int) -> dict[str, Any]:
    return {
        "transitions": transitions,
        "failovers": history.failovers,
        "nothing_online_seconds": round(history.without, 3),
        "failing_default_seconds": round(history.failing, 3),
        "metered_seconds": round(history.metered, 3),
        "metered_bytes": round(history.metered_bytes),
        "uplinks": {
            name: {
                "failovers": line.failovers,
                "outages": line.outages,
                "online_seconds": round(line.online, 3),
                "offline_seconds": round(line.offline, 3),
                "default_seconds": round(line.carried, 3),
                "bytes": round(line.moved),
            }
            for name, line in history.uplinks.items()
        },
    }


def _plain(one: Transition) -> dict[str, Any]:
    return {**one._asdict(), "family": one.family.value if one.family else None, "at": dates.utc(one.at)}
