"""Whether a shared default goes through nexthop objects: what `nexthops = auto` finds here."""

from __future__ import annotations

import os

from mwan_hook.kernel.nexthops import supported
from mwan_hook.model import MAIN_TABLE, Pool, Sharing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import NexthopObject, Routing

_LONG_WEIGHTS = (6, 12)  # Linux
_SETTING, _SINCE = "ManageForeignNextHops", 256  # of systemd
_asked: dict[tuple[str, int], str] = {}  # a run that changes something looks several times


def pool(root: str, routing: Routing, known: str, ours: tuple[NexthopObject, ...], taken: frozenset[int]) -> Pool:
    """Objects that are there, and whether a shared default uses some; ``known``: what `auto` found before."""
    answer = ""
    if routing.nexthops is Sharing.AUTO:
        answer = known or _once(root, routing)
    use = (answer or routing.nexthops.value) == Sharing.OBJECTS.value
    return Pool(use, ours, taken, answer, _heaviest())


def _heaviest() -> int:
    """Weights have had 16 bits since then; the largest itself is refused."""
    major, _, rest = os.uname().release.partition(".")
    minor = rest.partition(".")[0]
    new = major.isdigit() and minor.isdigit() and (int(major), int(minor)) >= _LONG_WEIGHTS
    return 65535 if new else 256


def _once(root: str, routing: Routing) -> str:
    key = root, routing.default_table
    if key not in _asked:
        _asked[key] = chosen(root, routing)
    return _asked[key]


def chosen(root: str, routing: Routing) -> str:
    """What ``auto`` means here and now.

    In main a default by object hides others: the kernel's IPv4 lookup for another interface ends at it.
    """
    if routing.default_table == MAIN_TABLE or not supported():
        return Sharing.ROUTES.value
    return Sharing.OBJECTS.value if spared(root) else Sharing.ROUTES.value


def spared(root: str) -> bool:
    """Whether systemd-networkd is not used, or was told before its start to leave others' objects alone."""
    from mwan_hook.machine import units
    from mwan_hook.machine.values import effective

    networkd = units.networkd(root)
    if networkd is None:
        return True
    takes_out, by, _ = effective(networkd.settings.get(_SETTING, ()))
    waits = by is not None and networkd.since is not None and by.changed > networkd.since
    return networkd.version >= _SINCE and not takes_out and not waits
