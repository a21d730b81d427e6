"""Two routers share the LAN's gateway address by the example for keepalived: it is where the internet is."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.lab import Isp, Lab, Line, Netns, Router
from tests.lab.lab import Flow
from tests.lab.process import wait_for
from tests.lab.router import PROJECT
from tests.lab.uplinks import ONE_TWO

EXAMPLE = PROJECT / "docs/examples/keepalived/keepalived.conf"
SHARED = "192.168.2.1"
NOBODY = 65534
STEP = 0.2  # seconds between two looks at a router, each of them a start of the program or two of ip(8)
CONFIG = f"""
[probe]
interval = 1
timeout = 0.5
burst_interval = 0.2
portal_interval = 0
rise = 2
hysteresis_delay = 0
{ONE_TWO}"""
STARTER = """
import os, sys
sys.path.insert(0, {lib!r})
with open({users!r}, "a") as file:
    file.write(f"{{os.geteuid()}}\\n")
from mwan_hook.__main__ import start
start()
"""
Change = Callable[[str], str]


class Pair(NamedTuple):
    """Two routers, `a` and `b`, with two lines each, on one LAN with a client."""

    lab: Lab
    a: Router
    b: Router
    client: Netns

    def start(self, change: Change = str) -> None:
        """The example on both, `change` applied to its text; returns when one of them has the address."""
        for name, router in (("router-a", self.a), ("router-b", self.b)):
            file = router.write("etc/keepalived/keepalived.conf", change(self._adapted(router)))
            (self.lab.dir / f"keepalived-{name}.log").unlink(missing_ok=True)
            words = ["keepalived", "--vrrp", "--dont-fork", "--dont-respawn", "--log-console", "--no-syslog"]
            words += ["-f", str(file), "-i", name, "-p", f"{file}.pid", "-r", f"{file}.vrrp.pid"]
            self.lab.spawn(router.ns.argv(*words), f"keepalived-{name}")
        wait_for("one of the two to take the address", self.holders, 20, STEP)

    def _adapted(self, router: Router) -> str:
        """The example with this laboratory's program and an ordinary user that is on every machine."""
        text = EXAMPLE.read_text()
        starter = self.lab.dir / "starter.py"
        command = f"/usr/bin/python3 -I {starter} --root {router.root} track"
        for old, new in (
            ("/usr/sbin/mwan-hook track", command),
            ("script_user keepalived_script", "script_user nobody"),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        return text

    def priority(self, name: str) -> int:
        """What keepalived last said of its priority; 0 if it was the configured one all the time."""
        log = (self.lab.dir / f"keepalived-router-{name}.log").read_text()
        return int(["0", *re.findall(r"effective priority from \d+ to (\d+)", log)][-1])

    def holders(self) -> list[str]:
        """Who has the shared address."""
        routers = (("a", self.a), ("b", self.b))
        return [name for name, router in routers if f" {SHARED}/" in router.ns.ip("-br -4 addr show dev lan0")]

    def online(self, router: Router) -> None:
        """Wait until a router has a way out again."""
        wait_for("a way out", lambda: router.mwan("track", code=None).returncode == 0, 30, STEP)

    def moves_to(self, name: str) -> None:
        """Wait until that one, and it alone, has the address."""
        wait_for(f"the address to be at {name} alone", lambda: self.holders() == [name], 40, STEP)

    def stays_at(self, name: str, flow: Flow, answers: int = 140) -> None:
        """Through so many answers to the client, about seven seconds, the address is there alone."""
        until = len(flow.answers()) + answers

        def over() -> bool:
            assert self.holders() == [name]
            return len(flow.answers()) >= until

        wait_for("answers", over, 60, STEP)

    def carried_by(self, flow: Flow, name: str) -> None:
        """Wait until that router's line carries the client's flow."""
        wait_for(f"the flow to go on by {name}", lambda: flow.answers() and flow.carried_by() == name, 40)


def isps(router: Router) -> list[Isp]:
    """The providers of a router."""
    return [line.isp for line in router.lines.values()]


def well(router: Router) -> bool:
    """Whether all its lines are online."""
    return all(uplink["ipv4"]["status"] == "online" for uplink in router.status()["uplinks"].values())


def sharing(lab: Lab, switch: Netns, name: str, number: int) -> Router:
    """A router with lines to providers of its own, forwarding for the LAN."""
    lines = []
    for n in (1, 2):
        isp = lab.isp(f"{name}{n}", f"10.{number}{n}.0.0/24")
        lines.append(Line(isp, f"eth{n}", f"10.{number}{n}.0.2/24", 100 * n))
    router = lab.router(*lines, name=f"router-{name}")
    wire(switch, router.ns, "lan0", f"192.168.2.{number + 1}/24", f"p-{name}")
    router.ns.sysctl({"ipv4/ip_forward": 1})
    router.ns.nft(
        "table ip lab { chain NAT { type nat hook postrouting priority srcnat;"
        ' iifname "lan0" oifname != "lan0" masquerade; }; }\n'
    )
    router.configure(CONFIG)
    return router


def wire(switch: Netns, ns: Netns, interface: str, address: str, port: str) -> None:
    """An interface on the LAN."""
    switch.batch(
        f"link add {port} type veth peer name {interface} netns {ns.name}",
        f"link set {port} addrgenmode none master br0 up",
    )
    ns.batch("link set lo up", f"link set {interface} up", f"addr add {address} dev {interface}")


@contextlib.contextmanager
def timers(*routers: Router) -> Iterator[None]:
    """What systemd's timer does, on each router, as often as the lines are to be probed."""
    over = threading.Event()

    def run(router: Router) -> None:
        while not over.wait(1):
            router.mwan("check", code=None)

    running = [threading.Thread(target=run, args=(router,)) for router in routers]
    for thread in running:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in running:
            thread.join()


def program(lab: Lab) -> None:
    """The program where an ordinary user can read it, and a starter that notes who runs it."""
    lib, users = lab.dir / "lib", lab.dir / "users"
    shutil.copytree(PROJECT / "lib", lib, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run(["/usr/bin/python3", "-m", "compileall", "-q", str(lib)], check=True, timeout=120, env={})
    users.touch()
    users.chmod(0o666)
    (lab.dir / "starter.py").write_text(STARTER.format(lib=str(lib), users=str(users)))


@pytest.fixture(scope="module")
def routers() -> Iterator[Pair]:
    """Built once, without keepalived."""
    with Lab() as lab:
        switch = lab.netns("switch")
        switch.batch("link add br0 type bridge mcast_snooping 0 forward_delay 0", "link set br0 up")
        a, b = sharing(lab, switch, "a", 1), sharing(lab, switch, "b", 2)
        client = lab.netns("client")
        wire(switch, client, "eth0", "192.168.2.10/24", "p-client")
        client.ip(f"route add default via {SHARED}")
        lab.serve(tls=False)
        program(lab)
        for router in (a, b):
            router.check()
        with timers(a, b):
            yield Pair(lab, a, b, client)


@pytest.fixture
def pair(routers: Pair) -> Iterator[Pair]:
    """All lines are online; what the test starts, keepalived above all, ends with it."""
    for router in (routers.a, routers.b):
        for isp in isps(router):
            isp.heal()
        wait_for("both lines", lambda router=router: well(router), 30, STEP)  # type: ignore[misc]
    before = len(routers.lab.children)
    yield routers
    started = routers.lab.children[before:]
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=20)


def test_the_address_goes_where_the_internet_is_and_comes_back(pair: Pair) -> None:
    pair.start()
    pair.moves_to("a")
    flow = pair.lab.flow(pair.client)
    pair.carried_by(flow, "a1")
    isps(pair.a)[0].fault("blackhole")
    pair.carried_by(flow, "a2")
    pair.stays_at("a", flow)
    isps(pair.a)[1].fault("blackhole")
    pair.moves_to("b")
    pair.carried_by(flow, "b1")
    assert pair.a.mwan("track", code=1).stderr == "mwan-hook: nothing is online\n"
    for isp in isps(pair.a):
        isp.heal()
    pair.moves_to("a")
    pair.carried_by(flow, "a1")
    assert {*(pair.lab.dir / "users").read_text().split()} == {str(NOBODY)}, "no rights were needed"


def test_when_both_have_lost_the_internet_the_address_stays_with_one(pair: Pair) -> None:
    pair.start()
    pair.moves_to("a")
    for isp in (*isps(pair.a), *isps(pair.b)):
        isp.fault("blackhole")
    wait_for("both to know", lambda: (pair.priority("a"), pair.priority("b")) == (90, 40), 30)
    for _ in range(14):
        time.sleep(0.5)  # longer than a backup waits before it takes over
        assert pair.holders() == ["a"]
    assert pair.client.run("ping", "-c1", "-W2", SHARED).returncode == 0, "the LAN keeps its gateway"
    isps(pair.b)[1].heal()
    pair.moves_to("b")


def test_with_equal_priorities_the_address_stays_until_it_has_to_move(pair: Pair) -> None:
    pair.start(lambda text: re.sub(r"^@router-a .*\n", "", text, flags=re.M).replace("@router-b", ""))
    wait_for("one alone to have it", lambda: len(pair.holders()) == 1, 20, STEP)
    (first,) = pair.holders()
    routers = {"a": pair.a, "b": pair.b}
    second = "b" if first == "a" else "a"
    flow = pair.lab.flow(pair.client)
    for holder, other in ((first, second), (second, first)):
        for isp in isps(routers[holder]):
            isp.fault("blackhole")
        pair.moves_to(other)
        pair.carried_by(flow, f"{other}1")
        for isp in isps(routers[holder]):
            isp.heal()
        pair.online(routers[holder])
        pair.stays_at(other, flow)


def test_as_a_fault_with_nopreempt_it_stays_and_no_router_has_it_when_both_have_lost_the_internet(pair: Pair) -> None:
    pair.start(lambda text: re.sub(r"weight .*", "", text).replace("state BACKUP", "state BACKUP\n    nopreempt"))
    pair.moves_to("a")
    flow = pair.lab.flow(pair.client)
    for isp in isps(pair.a):
        isp.fault("blackhole")
    pair.moves_to("b")
    pair.carried_by(flow, "b1")
    for isp in isps(pair.a):
        isp.heal()
    pair.online(pair.a)
    pair.stays_at("b", flow)
    for isp in (*isps(pair.a), *isps(pair.b)):
        isp.fault("blackhole")
    wait_for("no router to have the address", lambda: not pair.holders(), 40, STEP)
