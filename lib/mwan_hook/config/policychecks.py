"""Mistakes between the keys of a policy, and between policies: uplinks that are none, packets that cannot be."""

from __future__ import annotations

from mwan_hook.config.probechecks import Contradiction, doubt, mistake
from mwan_hook.model import Config, Fallback, Family, Policy
from mwan_hook.policy import order
from mwan_hook.policy.policies import MOST
from mwan_hook.policy.selectors import families, size
from mwan_hook.routing import protocols
from mwan_hook.routing.allotting import pairs, room
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

MOST_RULES = 256  # of one policy, both families
SECTION = "policies"
NOT_IN_NFT = frozenset('"\\')


def check(config: Config, plain: Mapping[str, Mapping[str, Any]], mask_written: bool) -> Iterator[Contradiction]:
    """What is wrong with policies, or doubtful."""
    seen: dict[Policy, str] = {}
    for place, policy in enumerate(config.policies):
        path = (SECTION, policy.name)
        if place == MOST:
            yield mistake((SECTION,), f"{len(config.policies)} policies: expected {MOST} at most")
        yield from _uplinks(config, policy)
        yield from _matching(config, policy, plain[policy.name])
        yield from _marks(config, policy)
        yield from _doubts(config, policy)
        yield from _by_nft(config, policy)
        alike = policy._replace(name="", order=(), fallback=Fallback.DEFAULT, sticky=0)
        if alike in seen:
            yield mistake(path, f"chooses the same packets as policy {seen[alike]}, which comes first: omit it")
        seen.setdefault(alike, policy.name)
    yield from _room(config, mask_written)


def _uplinks(config: Config, policy: Policy) -> Iterator[Contradiction]:
    path = (SECTION, policy.name, "uplinks")
    if not policy.uplinks:
        yield mistake(path, "expected the names of uplinks, at least one")
    for name in {name for name in policy.uplinks if policy.uplinks.count(name) > 1}:
        yield mistake(path, f"expected {name!r} once")
    literal = {uplink.name: bool(uplink.literal) for uplink in config.uplinks}
    for name in dict.fromkeys(policy.uplinks):
        template, at, _ = name.partition("@")
        if template not in literal and not all(name.split(order.PLUS)):
            yield mistake(path, f"{name}: expected an uplink on each side of every +, as in fiber + cable")
        elif not literal:
            continue
        elif template not in literal:
            yield mistake(path, f"there is no uplink {template}: expected some of {', '.join(literal)}")
        elif at and literal[template]:
            yield mistake(path, f"uplink {template} is no template: expected {template} alone")
        elif at and template in policy.uplinks:
            yield mistake(path, f"{name} is one of {template}: expected one of the two")


def _matching(config: Config, policy: Policy, own: Mapping[str, Any]) -> Iterator[Contradiction]:
    """Packets that there cannot be, and more combinations than the kernel should walk through."""
    path = (SECTION, policy.name)
    portless = [number for number in policy.protocols if number not in protocols.WITH_PORTS]
    for key in ("sport", "dport"):
        if getattr(policy, key) and (portless or not policy.protocols):
            names = ", ".join(protocols.NAMES.get(number, str(number)) for number in portless)
            words = f"{names}: no ports there" if portless else "none given"
            yield mistake((*path, key), f"expected proto to be of those with ports, as in tcp, udp or sctp ({words})")
    if policy.uids and policy.iif and set(policy.iif) != {LOOPBACK}:
        yield mistake((*path, "uid"), "can never match: only this machine's own packets have a user, and no iif")
    found = families(policy)
    if not found:
        key = "proto" if "proto" in own and not ("from" in own and "to" in own) else "to" if "to" in own else "proto"
        yield mistake((*path, key), "can never match: nothing is of one family (IPv4 or IPv6) in from, to and proto")
    elif (count := sum(size(policy, family) for family in Family)) > MOST_RULES and not policy.by_marks:
        words = f"would need {count} rules, one for each combination; expected {MOST_RULES} at most"
        yield mistake(path, f"{words}: use prefixes and ranges, or several policies")
    named = {name.partition("@")[0] for name in policy.uplinks}
    listed = [uplink for uplink in config.uplinks if uplink.name in named]
    if found and listed and not any(set(found) & set(uplink.families) for uplink in listed):
        words = ", ".join(family.value for family in found)
        say = mistake if policy.fallback is Fallback.DEFAULT else doubt
        yield say((*path, "uplinks"), f"none of these uplinks carries {words}, and the policy chooses nothing else")


def _marks(config: Config, policy: Policy) -> Iterator[Contradiction]:
    path, ours = (SECTION, policy.name, "mark"), config.routing.mark_mask
    for mark, mask in policy.marks:
        if (mark if mask is None else mask) & ours:
            words = f"{mark:#x}" + (f"/{mask:#x}" if mask is not None else "")
            yield mistake(path, f"{words} overlaps [routing] mark_mask ({ours:#x}), where mwan-hook's own marks are")


def _doubts(config: Config, policy: Policy) -> Iterator[Contradiction]:
    names = {uplink.literal: uplink.name for uplink in config.uplinks if uplink.literal}
    for interface in policy.iif:
        if interface in names:
            words = f"{interface} is uplink {names[interface]}: its packets come from the internet"
            yield doubt((SECTION, policy.name, "iif"), words)


def _by_nft(config: Config, policy: Policy) -> Iterator[Contradiction]:
    """What marks cannot do."""
    path = (SECTION, policy.name)
    if policy.macs and not policy.forwards:
        words = "can never match: only forwarded packets have a sender, and uid and iif = lo mean this machine's own"
        yield mistake((*path, "mac"), words)
    if policy.marked and any(set(name) & NOT_IN_NFT for name in policy.iif):
        key = next(key for key in ("sticky", "mac", "dscp") if getattr(policy, {"mac": "macs"}.get(key, key)))
        yield mistake((*path, "iif"), f"expected a name that nft takes with {key}: none with quotes or backslashes")
    if not policy.sticky:
        return
    if not policy.forwards:
        yield doubt((*path, "sticky"), "changes nothing: only forwarded packets have a source to learn")
    literal = {uplink.name for uplink in config.uplinks if uplink.literal}
    if len(policy.uplinks) == 1 and (not config.uplinks or set(policy.uplinks) <= literal):
        yield doubt((*path, "sticky"), "changes nothing: there is one uplink only")


def _room(config: Config, written: bool) -> Iterator[Contradiction]:
    """Marks of policies and of uplinks share one mask; of a template one uplink is reckoned.

    Where mark_mask is the default, uplinks go without first, so that all of the policies have theirs.
    """
    marked = [policy for policy in config.policies if policy.marked]
    wanted = sum(1 + (len(policy.uplinks) if pairs(config, policy) else 0) for policy in marked)
    mask = config.routing.mark_mask
    given = sum(uplink.mark is None for uplink in config.uplinks)
    fixed = len({uplink.mark & mask for uplink in config.uplinks if uplink.mark is not None and uplink.mark & mask})
    most = room(mask)
    if marked and wanted + given + fixed > most:
        words = f"has room for {most} marks, and {given + fixed} uplinks and {len(marked)} policies need"
        say = mistake if written else doubt
        yield say(("routing", "mark_mask"), f"{words} {wanted + given + fixed}: expected more bits")
