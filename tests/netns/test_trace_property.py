"""Random rules, tables and questions: what `trace` says is what the kernel does."""

from __future__ import annotations

import os
import pickle
import random
from collections import Counter

import pytest

from mwan_hook.kernel.question import Question
from mwan_hook.model import Family
from mwan_hook.trace.compare import agree
from mwan_hook.trace.values import KernelAnswer, Trace
from tests.lab import Lab, Netns, starts, wait_for
from tests.netns.kernel import LIB

AGENT = "tests.netns.trace_agent:main"
QUESTIONS = 60
SEEDS = range(20)
IPV4, IPV6 = Family.IPV4, Family.IPV6
DEVICES = ("wan1", "wan2", "wan3")
TABLES = (100, 101, 102, 103, 254)
NULLS = ("unreachable", "blackhole", "prohibit", "throw")
SILENT = 3  # the gateway of wan2 with this number does not answer


class World:
    """What one family's scenarios are made of."""

    def __init__(self, family: Family) -> None:
        self.family, v4 = family, family is IPV4
        self.own = ("192.168.1.80", "192.168.2.80") if v4 else ("fd00:1::80", "fd00:2::80")
        self.foreign = ("172.16.0.5", "10.1.1.1", "192.168.1.9") if v4 else ("fd16::5", "fd10:1:1::1", "fd00:1::9")
        self.prefixes = (
            ("default", "10.0.0.0/8", "10.1.0.0/16", "10.1.1.0/24", "10.1.1.1/32", "8.0.0.0/8")
            if v4
            else ("default", "fd10::/16", "fd10:1::/32", "fd10:1:1::/48", "fd10:1:1::1/128", "2001::/16")
        )
        self.targets = (
            ("10.1.1.1", "10.1.2.2", "10.2.0.1", "8.8.8.8")
            if v4
            else ("fd10:1:1::1", "fd10:1:2::2", "fd10:2::1", "2001:db8::8")
        )
        self.others = ("192.168.1.80", "192.168.1.9", "127.0.0.1") if v4 else ("fd00:1::80", "fd00:1::9", "::1")

    def gateway(self, device: str, number: int) -> str:
        """Addresses of a subnet that is on the link everywhere."""
        place = device[-1]
        return f"192.168.{place}.{number}" if self.family is IPV4 else f"fd00:{place}::{number}"

    def subnet(self, device: str) -> str:
        """An address for the device."""
        return f"{self.gateway(device, 80)}/{24 if self.family is IPV4 else 64}"


def build(ns: Netns, world: World) -> None:
    """Three uplinks; the third may lose its carrier."""
    ns.ip("link set lo up")
    for name in DEVICES:
        ns.batch(f"link add {name} type veth peer name {name}-p", f"link set {name}-p up", f"link set {name} up")
        ns.ip(f"address add {world.subnet(name)} dev {name}" + (" nodad" if world.family is IPV6 else ""))
        for number in (1, 2):
            ns.ip(f"neigh replace {world.gateway(name, number)} lladdr 02:00:00:00:00:01 dev {name} nud permanent")
    ns.ip("link set wan2 group 7")
    ns.ip(f"neigh replace {world.gateway('wan2', SILENT)} dev wan2 nud failed")
    flag = world.family.flag
    wait_for("routes of the links", lambda: "wan3" in ns.ip(f"{flag} route show"))


def hop(world: World, rng: random.Random) -> str:
    """One nexthop."""
    device = rng.choice(DEVICES)
    numbers = (1, SILENT, SILENT) if device == "wan2" else (1, 2)
    return f"via {world.gateway(device, rng.choice(numbers))} dev {device}"


def route(world: World, rng: random.Random) -> str:
    """What follows `ip route append`.

    IPv6: each kind has metrics of its own, because a dump leaves out what stands among the legs of a multipath route.
    Routes by nexthop object have one prefix, because those that share an object share a ready answer, and
    suppress_prefixlength asks its length.
    """
    prefix, table, metric = rng.choice(world.prefixes), rng.choice(TABLES), rng.choice((1, 10, 20))
    own = metric if world.family is IPV4 else 10 * metric
    kind = rng.random()
    if kind < 0.2:
        return f"{rng.choice(NULLS)} {prefix} table {table} metric {own + (own != metric)}"
    if kind < 0.35:
        prefix = prefix if world.family is IPV4 else world.prefixes[1]
        return f"{prefix} table {table} metric {own + 2} nhid {rng.choice((1, 2, 3, 10, 11))}"
    if kind < 0.45:
        return f"{prefix} table {table} metric {own + 3 * (own != metric)} dev {rng.choice(DEVICES)}"
    where = f"{prefix} table {table} metric {metric}"
    if kind < 0.65:
        return where + "".join(f" nexthop {hop(world, rng)} weight {rng.randint(1, 5)}" for _ in range(2))
    return f"{where} {hop(world, rng)}"


