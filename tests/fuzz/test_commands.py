"""The real command, with everything that it reads bent at once, in a namespace whose routes are not ours."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook.machine import networkd, udev
from mwan_hook.model import Notice
from mwan_hook.store import codec, files
from mwan_hook.store import state as states
from tests.fuzz.rules import bent, chances, printable, put
from tests.fuzz.test_files import EVENT, LEASE, LINK, NAMES, NETWORK, UDEV

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

CONFIG = b"""[probe]
targets = gateway:
portal_interval = 0
timeout = 0.2
burst_interval = 0.05
[uplinks]
  [[fiber]]
  match = wan7
  metric = 100
  families = ipv4
"""
COMMANDS = (("check", "--now"), ("event",), ("event", "--facts"), ("plan",), ("status",), ("notify",), ("usage",))
LONGEST = 60  # seconds for a command; a busy machine takes some to start a Python


class Bench:
    """A machine with one line without answers, and routes of others."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.name = f"mwz{secrets.token_hex(3)}"

    def ip(self, *lines: str) -> None:
        """Run ip(8) there."""
        subprocess.run(["ip", "-n", self.name, "-batch", "-"], input="\n".join(lines), text=True, check=True)

    def foreign(self) -> list[str]:
        """Rules and routes that are not ours, as ip(8) shows them."""
        found = []
        for words in ("rule", "route show table all", "-6 rule", "-6 route show table all"):
            command = ["ip", "-n", self.name, "-N", "-d", *words.split()]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            ours_or_kernels = ("proto 172", "proto 2 ", "table 255")
            found += [line for line in done.stdout.splitlines() if not any(word in line for word in ours_or_kernels)]
        return sorted(found)

    def run(self, *words: str) -> int:
        """One command, held to the rules; its exit code."""
        inside = ["ip", "netns", "exec", self.name]
        command = [*inside, sys.executable, "-m", "mwan_hook", "--root", str(self.root), *words]
        done = subprocess.run(command, capture_output=True, timeout=LONGEST, stdin=subprocess.DEVNULL, check=False)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode in (0, 1, 2), (words, said)
        assert "Traceback" not in said and printable(said), (words, said)
        return done.returncode

    def index(self) -> int:
        """Of the line."""
        done = subprocess.run(["ip", "-n", self.name, "-j", "link"], capture_output=True, check=True)
        return next(int(link["ifindex"]) for link in json.loads(done.stdout) if link["ifname"] == "wan7")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """One, with a line and routes."""
    made = Bench(tmp_path)
    subprocess.run(["ip", "netns", "add", made.name], check=True)
    try:
        made.ip(
            "link set lo up",
            "link add wan7 type veth peer name far7",
            "link set far7 up",
            "link set wan7 up",
            "addr add 10.70.0.2/24 dev wan7",
            "route add default via 10.70.0.1 dev wan7 metric 70 proto dhcp",
            "route add 198.51.100.0/24 via 10.70.0.1 table 77 proto static",
            "rule add priority 700 from 198.51.100.0/24 lookup 77",
        )
        yield made
    finally:
        subprocess.run(["ip", "netns", "del", made.name], check=True)


def test_no_file_breaks_a_run_and_the_next_good_one_is_right(bench: Bench) -> None:
    before, index = bench.foreign(), bench.index()
    put(bench.root / "etc/mwan-hook/mwan-hook.conf", CONFIG)
    assert bench.run("check") == 0
    kept = [path for path in (files.STATE, files.ALLOTMENT, files.HISTORY) if (bench.root / path).exists()]
    good = {path: (bench.root / path).read_bytes() for path in kept}
    notice = json.dumps(codec.plain(Notice(id="0", event="online", uplink="fiber", interface="wan7"))).encode()
    for number, chance in enumerate(chances("commands", len(COMMANDS))):
        for path, content in good.items():
            put(bench.root / path, bent(chance, content, content))
        put(bench.root / networkd.LEASES / str(index), bent(chance, LEASE))
        put(bench.root / networkd.LINKS / str(index), bent(chance, LINK))
        put(bench.root / udev.DATABASE / f"n{index}", bent(chance, UDEV))
        put(bench.root / "etc/systemd/network/10-a.network", bent(chance, NETWORK.replace(b"eth*", b"wan*")))
        more = bent(chance, b"[probe]\nfall = 2\n") if number % 3 == 0 else b""
        put(bench.root / "etc/mwan-hook/conf.d/x.conf", more)
        for name in chance.sample(NAMES, 3):
            put(bench.root / files.EVENTS / name, bent(chance, *EVENT))
            put(bench.root / files.NOTIFY / name, bent(chance, notice))
        bench.run(*COMMANDS[number % len(COMMANDS)])
        assert bench.foreign() == before
    for path in ("etc/mwan-hook/conf.d/x.conf", "etc/systemd/network/10-a.network"):
        put(bench.root / path, b"")
    for place in (networkd.LEASES, networkd.LINKS):
        put(bench.root / place / str(index), b"")
    assert bench.run("check", "--now") == 0
    assert states.load(str(bench.root), writes=False)[0].uplinks["fiber"].interface == "wan7"
    assert bench.run("flush") == 0
    assert bench.foreign() == before
