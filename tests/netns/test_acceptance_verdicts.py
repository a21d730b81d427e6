"""Rounds become verdicts and verdicts become routes (F1, F3, H1), transitions are told once (B1), storms end (O1)."""

from __future__ import annotations

import time

import pytest

from tests.lab import Lab, Network, topologies, wait_for
from tests.lab.uplinks import FIBER_LTE
from tests.netns.layout import layout

FAILOVER = f"""
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
fall = 3
rise = 3
hysteresis_delay = 0
{FIBER_LTE}"""
HELD = """
[probe]
portal_interval = 0
timeout = 0.5
burst_interval = 0.1
fall = 1
rise = 1
hysteresis_delay = 3
hysteresis_backoff = 8
[uplinks]
[[fiber]]
match = eth1
metric = 100
families = ipv4
[[[metrics]]]
full = 100
portal = 2000
limited = 2000
none = 2000
[[lte]]
match = eth2
metric = 200
"""


@pytest.fixture
def net(lab: Lab) -> Network:
    made = topologies.probed(lab, 2, client=True)
    made.router.configure(FAILOVER)
    made.router.check()
    return made


def test_the_third_bad_round_moves_traffic_and_not_the_second(lab: Lab, net: Network) -> None:
    net.router.configure(FAILOVER.replace("burst_interval = 0.1", "burst_interval = 1.5"))
    assert net.client
    flow = lab.flow(net.client)
    assert flow.carried_by() == "isp1"
    net.isps[0].fault("blackhole4")
    run = net.router.start("check", "--now")
    seen = set()
    while run.poll() is None:
        status = net.router.status()
        state = status["uplinks"]["fiber"]["ipv4"]
        seen.add((state["bad"], state["status"], *status["default"]["ipv4"]))
        time.sleep(0.05)
    assert {(1, "online", "fiber"), (2, "online", "fiber")} <= seen
    assert not [one for one in seen if one[0] < 3 and one[-1] != "fiber"]
    assert net.router.family("fiber")["bad"] >= 3
    assert net.router.way_out() == ["lte"]
    assert flow.carried_by() == "isp2"


def test_a_good_round_in_between_resets_the_count(net: Network) -> None:
    net.router.configure(FAILOVER.replace("burst_interval = 0.1", "burst_interval = 2"))
    with net.isps[0].broken("blackhole4"):
        run = net.router.start("check", "--now")
        wait_for("two bad rounds", lambda: net.router.family("fiber")["bad"] == 2)
    run.wait(20)
    assert (net.router.verdict("fiber"), net.router.family("fiber")["bad"]) == ("online", 0)


def test_three_good_rounds_in_a_row_move_traffic_back(net: Network) -> None:
    isp = net.isps[0]
    isp.fault("blackhole4")
    net.router.check()
    assert net.router.way_out() == ["lte"]

    def rounds(*good: bool) -> None:
        for one in good:
            isp.heal()
            if not one:
                isp.fault("blackhole4")
            net.router.check()

    rounds(False, True, True)
    assert net.router.way_out() == ["lte"]
    rounds(False, True, True)
    assert net.router.way_out() == ["lte"]
    rounds(True)
    assert net.router.way_out() == ["fiber"]


def test_an_uplink_that_flaps_is_held_until_it_has_kept_still(net: Network) -> None:
    isp = net.isps[0]
    net.router.mwan("flush")
    net.router.reboot_files()
    net.router.configure(HELD)

    def metric() -> int:
        found = [r for r in net.router.ns.routes("main") if r["dst"] == "default" and r["dev"] == "eth1"]
        assert len(found) == 1
        return int(found[0]["metric"])

    def after(heal: bool) -> tuple[str, int, bool]:
        isp.heal() if heal else isp.fault("blackhole4")
        net.router.check()
        state = net.router.family("fiber")
        return state["status"], metric(), state["held_until"] is not None

    assert after(True) == ("online", 100, False)
    assert after(False) == ("offline", 2000, False)
    assert after(True) == ("offline", 2000, True)
    assert after(False) == ("offline", 2000, False), "a bad round cancels the hold"
    assert after(True) == ("offline", 2000, True)
    full_at = time.monotonic()
    time.sleep(3.1)
    net.router.mwan("check")
    assert after(True) == ("online", 100, False), "the hold is over"
    time.sleep(max(0.0, full_at + 8.1 - time.monotonic()))
    assert after(False) == ("offline", 2000, False)
    assert after(True) == ("online", 100, False), "long since the last time: no hold"
    net.router.mwan("flush")
    assert metric() == 100


