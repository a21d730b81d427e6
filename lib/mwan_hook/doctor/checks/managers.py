"""Doctor: who looks after the uplinks' interfaces, and gateways that they have not set.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mwan_hook.doctor.finding import NOTE, PROBLEM, Case, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.machine.values import DHCLIENT, DHCPCD, IFUPDOWN, NETWORK_MANAGER, NETWORKD
from mwan_hook.model import Family
from mwan_hook.phrases import listed

NO_GATEWAY = "no gateway"
# What makes each of them set a default.  {0}: the interface
SETTINGS = {
    NETWORKD: "UseGateway=yes, or Gateway=, in its .network file",
    NETWORK_MANAGER: "nmcli connection modify CONNECTION ipv4.never-default no, and nmcli device reapply {0}",
    IFUPDOWN: (
        "a line `metric` with another number than the other uplinks' in its stanza of /etc/network/interfaces (of two"
        " with the same one dhclient sets only the first), and ifdown {0}; ifup {0}"
    ),
    DHCPCD: "no `nogateway` for it in dhcpcd.conf, and dhcpcd -n {0}",
    DHCLIENT: "dhclient -e IF_METRIC=NUMBER {0}, with another number than the other uplinks'",
}
NETPLAN = "its file below /etc/netplan (dhcp4-overrides: use-routes; or a route to default), and netplan apply"


class Managed(NamedTuple):
    """One interface: who looks after it, and the gateway of its lease."""

    interface: str
    index: int  # type: ignore[assignment]  # not tuple.index
    by: tuple[str, ...]
    netplan: bool = False
    leased: str | None = None


def check(case: Case, found: Iterable[Managed]) -> Iterator[Finding]:
    """``found``: every interface that has an IPv4 address, and those of the uplinks."""
    uplinks = {uplink.index: uplink for uplink in case.present}
    for one in found:
        uplink = uplinks.get(one.index)
        if uplink:
            yield from _twice(one, uplink.name)
        if uplink and uplink.enabled and uplink.ipv4.missing == NO_GATEWAY:
            yield _without(one, uplink.name, case)
        elif not uplink and one.leased and not case.config.uplinks:
            yield _left_out(one)


def _twice(one: Managed, name: str) -> Iterator[Finding]:
    if not (NETWORKD in one.by and NETWORK_MANAGER in one.by):
        return
    what = f"{one.interface} is configured by {listed(one.by)}: two DHCP clients, two sets of routes"
    breaks = "each takes away what the other has set, and addresses and defaults come and go"
    words = (
        f"one of them: unmanaged-devices=interface-name:{one.interface} under [keyfile] of a file in"
        " /etc/NetworkManager/conf.d, or Unmanaged=yes under [Link] of its .network file"
    )
    yield Finding("two-managers", PROBLEM, name, what, breaks, Fix(words))


def _without(one: Managed, name: str, case: Case) -> Finding:
    addresses = [a.address for a in case.snapshot.addresses if a.index == one.index and a.family is Family.IPV4]
    by = f", by {listed(one.by)}" if one.by else ""
    what = (
        f"{one.interface} has an address ({listed(addresses)}{by}), no gateway: no default route and no lease has one"
    )
    words = f"gateway = ADDRESS in [[{name.partition('@')[0]}]] of mwan-hook.conf{_setting(one)}"
    return Finding("no-gateway", PROBLEM, name, what, "it carries nothing over IPv4", Fix(words))


def _left_out(one: Managed) -> Finding:
    what = (
        f"{one.interface} has an address and the gateway {one.leased} by its lease, but main has no default through it"
    )
    breaks = "without [uplinks] only interfaces with a default in main are uplinks: it carries nothing"
    words = f"nothing, if it is no uplink; else [uplinks] in mwan-hook.conf{_setting(one)}"
    return Finding("no-default", NOTE, one.interface, what, breaks, Fix(words))


def _setting(one: Managed) -> str:
    """What its first manager is told, after an `or`."""
    words = NETPLAN if one.netplan else SETTINGS.get(one.by[0], "") if one.by else ""
    return f"; or {words.format(one.interface)}" if words else ""
