"""``mwan-hook snmp`` behind the real snmpd, asked by the real snmpget, snmpwalk and snmpset."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.lab import Lab, topologies
from tests.lab.process import Done, run, wait_for
from tests.lab.router import AS_NOBODY, PROJECT, Router
from tests.lab.topologies import Network
from tests.lab.uplinks import ONE_TWO

BASE = ".1.3.6.1.4.1.99999"
TWO = f"""
[probe]
portal_interval = 0
timeout = 1
targets = icmp://9.9.9.9
{ONE_TWO}"""
# What an IETF module is to ours, in as many words as net-snmp needs: Debian leaves the modules themselves out.
SMI = """SNMPv2-SMI DEFINITIONS ::= BEGIN
org OBJECT IDENTIFIER ::= { iso 3 }
dod OBJECT IDENTIFIER ::= { org 6 }
internet OBJECT IDENTIFIER ::= { dod 1 }
private OBJECT IDENTIFIER ::= { internet 4 }
enterprises OBJECT IDENTIFIER ::= { private 1 }
END
"""
TC = """SNMPv2-TC DEFINITIONS ::= BEGIN
DisplayString ::= TEXTUAL-CONVENTION
    DISPLAY-HINT "255a"
    STATUS current
    DESCRIPTION "Text."
    SYNTAX OCTET STRING (SIZE (0..255))
END
"""
QUIET = {"MIBS": "", "SNMP_PERSISTENT_DIR": "/nonexistent"}  # no modules unless named, nothing left behind


class Agent(NamedTuple):
    """A running snmpd and what asks it, in the router's namespace."""

    router: Router
    pid: int
    log: Path

    def ask(self, tool: str, *words: str, options: tuple[str, ...] = ("-On",), check: bool = True) -> Done:
        """snmpget and its like, as the community that may write."""
        line = [tool, "-v2c", "-c", "private", "-t", "5", "-r", "1", *options, "127.0.0.1:1161", *words]
        return self.router.ns.run(*line, check=check, env=QUIET)

    def walk(self, oid: str = BASE, *options: str) -> list[str]:
        """All that is below."""
        return self.ask("snmpwalk", oid, options=("-On", *options)).stdout.splitlines()

    def children(self) -> list[int]:
        """Processes that snmpd has started and that are there still."""
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two uplinks that are online."""
    made = topologies.probed(lab, 2)
    made.router.configure(TWO)
    made.router.check()
    return made


def start(lab: Lab, router: Router, directive: str = "pass_persist", oid: str = BASE, options: str = "") -> Agent:
    """snmpd as Debian's runs: not root."""
    wrapper = lab.dir / "mwan-hook"
    words = " ".join([router.python, "-m", "mwan_hook", "--root", str(router.root)])
    wrapper.write_text(f'#!/bin/sh\nPYTHONPATH={PROJECT / "lib"} exec {words} "$@"\n')
    wrapper.chmod(0o755)
    configuration = lab.dir / "snmpd.conf"
    configuration.write_text(f"rwcommunity private\n{directive} {oid} {wrapper} snmp {options}\n")
    snmpd = ["snmpd", "-f", "-Lo", "-C", "-c", str(configuration), "udp:127.0.0.1:1161"]
    persistent = lab.dir / "snmp"  # where snmpd leaves the output of a `pass` command before it reads it
    persistent.mkdir(exist_ok=True)
    os.chown(persistent, 65534, 65534)
    environment = ["env", f"SNMP_PERSISTENT_DIR={persistent}", "MIBS="]
    log = lab.spawn(router.ns.argv(*AS_NOBODY, *environment, *snmpd), "snmpd")
    wait_for(f"snmpd: {log.read_text()}", lambda: ":1161 " in router.ns.run("ss", "-Hnlu").stdout)
    return Agent(router, lab.children[-1].pid, log)


