"""A look: the kernel, the state and the files, and which interface is which uplink."""

from __future__ import annotations

import time

from mwan_hook.addresses import is_global
from mwan_hook.config import for_interface
from mwan_hook.kernel.reader import Reader
from mwan_hook.light import partial
from mwan_hook.machine import networkd
from mwan_hook.model import Config, Family, Snapshot, State
from mwan_hook.routing.gateways import has_choice, strays
from mwan_hook.routing.uplinks import PENALTY, Inputs, bind, interfaces_to_describe
from mwan_hook.run.details import details
from mwan_hook.run.scene import Scene, limited
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Link
    from mwan_hook.routing.uplinks import Bound


def to_read(root: str, loaded: Loaded) -> Scene:
    """Read the kernel and the state for a command that changes nothing, no file either."""
    return through(Reader(loaded.config.routing.protocol), root, loaded)


def through(reader: Reader, root: str, loaded: Loaded) -> Scene:
    """The same by this reader, which is closed then."""
    return _look(reader, root, loaded, None, writes=False)


def to_write(root: str, loaded: Loaded, memory: State | None = None) -> Scene:
    """Read the kernel, and the state where ``memory`` does not stand for it, for a run that holds the lock.

    Files that cannot be used are set aside.
    """
    return again(Reader(loaded.config.routing.protocol), root, loaded, memory)


def rereader(loaded: Loaded) -> Reader:
    """A reader for several looks of one run."""
    from mwan_hook.kernel.rereader import Rereader

    return Rereader(loaded.config.routing.protocol)


def again(reader: Reader, root: str, loaded: Loaded, memory: State | None) -> Scene:
    """Look in order to write by a reader that may have looked before."""
    return _look(reader, root, loaded, memory, writes=True)


def _look(reader: Reader, root: str, loaded: Loaded, memory: State | None, writes: bool) -> Scene:
    state, messages = (memory, ()) if memory else states.load(root, writes)
    allotment, more = states.load_allotment(root, writes)
    now, wall = round(time.clock_gettime(time.CLOCK_BOOTTIME), 6), round(time.time(), 3)  # as short as they are kept
    config = loaded.config
    with reader:
        outlines = _outlines(reader)
        described = _attributes(root, config, outlines.links)
        lease, penalised = partial(networkd.lease, root), _penalised(root, outlines)
        around = Inputs(outlines, state, allotment, described, lease, penalised=penalised)
        bound = bind(config, around)
        if strays(bound.uplinks, outlines, state) or any(has_choice(uplink) for uplink in bound.uplinks):
            from mwan_hook.run import gateways

            outlines, bound = gateways.settled(reader, root, config, around, bound, now)
        if bound.allotment.draining:
            from mwan_hook.run import draining

            bound = draining.looked(config, bound, state, outlines, now, wall, counts=writes)
        if config.policies:
            from mwan_hook.policy import policies

            bound = policies.bound(config, bound)
        bound = _overlaid(loaded, bound)
        snapshot = details(reader, loaded, bound, state, outlines)
        if may_be_delegated(bound, state, snapshot):
            from mwan_hook.routing import prefixes
            from mwan_hook.run import delegation

            known = delegation.known(root, reader, config, bound.uplinks, state, snapshot, now)
            snapshot = snapshot._replace(delegated=known)
            bound = bound._replace(uplinks=prefixes.lending(bound.uplinks, snapshot))
    seen = Scene(root, config, loaded.fingerprint, state, allotment, bound, snapshot, now, wall, (*messages, *more))
    if not limited(seen):
        return seen
    from mwan_hook.run import metering

    return metering.looked(seen, writes)


def _outlines(reader: Reader) -> Snapshot:
    """Links, addresses and main's defaults: enough to tell which interface is which uplink."""
    families, links = reader.families(), reader.links()
    return Snapshot(
        links=links,
        addresses=reader.addresses(),
        defaults=tuple(route for family in families for route in reader.defaults_of_main(family, links)),
        families=families,
        protocol=reader.protocol,
        blocked=reader.blocked(),
        pieces=tuple(route for family in families for route in reader.pieces_of_main(family)),
        claims=tuple(route for family in families for route in reader.claims(family)),
    )


def _penalised(root: str, outlines: Snapshot) -> frozenset[int]:
    """Interfaces whose defaults have a metric that NetworkManager may have raised: mostly there is none."""
    high = [hop.index for route in outlines.defaults if route.metric >= PENALTY for hop in route.nexthops]
    if not high:
        return frozenset()
    from mwan_hook.machine import managers

    names = outlines.names
    return frozenset(index for index in high if managers.has_network_manager(root, index, names.get(index, "")))


def _attributes(root: str, config: Config, links: Sequence[Link]) -> dict[str, dict[str, str]]:
    described = interfaces_to_describe(config, links)
    if not described:
        return {}
    from mwan_hook.machine import udev

    return {link.name: udev.attributes(root, link.name, link.index) for link in described}


def _overlaid(loaded: Loaded, bound: Bound) -> Bound:
    """The interface's ``.network`` file beneath the configuration."""
    if not loaded.networks:
        return bound
    return bound._replace(
        uplinks=tuple(
            uplink._replace(config=for_interface(loaded, uplink.config, uplink.link)) if uplink.link else uplink
            for uplink in bound.uplinks
        )
    )


def may_be_delegated(bound: Bound, state: State, snapshot: Snapshot) -> bool:
    """Whether there can be a prefix that a provider has delegated: mostly no interface but uplinks has an address."""
    if snapshot.blocked or state.delegated:
        return True
    outside = {uplink.index for uplink in bound.uplinks}
    hosts = (one for one in snapshot.addresses if one.family is Family.IPV6 and is_global(one.address))
    inside = any(one.usable and one.index not in outside for one in hosts)
    return inside or any(uplink.config.prefixes for uplink in bound.uplinks)
