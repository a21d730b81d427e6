"""The report of what real runs have recorded, and its page that is made anew after transitions."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

import pytest

from mwan_hook.store import published
from tests.lab import Lab, Router, topologies
from tests.lab.process import wait_for
from tests.lab.topologies import Network

TWO = """
[probe]
portal_interval = 0
timeout = 1
burst_interval = 0.1
rise = 1
hysteresis_delay = 0
targets = gateway:, icmp://9.9.9.9
required = 2
[uplinks]
[[one]]
match = eth1
metric = 100
families = ipv4
[[two]]
match = eth2
metric = 200
families = ipv4
"""
AS_NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
PAGE = "var/www/uplinks.html"


def failed_over(lab: Lab, more: str = "") -> Network:
    """Two uplinks, of which the first was dead behind its gateway for a moment."""
    net = topologies.probed(lab, 2)
    net.router.configure(TWO + more)
    net.router.check()
    net.isps[0].fault("blackhole4")
    net.router.mwan("check", "--now")
    assert net.router.way_out() == ["two"]
    net.isps[0].heal()
    net.router.mwan("check", "--now")
    assert net.router.way_out() == ["one"]
    return net


def test_an_outage_is_in_all_three_forms_for_any_user(lab: Lab, tmp_path: Path) -> None:
    router = failed_over(lab).router
    shown = router.mwan("report", wrap=AS_NOBODY)
    assert shown.stderr == ""
    assert max(map(len, shown.stdout.splitlines())) <= 80
    table, page = tmp_path / "r.csv", tmp_path / "r.html"
    router.mwan("report", "--csv", str(table), "--html", str(page))
    assert router.mwan("report", "--csv", "-").stdout.splitlines()[0] == table.read_text().splitlines()[0]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    (outage,) = (row for row in rows if row["kind"] == "outage")
    assert (outage["uplink"], outage["cause"], outage["word"]) == ("one", "beyond the gateway", "offline")
    totals = {row["uplink"]: row for row in rows if row["kind"] == "total"}
    assert 0 < float(totals["one"]["offline_s"]) < 60
    assert float(totals["one"]["bridged_s"]) == float(totals["one"]["offline_s"]) == float(outage["seconds"])
    assert float(totals["two"]["carried_s"]) == float(outage["seconds"])
    assert float(totals["one"]["unknown_s"]) > 29 * 86400, "nothing was observed before the first run"
    assert int(totals["one"]["probes"]) > 0 < int(totals["one"]["lost"])
    assert "beyond the gateway" in shown.stdout
    assert "beyond the gateway" in page.read_text()
    own = router.mwan("report", "--for", "one")
    assert "two" not in own.stdout
    assert "asked: gateway:, icmp://9.9.9.9" in own.stdout


def test_a_gateway_that_is_dead_is_named_once_the_kernel_has_found_it(lab: Lab) -> None:
    net = topologies.probed(lab, 2)
    router = net.router
    router.configure(TWO.replace("gateway:, ", "").replace("required = 2", "required = 1"))
    router.check()
    net.isps[0].fault("gwdead")
    router.mwan("check", "--now")
    assert router.verdict("one") == "offline"
    assert causes(router) == ["no answer"]
    router.ns.sysctl({"ipv4/neigh/eth1/retrans_time_ms": 50})  # else it takes its time: a minute at most
    router.ns.ip("neigh flush dev eth1")
    router.mwan("check", "--now")
    assert "no answer on the link from the next hop" in " ".join(router.mwan("why", "one").stdout.split())
    net.isps[0].heal()
    router.mwan("check", "--now")
    assert causes(router) == ["gateway"]
    assert "the recorded one, exactly" in " ".join(router.mwan("replay").stdout.split())


def causes(router: Router) -> list[str]:
    """What died in each outage."""
    rows = csv.DictReader(io.StringIO(router.mwan("report", "--csv", "-").stdout))
    return [row["cause"] for row in rows if row["kind"] == "outage"]


def test_a_file_is_replaced_and_what_a_link_leads_to_is_left_alone(lab: Lab, tmp_path: Path) -> None:
    router = topologies.probed(lab, 2).router
    router.configure(TWO)
    router.check()
    read, write = os.openpty()
    for place, target in (("terminal", os.ttyname(write)), ("file", str(tmp_path / "theirs")), ("none", "nowhere")):
        (tmp_path / "theirs").write_text("theirs")
        link = tmp_path / place
        link.symlink_to(target)
        router.mwan("report", "--csv", str(link))
        assert not link.is_symlink() and link.read_text().startswith("kind,")
        assert (tmp_path / "theirs").read_text() == "theirs"
    os.set_blocking(read, False)
    with pytest.raises(BlockingIOError):
        os.read(read, 1)
    os.close(read)
    os.close(write)
    assert router.mwan("report", "--csv", "/dev/stdout").stdout.startswith("kind,")


def test_without_a_record_it_says_why(lab: Lab) -> None:
    router = topologies.probed(lab, 2).router
    router.configure(TWO)
    found = router.mwan("report", code=1)
    assert "nothing is on record since" in found.stderr
    router.configure(TWO + "[record]\nkeep = no\n")
    router.check()
    assert "`keep = no` in [record]" in router.mwan("report", code=1).stderr
    assert "there are: one, two" in router.mwan("report", "--for", "three", code=2).stderr
    assert "name a file for one" in router.mwan("report", "--html", "-", "--csv", "-", code=2).stderr


def test_the_page_is_made_anew_after_a_transition(lab: Lab) -> None:
    place = f"[report]\nhtml = /{PAGE}\n"
    net = topologies.probed(lab, 2)
    router, file = net.router, net.router.root / PAGE
    router.configure(TWO + place)
    router.check()
    failure = router.root / published.FAILED
    wait_for("what went wrong", failure.exists)
    assert "there is no directory" in router.mwan("status").stderr
    assert "report-failed" in router.mwan("doctor", code=None).stdout
    file.parent.mkdir(parents=True)
    net.isps[0].fault("blackhole4")
    router.mwan("check", "--now")
    wait_for("the page", lambda: file.exists() and "two" in file.read_text())
    wait_for("the end of the failure", lambda: not failure.exists())
    assert oct(file.stat().st_mode & 0o777) == "0o644"
    assert os.listdir(file.parent) == [file.name]
    assert "report-failed" not in router.mwan("doctor", code=None).stdout
    file.unlink()
    router.mwan("record")
    wait_for("the page of the hour", file.exists)
