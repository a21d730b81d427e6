"""The order of a policy's uplinks: commas order, ``+`` shares; metrics do not count."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from mwan_hook.model import Policy

PLUS = "+"
SHARING = f" {PLUS} "


def spelled(text: str) -> str:
    """What stands between two commas, with one blank on each side of every ``+`` that has any.  Raises ValueError.

    A ``+`` without blanks may be part of a name: :func:`entries` knows which names there are.
    """
    words = text.split()
    apart: list[str] = []
    for word, following in zip(words, (*words[1:], PLUS), strict=True):
        apart += _apart(word, following)
    names, signs = apart[::2], apart[1::2]
    if not len(apart) % 2 or PLUS in names or set(signs) - {PLUS}:
        raise ValueError("expected + between uplinks that share and a comma before the next, as in fiber + cable, lte")
    return SHARING.join(names)


def _apart(word: str, following: str) -> tuple[str, ...]:
    """A ``+`` at one side of a name, as in ``a +b`` and ``a+ b``; a name may end with one, but not begin."""
    if word != PLUS and word.startswith(PLUS):
        return PLUS, word[1:]
    if word != PLUS and word.endswith(PLUS) and not following.startswith(PLUS):
        return word[:-1], PLUS
    return (word,)


def entries(texts: Iterable[str], known: Collection[str]) -> tuple[tuple[str, ...], ...]:
    """Names by preference, those that share in one entry.  ``known``: the uplinks that there are, as far as written."""
    return tuple([tuple([name for part in text.split(SHARING) for name in _names(part, known)]) for text in texts])


def _names(part: str, known: Collection[str]) -> Sequence[str]:
    """One name, or several with ``+`` between them; a name that there is goes first."""
    pieces = part.split(PLUS)
    if part in known or not all(pieces):
        return (part,)
    if part.partition("@")[0] in known and not all(piece.partition("@")[0] in known for piece in pieces):
        return (part,)  # the + is the interface's
    return pieces


def text(policy: Policy) -> str:
    """The order as the files spell it."""
    return ", ".join(SHARING.join(entry) for entry in policy.order)


def formerly_shared(policies: Sequence[Policy], metrics: Mapping[str, int]) -> dict[str, tuple[str, ...]]:
    """Uplinks of equal metric with a comma between them, which shared before there was a ``+``, by policy.

    Nothing where any policy has a ``+``: there, commas are meant.  ``metrics``: by the names of uplinks or templates.
    """
    if any(len(entry) > 1 for policy in policies for entry in policy.order):
        return {}
    found = {}
    for policy in policies:
        known = {name: metrics.get(name, metrics.get(name.partition("@")[0])) for name in policy.uplinks}
        values = [metric for metric in known.values() if metric is not None]
        first = next((metric for metric in values if values.count(metric) > 1), None)
        if first is not None:
            found[policy.name] = tuple([name for name, metric in known.items() if metric == first])
    return found


def only_ordered(names: Sequence[str]) -> str:
    """What a comma means for uplinks that :func:`formerly_shared` names, in words."""
    words = f"{names[0]} carries it alone, and what comes behind a comma waits, though metrics are equal"
    return f"{words}; to share it: {SHARING.join(names)}"
