"""Interfaces of mwan3 as uplinks: one for each device, with the probes of its sections for IPv4 and IPv6."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mwan_hook.imports.draft import Draft, DraftSection, Value
from mwan_hook.imports.uci import UciSection
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family

KNOWN = {
    *("enabled", "family", "initial_state", "track_ip", "track_method", "httping_ssl", "reliability", "count", "size"),
    *("max_ttl", "timeout", "interval", "failure_interval", "recovery_interval", "keep_failure_interval", "down", "up"),
    *("check_quality", "failure_latency", "recovery_latency", "failure_loss", "recovery_loss", "flush_conntrack"),
    *("track_gateway", "snat6"),
}
NUMBERS = {"reliability": "required", "timeout": "timeout", "interval": "interval", "down": "fall", "up": "rise"}
COMES = ("ifup", "connected", "always")  # flush_conntrack when a line is back
GOES = ("ifdown", "disconnected", "never")
ASKED = "www.google.com"


class WanLine(NamedTuple):
    """An uplink, its sections by family, and the families in which mwan3 uses it."""

    part: DraftSection
    sections: Mapping[Family, UciSection]
    families: tuple[Family, ...]


def lines(draft: Draft, sections: Sequence[UciSection]) -> dict[str, WanLine]:
    """The uplinks by the names of the interfaces."""
    groups = _groups(draft, [section for section in sections if section.name])
    found: dict[str, WanLine] = {}
    for device, group in groups.items():
        line = _line(draft, device, group)
        found.update({section.name: line for section in group.values()})
    _flushes(found)
    return found


def _groups(draft: Draft, sections: Sequence[UciSection]) -> dict[str, dict[Family, UciSection]]:
    """Sections by device and family: ``wan6`` is taken to be on the device of ``wan`` where ``--map`` is silent."""
    names = {section.name: section for section in sections}
    groups: dict[str, dict[Family, UciSection]] = {}
    for section in sections:
        family = _family(section)
        other = names.get(section.name.removesuffix("6"))
        logical = section.name
        if family is Family.IPV6 and other and _family(other) is Family.IPV4 and not draft.mapped(logical):
            logical = other.name
        group = groups.setdefault(draft.renamed(logical), {})
        if family in group:
            because = f"{group[family].name} has the same device and family"
            draft.part("uplinks").lost(f"interface {section.name}", because)
            continue
        group[family] = section
    return {device: {family: group[family] for family in Family if family in group} for device, group in groups.items()}


def _family(section: UciSection) -> Family:
    return Family.IPV6 if section.get("family") == "ipv6" else Family.IPV4


def _line(draft: Draft, device: str, group: Mapping[Family, UciSection]) -> WanLine:
    used = tuple(family for family, section in group.items() if section.flag("enabled", False))
    first, *others = [group[family] for family in used or group]
    part = draft.uplink(first.name)
    if used:
        draft.device(first.name, part)
    elif not draft.mapped(first.name):
        part.note(f"its device is not known: --map {first.name}=DEVICE tells it")
    part.match(device)
    part.set("families", [family.value for family in used or group])
    if not used:
        part.set("enabled", False)
    for other in others:
        part.note(f"{other.name} is on the same device: both are one uplink")
    for family, section in group.items():
        if used and family not in used:
            part.note(f"{section.name} is not enabled: no {family.value} by this line")
    _probing(part, [first, *others] if used else [first])
    return WanLine(part, group, used)


def _probing(part: DraftSection, sections: Sequence[UciSection]) -> None:
    """One probe of a line, from the sections of its families: what they say differently is lost of the second."""
    first, *others = [(section, *_probe(part, section)) for section in sections]
    asked = [*first[1]]
    for section, its, settings in others:
        asked += [target for target in its if target not in asked]
        for key in settings if its and first[1] else ():
            if settings.get(key) != first[2].get(key):
                because = f"{first[0].name} has another one, and an uplink has one for both"
                part.lost(f"{_of(part, section)}{key} = {settings[key]}", because)
        if not first[1]:
            first = (section, its, settings)
    part.set("targets", asked)
    for key, value in first[2].items() if asked else ():
        part.set(key, value)


def _probe(part: DraftSection, section: UciSection) -> tuple[list[str], dict[str, Value]]:
    """Targets, and the other keys as far as they were given."""
    for key in section.values:
        if key not in KNOWN:
            part.lost(f"{_of(part, section)}{key} = {section.get(key)}", "mwan-hook does not know it")
    if section.get("initial_state", "online") != "online":
        part.lost(f"{_of(part, section)}initial_state = offline", "the first good round is enough at first sight")
    if section.flag("snat6", False):
        part.set("nat6", "masquerade")
    asked = _targets(part, section)
    if section.get("reliability") == "0":
        if asked:
            part.note(f"{_of(part, section)}reliability 0 needs no answer, so nothing is asked")
        return [], {}
    if not asked:
        return [], {}
    _losses(part, section)
    found: dict[str, Value] = {ours: section.get(key) for key, ours in NUMBERS.items() if section.get(key)}
    if section.get("failure_interval", section.get("interval")):
        found["burst_interval"] = section.get("failure_interval", section.get("interval"))
    if section.flag("check_quality", False):
        found |= _quality(part, section, asked)
    return asked, found


def _of(part: DraftSection, section: UciSection) -> str:
    """The name of a section that is not the uplink's."""
    return "" if section.name == part.name else f"{section.name}: "


