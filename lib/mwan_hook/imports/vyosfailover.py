"""VyOS: ``protocols failover route``, and what it shares with :mod:`mwan_hook.imports.vyos`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mwan_hook.imports import traffic, vyostree
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import whole
from mwan_hook.imports.vyostree import Tree
from mwan_hook.light import NamedTuple

DEFAULT = "0.0.0.0/0"
METRIC, PAUSE = 1, 10  # defaults
ECHOES, WAIT = 2, 1  # echoes of one check, and seconds for each


class _Hop(NamedTuple):
    """One way of a route: the interface, the router (nothing: by DHCP) and its options."""

    interface: str
    router: str
    tree: Tree

    @property
    def metric(self) -> int:
        """The metric, if there is one; else the usual one."""
        return whole(vyostree.value(self.tree, "metric", str(METRIC)), METRIC)


def read(routes: Tree, draft: Draft, uplinks: dict[str, DraftSection]) -> None:
    """Uplinks of the default's ways, and policies of other routes by the same ones."""
    hops = {prefix: sorted(_hops(tree), key=lambda hop: hop.metric) for prefix, tree in routes.items()}
    balanced = {*uplinks}
    metrics: set[int] = set()
    for hop in hops.get(DEFAULT, []):
        if hop.interface in balanced:
            words = "load-balancing wan says how it is probed and when its turn comes"
            uplinks[hop.interface].lost(f"protocols failover route {DEFAULT} next-hop {hop.router}", words)
        elif hop.interface in uplinks:
            part = uplinks[hop.interface]
            part.set("gateway", f"{part.get('gateway')}, {hop.router}".split(", "))
            part.differs(f"next-hop {hop.router} is a second router of it: it is tried when the first does not answer")
        else:
            uplinks[hop.interface] = _first(hop, draft, metrics)
    for prefix, others in hops.items():
        if prefix != DEFAULT:
            _other(prefix, others, draft, uplinks)


def _hops(tree: Tree) -> Iterator[_Hop]:
    for router, options in tree.get("next-hop", {}).items():
        yield _Hop(vyostree.value(options, "interface", ""), router, options)
    for interface, options in tree.get("dhcp-interface", {}).items():
        yield _Hop(interface, "", options)


def _first(hop: _Hop, draft: Draft, metrics: set[int]) -> DraftSection:
    part = uplink(hop.interface, draft)
    if hop.router:
        part.set("gateway", hop.router)
    metric = hop.metric
    while metric in metrics:
        metric += 1
    if metric != hop.metric:
        part.note(f"metric {hop.metric} is another way's, which came first: equal ones do not share there")
    metrics.add(metric)
    part.set("metric", metric)
    _check(hop, part)
    return part


def _check(hop: _Hop, part: DraftSection) -> None:
    """Set what is asked how often."""
    check = hop.tree.get("check", {})
    kind = vyostree.value(check, "type", "icmp")
    targets = list(_targets(hop, kind, check, part))
    if not targets:
        part.differs("there is nothing that mwan-hook could ask: it is judged by link, address and gateway")
    part.set("targets", targets)
    if vyostree.value(check, "policy", "any-available") == "all-available" and len(targets) > 1:
        part.set("required", len(targets))
    part.set("interval", vyostree.value(check, "timeout", str(PAUSE)))
    part.set("timeout", ECHOES if kind == "tcp" else WAIT)
    part.set("fall", 1 if kind == "tcp" else ECHOES)
    part.set("rise", 1)


def _targets(hop: _Hop, kind: str, check: Tree, part: DraftSection) -> Iterator[str]:
    for address, options in check.get("target", {}).items():
        if options:
            part.lost(f"{' '.join(options)} of target {address}", "probes leave by the uplink itself")
        if kind == "icmp":
            yield f"icmp://{address}"
        elif kind == "arp" and address == hop.router:
            yield "gateway:"
        elif kind == "tcp" and "port" in check:
            yield f"tcp://{address}:{vyostree.value(check, 'port', '')}"
        else:
            part.lost(f"{kind} to {address}", "mwan-hook has no such probe")


def _other(prefix: str, hops: Sequence[_Hop], draft: Draft, uplinks: dict[str, DraftSection]) -> None:
    """A route to one network: a policy, if each of its ways is the default's, too."""
    try:
        to = traffic.prefixes(prefix)
    except ValueError as error:
        draft.part("policies").lost(f"protocols failover route {prefix}", str(error))
        return
    for hop in hops:
        known = uplinks.get(hop.interface)
        if known is None or (hop.router and hop.router not in known.get("gateway")):
            words = (
                f"{hop.interface or 'a way without interface'} by {hop.router or 'DHCP'} is none of the default's ways"
            )
            draft.part("policies").lost(f"protocols failover route {prefix}", words)
            return
    part = draft.policy(f"to-{prefix}")
    part.set("to", to)
    part.set("uplinks", list(dict.fromkeys(uplinks[hop.interface].name for hop in hops)))
    part.differs("its ways are probed as those of the default, not by checks of its own")


def uplink(interface: str, draft: Draft) -> DraftSection:
    """A new uplink of one interface; what VyOS balances is IPv4."""
    part = draft.uplink(interface)
    part.match(draft.renamed(interface))
    part.set("families", "ipv4")
    return part
