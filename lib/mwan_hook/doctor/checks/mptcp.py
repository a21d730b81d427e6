"""Doctor: what keeps MPTCP from using uplinks, where the configuration wants it to.  Pure."""

from __future__ import annotations

from mwan_hook.doctor.finding import Finding, Fix, Severity, spelled, sysctl_fix
from mwan_hook.model import Sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mwan_hook.doctor.finding import Case

ENABLED, TYPE = "net/mptcp/enabled", "net/mptcp/pm_type"
BREAKS = "a program that asks for MPTCP gets an error, or falls back to TCP: its connections end with their uplink"
ELSEWHERE = "endpoints are not used: connections have one subflow, and do not outlive its uplink"


def keys(case: Case) -> tuple[str, ...]:
    """All that is to be read."""
    return (ENABLED, TYPE) if case.config.routing.mptcp else ()


def check(case: Case, values: Mapping[str, str], places: Mapping[str, str]) -> Iterator[Finding]:
    """A kernel without it, or with it switched off, or in which another program manages the paths."""
    if not case.config.routing.mptcp:
        return
    because = "and the configuration has [routing] mptcp"
    if ENABLED not in values:
        what = f"this kernel has no {spelled(ENABLED)}, {because}"
        fix = Fix(words="boot a kernel with CONFIG_MPTCP (Linux 5.6 or later), or set mptcp = no")
        yield Finding("kernel-lacks", Severity.PROBLEM, "CONFIG_MPTCP", what, BREAKS, fix)
    elif values[ENABLED] == "0":
        what = f"{spelled(ENABLED)} = 0{_from(ENABLED, places)}, {because}"
        yield Finding("mptcp-off", Severity.PROBLEM, "", what, BREAKS, sysctl_fix([Sysctl(ENABLED, "1")]))
    elif values.get(TYPE, "0") != "0":
        what = (
            f"{spelled(TYPE)} = {values[TYPE]}{_from(TYPE, places)}: a program such as mptcpd manages paths, {because}"
        )
        yield Finding("mptcp-paths", Severity.PROBLEM, "", what, ELSEWHERE, sysctl_fix([Sysctl(TYPE, "0")]))


def _from(key: str, places: Mapping[str, str]) -> str:
    return f" (set by {places[key]})" if key in places else ""
