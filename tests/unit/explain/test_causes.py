"""What died, by what was missing or did not answer."""

from __future__ import annotations

from typing import Any

import pytest

from mwan_hook.config.targets import parse
from mwan_hook.explain.causes import MEANINGS, cause
from mwan_hook.model import (
    DEGRADED,
    NO_NEXTHOP,
    Address,
    Connectivity,
    Dial,
    Family,
    FamilyState,
    Link,
    Probe,
    Quality,
    Status,
    TargetResult,
    Uplink,
    UplinkConfig,
    UplinkState,
    Way,
)

V4 = Family.IPV4
UP = Link(2, "eth2", True, True)
PROBE = Probe(tuple(map(parse, ("gateway:", "icmp://192.0.2.7", "tcp://192.0.2.8:443", "dns://192.0.2.7/a.example"))))
NAMES = tuple(target.name for target in PROBE.targets)


def died(
    link: Link | None = UP,
    missing: str = "",
    answered: str = "",
    word: str = "offline",
    probe: Probe = PROBE,
    **memory: Any,
) -> str:
    """The word for an uplink; ``answered``: a letter for each target, x for one that did not."""
    config = UplinkConfig("line", probe=probe, dial=Dial() if memory.pop("dialled", False) else None)
    uplink = Uplink(config, "line", "eth2", 2, 1001, 1, 0, 0, True, link, ipv4=Way(V4, missing=missing))
    seen = [Connectivity.LIMITED if letter == "x" else Connectivity.FULL for letter in answered]
    targets = tuple(map(TargetResult, (target.name for target in probe.targets), seen))
    one = FamilyState(Status(word) if word != DEGRADED else Status.ONLINE, targets=targets)._replace(**memory)
    return cause(uplink, V4, UplinkState("eth2", 2, one), word)


@pytest.mark.parametrize(
    ("link", "missing", "expected"),
    [
        (UP._replace(carrier=False), "no carrier", "carrier"),
        (UP._replace(up=False), "administratively down", "carrier"),
        (None, "interface is gone", "interface"),
        (UP, "no address", "address"),
        (UP, "no gateway", "address"),
    ],
)
def test_a_missing_fact_is_what_died(link: Link | None, missing: str, expected: str) -> None:
    assert died(link, missing) == expected


@pytest.mark.parametrize(
    ("answered", "expected"),
    [
        ("xxxx", "gateway"),
        (".xxx", "beyond the gateway"),
        ("..x.", "beyond the gateway"),
        ("...x", "names only"),
    ],
)
def test_who_answered_tells_how_far_it_went(answered: str, expected: str) -> None:
    assert died(answered=answered) == expected


@pytest.mark.parametrize(
    ("targets", "answered", "expected"),
    [
        (("icmp://[2001:db8::7]", "tcp://a.example:443"), ".x", "names only"),
        (("tcp://b.example:443", "tcp://a.example:443"), ".x", "beyond the gateway"),
        (("dns://192.0.2.7/a.example", "icmp://192.0.2.8"), ".x", "beyond the gateway"),
    ],
)
def test_names_alone_have_died_where_addresses_answer_and_no_name_does(
    targets: tuple[str, ...], answered: str, expected: str
) -> None:
    assert died(answered=answered, probe=Probe(tuple(map(parse, targets)))) == expected


def test_one_that_answers_again_or_was_not_asked_has_died_of_nothing_else() -> None:
    assert died(answered="....", good=1) == "", "rising, or held back"
    assert died(answered="") == "", "enabled a moment ago"
    assert died(answered="", probed_at=1.0) == "", "its carrier is back, and no round was made since"
    assert died(answered="", probed_at=1.0, bad=3) == "no answer"
    assert died(answered="....", good=3, degraded=True, quality=Quality(reason="loss 9 % of 100")) == "loss"


def test_nothing_but_silence_is_no_guess_about_the_gateway() -> None:
    only = (TargetResult(NAMES[1], Connectivity.LIMITED),)
    assert died(targets=only) == "no answer"


NOT_ON_LINK = Way(V4, missing="")


def test_the_kernel_tells_that_the_gateway_does_not_answer_once_it_has_given_up_asking() -> None:
    def silent(*targets: str, way: Way = NOT_ON_LINK, answered: bool = False) -> str:
        probe = Probe(tuple(map(parse, targets)))
        seen = [TargetResult(one.name, Connectivity.LIMITED, error=NO_NEXTHOP) for one in probe.targets]
        if answered:
            seen[0] = TargetResult(probe.targets[0].name, Connectivity.FULL)
        uplink = Uplink(UplinkConfig("line", probe=probe), "line", "eth2", 2, 1001, 1, 0, 0, True, UP, ipv4=way)
        one = FamilyState(Status.OFFLINE, targets=tuple(seen), bad=3)
        return cause(uplink, V4, UplinkState("eth2", 2, one), "offline")

    own = Way(V4, (Address(2, V4, "192.0.2.2", 24, True),), "192.0.2.1", missing="")
    assert silent("icmp://198.51.100.1") == "gateway"
    assert silent("icmp://198.51.100.1", "icmp://198.51.100.2", answered=True) == "beyond the gateway"
    assert silent("icmp://192.0.2.7", way=own) == "no answer", "that one's own silence, on the same link"
    assert silent("icmp://192.0.2.7", "icmp://198.51.100.1", way=own) == "gateway"


def test_what_is_measured_a_portal_and_a_hand_have_words_of_their_own() -> None:
    for word in ("loss", "latency", "jitter"):
        assert died(word=DEGRADED, quality=Quality(reason=f"{word} 9 % of 100")) == word
    assert died(reason="latency of 400 ms is above 300 ms") == "latency"
    assert died(connectivity=Connectivity.PORTAL, answered="....") == "portal"
    assert died(word="disabled") == "by hand"
    assert died(None, "interface is gone", dialled=True) == "not dialled"
    assert died(word="online") == ""


def test_every_word_is_explained() -> None:
    seen = {
        *(died(answered=answered) for answered in ("xxxx", ".xxx", "...x")),
        *(died(UP, missing) for missing in ("no address",)),
    }
    assert seen <= {*MEANINGS}
