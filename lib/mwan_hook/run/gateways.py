"""What a look reads where main does not tell an uplink's gateway: other tables' defaults, leases, who answers."""

from __future__ import annotations

from mwan_hook.kernel import neighbours
from mwan_hook.light import partial
from mwan_hook.model import FAMILIES, Family, Lease, Turn, turn_key
from mwan_hook.routing.gateways import strays
from mwan_hook.routing.turns import turn
from mwan_hook.routing.uplinks import bind

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mwan_hook.kernel.reader import Reader
    from mwan_hook.model import Config, Route, Snapshot, Uplink
    from mwan_hook.routing.uplinks import Bound, Inputs


def settled(
    reader: Reader, root: str, config: Config, around: Inputs, bound: Bound, now: float
) -> tuple[Snapshot, Bound]:
    """The uplinks with the gateways that they have then."""
    lost = strays(bound.uplinks, around.snapshot, around.state)
    if lost:
        found = tuple(_elsewhere(reader, lost, around.state.elsewhere))
        snapshot = around.snapshot._replace(elsewhere=found)
        leased = frozenset(uplink.index for family, uplink in lost if family is Family.IPV4)  # a client may know theirs
        around = around._replace(snapshot=snapshot, lease=partial(_lease, root, around, leased))
        bound = bind(config, around)
    turns = dict(_turns(reader, bound.uplinks, around, now))
    if turns:
        bound = bind(config, around._replace(turns=turns))
    return around.snapshot, bound


def _lease(root: str, around: Inputs, lost: frozenset[int], index: int) -> Lease:
    """networkd's lease; for those that are lost without a gateway that of another manager."""
    found = around.lease(index)
    if found.gateway4 or index not in lost:
        return found
    from mwan_hook.machine import leases

    name = next((link.name for link in around.snapshot.links if link.index == index), "")
    other = leases.lease(root, index, name, leases.own(around.snapshot.addresses, index))
    return other if other.gateway4 else found


def _elsewhere(reader: Reader, lost: Iterable[tuple[Family, Uplink]], known: tuple[int, ...]) -> Iterator[Route]:
    """Tables that held one before are asked first: all tables together may hold a million routes."""
    for family, uplink in lost:
        found = reader.defaults_elsewhere(family, uplink.index, known) if known else ()
        yield from found or reader.defaults_elsewhere(family, uplink.index)


def _turns(reader: Reader, uplinks: Iterable[Uplink], around: Inputs, now: float) -> Iterator[tuple[str, Turn]]:
    """The turn of each uplink and family with several gateways."""
    for uplink in uplinks:
        for family in FAMILIES:
            choices, key = uplink.way(family).choices, turn_key(uplink.name, family)
            if choices and uplink.link:
                before = around.state.turns.get(key, Turn(""))
                if not uplink.link.carrier:  # no gateway can answer: all as it was
                    yield key, before if before.gateway in choices else Turn(choices[0])
                    continue
                memory = around.state.memory(uplink.name).family(family)
                answers = neighbours.answers(reader, family, uplink.link, choices)
                yield key, turn(before, choices, answers, memory, uplink.config.probe, now)
