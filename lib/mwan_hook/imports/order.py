"""The order of uplinks: tiers that share by weight, one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import gcd, lcm

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
    """Weights of uplinks as shares name them one after the other; what contradicts an earlier share is lost."""

    def __init__(self) -> None:
        self._groups: list[dict[DraftSection, Fraction]] = []  # in proportion to one another

    def share(self, tier: Sequence[tuple[DraftSection, int]], at: DraftSection) -> None:
        """Give those that share their weights, and say ``at`` a section where they cannot have them."""
        own = {part: Fraction(max(1, weight)) for part, weight in tier}
        if len(own) < 2:
            return
        words = f"shares {', '.join(f'{part.name} {weight}' for part, weight in tier)}"
        touched = [group for group in self._groups if not own.keys().isdisjoint(group)]
        whole = self._together(own, touched)
        if whole is None:
            at.lost(words, "an uplink has one weight, and other shares have given theirs")
            return
        weights = reduced(whole.values())
        exact = Fraction(1, min(weights)) * min(whole.values())
        if any(share != exact * weight for share, weight in zip(whole.values(), weights, strict=True)):
            at.differs(f"{words}: weights are from 1 to {HEAVIEST}")
        self._groups = [group for group in self._groups if group not in touched] + [whole]
        for part, weight in zip(whole, weights, strict=True):
            part.set("weight", weight)

    @staticmethod
    def _together(
        own: Mapping[DraftSection, Fraction], groups: Sequence[Mapping[DraftSection, Fraction]]
    ) -> dict[DraftSection, Fraction] | None:
        """All in one proportion; None where there is none."""
        whole = {**own}
        for group in groups:
            ratios = {group[part] / own[part] for part in own if part in group}
            if len(ratios) > 1:
                return None
            [ratio] = ratios
            whole.update({part: share / ratio for part, share in group.items()})
        return whole


def reduced(weights: Iterable[int | Fraction]) -> list[int]:
    """Weights in the same proportion that our files can hold, the smallest whole numbers where that is exact."""
    shares = [Fraction(weight) if weight > 0 else Fraction(1) for weight in weights]
    scale = lcm(*(share.denominator for share in shares))
    given = [int(share * scale) for share in shares]
    divisor = gcd(*given) or 1
    most = max(given, default=1) // divisor
    small = [weight // divisor for weight in given]
    return small if most <= HEAVIEST else [max(1, round(weight * HEAVIEST / most)) for weight in small]