def rule(world: World, rng: random.Random) -> str:
    """What follows `ip rule add`."""
    priority = rng.randrange(10, 60, 5)
    words = [f"priority {priority}"]

    def maybe(chance: float, text: str) -> None:
        words.extend([text] if rng.random() < chance else [])

    maybe(0.1, "not")
    maybe(0.3, f"from {rng.choice((*world.own, *world.foreign, world.prefixes[1]))}")
    maybe(0.2, f"to {rng.choice(world.prefixes[1:])}")
    maybe(0.2, f"iif {rng.choice((*DEVICES, 'lo', 'gone0'))}")
    maybe(0.2, f"oif {rng.choice((*DEVICES, 'gone0'))}")
    maybe(0.2, f"fwmark {rng.choice(('0x100/0x3f00', '0x200', '0/0xff', '0x1/0x1'))}")
    icmp = "icmp" if world.family is IPV4 else "ipv6-icmp"
    maybe(0.2, f"ipproto {rng.choice(('tcp', 'udp', icmp))}")
    maybe(0.1, f"sport {rng.choice(('1000-2000', '53'))}")
    maybe(0.15, f"dport {rng.choice(('80', '5000-5100', '1-65535'))}")
    maybe(0.15, f"uidrange {rng.choice(('0-0', '1000-2000', '0-4294967294'))}")
    maybe(0.05, "tos 0x10")
    if rng.random() < 0.6:
        words.append(f"lookup {rng.choice(TABLES)}")
        maybe(0.3, f"suppress_prefixlength {rng.choice((0, 8, 16, 24))}")
        maybe(0.1, "suppress_ifgroup 7")
    else:
        target = rng.randrange(priority + 5, 65, 5)
        words.append(rng.choice(("unreachable", "blackhole", "prohibit", "nop", f"goto {target}", f"goto {target}")))
    return " ".join(words)


def furnish(ns: Netns, world: World, rng: random.Random) -> None:
    """Everything of one scenario; lines that make no sense together are refused by the kernel, the others stay."""
    lines = [f"route flush table {table}" for table in TABLES[:-1]]
    lines += [f"route flush table {TABLES[-1]} proto boot", "rule flush", "rule delete priority 0"]
    local, main = "rule add priority 0 lookup local", "rule add priority 32766 lookup main"
    lines += [local if rng.random() < 0.8 else "rule add priority 33 lookup local"]
    lines += [main if rng.random() < 0.8 else main + " suppress_prefixlength 0"]
    objects = [f"nexthop add id {number} {hop(world, rng)}" for number in (1, 2, 3)]
    objects += ["nexthop add id 10 group 1,2/2,3"]
    lines += ["nexthop add id 11 blackhole"]
    lines += [f"route append {route(world, rng)}" for _ in range(25)]
    lines += [f"rule add {rule(world, rng)}" for _ in range(rng.randint(4, 14))]
    switch(ns, world, rng)  # first: IPv6 shares out by what held when the route or the carrier came
    ns.run("ip", "-force", "-batch", "-", text="\n".join(("nexthop flush", *objects)) + "\n", check=False)
    ns.run("ip", world.family.flag, "-force", "-batch", "-", text="\n".join(lines) + "\n", check=False)


def switch(ns: Netns, world: World, rng: random.Random) -> None:
    """What a kernel can be told besides, and whether the third uplink has a carrier."""
    wanted = f"{world.family.value}/conf/{{}}/{{}}"
    values = {wanted.format(name, "ignore_routes_with_linkdown"): rng.choice((0, 1, 1)) for name in DEVICES}
    values[wanted.format("all", "forwarding")] = rng.randint(0, 3) and 1 if world.family is IPV4 else rng.randint(0, 1)
    if world.family is IPV4:
        values |= {wanted.format(name, "rp_filter"): rng.choice((0, 0, 1, 2)) for name in (*DEVICES, "all")}
        values["ipv4/nexthop_compat_mode"] = rng.randint(0, 1)
    ns.sysctl(values)
    state = rng.choice(("up", "down", "down"))
    ns.ip(f"link set wan3-p {state}")
    wait_for("the carrier", lambda: ("NO-CARRIER" in ns.ip("link show dev wan3")) == (state == "down"))


