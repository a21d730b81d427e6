"""What one round is made of, and what its results say together."""

from __future__ import annotations

import inspect
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mwan_hook.config import targets
from mwan_hook.model import (
    FAMILIES,
    Address,
    Connectivity,
    Family,
    Job,
    Link,
    Method,
    Probe,
    Result,
    Uplink,
    UplinkConfig,
    Way,
)
from mwan_hook.probes import runner
from mwan_hook.probes.bound import Exchange
from mwan_hook.probes.loop import Late, Task, target_key
from mwan_hook.verdict import rounds
from mwan_hook.verdict.schedule import Timeouts

UNKNOWN, NONE, PORTAL, LIMITED, FULL = Connectivity
PROBE = Probe(
    targets=tuple(targets.parse(text) for text in ("icmp://1.1.1.1", "icmp://2606:4700:4700::1111", "gateway:")),
    portal_targets=(targets.parse("http://gstatic.com/generate_204"), targets.parse("http://9.9.9.9/")),
    timeout=4,
)


def way(family: Family, gateway: str | None = "192.168.2.1", missing: str = "") -> Way:
    """A way with an address."""
    address = "192.168.2.2" if family is Family.IPV4 else "2001:db8::2"
    return Way(family, (Address(7, family, address, 24, True),), gateway, missing=missing, servers=("192.168.2.53",))


def uplink(ipv4: Way, ipv6: Way, noarp: bool = False) -> Uplink:
    """An uplink that is there."""
    link = Link(7, "lte0", True, True, noarp=noarp)
    return Uplink(UplinkConfig("lte"), "lte", "lte0", 7, 1001, 100, 0x100, 0x3F00, True, link, ipv4, ipv6)


BOTH = uplink(way(Family.IPV4), way(Family.IPV6, "fe80::1"))


def result(
    connectivity: Connectivity,
    rtt: float | None = None,
    *,
    target: str = "icmp://1.1.1.1",
    portal: bool = False,
    error: str | None = None,
) -> Result:
    """One result."""
    job = Job("lte", Family.IPV4, targets.parse(target), "lte0", 7, "192.168.2.2", portal=portal)
    return Result(job, connectivity, rtt, error, 72)


def asked(jobs: tuple[Job, ...]) -> list[tuple[str, bool]]:
    """Targets, and whether they are portal checks."""
    return [(job.target.text, job.portal) for job in jobs]


# ---------------------------------------------------------------- jobs


@pytest.mark.parametrize("family", FAMILIES)
def test_a_job_knows_the_other_family_s_way_to_name_servers(family: Family) -> None:
    other = Family.IPV6 if family is Family.IPV4 else Family.IPV4
    ways = {each: way(each)._replace(servers=(f"server of {each.value}",)) for each in Family}
    both = uplink(ways[Family.IPV4], ways[Family.IPV6])
    (job, *_) = rounds.jobs_for(both, family, PROBE, with_portal=False)
    assert (job.other_source, job.other_servers) == (ways[other].source, ways[other].servers)
    lacking = {**ways, other: ways[other]._replace(missing="no gateway")}
    alone = both._replace(config=UplinkConfig("lte", families=(family,)))
    for one in (uplink(lacking[Family.IPV4], lacking[Family.IPV6]), alone):
        (job, *_) = rounds.jobs_for(one, family, PROBE, with_portal=False)
        assert (job.other_source, job.other_servers) == ("", ())


def test_jobs_carry_what_probing_needs() -> None:
    (job, _) = rounds.jobs_for(BOTH, Family.IPV4, PROBE, with_portal=False)
    assert job == Job(
        "lte",
        Family.IPV4,
        PROBE.targets[0],
        "lte0",
        7,
        "192.168.2.2",
        "192.168.2.1",
        False,
        4,
        ("192.168.2.53",),
        False,
        "2001:db8::2",
        ("192.168.2.53",),
    )


def test_targets_of_the_other_family_are_left_out() -> None:
    assert asked(rounds.jobs_for(BOTH, Family.IPV6, PROBE, with_portal=False)) == [
        ("icmp://2606:4700:4700::1111", False),
        ("gateway:", False),
    ]


