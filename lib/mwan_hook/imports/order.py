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


class Weights:
    """Weights of uplinks as shares name them one after the other: the first one that names an uplink counts."""

    def __init__(self) -> None:
        self._given: dict[DraftSection, int] = {}

    def share(self, tier: Sequence[tuple[DraftSection, int]], at: DraftSection) -> None:
        """Give those that share their weights; what does not fit those that were given is lost ``at`` a section."""
        if len(tier) < 2:
            return
        own = dict(zip((part for part, _ in tier), reduced(weight for _, weight in tier), strict=True))
        known = next((part for part in own if part in self._given), None)
        up, down = (self._given[known], own[known]) if known else (1, 1)
        exact = {part: weight * up / down for part, weight in own.items()}
        wrong = [part for part, weight in exact.items() if self._given.get(part, weight) != weight]
        if wrong or any(not weight.is_integer() or weight > HEAVIEST for weight in exact.values()):
            words = ", ".join(f"{part.name} {weight}" for part, weight in tier)
            at.lost(f"shares {words}", "an uplink has one weight, and theirs stand in [uplinks] already")
            exact = {part: self._given.get(part, 1) for part in own}
        for part, share in exact.items():
            if self._given.setdefault(part, int(share)) == int(share):
                part.set("weight", int(share))


def reduced(weights: Iterable[int]) -> list[int]:
    """Weights in the same proportion that our files can hold, the smallest whole numbers where that is exact."""
    from math import gcd

    given = [max(1, weight) for weight in weights]
    divisor = gcd(*given) if given else 1
    most = max(given, default=1) // divisor
    small = [weight // divisor for weight in given]
    return small if most <= HEAVIEST else [max(1, round(weight * HEAVIEST / most)) for weight in small]
