"""``mwan-hook complete``: what may stand for the last word of a command line; what the shells' completions start.

A line is a candidate, and behind a space what it is.  What a shell knows better, the names of files, is left to it:
then the line is a slash.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from mwan_hook.commands.english import argparse
from mwan_hook.commands.parsing import Parser
from mwan_hook.model import MwanError
from mwan_hook.say import say
from mwan_hook.store import state as states

Candidate = tuple[str, str]

FILES = ("/", "")


def run(top: Parser, root: str, words: Sequence[str]) -> int:
    """Print candidates for the last of ``words``; those before it are the command line without the program's name."""
    begun = words[-1] if words else ""
    found = candidates(top, root, words[:-1], begun)
    say(f"{word} {what}".rstrip() for word, what in found if word.startswith(begun) or (word, what) == FILES)
    return 0


def candidates(top: Parser, root: str, before: Sequence[str], begun: str) -> Iterator[Candidate]:
    """All that may come next.  ``begun``: the beginning of it, which tells options from the rest."""
    rest, place, name = list(before), root, ""
    while rest and not name:
        word = rest.pop(0)
        if word == "--root" and not rest:
            yield FILES
            return
        if word == "--root":
            place = rest.pop(0)
        elif word.startswith("--root="):
            place = word.partition("=")[2]
        elif not word.startswith("-"):
            name = word
    if name:
        if name in top.commands:
            yield from _of_command(top.commands[name], place, rest, begun)
    elif begun.startswith("-"):
        yield from _options(top, ())
    else:
        yield from (row for rows in top.groups.values() for row in rows)


def _of_command(one: argparse.ArgumentParser, root: str, given: Sequence[str], begun: str) -> Iterator[Candidate]:
    """What a command takes behind ``given``."""
    by_name = {spelling: action for action in one._actions for spelling in action.option_strings}
    last = by_name.get(given[-1]) if given else None
    if last is not None and last.nargs is None:
        yield from _values(last, root)
    elif begun.startswith("-"):
        yield from _options(one, given)
    else:
        yield from _positional(one, root, list(_arguments(given, by_name)))


def _arguments(given: Iterable[str], options: dict[str, argparse.Action]) -> Iterator[str]:
    """The words that are neither options nor their values."""
    words = iter(given)
    for word in words:
        if word in options and options[word].nargs is None:
            next(words, None)
        elif not word.startswith("-"):
            yield word


def _positional(one: argparse.ArgumentParser, root: str, given: Sequence[str]) -> Iterator[Candidate]:
    """Candidates for the next argument, without those that are there already."""
    waiting = [action for action in one._actions if not action.option_strings]
    left = len(given)
    for action in waiting:
        if action.nargs in ("*", "+") or not left:
            yield from (row for row in _values(action, root) if row[0] not in given)
            return
        left -= 1


def _options(one: argparse.ArgumentParser, given: Sequence[str]) -> Iterator[Candidate]:
    """Options, each in its last spelling, without those that are there already and what the help does not show."""
    for action in one._actions:
        if action.option_strings and action.help != argparse.SUPPRESS and not {*action.option_strings} & {*given}:
            yield action.option_strings[-1], action.help or ""


def _values(action: argparse.Action, root: str) -> Iterable[Candidate]:
    if action.choices:
        return [(str(choice), "") for choice in action.choices]
    source = SOURCES.get(str(action.metavar or ""))
    return source(root) if source else ()


# ---------------------------------------------------------------- what names there are


def _uplinks(root: str) -> list[Candidate]:
    """Uplinks of the last run, with their interfaces."""
    try:
        state, _ = states.load(root, writes=False)
    except MwanError:
        return []
    return [(name, one.interface) for name, one in state.uplinks.items()]


def _interfaces(_: str) -> list[Candidate]:
    try:
        return [(name, "") for name in sorted(os.listdir("/sys/class/net"))]
    except OSError:
        return []


def _kinds(_: str) -> list[Candidate]:
    from mwan_hook.imports.kinds import KINDS

    return [(kind, "") for kind in KINDS]


def _steps(_: str) -> list[Candidate]:
    from mwan_hook.repair.steps import STEPS

    return [(step.name, step.about) for step in STEPS]


def _changes(root: str) -> Iterator[Candidate]:
    """Keys that a replay may change, of all uplinks and of each."""
    from mwan_hook.config.keys import KEYS, UPLINK
    from mwan_hook.explain.changes import MATTER

    for place, keys in MATTER.items():
        path = UPLINK if place == "uplinks" else (place,)
        names = [name for name, _ in _uplinks(root)] if place == "uplinks" else [place]
        words = {row.name: row.help for row in KEYS[path]}
        yield from ((f"{name}.{key}=", words[key]) for name in names for key in keys)


SOURCES: dict[str, Callable[[str], Iterable[Candidate]]] = {
    "UPLINK": _uplinks,
    "IFACE": _interfaces,
    "IF": _interfaces,
    "KIND": _kinds,
    "STEP": _steps,
    "KEY=VALUE": _changes,
    "FILE": lambda _: (FILES,),
    "DIR": lambda _: (FILES,),
}
"""By the word that stands for the value in the help."""
