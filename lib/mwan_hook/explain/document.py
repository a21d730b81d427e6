"""Explanations as JSON; fields and kinds may be added, never taken away."""

from __future__ import annotations

from mwan_hook import dates
from mwan_hook.explain import clock, families, notes, why, words
from mwan_hook.explain.carriage import carriages
from mwan_hook.explain.reasons import CARRIES
from mwan_hook.model import FAMILIES, Family, Uplink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from mwan_hook.explain.packets import Packet
    from mwan_hook.explain.values import Carriage, Reason, Situation


def document(
    view: Situation,
    uplinks: Sequence[Uplink],
    ahead: Mapping[Family, Sequence[Reason]],
    packets: Sequence[Packet],
    destination: str,
) -> dict[str, Any]:
    """The explanation of these uplinks, of each family's default, and of a packet where one was asked of."""
    found = carriages(view)
    defaults = {
        family.value: {
            "uplinks": list(found[family].names),
            "reasons": _reasons(view, [*reasons, *ahead.get(family, ())], ""),
        }
        for family, reasons in why.defaults(view, found)
    }
    return {
        "version": 1,
        "time": dates.utc(view.wall),
        "readable": view.readable,
        "default": defaults,
        "common": _reasons(view, families.in_common(view), ""),
        "uplinks": {uplink.name: _uplink(view, uplink, found) for uplink in uplinks},
        "destinations": [_packet(view, packet, destination) for packet in packets],
    }


def _uplink(view: Situation, uplink: Uplink, found: Mapping[Family, Carriage]) -> dict[str, Any]:
    stories: dict[Family, Sequence[Reason]] = dict(why.told(view, uplink, found, why.whole))
    return {
        "interface": uplink.interface,
        **{family.value: _family(view, uplink, family, stories.get(family)) for family in FAMILIES},
        "reasons": _reasons(view, notes.of_both(view, uplink), uplink.name),
    }


def _family(view: Situation, uplink: Uplink, family: Family, reasons: Sequence[Reason] | None) -> dict[str, Any] | None:
    """None for a family that it has nothing to do with."""
    if not reasons:
        return None
    told = [*reasons, *notes.besides(view, uplink, family)]
    return {"used": reasons[0].kind in CARRIES, "reasons": _reasons(view, told, uplink.name)}


def _packet(view: Situation, packet: Packet, destination: str) -> dict[str, Any]:
    return {
        "name": destination,
        "address": packet.address,
        "family": packet.family.value,
        "interfaces": list(packet.interfaces),
        "uplinks": list(packet.uplinks),
        "reasons": _reasons(view, packet.reasons, ""),
    }


def _reasons(view: Situation, reasons: Iterable[Reason], name: str) -> list[dict[str, Any]]:
    return [_reason(view, reason, name) for reason in reasons]


def _reason(view: Situation, reason: Reason, name: str) -> dict[str, Any]:
    subject = words.called(view, reason.uplink or name) if reason.uplink or name else "It"
    return {
        "kind": reason.kind,
        "uplink": reason.uplink or None,
        "family": reason.family.value if reason.family else None,
        "says": words.says(reason, view, subject),
        "change": words.change(reason, view) or None,
        "until": dates.utc(clock.wall_of(view, reason.until)) if reason.until is not None else None,
    }
