"""What was put in under other circumstances: with an earlier protocol number, or for an interface since renamed."""

from __future__ import annotations

from mwan_hook.model import Link, Snapshot, State, Sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

INTERFACE = 3  # its place in net/FAMILY/conf/INTERFACE/NAME


def earlier_protocols(state: State, snapshot: Snapshot) -> tuple[int, ...]:
    """Numbers that the configuration named earlier in this boot, as long as something may carry them."""
    return tuple(number for number in state.protocols if number != snapshot.protocol)


def without_former(snapshot: Snapshot, state: State) -> Snapshot:
    """The snapshot without defaults of an earlier number: they are neither foreign nor ours to keep."""
    former = earlier_protocols(state, snapshot)
    if not former:
        return snapshot
    return snapshot._replace(
        defaults=tuple(route for route in snapshot.defaults if route.protocol not in former),
        elsewhere=tuple(route for route in snapshot.elsewhere if route.protocol not in former),
    )


def protocols_to_remember(state: State, snapshot: Snapshot) -> tuple[int, ...]:
    """The numbers to remember: today's, and those that the kernel still holds something of."""
    left = {route.protocol for route in snapshot.former_routes} | {rule.protocol for rule in snapshot.former_rules}
    return tuple(sorted({snapshot.protocol, *left.intersection(state.protocols)}))


def after_renames(originals: Iterable[Sysctl], links: Iterable[Link]) -> tuple[Sysctl, ...]:
    """Values from before us under their interfaces' names of now; an interface that is gone has none."""
    names = {link.index: link.name for link in links}
    found = []
    for old in originals:
        parts = old.key.split("/")
        name = names.get(old.index) if old.index else parts[INTERFACE]
        if name is not None:
            parts[INTERFACE] = name
            found.append(old._replace(key="/".join(parts)))
    return tuple(found)
