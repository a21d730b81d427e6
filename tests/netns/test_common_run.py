"""The common run (probe what is due, find nothing to change) stays light."""

from __future__ import annotations

from tests.lab import Lab, topologies
from tests.lab.uplinks import ONE_TWO
from tests.unit.test_imports import heavy

TWO = f"""
[probe]
portal_interval = 0
targets = icmp://9.9.9.9, tcp://1.1.1.1:80
{ONE_TWO}"""
# the interpreter's own start, without site-packages' .pth files, and then what the command does
DUMP = """
import atexit, os, sys
before = set(sys.modules)
def tell():
    with open(os.environ["MODULES"], "w") as file:
        file.write(" ".join(set(sys.modules) - before))
atexit.register(tell)
sys.argv[0] = "mwan-hook"
from mwan_hook.__main__ import main
sys.exit(main())
"""


def test_a_second_check_imports_nothing_heavy(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    modules = lab.dir / "modules"
    environment = {**net.router.environment(), "MODULES": str(modules)}
    words = [net.router.python, "-c", DUMP, "--root", str(net.router.root), "check", "--now"]
    done = net.router.ns.run(*words, env=environment)
    assert done.stderr == ""
    loaded = modules.read_text().split()
    assert "mwan_hook.run.tick" in loaded
    assert heavy(loaded) == set()
    assert net.router.family("one")["probe_bytes"] > 0
    assert [name for name in loaded if "quota" in name or "meter" in name or "counter" in name] == []
    net.router.configure(TWO.replace("match = eth2", "match = eth2\nquota = 20G"))
    net.router.check()
    done = net.router.ns.run(*words, env=environment)
    assert done.stderr == ""
    loaded = modules.read_text().split()
    assert "mwan_hook.run.metering" in loaded
    assert heavy(loaded) == set()
    net.router.ns.ip("link set eth2 down")
    net.router.configure(TWO.replace("match = eth2", "match = eth2\nactivate = on-demand\nstart = networkd"))
    net.router.check()
    net.router.check()
    assert net.router.status()["uplinks"]["two"]["activation"]["state"] == "idle"
    net.router.ns.run(*words, env=environment)
    loaded = modules.read_text().split()
    assert heavy(loaded) == set()
    others = [name for name in loaded if "dial" in name or "activation" in name]
    assert others == ["mwan_hook.model.dialling"], "it stands by"


def test_an_event_that_changes_routes_and_rules_imports_nothing_heavy_either(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    net.router.configure(TWO)
    net.router.check()
    line = net.lines["eth1"]
    other = line.source.rpartition(".")[0] + ".77"
    net.router.ns.batch(
        f"addr del {line.address} dev eth1",
        f"addr add {other}/24 dev eth1",
        f"route replace default via {line.isp.gateway} dev eth1 proto dhcp src {other} metric 100",
    )
    modules = lab.dir / "changed"
    words = [net.router.python, "-c", DUMP, "--root", str(net.router.root), "event", "--facts"]
    done = net.router.ns.run(*words, env={**net.router.environment(), "MODULES": str(modules)})
    assert f"rule add priority 1200 from {other}" in done.stdout
    loaded = modules.read_text().split()
    assert "mwan_hook.kernel.write" in loaded
    assert heavy(loaded) == set()
    assert net.router.mwan("plan").stdout == ""
