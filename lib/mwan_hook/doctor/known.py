"""Doctor: whose rules, marks and tables are these?  Names of programs that are often found beside us.  Pure."""

from __future__ import annotations

from mwan_hook.trace.values import AnyRule

WG_QUICK = 0xCA6C  # its first mark, and its table 51820

# first letters of tables and chains of nftables and iptables, in any case
_PREFIXES = {
    "wg-quick": "WireGuard (wg-quick)",
    "ts-": "Tailscale",
    "mwan3": "mwan3",
    "kube-": "kube-proxy",
    "cali-": "Calico",
    "cilium": "Cilium",
    "docker": "docker",
    "libvirt": "libvirt",
    "firewalld": "firewalld",
    "ufw": "ufw",
    "flannel": "flannel",
    "netbird": "NetBird",
    "nordvpn": "NordVPN",
}


def of_rule(rule: AnyRule) -> str:
    """The program that makes such rules; empty if none is known."""
    if 5200 <= rule.priority <= 5299 and (rule.table == 52 or rule.mask == 0xFF0000):
        return "Tailscale"
    if rule.mark == WG_QUICK or rule.table == 51820:
        return "WireGuard (wg-quick)"
    if rule.mask == 0xF00 and rule.mark in (0x200, 0xF00):
        return "Cilium"
    if _mwan3(rule):
        return "mwan3"
    return "kube-proxy" if (rule.mark, rule.mask) in ((0x4000, 0x4000), (0x8000, 0x8000)) else ""


def _mwan3(rule: AnyRule) -> bool:
    """Interface N has iif at 1000 + N, marks at 2000 + N, unreachable at 3000 + N, all with table N."""
    number = rule.priority % 1000
    if not 1000 < rule.priority < 4000 or not 0 < number < 256:
        return False
    return (rule.mask == 0x3F00 and rule.priority > 2000) or (bool(rule.iif) and rule.table == number)


def of_name(*names: str) -> str:
    """The program that gives a table or chain this name."""
    for name in names:
        for prefix, program in _PREFIXES.items():
            if name.lower().startswith(prefix):
                return program
    return ""