def test_portal_targets_come_last_and_only_when_they_are_wanted() -> None:
    wanted = rounds.jobs_for(BOTH, Family.IPV6, PROBE, with_portal=True)
    assert asked(wanted)[2:] == [("http://gstatic.com/generate_204", True)]


@pytest.mark.parametrize(
    "without", [uplink(way(Family.IPV4, None), way(Family.IPV6)), uplink(way(Family.IPV4), way(Family.IPV6), True)]
)
def test_a_nexthop_by_device_has_no_gateway_to_ask(without: Uplink) -> None:
    assert asked(rounds.jobs_for(without, Family.IPV4, PROBE, with_portal=False)) == [("icmp://1.1.1.1", False)]


def test_nothing_is_asked_where_a_fact_is_missing() -> None:
    gone = uplink(way(Family.IPV4, missing="no carrier"), way(Family.IPV6))
    assert rounds.jobs_for(gone, Family.IPV4, PROBE, with_portal=True) == ()
    assert rounds.jobs_for(BOTH._replace(link=None), Family.IPV4, PROBE, with_portal=False) == ()


# ---------------------------------------------------------------- timeouts in a burst


@pytest.mark.parametrize(
    ("own", "short"),
    [
        ("icmp://1.1.1.1 tcp://1.1.1.1:443", "icmp://1.1.1.1 tcp://1.1.1.1:443"),
        ("icmp://1.1.1.1 dns://1.1.1.1/a http://a/ https://a/", "icmp://1.1.1.1"),
        ("https://a/ tcp://1.1.1.1:443 gateway:", "tcp://1.1.1.1:443 gateway:"),
        ("dns://1.1.1.1/a http://a/ gateway:", "dns://1.1.1.1/a"),
        ("ntp://1.1.1.1 http://a/ gateway:", "ntp://1.1.1.1"),
        ("http://a/ https://a/ gateway:", "http://a/ https://a/"),
        ("gateway:", "gateway:"),
        ("", ""),
    ],
)
def test_in_a_burst_only_the_methods_that_the_round_trip_was_measured_with_are_hurried(own: str, short: str) -> None:
    jobs = [result(FULL, target=text).job for text in own.split()]
    portal = [result(FULL, target=text, portal=True).job for text in ("icmp://9.9.9.9", "http://9.9.9.9/")]
    hurried = rounds.hurried([*jobs, *portal], Timeouts(0.3, 1.3), 5)
    assert [job._replace(timeout=3) for job in hurried] == [*jobs, *portal]
    assert [job.target.text for job in hurried if job.timeout < 5] == short.split()
    for job in hurried:
        echo = job.target.text.startswith(("icmp:", "gateway:"))
        assert job.timeout in (5, 0.3 if echo else 1.3)


# ---------------------------------------------------------------- rounds


@pytest.mark.parametrize(
    ("seen", "required", "connectivity", "reason"),
    [
        ([FULL, FULL, FULL], 1, FULL, "3 of 3 targets answered"),
        ([FULL, LIMITED, LIMITED], 1, FULL, "1 of 3 targets answered"),
        ([FULL, LIMITED, LIMITED], 2, LIMITED, "1 of 3 targets answered, 2 required"),
        ([FULL, FULL, LIMITED], 2, FULL, "2 of 3 targets answered"),
        ([FULL, FULL], 5, FULL, "2 of 2 targets answered"),
        ([FULL, LIMITED], 5, LIMITED, "1 of 2 targets answered, 2 required"),
        ([FULL, NONE], 2, LIMITED, "1 of 2 targets answered, 2 required"),
        ([LIMITED, NONE], 1, LIMITED, "0 of 2 targets answered"),
        ([NONE, NONE], 1, NONE, "0 of 2 targets answered"),
        ([PORTAL, NONE], 1, PORTAL, "0 of 2 targets answered"),
        ([PORTAL, FULL], 1, FULL, "1 of 2 targets answered"),
        ([FULL, UNKNOWN], 2, FULL, "1 of 1 targets answered"),
        ([], 1, FULL, rounds.FACTS),
        ([UNKNOWN], 1, FULL, rounds.FACTS),
    ],
)
def test_a_round_is_the_best_of_its_targets(
    seen: list[Connectivity], required: int, connectivity: Connectivity, reason: str
) -> None:
    made = rounds.summarise([result(each) for each in seen], required)
    assert (made.connectivity, made.reason) == (connectivity, reason)
    assert made.wire_bytes == 72 * len(seen)
    assert [target.connectivity for target in made.targets] == seen


