"""What the options of ``mwan-hook trace`` ask of the kernel."""

from __future__ import annotations

from argparse import Namespace

import pytest

from mwan_hook.commands.trace import question
from mwan_hook.model import UsageError


def protocol_of(text: str, destination: str) -> int:
    given = {"source": None, "iif": None, "oif": None, "mark": 0, "sport": 0, "dport": 0, "uid": 0}
    return question(Namespace(destination=destination, proto=text, **given), {})[0].proto


@pytest.mark.parametrize(
    ("text", "destination", "number"),
    [
        ("icmp", "1.0.0.1", 1),
        ("icmp", "2600::1", 58),
        ("ICMP", "2600::1", 58),
        ("TCP", "2600::1", 6),
        ("icmpv6", "2600::1", 58),
        ("47", "1.0.0.1", 47),
    ],
)
def test_a_protocol_has_its_name_in_any_case_or_a_number(text: str, destination: str, number: int) -> None:
    assert protocol_of(text, destination) == number


@pytest.mark.parametrize("text", ["tpc", "0", "256", "-1", "4²", ""])
def test_what_is_no_protocol_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="--proto"):
        protocol_of(text, "1.0.0.1")
