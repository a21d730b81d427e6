"""A tunnel of the kernel's WireGuard over two providers, all of it in namespaces of a virtual machine.

`router` has mwan-hook with uplinks `first` and `second`; `far` is the other end, and what is probed.  The providers do
not translate, so `wg show` at the far end tells which address of the router it hears.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator

from tests.lab import wait_for
from tests.system.beds import Files, Machine

ROOT, FAR, INSIDE = "/run/roaming", "203.0.113.77", "10.44.0.1"
SOURCES = {"first": "10.21.1.2", "second": "10.21.2.2"}
SLOW = 60  # seconds; without KVM a run takes some
CONFIG: Files = {
    f"{ROOT[1:]}/etc/mwan-hook/mwan-hook.conf": f"""\
[probe]
targets = icmp://{FAR}
portal_interval = 0
hysteresis_delay = 0
timeout = 2
fall = 1
rise = 1
[uplinks]
[[first]]
metric = 100
families = ipv4
[[second]]
metric = 200
families = ipv4
"""
}
BUILD = f"""
set -e
modprobe -a wireguard sch_netem
in_() {{ ip netns exec "$@"; }}
for name in router far first second; do
  ip netns add $name
  ip -n $name link set lo up
  in_ $name sysctl -qw net.ipv4.ip_forward=1
done
ip -n far addr add {FAR}/32 dev lo
number=0
for name in first second; do
  number=$((number + 1))
  ip -n router link add $name type veth peer name access netns $name
  ip -n far link add $name type veth peer name core netns $name
  ip -n router addr add 10.21.$number.2/24 dev $name
  ip -n $name addr add 10.21.$number.1/24 dev access
  ip -n $name addr add 10.22.$number.2/24 dev core
  ip -n far addr add 10.22.$number.1/24 dev $name
  for end in "router link set $name" "far link set $name" "$name link set access" "$name link set core"; do
    ip -n $end up
  done
  ip -n $name route add {FAR} via 10.22.$number.1
  ip -n far route add 10.21.$number.0/24 via 10.22.$number.2 src {FAR}
  ip -n router route add default via 10.21.$number.1 dev $name metric $number
  tc -n $name qdisc add dev access root netem delay $((number * 10))ms
done
cd {ROOT}
umask 077
for end in here there; do wg genkey >$end; wg pubkey <$end >$end.pub; done
wg genkey | wg pubkey >other.pub
wg genpsk >shared
ip -n far link add wg0 type wireguard
in_ far wg set wg0 listen-port 51820 private-key there \\
  peer $(cat here.pub) preshared-key shared allowed-ips 10.44.0.2/32
ip -n far addr add {INSIDE}/24 dev wg0
ip -n far link set wg0 up
ip -n router link add wg0 type wireguard
in_ router wg set wg0 private-key here listen-port 52000 fwmark 0x7000000 \\
  peer $(cat there.pub) preshared-key shared allowed-ips {INSIDE}/32,fd44::/64 persistent-keepalive 25 \\
  endpoint {FAR}:51820 \\
  peer $(cat other.pub) allowed-ips 10.45.0.0/16 endpoint 10.21.1.1:4500
ip -n router addr add 10.44.0.2/24 dev wg0
ip -n router link set wg0 up
"""


def build(bed: Machine) -> None:
    """Make all of it."""
    bed.write(CONFIG)
    bed.sh(BUILD)


def check(bed: Machine) -> str:
    """A run that probes now; what it says."""
    return bed.sh(f"ip netns exec router mwan-hook --root {ROOT} check --now 2>&1")


def sets(said: str) -> set[str]:
    """The endpoints that a run has set again, without port."""
    return set(re.findall(r"^\[#\] wg set wg0 peer \S+ endpoint (.+):\d+$", said, re.MULTILINE))


def carries(bed: Machine, name: str, on: bool) -> None:
    """Whether a provider carries anything; its gateway answers all the same."""
    bed.sh(f"ip netns exec {name} sysctl -qw net.ipv4.ip_forward={on:d}")


def heard(bed: Machine) -> str:
    """The address of the router that the far end heard last."""
    return bed.sh("ip netns exec far wg show wg0 endpoints").split()[1].partition(":")[0]


def until_heard(bed: Machine, name: str) -> float:
    """Wait until the far end hears an uplink; the seconds that it took."""
    begun = time.monotonic()
    wait_for(f"the far end to hear {name}", lambda: heard(bed) == SOURCES[name], SLOW, 0.2)
    return time.monotonic() - begun


def settings(bed: Machine) -> str:
    """All that wg(8) shows of the router's interface: keys, ports, marks, peers, keepalive."""
    return bed.sh("ip netns exec router wg showconf wg0")


@contextlib.contextmanager
def spoken_to(bed: Machine) -> Iterator[Callable[[], list[int]]]:
    """The far end asks by the tunnel, and nothing else speaks in it; gives what tells which questions were answered."""
    unit, inside = "roaming-ping", "10.44.0.2"

    def answered() -> list[int]:
        return [int(one) for one in re.findall(r"from .* icmp_seq=(\d+) ttl", bed.sh(f"journalctl -qu {unit} -o cat"))]

    bed.sh(f"systemd-run -q --unit {unit} ip netns exec far ping -i 0.25 {inside}")
    bed.run("ip", "netns", "exec", "router", "ping", "-c1", "-W5", INSIDE)
    try:
        yield answered
    finally:
        bed.run("systemctl", "stop", unit, check=False)
