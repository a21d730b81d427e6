"""mwan3 of OpenWrt: ``/etc/config/mwan3`` (openwrt/packages at 0521bb5, mwan3 2.12.2).

An interface becomes an uplink (:mod:`mwan_hook.imports.mwan3lines`), a rule a policy, and the rule for all that is left
the order of the shared default (:mod:`mwan_hook.imports.mwan3rules`).
"""

from __future__ import annotations

from mwan_hook.imports import mwan3lines, mwan3rules, uci
from mwan_hook.imports.draft import NotUnderstood

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.imports.draft import Draft
    from mwan_hook.imports.uci import UciSection

KINDS = ("globals", "interface", "member", "policy", "rule")
MASK = 0x3F00  # of both
BURST = "mwan3 waits so long between two rounds while a line fails; without this line it is left within seconds"


def read(text: str, draft: Draft) -> None:
    """Interfaces, members, policies and rules of a file."""
    found = uci.sections(text, "mwan3")
    if not any(one.kind == "interface" and set(one.values) & {"enabled", "track_ip", "family"} for one in found):
        raise NotUnderstood("expected `config interface` with what mwan3 knows of one")
    for section in found:
        if section.kind not in KINDS:
            draft.top.lost(f"line {section.line}, config {section.kind}", "mwan-hook does not know it")
    for section in found:
        if section.kind == "globals":
            _globals(draft, section)
    _everywhere(draft)
    lines = mwan3lines.lines(draft, [one for one in found if one.kind == "interface"])
    mwan3rules.read(draft, found, lines)


def _globals(draft: Draft, section: UciSection) -> None:
    routing = draft.part("routing")
    for key in section.values:
        if key in ("logging", "loglevel"):
            routing.note(f"{key} has no counterpart: runs tell the journal")
        elif key == "rt_table_lookup":
            because = "only the networks of main come before policies (main_first)"
            routing.lost(f"rt_table_lookup {section.get(key)}", because)
        elif key == "bypass_network":
            routing.lost(f"bypass_network {section.get(key)}", "no policy leaves packets to main")
        elif key not in ("mmx_mask", "source_routing"):
            routing.lost(f"{key} = {section.get(key)}", "mwan-hook does not know it")
    mask = section.get("mmx_mask")
    if mask and mask.lower() not in (hex(MASK), str(MASK)):
        routing.set("mark_mask", mask)


def _everywhere(draft: Draft) -> None:
    """What holds in mwan3 without being written."""
    probe, router = draft.part("probe"), draft.part("router")
    for key, value in (("timeout", 4), ("fall", 5), ("rise", 5)):
        probe.set(key, value)
    probe.note(BURST)
    probe.set("burst_interval", 10)
    router.set("pin", True)
    router.note("mwan3 leaves translation to the firewall: add masquerade = yes, unless a table of yours does it")
    draft.top.note(
        "/etc/mwan3.user is not looked at: its actions go to scripts in online.d and offline.d (docs/hooks.md)"
    )