def _targets(part: DraftSection, section: UciSection) -> list[str]:
    """What a round asks; a method that mwan3 does not know is its ping."""
    method = section.get("track_method", "ping")
    if method == "httping" and section.flag("httping_ssl", False):
        method = "httping_ssl"
    form, words = _METHODS.get(method, _METHODS["ping"])
    hosts = section.words("track_ip")
    if words and hosts:
        part.differs(f"{_of(part, section)}track_method = {method}: {words}")
    found = [form.format(f"[{host}]" if ":" in host else host) for host in hosts]
    if section.flag("track_gateway", False):
        found.append("gateway:")
    return list(dict.fromkeys(found))


_GATEWAY = "the gateway is asked, not the addresses of track_ip"
_HTTP = "a connection to the port is enough here, and no answer of HTTP is asked for"
_METHODS = {
    "ping": ("icmp://{}", ""),
    "arping": ("gateway:", _GATEWAY),
    "httping": ("tcp://{}:80", _HTTP),
    "httping_ssl": ("tcp://{}:443", _HTTP),
    "nping-icmp": ("icmp://{}", ""),
    "nping-tcp": ("tcp://{}:80", "the port must take the connection, not only answer"),
    "nping-udp": ("icmp://{}", "an echo is asked for instead of a closed port"),
    "nping-arp": ("gateway:", _GATEWAY),
    "nslookup": (f"dns://{{}}/{ASKED}/A", ""),
}
"""What a target becomes, by method, and how that is not quite the same."""


def _losses(part: DraftSection, section: UciSection) -> None:
    """Keys of the probe that have no counterpart, where they are not at their defaults."""
    plain = {
        "count": ("1", "a target is asked once a round, and again in the rounds that follow soon"),
        "size": ("56", "echoes are short"),
        "max_ttl": ("60", "the TTL is the system's"),
        "recovery_interval": (section.get("interval", "10"), "a line that comes back is asked at interval"),
        "keep_failure_interval": ("0", "a dead line is asked at interval"),
    }
    for key, (default, because) in plain.items():
        if section.get(key, default) != default:
            part.lost(f"{_of(part, section)}{key} = {section.get(key)}", because)


def _quality(part: DraftSection, section: UciSection, asked: Sequence[str]) -> dict[str, Value]:
    """Limits of loss and latency, which take a line offline there; the gateway alone is asked too seldom for loss."""
    limits: dict[str, Value] = {
        "latency_high": section.get("failure_latency", "1000"),
        "latency_low": section.get("recovery_latency", "500"),
    }
    loss = {key: section.get(key, default) for key, default in (("failure_loss", "40"), ("recovery_loss", "10"))}
    if all(target.startswith("gateway:") for target in asked):
        part.differs(f"{_of(part, section)}check_quality: a latency between the two leaves the verdict as it is")
        for key, value in loss.items():
            part.lost(f"{_of(part, section)}{key} = {value}", "a gateway is asked once in a round")
        return limits
    words = "measured over a minute and not by down and up rounds, and the last line that is online stays so"
    part.differs(f"{_of(part, section)}check_quality: {words}")
    return {
        **limits,
        "loss_high": loss["failure_loss"],
        "loss_low": loss["recovery_loss"],
        "degraded": "offline",
    }


def _flushes(found: Mapping[str, WanLine]) -> None:
    """Connections that mwan3 forgets at a change: those of a dead line leave it here at once."""
    uplinks = {line.part.name: line for line in found.values()}
    for name, line in uplinks.items():
        words = {word for section in line.sections.values() for word in section.words("flush_conntrack")}
        if words & set(GOES):
            line.part.note("flush_conntrack: connections leave a dead line by themselves")
        if words & set(COMES):
            line.part.differs("flush_conntrack: when this line is back, only connections on worse ones are led anew")
            for other in uplinks.values():
                if other.part.name != name:
                    other.part.set("failback", "hard")
        if unknown := words - set(GOES) - set(COMES):
            line.part.lost(f"flush_conntrack {' '.join(sorted(unknown))}", "mwan-hook does not know it")
