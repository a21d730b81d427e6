"""How likely an uplink of a true loss is degraded: ``python3 -m tests.chances`` prints the table of docs/quality.md.

Exact, over one window that begins empty, with the checks of the default interval: in each the round's own question and
:data:`~mwan_hook.verdict.quality.GLANCE` echoes, and a burst where one of them is lost or the limit seems broken.
"""

from __future__ import annotations

from collections import defaultdict
from math import comb

from mwan_hook.model import Probe
from mwan_hook.verdict import quality, window

LIMIT = 0.10
LOSSES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.08, 0.10, 0.12, 0.15, 0.20, 0.25, 0.35, 0.50)
MONTH = 30 * 86400.0
PROBE = Probe()
HEADER = ("true loss", "degraded within a window", "false alarm in a month")


def binomial(number: int, share: float) -> list[float]:
    """The chance of each number of losses."""
    return [comb(number, lost) * share**lost * (1 - share) ** (number - lost) for lost in range(number + 1)]


def within_a_window(loss: float, limit: float = LIMIT, least: int = quality.LEAST_BURSTS) -> float:
    """The chance that a line is degraded in the checks of one window."""
    glance, burst = binomial(quality.GLANCE, loss), binomial(PROBE.burst_echoes, loss)
    states: dict[tuple[int, int, int], float] = {(0, 0, 0): 1.0}  # sent, lost, bursts
    degraded = 0.0
    for _ in range(int(PROBE.window // PROBE.interval)):
        following: dict[tuple[int, int, int], float] = defaultdict(float)
        for (sent, lost, bursts), chance in states.items():
            above = sent > 0 and lost / sent > limit
            doubted = chance if above else chance * loss  # by the round's own question
            closer = {(sent, lost): doubted} if bursts < quality.MOST_BURSTS else {}
            rest = chance - doubted if closer else chance
            for more, share in enumerate(glance):
                seen = (sent + quality.GLANCE, lost + more)
                if bursts < quality.MOST_BURSTS and (more or seen[1] / seen[0] > limit):
                    closer[seen] = closer.get(seen, 0.0) + rest * share
                else:
                    following[*seen, bursts] += rest * share
            for (before, gone), weight in closer.items():
                for more, share in enumerate(burst):
                    n, x = before + PROBE.burst_echoes, gone + more
                    if bursts + 1 >= least and window.lower_bound(x, n) > limit:
                        degraded += weight * share
                    else:
                        following[n, x, bursts + 1] += weight * share
        states = following
    return degraded


def within_a_month(chance: float) -> float:
    """The chance that it happens in any window of a month, one after the other."""
    return 1 - float((1 - chance) ** (MONTH / PROBE.window))


def percent(chance: float) -> str:
    """With two digits that count, and not more than can be said."""
    if chance < 1e-9:
        return "0 %"
    if chance > 0.9999:
        return "100 %"
    return f"{100 * chance:.2g} %" if chance < 0.9 else f"{100 * chance:.4g} %"


def rows() -> list[tuple[str, str, str]]:
    """The table without its header."""
    found = []
    for loss in LOSSES:
        chance = within_a_window(loss)
        alarm = percent(within_a_month(chance)) if loss <= LIMIT else "(none: it is true)"
        found.append((f"{100 * loss:g} %", percent(chance), alarm))
    return found


def table() -> str:
    """As the page has it."""
    lines = [HEADER, ("---", "---", "---"), *rows()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table())
