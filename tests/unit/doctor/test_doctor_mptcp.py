"""Doctor: what keeps MPTCP from using uplinks."""

from __future__ import annotations

import pytest

from mwan_hook.doctor.checks import sysctls
from mwan_hook.doctor.finding import Case
from mwan_hook.model import Sysctl
from tests.unit import builders

ON = Case(builders.config(mptcp=True))


@pytest.mark.parametrize(
    ("values", "code", "wanted"),
    [
        ({}, "kernel-lacks", ()),
        ({sysctls.MPTCP: "0", sysctls.MPTCP_MANAGER: "0"}, "mptcp-off", (Sysctl(sysctls.MPTCP, "1"),)),
        ({sysctls.MPTCP: "1", sysctls.MPTCP_MANAGER: "1"}, "mptcp-paths", (Sysctl(sysctls.MPTCP_MANAGER, "0"),)),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, str], code: str, wanted: tuple[Sysctl, ...]) -> None:
    (found,) = sysctls.check_mptcp(ON, values, {sysctls.MPTCP: "/etc/sysctl.d/9.conf:1"})
    assert (found.code, found.fix.sysctls) == (code, wanted)
    assert (" = 0 (set by /etc/sysctl.d/9.conf:1)" in found.what) is (code == "mptcp-off")


@pytest.mark.parametrize("values", [{sysctls.MPTCP: "1"}, {sysctls.MPTCP: "1", sysctls.MPTCP_MANAGER: "0"}])
def test_all_is_well(values: dict[str, str]) -> None:
    assert [*sysctls.check_mptcp(ON, values, {})] == []


def test_without_it_nothing_is_asked_or_found() -> None:
    off = Case(builders.config())
    assert sysctls.MPTCP in sysctls.keys(ON) and sysctls.MPTCP not in sysctls.keys(off)
    assert [*sysctls.check_mptcp(off, {sysctls.MPTCP: "0"}, {})] == []
