"""Prefixes that networkd gets by DHCPv6 and hands on to a LAN: whose they are, and what hosts do with a dead line's."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.lab.process import wait_for
from tests.system import running
from tests.system.beds import Container, rootfs
from tests.system.beds.container import UPLINK

WEB = "2001:db8:9::9"
PERIOD = 10.0  # of the timer
WAN = f"{UPLINK}\n[IPv6AcceptRA]\nDHCPv6Client=always\n"
# networkd (252, 257) has one provider's prefix on a link, that of the last renewal: so a device for each
LAN = """\
[Match]
Name={}

[Network]
{}
ConfigureWithoutCarrier=yes
DHCPPrefixDelegation=yes
IPv6SendRA=yes
IPv6AcceptRA=no

[DHCPPrefixDelegation]
UplinkInterface={}
"""
LANS = {
    "etc/systemd/network/20-lan0.network": LAN.format("lan0", "Address=192.168.2.1/24\nMACVLAN=lan1", "wan1"),
    "etc/systemd/network/20-lan1.network": LAN.format("lan1", "", "wan2"),
    "etc/systemd/network/20-lan1.netdev": "[NetDev]\nName=lan1\nKind=macvlan\n\n[MACVLAN]\nMode=bridge\n",
}
FORWARD = "net.ipv4.ip_forward = 1\nnet.ipv6.conf.all.forwarding = 1\n"
CONFIG = """\
[router]
deprecate_prefixes = yes
[probe]
hysteresis_delay = 0
rise = 1
"""
SERVED = "preferred-lifetime 4000; default-lease-time 6000;\n"
SERVED += "subnet6 2001:db8:{0}:1::/64 {{ prefix6 {1} {1} /56; }}\n"
# the server is the image's, its files are in a file system of its own
SERVER = """
mount -t tmpfs served "$1/mnt"
cp "$2" "$1/mnt/dhcpd6.conf"
: >"$1/mnt/leases"
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
exec chroot "$1" dhcpd -6 -f -d -cf /mnt/dhcpd6.conf -lf /mnt/leases -pf /mnt/pid lan
"""


class Delegating(Container):
    """Providers 1 and 2 delegate prefixes, 3 does not; a client of the LAN makes its addresses itself."""

    def build_world(self) -> None:
        super().build_world()
        self.serving = {n: self.delegate(n, f"2001:db8:{n}:5600::") for n in (1, 2)}

    def delegate(self, n: int, prefix: str) -> int:
        """Provider n's server with that prefix of 56 bits; its place among the children."""
        conf = self.dir / f"dhcpd{n}.conf"
        conf.write_text(SERVED.format(n, prefix))
        words = ["unshare", "--mount", "sh", "-euc", SERVER, "sh", str(rootfs.image(self.suite)), str(conf)]
        log = self.spawn(self.provider[n].ns.argv(*words), f"dhcpd{n}-{len(self.children)}")
        place = len(self.children) - 1
        wait_for(f"the server: {log}", lambda: "Sending on" in log.read_text(), 30)
        return place

    def another(self, n: int, prefix: str) -> None:
        """Provider n delegates another prefix from now on."""
        process = self.children[self.serving[n]]
        process.kill()
        process.wait()
        self.serving[n] = self.delegate(n, prefix)

    def routed(self, n: int, prefix: str) -> None:
        """Provider n sends a prefix to the uplink's address."""
        own = self.sh(f"ip -6 -br addr show dev wan{n} scope link").split()[2].split("/")[0]
        self.provider[n].ns.ip(f"route replace {prefix}/56 via {own} dev lan")

    def rules(self) -> dict[str, str]:
        """Table or action of the first of ours by prefix; its guard comes behind that."""
        found = json.loads(self.run("ip", "-N", "-j", "-d", "-6", "rule", "show").stdout)
        ours = [rule for rule in reversed(found) if rule.get("protocol") == "172" and "srclen" in rule]
        return {rule["src"]: "unreachable" if rule.get("action") == "7" else rule["table"] for rule in ours}

    def addresses(self) -> dict[str, bool]:
        """The client's address of each prefix (without its last part), and whether it is preferred."""
        lines = self.lan.ip("-6 -o addr show dev eth0 scope global").splitlines()
        return {line.split()[3].split("/")[0]: " deprecated " not in line for line in lines}

    def preferred(self, n: int) -> bool | None:
        """Whether the client's address of provider n's prefix is; None if it has none."""
        return next((good for one, good in self.addresses().items() if one.startswith(f"2001:db8:{n}:")), None)

    def way(self, n: int) -> str:
        """By which provider the client gets out with its address of provider n's prefix; empty: by none."""
        address = next(one for one in self.addresses() if one.startswith(f"2001:db8:{n}:"))
        words = ["curl", "-s", "-g", "-m2", "--interface", address, f"http://[{WEB}]/isp"]
        return self.lan.run(*words, check=False).stdout.strip()


