"""Name servers that this machine asks, and the way that the kernel takes to each."""

from __future__ import annotations

import os
from collections.abc import Sequence

from mwan_hook.doctor.checks.dns import LEASE, Resolver
from mwan_hook.kernel.question import Question
from mwan_hook.machine import networkd
from mwan_hook.machine.resolvconf import nameservers
from mwan_hook.model import Family, Link
from mwan_hook.store.files import under
from mwan_hook.trace import inquiry

STUBS = ("127.0.0.53", "127.0.0.54")
TAKEN = "run/mwan-hook-root/resolved"  # what the hook 50-resolved has taken DNS from


def servers(root: str, links: Sequence[Link], online: frozenset[int]) -> list[Resolver]:
    """Name servers of resolv.conf, or of systemd-resolved behind it, and of leases of uplinks that are ``online``."""
    plain = nameservers(under(root, "etc/resolv.conf"))
    leases = {link.index: networkd.lease(root, link.index).servers for link in links}
    if any(one in STUBS for one in plain):
        found = _resolved(root, links, leases)
    else:
        found = [_routed(one, "/etc/resolv.conf") for one in plain]
    names = {link.index: link.name for link in links}
    known = {one.address for one in found}
    for index in sorted(online):
        found += [_routed(one, f"{LEASE}{names.get(index)}") for one in leases.get(index, ()) if one not in known]
    return [one for one in found if not one.address.startswith(("127.", "::1", "fe80:"))]


def _resolved(root: str, links: Sequence[Link], leases: dict[int, tuple[str, ...]]) -> list[Resolver]:
    """Servers that systemd-resolved asks: those of a link through that link, without regard to routes."""
    place = "systemd-resolved"
    taken = {link.index for link in links if os.path.exists(under(root, f"{TAKEN}/{link.name}"))}
    found: list[Resolver] = []
    for one in nameservers(under(root, "run/systemd/resolve/resolv.conf")):
        holders = [index for index, given in leases.items() if one in given]
        asked = [index for index in holders if index not in taken]
        if holders:
            found += [Resolver(one, place, index) for index in asked]
        else:
            found.append(_routed(one, place))
    return found


def _routed(address: str, place: str) -> Resolver:
    asked = Question(Family.of(address), address, proto=17, dport=53, uid=os.getuid())
    answer = inquiry.answer(asked)
    if answer.error or answer.leg is None:
        return Resolver(address, place, error=answer.said or "no route")
    return Resolver(address, place, answer.leg.index)
