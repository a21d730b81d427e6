"""Gateways of OPNsense and pfSense as uplinks: one for each interface, of both families.

dpinger averages over a minute what it sends every second or half of one.  A dead line is found after as many echoes as
make the limit of loss; that is what ``fall`` and ``rise`` say here.  A limit of loss that is written is one here, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from mwan_hook.imports import order, traffic
from mwan_hook.imports.draft import DraftSection
from mwan_hook.imports.pfconfig import FAMILIES, Backup
from mwan_hook.imports.xmltree import Element
from mwan_hook.light import NamedTuple

LATENCY, LOSS, LOSS_LOW, PERIOD = 500, 20, 10, 60  # limits by default: ms, %, % and s
ROUND = 10  # seconds between two rounds of ours
_OURS = {"latencyhigh": "latency_high", "latencylow": "latency_low"}
_COUNTED = ("losshigh", "time_period", "interval")  # what fall and rise are made from


class Dpinger(NamedTuple):
    """Defaults of a system, in seconds, and how many of its units are one."""

    interval: float
    wait: float
    units: int


class Gateway(NamedTuple):
    """One gateway: of one family, on one interface."""

    name: str
    interface: str
    family: str  # inet or inet6
    address: str  # nothing: it is learned
    monitor: str  # whom it asks; nothing: the gateway itself
    watched: bool
    enabled: bool
    weight: str
    element: Element | None  # None: made by the system itself


def gateway(firewall: Backup, element: Element, watched: bool) -> Gateway:
    """A gateway of the file."""
    family, address = element.get("ipprotocol"), element.get("gateway")
    return Gateway(
        element.get("name"),
        element.get("interface"),
        family if family in FAMILIES else "inet",
        "" if address == "dynamic" else address,
        element.get("monitor"),
        watched,
        not firewall.flag(element, "disabled") and not firewall.flag(element, "force_down"),
        element.get("weight") or "1",
        element,
    )


def uplinks(firewall: Backup, gateways: Sequence[Gateway], dpinger: Dpinger) -> dict[str, DraftSection]:
    """An uplink for each interface, under the names of all its gateways."""
    if any(gateway.watched for gateway in gateways):
        _common(firewall, dpinger)
    found: dict[str, DraftSection] = {}
    for gateway in gateways:
        if not gateway.interface or not gateway.name:
            firewall.draft.part("uplinks").lost(f"gateway {gateway.name}", "it has no name or no interface")
    for logical in dict.fromkeys(gateway.interface for gateway in gateways if gateway.interface and gateway.name):
        own = [gateway for gateway in gateways if gateway.interface == logical]
        kept: dict[str, Gateway] = {}
        for gateway in sorted(own, key=lambda one: not one.enabled):
            kept.setdefault(gateway.family, gateway)
        part = _uplink(firewall, [kept[family] for family in FAMILIES if family in kept], dpinger)
        for gateway in own:
            if gateway is kept[gateway.family]:
                found[gateway.name] = part
            else:
                words = f"an uplink is an interface, and {kept[gateway.family].name} is on {logical} too"
                part.lost(f"gateway {gateway.name}", f"{words}: add {gateway.address} to gateway for a second router")
    return found


def _common(firewall: Backup, dpinger: Dpinger) -> None:
    """Limits that hold where a gateway has none of its own."""
    probe = firewall.draft.part("probe")
    probe.set("timeout", dpinger.wait)
    probe.set("burst_interval", dpinger.interval)
    fall, rise = _counts(LOSS, PERIOD, dpinger.interval)
    probe.set("fall", fall)
    probe.set("rise", rise)
    probe.set("latency_high", LATENCY)
    words = f"a share of echoes lost in {PERIOD} s makes a gateway bad there, and fall bad rounds in a row here"
    probe.differs(f"{words}: a line that loses some of them stays online")


def _counts(loss: int, period: float, interval: float) -> tuple[int, int]:
    """Fall by echoes, rise by rounds: when the average passes the limit after all or none came back."""
    return max(1, round(loss * period / interval / 100)), max(1, round((100 - loss) * period / ROUND / 100))


def _uplink(firewall: Backup, gateways: Sequence[Gateway], dpinger: Dpinger) -> DraftSection:
    first = gateways[0]
    part = firewall.draft.uplink(first.name.lower())
    part.match(firewall.device(first.interface, part))
    used = [gateway for gateway in gateways if gateway.enabled] or gateways
    part.set("families", [FAMILIES[gateway.family] for gateway in used])
    if not first.enabled and used == gateways:
        part.set("enabled", False)
    if addresses := [gateway.address.partition("%")[0] for gateway in used if gateway.address]:
        part.set("gateway", addresses)
    part.set("weight", used[0].weight)
    _targets(used, part)
    for gateway in used:
        _limits(gateway, part, dpinger, mine=gateway is used[0])
    for gateway in used[1:]:
        if gateway.element is not None and gateway.weight != used[0].weight:
            part.lost(f"weight {gateway.weight} of {gateway.name}", "an uplink has one weight for both families")
    return part


def _targets(gateways: Sequence[Gateway], part: DraftSection) -> None:
    """Set whom each family asks."""
    watched = [gateway for gateway in gateways if gateway.watched]
    explicit = [f"icmp://{gateway.monitor}" for gateway in watched if gateway.monitor]
    if not watched or explicit:
        part.set("targets", list(dict.fromkeys(explicit)))
    else:
        part.set("targets", "gateway:")
    for gateway in gateways:
        if explicit and gateway in watched and not gateway.monitor:
            words = "`gateway:` would be enough for the other family too"
            part.lost(f"the gateway {gateway.name} as its own monitor", f"{words}: it is judged by link and address")
        elif watched and not explicit and gateway not in watched:
            part.differs(f"{gateway.name} is not monitored there; `gateway:` asks in both families")


def _limits(gateway: Gateway, part: DraftSection, dpinger: Dpinger, mine: bool) -> None:
    """Set what of a gateway's own limits is not the default's; ``mine``: the uplink takes its."""
    element = gateway.element
    if element is None or not gateway.watched:
        return
    given = {tag: element.get(tag) for tag in (*_OURS, *_COUNTED, "loss_interval", "losslow", "data_length")}
    given = {tag: text for tag, text in given.items() if text}
    if not mine:
        if given:
            words = "an uplink has one set of limits, and those of the other family are written"
            part.lost(f"{', '.join(given)} of {gateway.name}", words)
        return
    for tag, key in _OURS.items():
        if tag in given:
            part.set(key, given[tag])
    for key, value in _timing(given, part, dpinger):
        part.set(key, value)
    if gateway.monitor and {"losshigh", "losslow"} & given.keys():
        _loss(given, part)
    elif "losslow" in given:
        part.lost(f"losslow {given['losslow']}", "a gateway that is its own monitor is asked once in a round")
    if "data_length" in given:
        part.lost(f"data_length {given['data_length']}", "an echo of mwan-hook has eight bytes")


def _loss(given: dict[str, str], part: DraftSection) -> None:
    """Limits of loss that are written, which take a gateway down there."""
    part.set("loss_high", given.get("losshigh", LOSS))
    part.set("loss_low", given.get("losslow", LOSS_LOW))
    part.set("degraded", "offline")
    part.differs("loss and latency are measured over a minute, and the last line that is online stays so")


def _timing(given: dict[str, str], part: DraftSection, dpinger: Dpinger) -> Iterator[tuple[str, float]]:
    numbers = {}
    for tag in (*_COUNTED, "loss_interval"):
        try:
            numbers[tag] = traffic.number(given[tag], 0, 10_000_000) if tag in given else None
        except ValueError as error:
            part.lost(f"{tag} {given[tag]}", str(error))
            numbers[tag] = None
    interval = (numbers["interval"] or 0) / dpinger.units or dpinger.interval
    if numbers["interval"]:
        yield "interval", interval
        if interval < ROUND:
            words = f"rounds come as often as mwan-hook-check.timer, every {ROUND} s if it is left as it is"
            part.differs(f"{words}, which is enough: in doubt an uplink is asked every burst_interval")
        yield "burst_interval", interval
    if numbers["loss_interval"]:
        yield "timeout", numbers["loss_interval"] / dpinger.units
    if any(numbers[tag] is not None for tag in _COUNTED):
        period = (numbers["time_period"] or 0) / dpinger.units or PERIOD
        fall, rise = _counts(LOSS if numbers["losshigh"] is None else numbers["losshigh"], period, interval)
        yield "fall", fall
        yield "rise", rise


def ordered(gateways: Sequence[str], parts: dict[str, DraftSection]) -> list[DraftSection]:
    """Uplinks by the order of their gateways, each once."""
    return list(dict.fromkeys(parts[name] for name in gateways if name in parts))


def prefer(parts: Sequence[DraftSection], metrics: Sequence[int]) -> None:
    """Metrics in that order: those given if they rise strictly, else 100, 200, ..."""
    strict = all(one < other for one, other in pairwise(metrics))
    for place, part in enumerate(parts):
        part.set("metric", metrics[place] if strict and metrics else (place + 1) * order.STEP)
