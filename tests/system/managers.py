"""Managers of interfaces other than networkd alone: how each is set up, started and asked for wan1 and wan2."""

from __future__ import annotations

from typing import NamedTuple

from tests.system.beds import Files, Link

WANS = {"wan1": 100, "wan2": 200}  # and their metrics
ALONE: Files = {
    **{
        f"etc/systemd/system/{unit}": Link("/dev/null")
        for unit in (
            *("systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service"),
            "networkd-dispatcher.service",
        )
    },
    # it would have veth left alone
    "etc/udev/rules.d/85-nm-unmanaged.rules": Link("/dev/null"),
}


class Manager(NamedTuple):
    """One way to have two DHCP lines.  Commands are shell; ``{}`` is an interface."""

    name: str  # as install.sh says it
    files: Files
    start: str
    stop: str
    restart: str
    renew: str
    event: str  # what its hook spools then
    bare: Files  # the same, but wan2 gets no default
    again: str  # what makes that so
    installed: str = ":"  # what mwan-hook's installation asks for


def _profile(name: str, metric: int, more: str = "") -> str:
    return (
        f"[connection]\nid={name}\ntype=ethernet\ninterface-name={name}\n[ethernet]\n"
        f"[ipv4]\nmethod=auto\nroute-metric={metric}\n{more}[ipv6]\nmethod=auto\nroute-metric={metric}\n"
    )


def _profiles(more: str = "") -> Files:
    place = "etc/NetworkManager/system-connections"
    return {
        f"{place}/{name}.nmconnection": _profile(name, metric, more if name == "wan2" else "")
        for name, metric in WANS.items()
    }


def _stanzas(metrics: bool) -> Files:
    lines = ["auto lo", "iface lo inet loopback"]
    for name, metric in WANS.items():
        lines += [f"allow-hotplug {name}", f"iface {name} inet dhcp"]
        lines += [f"  metric {metric}"] if metrics else []
    return {"etc/network/interfaces": "\n".join(lines) + "\n"}


def _dhcpcd(more: str = "") -> Files:
    lines = ["allowinterfaces wan*", "noarp", "option domain_name_servers", "slaac hwaddr"]
    lines += [f"interface {name}\nmetric {metric}" for name, metric in WANS.items()]
    return {"etc/dhcpcd.conf": "\n".join(lines) + f"\n{more}\n"}


def _netplan(more: str = "") -> Files:
    lines = ["network:", "  version: 2", "  renderer: networkd", "  ethernets:"]
    for name, metric in WANS.items():
        own = f", {more}" if more and name == "wan2" else ""
        lines += [f"    {name}:", "      dhcp4: true", "      dhcp-identifier: mac"]
        lines += [f"      dhcp4-overrides: {{route-metric: {metric}{own}}}"]
    return {"etc/netplan/10-wans.yaml": "\n".join(lines) + "\n"}


NETWORK_MANAGER = Manager(
    name="NetworkManager",
    files={**_profiles(), "etc/NetworkManager/conf.d/lan.conf": "[keyfile]\nunmanaged-devices=interface-name:lan0\n"},
    start="chmod 600 /etc/NetworkManager/system-connections/*; systemctl enable -q --now NetworkManager",
    stop="systemctl disable -q --now NetworkManager; rm -r /run/NetworkManager",
    restart="systemctl restart NetworkManager",
    renew="nmcli -w 20 connection up {}",
    event="up {}",
    bare=_profiles("never-default=true\n"),
    again="chmod 600 /etc/NetworkManager/system-connections/*; nmcli connection reload; nmcli -w 20 connection up wan2",
)
IFUPDOWN = Manager(
    name="ifupdown",
    files=_stanzas(metrics=True),
    start="systemctl start ifup@wan1 ifup@wan2",  # as udev does
    stop="systemctl stop ifup@wan1 ifup@wan2; rm /etc/network/interfaces",
    restart="systemctl restart ifup@wan1 ifup@wan2",
    renew="systemctl restart ifup@{}",
    event="post-up {}",
    bare=_stanzas(metrics=False),
    # which returns before there is a lease: the first default keeps out the second
    again="systemctl stop ifup@wan1 ifup@wan2; systemctl start ifup@wan1; "
    "until ip route show default dev wan1 | grep -q .; do sleep 0.2; done; systemctl start ifup@wan2",
)
DHCPCD = Manager(
    name="dhcpcd",
    files=_dhcpcd(),
    start="systemctl start dhcpcd",
    stop="systemctl stop dhcpcd",
    restart="systemctl restart dhcpcd",
    renew="dhcpcd -n {}",
    event="RECONFIGURE {}",
    bare=_dhcpcd("interface wan2\nnogateway"),
    again="systemctl restart dhcpcd",
    installed="systemctl restart dhcpcd",  # its sandbox is another from its next start on
)
NETPLAN = Manager(
    name="netplan, by systemd-networkd",
    files=_netplan(),
    start=(
        "chmod 600 /etc/netplan/*; systemctl unmask -q systemd-networkd.service systemd-networkd.socket;"
        " rm -f /etc/systemd/network/20-uplink.network; netplan apply"
    ),
    stop="systemctl mask -q --now systemd-networkd.service systemd-networkd.socket",
    restart="systemctl restart systemd-networkd",
    renew="networkctl renew {}",
    event="",
    bare=_netplan("use-routes: false"),
    again="netplan apply",
)
ALL = {"NetworkManager": NETWORK_MANAGER, "ifupdown": IFUPDOWN, "dhcpcd": DHCPCD, "netplan": NETPLAN}
