"""Managers of an interface, by files in /run: networkd, NetworkManager, ifupdown, dhcpcd, dhclient."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.machine import leases, networkd
from mwan_hook.machine.values import DHCLIENT, DHCPCD, IFUPDOWN, NETWORK_MANAGER, NETWORKD
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

NETPLAN = "-netplan-"  # in the names of all files that it generates
EXTERNAL = "run/NetworkManager/system-connections"
_MANAGED = {"managed=true", "managed=1"}
_ACTIVE = ("configured", "configuring", "pending", "initialized")


def of(root: str, index: int, interface: str) -> tuple[str, ...]:
    """Programs that look after it, the one that configures most of it first; none where it is done by hand."""
    found = (
        (NETWORKD, has_networkd(root, index)),
        (NETWORK_MANAGER, has_network_manager(root, index, interface)),
        (IFUPDOWN, bool(contents(under(root, f"run/network/ifstate.{interface}")).strip())),
        (DHCPCD, _runs_dhcpcd(root, interface)),
        (DHCLIENT, os.path.exists(under(root, f"run/dhclient.{interface}.pid"))),
    )
    return tuple(name for name, there in found if there)


def has_networkd(root: str, index: int) -> bool:
    """Whether networkd does."""
    return networkd.link_facts(root, index).get("ADMIN_STATE") in _ACTIVE


def has_network_manager(root: str, index: int, interface: str) -> bool:
    """Whether NetworkManager does.  Of what others have configured it keeps a connection in /run, by the name."""
    text = contents(under(root, f"{leases.DEVICES}/{index}"))
    if not (_MANAGED.intersection(text.split("\n")) and "\nconnection-uuid=" in text):
        return False
    return "\n[dhcp4]" in text or not os.path.exists(under(root, f"{EXTERNAL}/{interface}.nmconnection"))


def _runs_dhcpcd(root: str, interface: str) -> bool:
    """Whether one runs for it, or for all interfaces and has had a lease on this one."""
    if os.path.exists(under(root, f"run/dhcpcd/{interface}.pid")):
        return True
    return os.path.exists(under(root, "run/dhcpcd/pid")) and bool(leases.of_dhcpcd(root, interface))


def by_netplan(root: str, index: int) -> bool:
    """Whether netplan has made networkd's file for it."""
    return NETPLAN in networkd.link_facts(root, index).get("NETWORK_FILE", "")
