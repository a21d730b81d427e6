"""pfSense: gateways, gateway groups and the rules that name them, from config.xml."""

from __future__ import annotations

from collections.abc import Sequence

from mwan_hook.imports import pfconfig, pfgateways, pfstack
from mwan_hook.imports.draft import Draft
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.pfconfig import FAMILIES, Backup, present
from mwan_hook.imports.pfgateways import Dpinger, Gateway
from mwan_hook.imports.pfstack import Group
from mwan_hook.imports.xmltree import Element

DPINGER = Dpinger(interval=0.5, wait=2, units=1000)
NONE = "-"  # no default at all
_DEFAULTS = {"inet": "defaultgw4", "inet6": "defaultgw6"}


def read(text: str, draft: Draft) -> None:
    """Put what the file says into the draft.  Raises NotUnderstood."""
    firewall = pfconfig.opened(text, "pfsense", draft, present)
    gateways = [
        pfgateways.gateway(firewall, one, _is_watched(one)) for one in firewall.root.under("gateways", "gateway_item")
    ]
    gateways += pfstack.dynamic(firewall, gateways, lambda one, kind: f"{one.called}_{kind}".upper(), watched=True)
    if not gateways:
        raise NotUnderstood("expected gateways: it has none, and no interface with DHCP or PPP")
    sticky = any(one.has("lb_use_sticky") for one in firewall.root.all("system"))
    groups = [pfstack.group(one, {}, sticky) for one in firewall.root.under("gateways", "gateway_group")]
    turns = [_turns(firewall, gateways, {one.name: one for one in groups}, family) for family in FAMILIES]
    parts = pfgateways.uplinks(firewall, gateways, DPINGER)
    for gateway in gateways:
        kills = gateway.element is not None and gateway.element.get("gw_down_kill_states") == "down"
        if kills and gateway.name in parts:
            words = "connections are not ended when an uplink goes offline"
            parts[gateway.name].lost(f"gw_down_kill_states of {gateway.name}", words)
    default = pfgateways.ordered([*turns[0], *turns[1], *(gateway.name for gateway in gateways)], parts)
    pfgateways.prefer(default, [])
    other = pfgateways.ordered(turns[1], parts)
    if sorted(other, key=default.index) != other:
        draft.part("uplinks").lost("the order of defaultgw6", "an uplink has one metric for both families")
    pfstack.policies(firewall, pfstack.Found(gateways, groups, parts, default), [])


def _is_watched(element: Element) -> bool:
    return not present(element, "monitor_disable") and not present(element, "action_disable")


def _turns(firewall: Backup, gateways: Sequence[Gateway], groups: dict[str, Group], family: str) -> list[str]:
    """Names of the gateways that are the default of a family one after the other; none: all of them."""
    uplinks = firewall.draft.part("uplinks")
    key = _DEFAULTS[family]
    chosen = next((one.get(key) for one in firewall.root.all("gateways") if one.get(key)), "")
    of_family = [gateway.name for gateway in gateways if gateway.family == family]
    if not of_family:
        return []
    if chosen == NONE:
        uplinks.lost(f"{key} = {NONE}", "uplinks that are online carry the default here")
    elif chosen in groups:
        members = [name for tier in groups[chosen].tiers for name in tier]
        if rest := [name for name in of_family if name not in members]:
            uplinks.differs(f"{', '.join(rest)}: not in {key} {chosen}, and the last ones of the default here")
        return members
    elif chosen in of_family:
        if len(of_family) > 1:
            uplinks.differs(f"{key} is {chosen} alone: the default stays there while it is down, and moves on here")
        return [chosen]
    elif chosen:
        uplinks.lost(f"{key} = {chosen}", "there is no such gateway in the file")
    return [one.name for one in gateways if one.element is not None and present(one.element, "defaultgw")]