def rows(router: Router, states: Mapping[str, tuple[int, str]], base: str = BASE) -> list[str]:
    """What snmpwalk shall print."""
    indexes = {router.ns.index(interface): state for interface, state in states.items()}
    entry = f"{base}.1.1"
    return [
        *(f"{entry}.1.{index} = INTEGER: {index}" for index in sorted(indexes)),
        *(f"{entry}.2.{index} = INTEGER: {indexes[index][0]}" for index in sorted(indexes)),
        *(f'{entry}.3.{index} = STRING: "{indexes[index][1]}"' for index in sorted(indexes)),
    ]


@pytest.mark.parametrize("directive", ["pass_persist", "pass"])
def test_a_walk_shows_each_uplink_and_what_changes_shows_at_once(lab: Lab, net: Network, directive: str) -> None:
    agent = start(lab, net.router, directive)
    assert agent.walk() == rows(net.router, {"eth1": (4, "full"), "eth2": (4, "full")})
    net.router.carrier("eth2", False)
    net.router.event("change", "eth2")
    assert agent.walk() == rows(net.router, {"eth1": (4, "full"), "eth2": (1, "none")})
    net.router.unplug("eth2")
    net.router.event("remove", "eth2")
    assert agent.walk() == rows(net.router, {"eth1": (4, "full")})
    assert oct(net.router.state_file.stat().st_mode & 0o777) == "0o644"


@pytest.mark.parametrize("directive", ["pass_persist", "pass"])
def test_one_value_can_be_got_and_none_can_be_set(lab: Lab, net: Network, directive: str) -> None:
    agent = start(lab, net.router, directive)
    index = net.router.ns.index("eth1")
    state = f"{BASE}.1.1.2.{index}"
    assert agent.ask("snmpget", state).stdout == f"{state} = INTEGER: 4\n"
    assert agent.ask("snmpgetnext", f"{state}.0").stdout.startswith(f"{BASE}.1.1.2.{net.router.ns.index('eth2')} = ")
    assert "No Such Instance" in agent.ask("snmpget", f"{BASE}.1.1.2.4711").stdout
    assert "No Such Instance" in agent.ask("snmpget", f"{BASE}.1.1.4.{index}").stdout
    for value in (("i", "1"), ("i", "-1"), ("s", "-g"), ("s", "two\nget\n.1\n")):
        refused = agent.ask("snmpset", state, *value, check=False)
        assert (refused.returncode, "notWritable" in refused.stderr) == (2, True), refused
    assert agent.ask("snmpget", state).stdout == f"{state} = INTEGER: 4\n"


def test_the_last_value_is_followed_by_nothing_of_ours(lab: Lab, net: Network) -> None:
    agent = start(lab, net.router)
    last = f"{BASE}.1.1.3.{max(net.router.ns.index(name) for name in ('eth1', 'eth2'))}"
    assert BASE not in agent.ask("snmpgetnext", last).stdout
    assert agent.ask("snmpgetnext", "-Cf", "1.3.6.1.4.1.99998", check=False).stdout.startswith(f"{BASE}.1.1.1.")
    assert len(agent.ask("snmpbulkwalk", BASE).stdout.splitlines()) == 6


def test_one_process_serves_all_and_ends_with_snmpd(lab: Lab, net: Network) -> None:
    agent = start(lab, net.router)
    assert agent.children() == []
    agent.walk()
    (child,) = agent.children()
    assert b"mwan_hook" in Path(f"/proc/{child}/cmdline").read_bytes()
    before = resident(child)
    for _ in range(30):
        agent.walk()
    assert agent.children() == [child]
    assert resident(child) - before < 512
    assert not [name for name in os.listdir(f"/proc/{child}/fd") if int(name) > 2]
    lab.children[-1].terminate()
    wait_for("snmpd to end", lambda: lab.children[-1].poll() is not None)
    wait_for("its child to end", lambda: not Path(f"/proc/{child}").exists())


