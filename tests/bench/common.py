"""The common run: probe what is due, find nothing to change."""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tests.bench import subject
from tests.bench.spawner import Spawner, interleaved
from tests.bench.table import Row, against
from tests.lab import Lab, LabError, Netns, Router, topologies
from tests.lab.inside import inside
from tests.netns import passed

REPETITIONS = 31
COUNTED = 3
HOURS = 11
PROBED = "[probe]\nportal_interval = 0\nrequired = 2\ntargets = icmp://9.9.9.9, tcp://1.1.1.1:80{more}\n"
BOTH = ", icmp://[2620:fe::fe], tcp://[2606:4700:4700::1111]:80"


def rows() -> Iterator[Row]:
    """All of this module's."""
    with Lab() as lab, ExitStack() as stack:
        net = topologies.probed(lab, 3)
        yield from _families(lab, net.router, "", "common run, 3 uplinks, ICMP and TCP", limited=True)
        yield _unheard(net.router)
        _listened(net.router, stack)
        yield _hour(lab, net.router)
        yield _event(net.router)
        yield _recorded(net.router)
        yield from _families(lab, net.router, BOTH, "the same, IPv4 and IPv6 probed", limited=False)
        yield from _importing_all(lab, net.router)


def _families(lab: Lab, router: Router, more: str, what: str, limited: bool) -> Iterator[Row]:
    router.configure(PROBED.format(more=more) + subject.uplinks(3))
    with ExitStack() as stack:
        for _ in range(3):
            router.check()
        _listened(router, stack)
        yield from _in_peace(lab, router, what, limited)


def _in_peace(lab: Lab, router: Router, what: str, limited: bool) -> Iterator[Row]:
    run = subject.words(router, "check", "--now")
    with Spawner(router.ns, lab.dir) as spawner:
        ours, bare = interleaved(REPETITIONS, [(spawner, run), (spawner, subject.NOTHING)])
    probed = subject.wall(ours) - subject.slowest_answer(router)
    yield against(
        f"{what}: wall, against `python3 -c pass`", probed, subject.wall(bare), "ms", 1.3 if limited else None
    )
    short, bare_count = (_count(router.ns, argv) for argv in _counted(run))
    yield against(f"{what}: instructions", short, bare_count, "M", 1 if limited else None)
    with whole_program(router):
        yield against(
            "the same by the whole program: instructions",
            _count(router.ns, _counted(run)[0]),
            bare_count,
            "M",
            2.75 if limited else None,
        )
    peaks = [statistics.median(memory(router.ns, argv) for _ in range(COUNTED)) for argv in _counted(run)]
    yield against(f"{what}: peak memory", peaks[0], peaks[1], "MiB", 1.7 if limited else None)


def _unheard(router: Router) -> Row:
    """Where nothing listens: the kernel is asked for all that it told then."""
    (router.root / "run/mwan-hook/quiet").unlink()
    router.check()
    short, bare = (_count(router.ns, argv) for argv in _counted(subject.words(router, "check", "--now")))
    return against("the same without the socket unit: instructions", short, bare, "M")


def _hour(lab: Lab, router: Router) -> Row:
    """CPU time of an hour in peace: runs by the short way, and every five minutes the whole program with two looks."""
    memo, quick, whole, bare = router.root / "run/mwan-hook/quiet", [], [], []
    run = subject.words(router, "check", "--now")
    with Spawner(router.ns, lab.dir) as spawner:
        for _ in range(HOURS):
            memo.unlink(missing_ok=True)
            whole.append(spawner.run(*run).cpu_ms)
            quick += [spawner.run(*run).cpu_ms for _ in range(3)]
            bare += [spawner.run(*subject.NOTHING).cpu_ms for _ in range(3)]
    hour = 348 * statistics.median(quick) + 12 * statistics.median(whole)
    what = "an hour in peace, 360 runs: CPU time, against as many of `python3 -c pass`"
    return against(what, hour, 360 * statistics.median(bare), "ms", 1.5)


def _event(router: Router) -> Row:
    """What a new lease of one uplink costs until the tables are right."""
    run = (*subject.interpreter(), *subject.words(router, "event", "--facts"))
    counts = []
    for number in range(COUNTED):
        address = f"10.1.0.{77 + number}"
        router.ns.batch(
            "addr flush dev eth1 scope global to 10.1.0.0/24",
            f"addr add {address}/24 dev eth1",
            f"route add default via 10.1.0.1 dev eth1 proto dhcp src {address} metric 100",
        )
        counts.append(instructions(router.ns, run) / 1e6)
        if address not in str(router.ns.rules()):
            raise LabError(f"{address} has no rule")
        router.check()
    bare = _count(router.ns, subject.NOTHING)
    what = "event with one address of three uplinks changed: instructions"
    return against(what, statistics.median(counts), bare, "M", 3.3)


