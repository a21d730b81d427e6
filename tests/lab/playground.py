"""Commands for a person who plays with a lab: short scripts in LAB/bin, and the words that explain them."""

from __future__ import annotations

from pathlib import Path

from tests.lab.isp import CHAINS, FAULTS
from tests.lab.lab import Lab
from tests.lab.router import PROJECT
from tests.lab.topologies import Network

HELP = """
This shell stands in the router (network namespace {tag}-router).  What you can do here:
  mwan-hook status            how the uplinks stand; also: check, plan, history, probe fiber, ...
  isp fiber blackhole         break a provider ({isps}): {faults}
  isp fiber heal              take its faults away
  unplug {dongle}          pull an interface out;  plug {dongle}  puts it back
  client curl http://9.9.9.9/isp     a command in the client behind the router; tells which provider carries it
  ip route show table 1000    and all of ip(8)
"""


def write(lab: Lab, net: Network) -> None:
    """Write the scripts of a lab."""
    (lab.dir / "bin").mkdir()
    (lab.dir / "faults").mkdir()
    for name, rules in FAULTS.items():
        (lab.dir / "faults" / name).write_text(rules + "\n")
    heal = "".join(f"flush chain inet lab {chain}\n" for chain in CHAINS) + "flush chain arp lab IN\n"
    (lab.dir / "faults/heal").write_text(heal)
    tag, router = lab.ledger.tag, net.router
    script(lab, "mwan-hook", f'PYTHONPATH={PROJECT}/lib exec {router.python} -m mwan_hook --root {router.root} "$@"')
    script(lab, "isp", f'exec ip netns exec "{tag}-$1" nft -f "{lab.dir}/faults/$2"')
    if net.client:
        script(lab, "client", f'exec ip netns exec {net.client.name} "$@"')
    script(lab, "unplug", f'ip -n {router.ns.name} link del "$1" && mwan-hook event remove "$1"')
    for line in net.lines.values():
        for where, batch in (("isp", router.wire(line)), ("router", router.leased(line))):
            (lab.dir / f"plug-{line.interface}-{where}").write_text("\n".join(batch) + "\n")
        (lab.dir / f"plug-{line.interface}").write_text(line.isp.ns.name)
    batches = f"{lab.dir}/plug-$1"
    script(
        lab,
        "plug",
        f'ip -n "$(cat {batches})" -batch "{batches}-isp" && ip -n {router.ns.name} -batch "{batches}-router"'
        ' && mwan-hook event add "$1"',
    )
    words = HELP.format(tag=tag, isps=", ".join(lab.isps), faults=", ".join(FAULTS), dongle=list(net.lines)[-1])
    (lab.dir / "help").write_text(words)


def script(lab: Lab, name: str, line: str) -> Path:
    """One executable."""
    file = lab.dir / "bin" / name
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)
    return file
