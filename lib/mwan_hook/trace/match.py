"""Why a rule does not match a packet, in the kernel's order of comparing.  Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mwan_hook.addresses import covers
from mwan_hook.kernel.question import Question
from mwan_hook.model import Family
from mwan_hook.trace.values import LOOPBACK, PROTOCOLS, AnyRule, Device, Span


def matches(rule: AnyRule, asked: Question, devices: Mapping[int, Device]) -> tuple[bool, str]:
    """Whether it matches, and why (not)."""
    why = next(_differences(rule, asked, devices), "")
    if rule.inverted:
        return bool(why), f"matches, as it is a not: {why}" if why else "what it excludes fits"
    return not why, why or "matches"


def _differences(rule: AnyRule, asked: Question, devices: Mapping[int, Device]) -> Iterator[str]:
    yield from _interfaces(rule, asked, devices)
    if (rule.mark ^ asked.mark) & rule.mask:
        yield f"the mark is {asked.mark:#x}" if asked.mark else "no mark is given"
    if rule.tunnel:
        yield "the packet comes out of no tunnel with an id"
    if rule.l3mdev and not domain(asked, devices):
        yield "no VRF is involved"
    if rule.uids and not rule.uids.holds(asked.uid):
        yield f"the user is {asked.uid}" if not asked.iif else "forwarded packets count as user 0"
    yield from _addresses(rule, asked)
    if rule.tos or rule.dscp:
        yield "the packet's traffic class is 0"
    if rule.flowlabel & rule.flowlabel_mask:
        yield "the packet's flow label is 0"
    if rule.ipproto and rule.ipproto != asked.proto:
        yield f"the protocol is {PROTOCOLS.get(asked.proto, asked.proto)}"
    yield from _port("source", rule.sport, asked.sport)
    yield from _port("destination", rule.dport, asked.dport)


def _interfaces(rule: AnyRule, asked: Question, devices: Mapping[int, Device]) -> Iterator[str]:
    for word, name, gone in (("iif", rule.iif, rule.iif_gone), ("oif", rule.oif, rule.oif_gone)):
        if name is None:
            continue
        given = (asked.iif or LOOPBACK) if word == "iif" else asked.oif
        if gone:
            yield f"there is no interface {name}"
        elif not _same_device(name, given, asked, devices):
            yield _other_device(word, given, asked, devices)


def _same_device(name: str, given: int, asked: Question, devices: Mapping[int, Device]) -> bool:
    """A rule that names a VRF means all that goes through it."""
    master = next((i for i, device in devices.items() if device.name == name and device.master == i), 0)
    if master:
        return master == domain(asked, devices)
    return given in devices and devices[given].name == name


def _other_device(word: str, given: int, asked: Question, devices: Mapping[int, Device]) -> str:
    if word == "iif" and not asked.iif:
        return "sent by this machine (iif lo), not forwarded"
    if not given:
        return "forwarded: no oif is known yet" if asked.iif else "no oif is given"
    return f"the {word} is {devices[given].name if given in devices else given}"


def domain(asked: Question, devices: Mapping[int, Device]) -> int:
    """The VRF that a packet belongs to; 0 is none."""
    device = devices.get(asked.oif or asked.iif)
    return device.master if device else 0


def _addresses(rule: AnyRule, asked: Question) -> Iterator[str]:
    if rule.src and asked.source is None:
        # To IPv4 no source is 0.0.0.0.
        if rule.family is Family.IPV6 or not covers(rule.src, "0.0.0.0"):
            yield "source is not given"
    elif rule.src and asked.source and not covers(rule.src, asked.source):
        yield f"the source is {asked.source}"
    if rule.dst and not covers(rule.dst, asked.destination):
        yield f"the destination is {asked.destination}"


def _port(word: str, span: Span | None, given: int) -> Iterator[str]:
    if span and not span.holds(given):
        yield f"the {word} port is {given}" if given else f"no {word} port is given"
