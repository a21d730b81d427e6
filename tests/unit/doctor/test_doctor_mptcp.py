"""Doctor: what keeps MPTCP from using uplinks."""

from __future__ import annotations

import pytest

from mwan_hook.doctor.checks import mptcp
from mwan_hook.doctor.finding import Case
from mwan_hook.model import Sysctl
from tests.unit import builders

ON = Case(builders.config(mptcp=True))


@pytest.mark.parametrize(
    ("values", "code", "sysctls"),
    [
        ({}, "kernel-lacks", ()),
        ({mptcp.ENABLED: "0", mptcp.TYPE: "0"}, "mptcp-off", (Sysctl(mptcp.ENABLED, "1"),)),
        ({mptcp.ENABLED: "1", mptcp.TYPE: "1"}, "mptcp-paths", (Sysctl(mptcp.TYPE, "0"),)),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, str], code: str, sysctls: tuple[Sysctl, ...]) -> None:
    (found,) = mptcp.check(ON, values, {mptcp.ENABLED: "/etc/sysctl.d/9.conf:1"})
    assert (found.code, found.fix.sysctls) == (code, sysctls)
    assert (" = 0 (set by /etc/sysctl.d/9.conf:1)" in found.what) is (code == "mptcp-off")


@pytest.mark.parametrize("values", [{mptcp.ENABLED: "1"}, {mptcp.ENABLED: "1", mptcp.TYPE: "0"}])
def test_all_is_well(values: dict[str, str]) -> None:
    assert [*mptcp.check(ON, values, {})] == []


def test_without_it_nothing_is_asked_or_found() -> None:
    off = Case(builders.config())
    assert not mptcp.keys(off)
    assert [*mptcp.check(off, {mptcp.ENABLED: "0"}, {})] == []
