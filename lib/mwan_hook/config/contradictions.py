"""What does not fit together in a configuration, and where."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class Contradiction(NamedTuple):
    """A mistake (``fatal``), or a doubt, at a place: section names and key."""

    path: tuple[str, ...]
    words: str
    fatal: bool


def mistake(path: tuple[str, ...], words: str) -> Contradiction:
    """A contradiction that no run takes."""
    return Contradiction(path, words, True)


def doubt(path: tuple[str, ...], words: str) -> Contradiction:
    """A contradiction that is only warned of."""
    return Contradiction(path, words, False)