def test_a_bounce_of_the_carrier_gives_an_offline_uplink_nothing(net: Network) -> None:
    net.isps[0].fault("blackhole4")
    net.router.check()
    net.isps[0].heal()
    net.router.carrier("eth1", False)
    net.router.carrier("eth1", True)
    net.router.mwan("check")
    assert net.router.verdict("fiber") == "offline"


def test_an_online_uplink_that_lost_its_carrier_shortly_is_back_after_one_good_round(net: Network) -> None:
    net.router.carrier("eth1", False)
    net.router.event("change", "eth1")
    assert net.router.verdict("fiber") == "offline"
    assert net.router.way_out() == ["lte"]
    net.router.carrier("eth1", True)
    net.router.event("change", "eth1")
    assert net.router.verdict("fiber") == "online"


def test_an_outage_shorter_than_a_run_is_seen_by_the_next(net: Network) -> None:
    before = layout(net.router.ns)
    with net.isps[0].broken("blackhole"):
        net.router.check()
        assert net.router.way_out() == ["lte"]
    for _ in range(3):
        net.router.check()
    assert layout(net.router.ns) == before


def moves(net: Network) -> int:
    return len([t for t in net.router.history() if t["event"] == "default-route" and t["family"] == "ipv4"])


def test_each_move_of_the_best_default_is_told_once(net: Network) -> None:
    told = moves(net)
    net.isps[0].fault("blackhole4")
    net.router.check()
    net.router.check()
    assert moves(net) == told + 1, "by verdict"
    net.isps[0].heal()
    for _ in range(4):
        net.router.check()
    assert moves(net) == told + 2, "and back"
    net.router.ns.ip("link set eth1 down")
    net.router.event("change", "eth1")
    net.router.check()
    assert moves(net) == told + 3, "by admin down"
    net.router.ns.ip("addr del 10.2.0.2/24 dev eth2")
    net.router.lease(net.lines["eth2"]._replace(address="10.2.0.7/24", address6=""))
    net.router.event("change", "eth2")
    net.router.check()
    assert moves(net) == told + 4, "by a new address alone"
    net.router.ns.ip("link set eth2 down")
    net.router.event("change", "eth2")
    assert moves(net) == told + 5, "to no default at all"
    assert net.router.way_out() == []


def test_fifty_triggers_at_once_end_in_what_one_ends_in(net: Network) -> None:
    net.router.ns.ip("link set eth1 down")
    runs = [net.router.start(*(("event", "change", "eth1") if n % 2 else ("check", "--now"))) for n in range(50)]
    ends = [(run.wait(60), run.communicate()[1]) for run in runs]
    assert {end for end, _ in ends} == {0}, [words for end, words in ends if end]
    assert net.router.way_out() == ["lte"]
    after_fifty = layout(net.router.ns)
    net.router.check()
    assert layout(net.router.ns) == after_fifty
    # anything of the program that is still there would hold its namespace's root directory as an argument
    left = net.router.ns.run("ps", "-eo", "args").stdout
    assert str(net.router.root) not in left


def test_history_and_status_say_why(net: Network) -> None:
    net.isps[0].fault("blackhole4")
    net.router.check()
    last = [t for t in net.router.history("fiber") if t["event"] == "offline"][-1]
    assert last["family"] == "ipv4"
    assert last["reason"]
    text = net.router.mwan("status").stdout
    assert [line for line in text.splitlines() if line.split()[:3] == ["fiber", "eth1", "online"]], text
    assert f"    IPv4 offline: {last['reason'].partition(';')[0]}" in text
    assert "eth1       4    full" in net.router.mwan("connectivity-state").stdout.splitlines()


def test_wait_online_ends_when_an_uplink_is_online_and_fails_when_none_is(net: Network) -> None:
    net.router.mwan("wait-online", "--timeout", "5")
    for isp in net.isps:
        isp.fault("blackhole")
    net.router.check()
    net.router.mwan("wait-online", "--timeout", "0.5", code=1)
    net.router.configure("[uplinks]\n[[gone]]\nmatch = gone0\n")
    said = net.router.mwan("wait-online", "--timeout", "0", code=1).stderr
    assert "uplink gone: no interface matches" in said


def test_a_run_ends_although_a_dead_line_comes_due_again_before_its_round_is_over(net: Network) -> None:
    net.router.configure(FAILOVER.replace("timeout = 0.5", "timeout = 0.5\ninterval = 0.1"))
    net.router.check()
    with net.isps[0].broken("blackhole"):
        begun = time.monotonic()
        net.router.check()
        assert time.monotonic() - begun < 8
        assert net.router.verdict("fiber", "ipv4") == "offline"