def _recorded(router: Router) -> Row:
    """What the record costs a run by the short way: at most a third of a millisecond."""
    counts = []
    for keep in ("30d", "no"):
        router.configure(f"[record]\nkeep = {keep}\n{PROBED.format(more='')}{subject.uplinks(3)}")
        (router.root / "run/mwan-hook/quiet").unlink(missing_ok=True)
        for _ in range(3):
            router.check()
        counts.append(_count(router.ns, _counted(subject.words(router, "check", "--now"))[0]))
    recorded, bare = counts
    return against("common run with its record, against one without: instructions", recorded, bare, "M", 1.03)


@contextmanager
def whole_program(router: Router) -> Iterator[None]:
    """No short way: a memo that is empty, and younger than a minute, is not made anew."""
    memo = router.root / "run/mwan-hook/quiet"
    kept = memo.read_bytes()
    memo.write_bytes(b"")
    yield
    memo.write_bytes(kept)


def _count(ns: Netns, argv: Sequence[str]) -> float:
    return statistics.median(instructions(ns, argv) for _ in range(COUNTED)) / 1e6


def _counted(run: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    return (*subject.interpreter(), *run), subject.NOTHING


def memory(ns: Netns, argv: Sequence[str]) -> float:
    """Peak resident MiB of one run, by time(1): Linux passes a parent's peak on to its child, so it must be small."""
    said = ns.run("/usr/bin/time", "-f", "%M", *argv).stderr
    return int(said.split()[-1]) / 1024


def instructions(ns: Netns, argv: Sequence[str]) -> float:
    """Instructions of one run by valgrind's count, which hardly differs between runs."""
    valgrind = ("valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null", "--")
    said = ns.run(*valgrind, *argv).stderr
    found = re.search(r"I\s+refs:\s+([\d,]+)", said)
    assert found, said
    return float(found[1].replace(",", ""))


def _importing_all(lab: Lab, router: Router) -> Iterator[Row]:
    """What a program that imports its libraries at the top pays before it does anything."""
    libraries = "import argparse, logging, configobj, filelock, requests, pyroute2"
    run = (sys.executable, "-c", libraries)
    with Spawner(router.ns, lab.dir) as spawner:
        naive, bare = interleaved(7, [(spawner, run), (spawner, subject.NOTHING)])
    yield against(f"for comparison: `{libraries}` alone", subject.wall(naive), subject.wall(bare), "ms")


# -- many routes of others

FOREIGN = (10, 10_000, 100_000)
OTHER = ("link add other type veth peer name end", "link set end up", "link set other addrgenmode none up")
NETWORK = {"ipv4": "{}.{}.{}.0/24", "ipv6": "2a00:{:x}:{:x}:{:x}::/64"}


def foreign(count: int, family: str) -> list[str]:
    """ip(8) commands that add so many routes through the interface `other`."""
    places = ((20 + n // 65536, n // 256 % 256, n % 256) for n in range(count))
    return [f"route add {NETWORK[family].format(*place)} dev other" for place in places]


def rows_foreign() -> Iterator[Row]:
    """The common run beside large tables that are none of its business."""
    for family in ("ipv4", "ipv6"):
        for listening in (True, False):
            yield from _beside(family, listening)


def _beside(family: str, listening: bool) -> Iterator[Row]:
    with ExitStack() as stack:
        runs = []
        for count in FOREIGN:
            lab = stack.enter_context(Lab())
            router = _crowded(lab, count, family)
            if listening:
                _listened(router, stack)
            spawner = stack.enter_context(Spawner(router.ns, lab.dir))
            runs.append((spawner, subject.words(router, "check", "--now")))
        few, *many = (subject.wall(took) for took in interleaved(REPETITIONS, runs))
    for count, wall in zip(FOREIGN[1:], many, strict=True):
        name = {"ipv4": "IPv4", "ipv6": "IPv6"}[family]
        what = f"common run, {count:,} foreign {name} routes in main, against 10"
        limit = 2 if listening else None
        yield against(what if listening else f"{what}; without the socket unit", wall, few, "ms", limit)


def _listened(router: Router, stack: ExitStack) -> None:
    """As where mwan-hook-netlink.socket listens: its service has looked, and a memo is made after that."""
    with inside(router.ns.name):
        sockets = [stack.enter_context(passed.listen(groups)) for groups in passed.GROUPS]
    if passed.start(sockets, router.ns.argv(*subject.words(router, "event", "--facts"))):
        raise LabError("the look at the news failed")
    (router.root / "run/mwan-hook/quiet").unlink()
    router.check()


def _crowded(lab: Lab, count: int, family: str) -> Router:
    net = topologies.probed(lab, 3)
    net.router.ns.batch(*OTHER, *foreign(count, family))
    net.router.configure(PROBED.format(more="") + subject.uplinks(3))
    for _ in range(3):
        net.router.check()
    return net.router