def test_the_reason_names_the_commonest_error() -> None:
    seen = [result(LIMITED, error="connection refused"), *[result(LIMITED, error="timed out after 3 s")] * 2]
    assert rounds.summarise(seen, 1).reason == "0 of 3 targets answered: timed out after 3 s"


@pytest.mark.parametrize(
    ("seen", "portal", "checked"),
    [
        ([], None, False),
        ([PORTAL], True, True),
        ([PORTAL, LIMITED], True, True),
        ([PORTAL, FULL], False, True),
        ([FULL, LIMITED], False, True),
        ([LIMITED, LIMITED], None, True),
        ([NONE], None, True),
    ],
)
def test_portal_targets_are_kept_apart(seen: list[Connectivity], portal: bool | None, checked: bool) -> None:
    results = [result(FULL, 5.0), *(result(each, 90.0, portal=True) for each in seen)]
    made = rounds.summarise(results, 1)
    assert (made.connectivity, made.latency_ms, made.reason) == (FULL, 5.0, "1 of 1 targets answered")
    assert (made.portal, made.portal_checked) == (portal, checked)


def test_a_portal_check_alone_sees_that_the_device_is_gone() -> None:
    assert rounds.summarise([result(NONE, portal=True)], 1).connectivity is NONE
    assert rounds.summarise([result(LIMITED, portal=True)], 1).connectivity is FULL


@pytest.mark.parametrize(
    ("results", "latency"),
    [
        ([result(FULL, 9.0), result(FULL, 5.0), result(FULL, 70.0)], 9.0),
        ([result(FULL, 9.0), result(FULL, 5.0)], 5.0),
        ([result(FULL, 9.0), result(LIMITED, 1.0)], 9.0),
        ([result(FULL, 9.0), result(FULL, 80.0, target="http://a.test/"), result(FULL, 0.1, target="gateway:")], 9.0),
        ([result(FULL, 80.0, target="http://a.test/"), result(FULL, 0.1, target="gateway:")], 80.0),
        ([result(FULL, 0.1, target="gateway:")], 0.1),
        ([result(LIMITED)], None),
        ([], None),
    ],
)
def test_latency_is_the_median_of_what_tells_most_of_the_way(results: list[Result], latency: float | None) -> None:
    assert rounds.summarise(results, 1).latency_ms == latency


@given(st.lists(st.sampled_from([NONE, PORTAL, LIMITED, FULL]), min_size=1), st.integers(0, 9))
def test_a_round_is_full_exactly_if_enough_targets_are(seen: list[Connectivity], required: int) -> None:
    made = rounds.summarise([result(each) for each in seen], required)
    assert (made.connectivity is FULL) == (seen.count(FULL) >= max(1, min(required, len(seen))))
    assert made.connectivity <= max(seen)
    assert made == rounds.summarise([result(each) for each in seen], required)


# ---------------------------------------------------------------- the table of methods


def test_every_method_has_a_row_and_a_module_that_probes() -> None:
    assert set(rounds.METHODS) == set(Method)
    for method in Method:
        assert inspect.isgeneratorfunction(runner._module(rounds.METHODS[method].module).probe)
        assert method in rounds.METHODS[method].foretells


def test_a_probe_whose_late_answers_do_not_count_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    late, job = Late(), result(FULL).job
    for counts in (True, False):
        monkeypatch.setitem(rounds.METHODS, Method.ICMP, rounds.METHODS[Method.ICMP]._replace(late=counts))
        run = runner._Run([job], "/", late)
        run.tasks[0] = [Task(never(), Exchange())]
        monkeypatch.setattr(run.loop, "leave", lambda task: True)
        run._over(0)
        assert len(late.take(target_key(job))) == counts


def never() -> Generator[tuple[int, int, float], int, Any]:
    """A probe that gets no answer."""
    yield 0, 0, 0.0
