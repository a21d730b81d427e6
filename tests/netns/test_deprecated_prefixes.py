"""[router] deprecate_prefixes: hosts stop using a dead uplink's prefix, with every advertiser, and take it up again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mwan_hook.kernel.advertise import COPIES
from mwan_hook.run.save import SAID_TWICE
from tests.lab import Lab, Netns, wait_for
from tests.lab.router import Router
from tests.lab.starts import Process
from tests.lab.topologies import Network
from tests.netns.test_prefixes import PLAIN, build, delegated

CONFIG = f"[router]\ndeprecate_prefixes = yes\n{PLAIN}"
SECONDS = 3.0  # in which hosts have heard
RADVD = """
interface lan0 {
 AdvSendAdvert on;
 MinRtrAdvInterval 198;
 MaxRtrAdvInterval 600;
 AdvLinkMTU 1480;
 prefix 2001:db8:1:5600::/64 { AdvValidLifetime 86400; AdvPreferredLifetime 14400; };
 prefix 2001:db8:2:5600::/64 { AdvValidLifetime 86400; AdvPreferredLifetime 14400; };
 RDNSS fd00::53 { };
};
"""
DNSMASQ = (
    *("dnsmasq", "-d", "-C", "/dev/null", "-u", "root", "--port=0", "-i", "lan0", "--log-facility=-", "-z"),
    *("--enable-ra", "--dhcp-range=::,constructor:lan0,ra-only,64,1h", "--ra-param=lan0,198,600"),
)

HEARD = """
table inet heard {
 counter ours { }
 chain in {
  type filter hook input priority 0;
  ip6 saddr fe80::6d77:616e icmpv6 type nd-router-advert counter name ours
 }
}
"""


class Advertised(NamedTuple):
    """That world with an advertiser, and a client that makes its own addresses."""

    net: Network
    client: Netns
    process: Process

    def addresses(self) -> dict[int, bool]:
        """Providers of whose prefix the client has an address, and whether it is preferred."""
        lines = self.client.ip("-6 -o addr show dev eth0 scope global").splitlines()
        return {n: " deprecated " not in line for line in lines for n in (1, 2) if f" 2001:db8:{n}:56" in line}

    def hear(self, addresses: dict[int, bool]) -> None:
        wait_for(f"the client to have {addresses}", lambda: self.addresses() == addresses, SECONDS)

    def heard(self) -> int:
        """Our own words, counted by HEARD."""
        listed = json.loads(self.client.run("nft", "-j", "list", "counter", "inet", "heard", "ours").stdout)
        return int(listed["nftables"][1]["counter"]["packets"])

    def table(self) -> str:
        return self.net.router.ns.run("nft", "list", "table", "inet", "mwan_hook", check=False).stdout


def advertiser(lab: Lab, router: Router, kind: str) -> None:
    if kind == "radvd":
        conf = lab.dir / "radvd.conf"
        conf.write_text(RADVD)
        conf.chmod(0o644)
        words = ["radvd", "-n", "-m", "stderr", "-C", str(conf), "-p", str(lab.dir / "radvd.pid")]
    else:
        words = [*DNSMASQ, f"--dhcp-leasefile={lab.dir}/leases"]
    lab.spawn(router.ns.argv(*words), kind)


@pytest.fixture(scope="module")
def world(request: pytest.FixtureRequest) -> Iterator[Advertised]:
    with Lab() as lab:
        bare = build(lab, CONFIG)
        advertiser(lab, bare.net.router, request.param)
        made = Advertised(bare.net, bare.client, lab.children[-1])
        wait_for("the client's addresses", lambda: made.addresses() == {1: True, 2: True}, 15)
        yield made


@pytest.mark.parametrize("world", ["radvd", "dnsmasq"], indirect=True)
def test_a_dead_uplinks_prefix_is_deprecated_and_preferred_again_when_it_is_back(world: Advertised) -> None:
    net = world.net
    with net.isps[0].broken("blackhole6"):
        net.router.check()
        world.hear({1: False, 2: True})
        told = {name: one["prefixes"] for name, one in net.router.status()["uplinks"].items()}
        assert told["one"] == [{"prefix": delegated(1), "present": True, "deprecated": True}]
        assert told["two"] == [{"prefix": delegated(2), "present": True, "deprecated": False}]
        assert told["three"] == []
        # what an advertiser says by itself later changes nothing
        for value in (1, 0):
            world.client.sysctl({"ipv6/conf/eth0/disable_ipv6": value})
        wait_for("addresses again", lambda: len(world.addresses()) == 2, 10)
        assert world.addresses() == {1: False, 2: True}
    net.router.check()
    if world.addresses() != {1: True, 2: True}:
        time.sleep(SAID_TWICE)  # radvd was asked within three seconds of its last word
        net.router.mwan("check")
    world.hear({1: True, 2: True})
    assert "advertised" not in world.table()
    assert net.router.mwan("plan").stdout == ""


@pytest.mark.parametrize("world", ["dnsmasq"], indirect=True)
def test_hosts_hear_of_it_from_us_where_the_advertiser_is_silent(world: Advertised) -> None:
    net = world.net
    world.process.send_signal(signal.SIGSTOP)
    try:
        with net.isps[1].broken("blackhole6"):
            net.router.check()
            world.hear({1: True, 2: False})
        net.router.check()
    finally:
        world.process.send_signal(signal.SIGCONT)
    world.hear({1: True, 2: True})


@pytest.mark.parametrize("world", ["dnsmasq"], indirect=True)
def test_flush_leaves_no_prefix_deprecated(world: Advertised) -> None:
    net = world.net
    with net.isps[0].broken("blackhole6"):
        net.router.check()
        world.hear({1: False, 2: True})
        net.router.mwan("flush")
        world.hear({1: True, 2: True})
    net.router.check()


@pytest.mark.parametrize("world", ["dnsmasq"], indirect=True)
def test_nothing_is_deprecated_unless_asked_for_and_what_was_is_taken_back(world: Advertised) -> None:
    net = world.net
    with net.isps[0].broken("blackhole6"):
        net.router.check()
        world.hear({1: False, 2: True})
        net.router.configure(PLAIN)
        net.router.check()
        world.hear({1: True, 2: True})
        assert world.table() == ""
    net.router.configure(CONFIG)
    net.router.check()


@pytest.mark.parametrize("world", ["dnsmasq"], indirect=True)
def test_a_run_that_was_killed_anywhere_is_finished_by_the_next(world: Advertised) -> None:
    net = world.net
    for step in range(4):
        with net.isps[0].broken(*(["blackhole6"] if step % 2 == 0 else [])):
            run = net.router.start("check", "--now")
            time.sleep(0.1 + 0.1 * step)
            run.kill()
            run.communicate()
            net.router.check()
            world.hear({1: step % 2 == 1, 2: True})
            assert net.router.mwan("plan").stdout == ""


@pytest.mark.parametrize("world", ["dnsmasq"], indirect=True)
def test_it_is_said_twice_and_a_further_run_says_and_writes_nothing(world: Advertised) -> None:
    net = world.net
    with net.isps[0].broken("blackhole6"):
        net.router.check()
        world.hear({1: False, 2: True})
        world.client.nft(HEARD)
        time.sleep(SAID_TWICE)
        net.router.mwan("check")
        wait_for("the second word", lambda: world.heard() == COPIES)
        table, stamp = world.table(), net.router.state_file.stat().st_ino
        net.router.mwan("check")
        time.sleep(0.2)
        assert world.heard() == COPIES
        assert world.table() == table
        assert net.router.state_file.stat().st_ino == stamp
    net.router.check()