@pytest.fixture(scope="module")
def bed(image: object) -> Iterator[Delegating]:
    """A router with two uplinks and mwan-hook in it."""
    files = {
        **running.units(),
        "etc/systemd/network/20-uplink.network": WAN,
        **LANS,
        "etc/sysctl.d/30-router.conf": FORWARD,
        "etc/mwan-hook/mwan-hook.conf": CONFIG,
    }
    made = Delegating(binds=running.program(), files=files)
    with made:
        made.wait_configured("wan1", "wan2")
        made.lan.sysctl({"ipv6/conf/eth0/accept_dad": 0, "ipv6/conf/eth0/accept_ra": 1})
        for n in (1, 2):
            made.routed(n, f"2001:db8:{n}:5600::")
        made.wait("addresses", lambda: made.preferred(1) and made.preferred(2))
        made.wait("all to be well", lambda: running.online(made, "wan1", "wan2"))
        yield made


def test_networkds_prefixes_are_found_and_hosts_leave_by_the_uplink_of_theirs(bed: Delegating) -> None:
    assert bed.rules() == {"2001:db8:1:5600::": "1001", "2001:db8:2:5600::": "1002"}
    for n in (1, 2):
        bed.wait(f"prefix {n} to leave by its line", lambda n=n: bed.way(n) == f"isp{n}")  # type: ignore[misc]
        assert [bed.way(n) for _ in range(3)] == [f"isp{n}"] * 3
    assert running.settled(bed)


def test_they_are_found_when_nothing_is_remembered(bed: Delegating) -> None:
    """A boot: by then networkd 257 has taken the first one's route away."""
    before = bed.rules()
    assert len(before) == 2
    running.stop_ours(bed)
    bed.sh("rm -r /run/mwan-hook/state.json*; ip -6 rule flush proto 172")
    running.start_ours(bed)
    bed.wait("the same rules", lambda: bed.rules() == before, PERIOD)
    bed.wait("all to be well", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed))


def test_a_dead_lines_prefix_is_deprecated_in_networkds_advertisements(bed: Delegating) -> None:
    with bed.provider[1].broken("blackhole6"):
        bed.run("mwan-hook", "check", "--now")
        assert running.verdicts(bed, "ipv6")["wan1"] == "offline"
        bed.wait("the client to hear", lambda: bed.preferred(1) is False, 3)
        assert bed.preferred(2)
        assert bed.rules()["2001:db8:1:5600::"] == "unreachable"
    bed.run("mwan-hook", "check", "--now")
    bed.wait("the client to hear", lambda: bed.preferred(1) and bed.preferred(2), 5)


def test_a_prefix_that_networkd_forgets_with_the_carrier_is_deprecated_too(bed: Delegating) -> None:
    bed.carrier("wan1", on=False)
    bed.wait("the client to hear", lambda: bed.preferred(1) is False, PERIOD)
    assert bed.preferred(2)
    bed.wait("the rule", lambda: bed.rules()["2001:db8:1:5600::"] == "unreachable", PERIOD)
    assert "2001:db8:1:5600::/56" not in bed.sh("ip -6 route show")
    assert bed.rules()["2001:db8:2:5600::"] == "1002"
    bed.carrier("wan1", on=True)
    bed.wait("it to be back", lambda: running.online(bed, "wan1", "wan2"), 6 * PERIOD)
    bed.wait("the client to hear", lambda: bed.preferred(1) and bed.preferred(2), 5)
    assert bed.rules()["2001:db8:1:5600::"] == "1001"


def test_another_prefix_of_the_same_provider_is_followed(bed: Delegating) -> None:
    bed.another(1, "2001:db8:1:7700::")
    bed.run("networkctl", "reconfigure", "wan1")
    bed.wait("the new one", lambda: bed.rules().get("2001:db8:1:7700::") == "1001", 3 * PERIOD)
    bed.wait("the old one to go", lambda: "2001:db8:1:5600::" not in bed.rules(), PERIOD)
    bed.wait("all to be well", lambda: running.online(bed, "wan1", "wan2") and running.settled(bed), 6 * PERIOD)
    assert running.unwell(bed) == []
