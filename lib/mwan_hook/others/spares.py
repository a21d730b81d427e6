"""Lines that have a default in main and are no uplinks: what has their address goes where main sends it.  Pure.

Without a rule of their own the shared default would take such packets, and they would leave by a line of another
address.  Where main says nothing of them they go on.
"""

from __future__ import annotations

from mwan_hook.model import MAIN_TABLE, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.others.foreign import Here


def rules(here: Here, priority: int) -> list[Rule]:
    """Rules for the addresses of those lines, behind all that other programs take for a purpose."""
    snapshot, ours = here.snapshot, here.interfaces
    foreign = (r for r in snapshot.defaults if r.family is here.family and r.protocol != snapshot.protocol)
    lines = {hop.index for route in foreign for hop in route.nexthops} - ours
    own = [a.address for a in snapshot.addresses if a.index in lines and a.family is here.family and a.usable]
    sources = [address for address in dict.fromkeys(own) if address not in here.sources]
    return [Rule(here.family, priority, MAIN_TABLE, src=source) for source in sources]
