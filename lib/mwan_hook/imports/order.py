"""The order of uplinks: tiers that share by weight, one after the other."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.imports.draft import DraftSection

    Tiers = Sequence[Sequence[tuple[DraftSection, int]]]

STEP = 100  # between the metrics of two tiers
HEAVIEST = 256


def spelled(tiers: Tiers) -> list[str]:
    """The ``uplinks`` of a policy: ``a + b`` share, and the next entry has its turn when none of them is online."""
    return [" + ".join(part.name for part, _ in tier) for tier in tiers if tier]


def default(tiers: Tiers) -> None:
    """Make this the order of the shared default: metrics 100, 200, ... and weights."""
    for place, tier in enumerate((tier for tier in tiers if tier), 1):
        for part, weight in tier:
            part.set("metric", place * STEP)
            part.set("weight", weight)


def reduced(weights: Iterable[int]) -> list[int]:
    """Weights in the same proportion that our files can hold, the smallest whole numbers where that is exact."""
    from math import gcd

    given = [max(1, weight) for weight in weights]
    divisor = gcd(*given) if given else 1
    most = max(given, default=1) // divisor
    small = [weight // divisor for weight in given]
    return small if most <= HEAVIEST else [max(1, round(weight * HEAVIEST / most)) for weight in small]