def resident(pid: int) -> int:
    """KiB of memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_no_state_and_a_torn_one_are_an_empty_tree(lab: Lab, net: Network) -> None:
    agent = start(lab, net.router)
    whole = net.router.state_file.read_bytes()
    net.router.state_file.write_bytes(whole[:100])
    assert all(BASE + ".1" not in line for line in agent.walk())
    assert net.router.state_file.read_bytes() == whole[:100]
    net.router.state_file.unlink()
    assert all(BASE + ".1" not in line for line in agent.walk())
    net.router.state_file.write_bytes(whole)
    assert len(agent.walk()) == 6


@pytest.mark.parametrize("directive", ["pass_persist", "pass"])
def test_the_configuration_moves_the_tree_and_the_command_line_wins(lab: Lab, net: Network, directive: str) -> None:
    net.router.configure(f"[snmp]\noid = 1.3.6.1.4.1.8072.9999.9999\n{TWO}")
    moved = ".1.3.6.1.4.1.8072.9999.9999"
    both = {"eth1": (4, "full"), "eth2": (4, "full")}
    agent = start(lab, net.router, directive, moved)
    assert agent.walk(moved) == rows(net.router, both, moved)
    lab.children[-1].terminate()
    lab.children[-1].wait()
    agent = start(lab, net.router, directive, BASE, f"--oid {BASE}")
    assert agent.walk() == rows(net.router, both)


def test_a_broken_configuration_leaves_the_tree_at_its_usual_place(lab: Lab, net: Network) -> None:
    net.router.configure(f"{TWO}[snmp]\noid = nonsense\n")
    agent = start(lab, net.router)
    assert len(agent.walk()) == 6
    done = net.router.mwan("snmp", "--oid", "nonsense", "-g", BASE, code=1)
    assert "nonsense is no OID" in done.stderr


def test_garbage_gets_an_answer_each_and_does_no_harm(net: Network) -> None:
    garbage = b"nonsense\n\n\xff\xfe\nget\n\nget\n.1.3.x\ngetnext\n" + b".1" * 5000 + b"\nget\n99999999999\n"
    value = f"{BASE}.1.1.1.{net.router.ns.index('eth1')}".encode()
    asked = garbage + b"PING\nGETNEXT\n" + BASE.encode() + b"\nset\n.1\nstring a\nPING\n"
    answers = piped(net.router, asked + b"get")
    assert answers == [*[b"NONE"] * 7, b"PONG", value, b"integer", value.rpartition(b".")[2], b"not-writable"]


def piped(router: Router, requests: bytes) -> list[bytes]:
    """What the command answers to them all at once, until the end of the file in the midst of a request."""
    done = subprocess.run(
        router.argv("snmp"),
        input=requests,
        capture_output=True,
        check=True,
        timeout=60,
        env={**os.environ, **router.environment()},
    )
    assert done.stderr == b""
    return done.stdout.splitlines()


def test_names_work_with_the_mib(lab: Lab, net: Network, tmp_path: Path) -> None:
    for name, text in (("SNMPv2-SMI", SMI), ("SNMPv2-TC", TC)):
        (tmp_path / f"{name}.txt").write_text(text)
    mibs = ("-M", f"{tmp_path}:{PROJECT / 'snmp'}", "-m", "NETWORKD-CONNECTIVITY-MIB", "-Pe", "-Pw")
    module = "NETWORKD-CONNECTIVITY-MIB"
    translated = run(["snmptranslate", *mibs, "-On", f"{module}::connectivityState"], env=QUIET)
    assert (translated.stdout, translated.stderr) == (f"{BASE}.1.1.2\n", "")
    index = net.router.ns.index("eth1")
    agent = start(lab, net.router)
    got = agent.ask("snmpget", f"{module}::connectivityState.{index}", options=mibs)
    assert (got.stdout, got.stderr) == (f"{module}::connectivityState.{index} = INTEGER: full(4)\n", "")
    table = agent.ask("snmptable", f"{module}::networkdConnectivityTable", options=mibs).stdout
    assert table.split()[-6:] == [str(index), "full", "full", str(net.router.ns.index("eth2")), "full", "full"]


def test_the_shipped_directive_names_the_shipped_command() -> None:
    lines = (PROJECT / "snmp/snmpd.conf").read_text().splitlines()
    directives = [line for line in lines if line and not line.startswith("#")]
    assert directives == [f"pass_persist {BASE} /usr/sbin/mwan-hook snmp"]
