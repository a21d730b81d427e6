"""mwan3 of OpenWrt: ``/etc/config/mwan3`` (openwrt/packages at 0521bb5, mwan3 2.12.2).

An interface becomes an uplink (:mod:`mwan_hook.imports.mwan3lines`), a rule (:mod:`mwan_hook.imports.mwan3rules`) a
policy, and the rule for all that is left the order of the shared default (:mod:`mwan_hook.imports.mwan3policies`).
"""

from __future__ import annotations

from mwan_hook.imports import mwan3lines, mwan3policies, mwan3rules, uci
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.mwan3courses import Rules
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.imports.draft import Draft
    from mwan_hook.imports.mwan3courses import ChosenTraffic, Course
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
    _traffic(Rules(draft, found, lines), found)


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


def _traffic(rules: Rules, sections: Sequence[UciSection]) -> None:
    """Put the order of the shared default and the policies into the draft."""
    for section in sections:
        if section.kind == "policy" and len(section.name) > mwan3rules.LONGEST_NAME:
            rules.place.note(
                f"policy {section.name}: mwan3 passes over names of more than {mwan3rules.LONGEST_NAME} characters"
            )
            rules.policies.pop(section.name, None)
    choices, left = mwan3rules.choices(rules, [section for section in sections if section.kind == "rule"])
    default = {family: choice for choice in choices if choice.everything for family in choice.courses}
    exact = mwan3policies.default(
        rules, {family: choice.courses[family] for family, choice in default.items()}, not left
    )
    if left:
        words = ", ".join(family.value for family in left)
        rules.place.note(f"what no rule takes of {words} is main's in mwan3, and the shared default's here")
    for choice in choices:
        said = exact if choice.everything else set[Family]()
        courses = {family: one for family, one in choice.courses.items() if family not in said and not one.idle}
        mwan3policies.policies(rules, choice._replace(courses=_unchosen(rules, choice, courses)))


def _unchosen(rules: Rules, choice: ChosenTraffic, courses: Mapping[Family, Course]) -> dict[Family, Course]:
    """The courses of what no rule before chooses in the same words."""
    found = {}
    for family, course in courses.items():
        other = rules.chosen.setdefault((str(sorted(choice.selectors.items())), family), choice.name)
        if other == choice.name:
            found[family] = course
        else:
            rules.place.note(f"rule {choice.name} does nothing for {family.value}: {other} chooses the same before it")
    return found
