"""The text that Prometheus reads: its format, by the parser of Prometheus' own library, and what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from mwan_hook.model import (
    Connectivity,
    Family,
    FamilyState,
    Rung,
    State,
    Status,
    Uplink,
    UplinkState,
    Usage,
    Way,
    WayOut,
)
from mwan_hook.notify import exposition, metrics
from tests.unit import builders

PROJECT = Path(__file__).resolve().parents[3]
NOW, WALL = 1000.0, 1_700_000_000.0
WORKING = FamilyState(
    status=Status.ONLINE,
    connectivity=Connectivity.FULL,
    judged=True,
    since=900.0,
    bad=1,
    way="a",
    probed_at=990.25,
    latency_ms=8.9,
    probe_bytes=12345,
    rounds=40,
    bad_rounds=3,
    transitions=5,
)
HELD = FamilyState(status=Status.OFFLINE, connectivity=Connectivity.LIMITED, held_until=1100.0, since=500.0, way="b")


def uplink(name: str, metric: int = 100, families: tuple[Family, ...] = (Family.IPV4,), **settings: object) -> Uplink:
    """One that is there and lacks nothing."""
    config = builders.uplink(name, families=families, **settings)
    index = builders.NAMES[name]
    ways = {
        family.value: Way(family, (builders.address(name, family),), "192.0.2.1", missing="") for family in families
    }
    return Uplink(config, name, name, index, 1001, metric, 0, 0, True, builders.link(name), **ways)  # type: ignore[arg-type]


def state(**memories: FamilyState) -> State:
    """Memory of the IPv4 of each."""
    uplinks = {name: UplinkState(name, builders.NAMES[name], memory) for name, memory in memories.items()}
    best = {Family.IPV4: WayOut("fiber", "fiber", "192.0.2.7", "192.0.2.1"), Family.IPV6: WayOut()}
    return State("boot", uplinks, best=best, errors=("one",), run_seconds=0.25, saved_wall=WALL - 2.5)


def read(text: str) -> dict[str, Metric]:
    """By the name that a sample has."""
    found: dict[str, Metric] = {}
    for family in text_string_to_metric_families(text):
        assert family.samples or family.name, family
        for name in {sample.name for sample in family.samples} or {family.name}:
            assert name not in found, f"{name} stands in two places"
            found[name] = family
    return found


def told(*uplinks: Uplink, **memories: FamilyState) -> dict[str, Metric]:
    """What is written of these."""
    return read(exposition.text("1.2", uplinks, state(**memories), NOW, WALL, {}))


def values(metric: Metric) -> dict[str, float]:
    """By uplink."""
    return {sample.labels["uplink"]: sample.value for sample in metric.samples}


def test_every_line_is_of_the_format_and_every_name_has_its_help_and_type() -> None:
    text = exposition.text("1.2", [uplink("fiber")], state(fiber=WORKING), NOW, WALL, {})
    assert text.endswith("\n")
    for metric in read(text).values():
        assert metric.documentation.endswith("."), metric
        assert metric.type in ("gauge", "counter"), metric
    samples = [line for line in text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"mwan_[a-z_]+(\{.*\})? [-+0-9.e]+", line) for line in samples)  # no timestamp
    named = re.findall(r"^# TYPE (\S+)", text, re.MULTILINE)
    assert named == re.findall(r"^# HELP (\S+)", text, re.MULTILINE) and len(named) == len(set(named))


def test_a_quota_is_told_from_its_first_figure_on_and_only_where_there_is_one() -> None:
    names = [metric.name for metric in exposition.metrics("1.2", [], state(), 0.0, {}) if "quota" in metric.name]
    for limit, usage, there in ((10**9, {}, False), (10**9, {"fiber": Usage()}, True), (0, {"fiber": Usage()}, False)):
        known = state(fiber=WORKING)._replace(usage=usage)
        found = exposition.metrics("1.2", [uplink("fiber", quota=limit)], known, 0.0, {})
        assert names and {bool(one.samples) for one in found if one.name in names} == {there}


def test_repair_steps_are_told_of_uplinks_with_a_ladder_and_not_named_elsewhere() -> None:
    climbed = {"fiber": {"renew": 3, "hook": 1}, "gone": {"renew": 1}}
    with_ladder = uplink("fiber", repair=(Rung("renew", 60),))
    found = read(exposition.text("1.2", [with_ladder, uplink("lte")], state(fiber=WORKING), NOW, WALL, climbed))
    samples = found["mwan_uplink_repair_steps_total"].samples
    assert {(one.labels["uplink"], one.labels["step"]): one.value for one in samples} == {
        ("fiber", "renew"): 3,
        ("fiber", "hook"): 1,
    }
    assert "repair" not in exposition.text("1.2", [uplink("fiber")], state(fiber=WORKING), NOW, WALL, climbed)


def test_a_sample_without_labels_has_no_braces() -> None:
    text = exposition.text("1.2", [], state(), NOW, WALL, {})
    assert not re.search(r"\{\}", text) and re.search(r"^mwan_[a-z_]+ ", text, re.MULTILINE)


def test_names_follow_the_conventions() -> None:
    for metric in exposition.metrics("1.2", [uplink("fiber")], state(fiber=WORKING), WALL - NOW, {}):
        assert metric.name.endswith("_total") is (metric.kind == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|count|gauge|counter|ratio)(_|$)", metric.name)
        if metric.name.endswith("_info"):
            assert {value for _, value in metric.samples} <= {1}


def test_what_is_known_of_a_family_is_told_in_base_units() -> None:
    found = told(uplink("fiber"), fiber=WORKING)
    expected = {
        "mwan_uplink_connectivity": 4,
        "mwan_uplink_online": 1,
        "mwan_uplink_default": 1,
        "mwan_uplink_held": 0,
        "mwan_uplink_latency_seconds": 0.0089,
        "mwan_uplink_rounds_total": 40,
        "mwan_uplink_bad_rounds_total": 3,
        "mwan_uplink_consecutive_bad_rounds": 1,
        "mwan_uplink_transitions_total": 5,
        "mwan_uplink_probe_bytes_total": 12345,
        "mwan_uplink_last_probe_timestamp_seconds": WALL - 9.75,
        "mwan_uplink_verdict_timestamp_seconds": WALL - 100,
    }
    for name, value in expected.items():
        (sample,) = found[name].samples
        assert sample.labels == {"uplink": "fiber", "interface": "fiber", "family": "ipv4"}
        assert sample.value == value, name
    (run,) = found["mwan_run_duration_seconds"].samples
    (last,) = found["mwan_last_run_timestamp_seconds"].samples
    (errors,) = found["mwan_errors"].samples
    assert (run.value, last.value, errors.value) == (0.25, WALL - 2.5, 1)


def test_what_is_not_known_is_left_out_and_not_nought() -> None:
    found = told(uplink("fiber"))
    for name in ("latency_seconds", "last_probe_timestamp_seconds", "verdict_timestamp_seconds"):
        assert found[f"mwan_uplink_{name}"].samples == []
    assert values(found["mwan_uplink_connectivity"]) == {"fiber": 0}
    (way_out,) = found["mwan_default_route_info"].samples  # of IPv6 there is none
    assert way_out.labels == {
        "family": "ipv4",
        "uplink": "fiber",
        "interface": "fiber",
        "address": "192.0.2.7",
        "gateway": "192.0.2.1",
    }


def test_the_default_is_what_shares_the_best_metric_among_those_online() -> None:
    uplinks = uplink("fiber", 100), uplink("cable", 100), uplink("lte", 200)
    everything = told(*uplinks, fiber=WORKING, cable=WORKING, lte=WORKING)
    assert values(everything["mwan_uplink_default"]) == {"fiber": 1, "cable": 1, "lte": 0}
    one = told(*uplinks, fiber=HELD, cable=HELD, lte=WORKING)
    assert values(one["mwan_uplink_default"]) == {"fiber": 0, "cable": 0, "lte": 1}
    assert values(one["mwan_uplink_held"]) == {"fiber": 1, "cable": 1, "lte": 0}
    assert values(told(*uplinks, fiber=HELD)["mwan_uplink_default"]) == {"fiber": 0, "cable": 0, "lte": 0}


def test_an_uplink_without_an_interface_and_a_family_that_is_not_used() -> None:
    gone = uplink("lte", weight=3, metered=True)._replace(index=0, link=None)
    found = told(uplink("fiber", families=(Family.IPV4, Family.IPV6)), gone, fiber=WORKING, lte=HELD)
    assert values(found["mwan_uplink_present"]) == {"fiber": 1, "lte": 0}
    assert values(found["mwan_uplink_carrier"]) == {"fiber": 1, "lte": 0}
    assert values(found["mwan_uplink_weight"]) == {"fiber": 1, "lte": 3}
    places = [(s.labels["uplink"], s.labels["family"]) for s in found["mwan_uplink_online"].samples]
    assert places == [("fiber", "ipv4"), ("fiber", "ipv6"), ("lte", "ipv4")]
    facts = {s.labels["uplink"]: (s.labels["table"], s.labels["metered"]) for s in found["mwan_uplink_info"].samples}
    assert facts == {"fiber": ("1001", "no"), "lte": ("1001", "yes")}


def test_labels_may_hold_any_character() -> None:
    strange = 'a"b\\n{},=\nc'
    found = told(uplink("fiber")._replace(name=strange))
    assert list(values(found["mwan_uplink_present"])) == [strange]


def names() -> set[str]:
    """All that is ever written."""
    always = {metric.name for metric in exposition.metrics("", [], State(), 0.0, {})}
    return always | {f"mwan_uplink_{row[0]}" for row in metrics.OF_QUALITY} | {"mwan_uplink_repair_steps_total"}


def test_the_dashboard_shows_every_name_and_no_other() -> None:
    dashboard = json.loads((PROJECT / "docs/grafana/mwan-hook.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    expressions += [str(variable["query"]) for variable in dashboard["templating"]["list"]]
    assert set(re.findall(r"\bmwan_[a-z_]+", " ".join(expressions))) == names()


def test_the_page_explains_every_name_and_no_other() -> None:
    page = (PROJECT / "docs/monitoring.md").read_text()
    assert set(re.findall(r"\bmwan_[a-z_]+", page)) == names()