def question(world: World, rng: random.Random, index: dict[str, int]) -> Question:
    """Of this machine's packets, or of one that is forwarded."""
    asked = Question(
        world.family,
        rng.choice(world.targets * 3 + world.others),
        mark=rng.choice((0, 0, 0x100, 0x200, 0x1)),
        proto=rng.choice((6, 17, 1 if world.family is IPV4 else 58)),
    )
    if asked.proto in (6, 17):
        asked = asked._replace(sport=rng.choice((0, 53, 1500)), dport=rng.choice((0, 80, 5050)))
    if rng.random() < 0.35:
        return asked._replace(iif=index[rng.choice(DEVICES)], source=rng.choice(world.foreign + world.own))
    return asked._replace(
        source=rng.choice((None, None, *world.own, world.foreign[0])),
        oif=rng.choice((0, 0, index[rng.choice(DEVICES)])),
        uid=rng.choice((0, 1500)),
    )


def ask(ns: Netns, asked: list[Question]) -> list[tuple[Trace, KernelAnswer]]:
    """What we say and what the kernel says."""
    environment = {**os.environ, "PYTHONPATH": str(LIB)}
    done = starts.run(AGENT, [], namespace=ns.name, environment=environment, text=pickle.dumps(asked))
    assert done.returncode == 0, done.stderr.decode()
    found: list[tuple[Trace, KernelAnswer]] = pickle.loads(done.stdout)
    return found


@pytest.mark.parametrize("family", [IPV4, IPV6], ids=["ipv4", "ipv6"])
def test_the_kernel_goes_the_way_that_trace_says(lab: Lab, family: Family) -> None:
    world, ns, seen = World(family), lab.netns("trace"), Counter[str]()
    build(ns, world)
    index = {name: ns.index(name) for name in DEVICES}
    for seed in map(int, os.environ.get("MWAN_TRACE_SEEDS", "").split() or SEEDS):
        rng = random.Random(seed)
        furnish(ns, world, rng)
        asked = [question(world, rng, index) for _ in range(QUESTIONS)]
        for said, answer in ask(ns, asked):
            assert agree(said.outcome, answer), f"seed {seed}\n{explained(ns, said, answer)}"
            seen.update(features(said))
    assert not EXPECTED[family] - set(seen), seen


COMMON = {
    "goto", "suppressed", "unicast", "multipath", "unreachable", "prohibit", "blackhole", "throw", "nothing", "dead",
    "nhid", "iif", "oif", "fwmark", "ipproto", "dport", "uidrange", "not", "local",
}  # fmt: skip
EXPECTED = {IPV4: COMMON | {"assumed", "rp_filter"}, IPV6: COMMON | {"silent"}}


def features(said: Trace) -> set[str]:
    """What a walk met, so that the test cannot pass by meeting nothing."""
    outcome, found = said.outcome, set[str]()
    for step in said.steps:
        rule, matched = step.rule, step.matched
        found |= {"goto"} if matched and rule.action == "goto" else set()
        found |= {"suppressed"} if step.suppressed else set()
        found |= {"throw"} if step.found and step.found.entry and step.found.entry.route.kind == "throw" else set()
        passed = step.found.passed if step.found else ()
        found |= {word for word in ("dead", "silent") for one in passed if one.why.startswith(WHY[word])}
        selectors: dict[str, object] = {"iif": rule.iif, "oif": rule.oif, "fwmark": rule.mask, "ipproto": rule.ipproto}
        selectors |= {"dport": rule.dport, "uidrange": rule.uids, "not": rule.inverted}
        found |= {name for name, value in selectors.items() if value and matched}
    if outcome.entry:
        found |= {outcome.entry.route.kind, *(["nhid"] if outcome.entry.nhid else [])}
    found |= {"multipath"} if len(outcome.legs) > 1 else set()
    found |= {"assumed"} if outcome.why.startswith("taken to be on the link") else set()
    found |= {"rp_filter"} if "rp_filter" in outcome.why else set()
    return found | ({"nothing"} if "no rule" in outcome.why else set())


WHY = {"dead": "dead", "silent": "its gateway does not answer"}


def explained(ns: Netns, said: Trace, answer: KernelAnswer) -> str:
    """Enough to find the mistake."""
    family = said.question.family.flag
    walk = "\n".join(f"  {s.rule.priority} {s.matched} {s.why} {s.table} {s.found} {s.suppressed}" for s in said.steps)
    rules, routes = ns.ip(f"{family} rule"), ns.ip(f"{family} -d route show table all")
    return f"{said.question}\n{walk}\nours: {said.outcome}\nkernel: {answer}\n{rules}\n{routes}"
