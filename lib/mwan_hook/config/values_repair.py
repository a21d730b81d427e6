"""The check of a repair ladder, beside those of configvalues."""

from __future__ import annotations

from itertools import pairwise

from mwan_hook.config.values import several
from mwan_hook.repair.steps import rung

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value


def ladder(value: Value) -> list[str]:
    """Texts of the steps in their order, each later than the one before; none: nothing is repaired."""
    found = [text for text in several(value) if text != "none"]
    rungs = [rung(text) for text in found]
    for earlier, later in pairwise(rungs):
        if later.after <= earlier.after:
            raise ValueError(f"expected times that rise: {later.step}@{later.after:g} follows @{earlier.after:g}")
    return found
