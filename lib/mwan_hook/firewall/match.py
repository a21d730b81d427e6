"""What a policy chooses, in nft's words.

nft refuses sets whose ranges overlap, so what another element covers is left out.
"""

from __future__ import annotations

from mwan_hook.addresses import leading, split
from mwan_hook.model import Family
from mwan_hook.policy.selectors import families, prefixes, protocols_of
from mwan_hook.routing.priorities import ALL_BITS
from mwan_hook.routing.rules import LOOPBACK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.model import Policy, Routing, Uplink

_IP = {Family.IPV4: "ip", Family.IPV6: "ip6"}
_SPECIAL = frozenset('"\\*')


def matches(policy: Policy, family: Family, routing: Routing, own: bool) -> Iterator[str]:
    """Expressions any of which chooses; none where such packets (``own``: of this machine) are not the policy's."""
    if family not in families(policy) or not (_of_own(policy) if own else policy.forwards):
        return
    words = [f"meta nfproto {family.value}", *_addresses(policy, family), *_ports(policy, family)]
    words += _senders(policy, family, own)
    for mark, mask in policy.marks:
        yield " ".join((*words, f"meta mark & {_bits(mask, routing):#x} == {mark:#x}"))
    if not policy.marks:
        yield " ".join(words)


def _of_own(policy: Policy) -> bool:
    return not policy.macs and (not policy.iif or LOOPBACK in policy.iif)


def _bits(mask: int | None, routing: Routing) -> int:
    return ALL_BITS & ~routing.mark_mask if mask is None else mask


def _addresses(policy: Policy, family: Family) -> Iterator[str]:
    for key, wanted in (("saddr", policy.sources), ("daddr", policy.destinations)):
        found = [prefix for prefix in prefixes(wanted, family) if prefix]
        if found:
            yield f"{_IP[family]} {key} {_set(outermost(found))}"


def _ports(policy: Policy, family: Family) -> Iterator[str]:
    numbers = [number for number in protocols_of(policy, family) if number]
    if numbers:
        yield f"meta l4proto {_set(map(str, numbers))}"
    for key, spans in (("sport", policy.sport), ("dport", policy.dport)):
        if spans:
            yield f"th {key} {_set(_merged(spans))}"


def _senders(policy: Policy, family: Family, own: bool) -> Iterator[str]:
    names = [name for name in policy.iif if name != LOOPBACK]
    if names and not own:
        quoted = [f'"{name}"' for name in names]
        yield f"iifname {_set(quoted)}"
    if policy.uids and own:
        yield f"meta skuid {_set(_merged(policy.uids))}"
    if policy.macs:
        yield f"ether saddr {_set(policy.macs)}"
    if policy.dscp:
        yield f"{_IP[family]} dscp {_set(map(str, policy.dscp))}"


def _set(elements: Iterable[str]) -> str:
    return f"{{ {', '.join(elements)} }}"


def _merged(spans: Sequence[tuple[int, int]]) -> list[str]:
    """Ranges without overlaps, in order."""
    found: list[list[int]] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1][1] = max(found[-1][1], last)
        else:
            found.append([first, last])
    return [str(first) if first == last else f"{first}-{last}" for first, last in found]


def outermost(found: Sequence[str]) -> list[str]:
    """The prefixes that lie in no other one."""
    places = {prefix: split(prefix) for prefix in found}
    known = {(length, leading(address, length)) for address, length in places.values()}
    lengths = {length for length, _ in known}
    return [
        prefix
        for prefix, (address, length) in places.items()
        if not any(outer < length and (outer, leading(address, outer)) in known for outer in lengths)
    ]


def marking(what: str, mark: int, mask: int) -> str:
    """The statement that changes our bits only, of the packet (meta) or its connection (ct)."""
    return f"{what} mark set {what} mark & {ALL_BITS & ~mask:#x} | {mark:#x}"


def interface(key: str, uplink: Uplink) -> str:
    """The interface by name, or by index where nft would misread the name; 0, which no packet has, if it is gone."""
    if _SPECIAL & set(uplink.interface):
        return f"{key} {uplink.index}"
    return f'{key}name "{uplink.interface}"'
