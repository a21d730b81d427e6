"""Nexthop objects: reading and changing them.  Raw messages, because pyroute2 has no words for them."""

from __future__ import annotations

from _socket import inet_ntop, inet_pton
from _struct import Struct, pack, unpack_from
from errno import EOPNOTSUPP

from mwan_hook.kernel import bulk, frames, netlink, wire
from mwan_hook.model import Family, Nexthop, NexthopObject, Op

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from mwan_hook.model import Change

_GETBUCKET = 118  # RTM_GETNEXTHOPBUCKET
_ID, _GROUP, _GROUP_TYPE, _OIF, _GATEWAY, _RESILIENT = 1, 2, 3, 5, 6, 12  # NHA_*
_BUCKETS, _IDLE_TIMER = 1, 2  # NHA_RES_GROUP_*
_TYPE_RESILIENT = 1
_HEADER = Struct("=BBBBI")  # struct nhmsg
_MEMBER = Struct("=IHH")  # struct nexthop_grp: its weight had one byte once, and zeros behind it
_TICKS = 100  # USER_HZ
_NESTED = 0x8000  # NLA_F_NESTED
_FLAGS = {Op.ADD: wire.NLM_F_CREATE | wire.NLM_F_EXCL, Op.REPLACE: wire.NLM_F_REPLACE, Op.DELETE: 0}


def supported() -> bool:
    """Whether the kernel has resilient groups (5.13), and so messages about their buckets."""
    body = _HEADER.pack(0, 0, 0, 0, 0) + frames.number(_ID, 1)
    message = netlink.ask(frames.request(_GETBUCKET, wire.NLM_F_DUMP, body))
    return message[4] not in (wire.NLMSG_ERROR, wire.NLMSG_DONE) or netlink.refusal(message)[0] != EOPNOTSUPP


def decoded(messages: Iterable[bytes], protocols: set[int]) -> tuple[tuple[NexthopObject, ...], frozenset[int]]:
    """(ours, ids of others).  A group has no family of its own: its ways tell."""
    ours, taken, groups = [], set(), []
    families: dict[int, Family] = {}
    for message in messages:
        found = wire.attributes(message, 24)
        number = int.from_bytes(found[_ID], "little")
        if message[18] not in protocols:
            taken.add(number)
        elif _GROUP in found:
            groups.append((number, message[18], found))
        else:
            one = _way(number, message, found)
            families[number] = one.family
            ours.append(one)
    for number, protocol, found in groups:
        members = tuple(sorted((who, weight + 1) for who, weight, _ in _MEMBER.iter_unpack(found[_GROUP])))
        family = next((families[who] for who, _ in members if who in families), Family.IPV4)
        ours.append(_group(number, family, members, protocol, found))
    return tuple(ours), frozenset(taken)


def _way(number: int, message: bytes, found: dict[int, bytes]) -> NexthopObject:
    af, _, protocol, _, flags = _HEADER.unpack_from(message, 16)
    gateway = inet_ntop(af, found[_GATEWAY]) if _GATEWAY in found else None
    index = int.from_bytes(found.get(_OIF, b""), "little")
    hop = Nexthop(index, gateway, onlink=bool(flags & wire.RTNH_F_ONLINK))
    return NexthopObject(number, wire.FAMILY_OF_AF.get(af, Family.IPV4), hop, protocol=protocol)


def _group(
    number: int, family: Family, members: tuple[tuple[int, int], ...], protocol: int, found: dict[int, bytes]
) -> NexthopObject:
    (kind,) = unpack_from("=H", found.get(_GROUP_TYPE, b"\0\0"))
    settings = wire.attributes(found.get(_RESILIENT, b""), 0) if kind == _TYPE_RESILIENT else {}
    buckets = int.from_bytes(settings.get(_BUCKETS, b"")[:2], "little")
    idle = int.from_bytes(settings.get(_IDLE_TIMER, b""), "little") // _TICKS
    return NexthopObject(number, family, None, members, buckets, idle, protocol)


def message(op: Op, one: NexthopObject) -> bytes:
    """RTM_NEWNEXTHOP or RTM_DELNEXTHOP."""
    if op is Op.DELETE:
        return frames.request(wire.RTM_DELNEXTHOP, 0, _HEADER.pack(0, 0, 0, 0, 0) + frames.number(_ID, one.id))
    if one.hop:
        flags = wire.RTNH_F_ONLINK if one.hop.onlink else 0
        body = _HEADER.pack(one.family.af, 0, one.protocol, 0, flags)
        body += frames.number(_ID, one.id) + frames.number(_OIF, one.hop.index)
        if one.hop.gateway:
            body += frames.attribute(_GATEWAY, inet_pton(one.family.af, one.hop.gateway))
    else:
        members = b"".join(_MEMBER.pack(who, weight - 1, 0) for who, weight in one.members)
        settings = frames.attribute(_BUCKETS, pack("=H", one.buckets)) + frames.number(_IDLE_TIMER, one.idle * _TICKS)
        body = _HEADER.pack(0, 0, one.protocol, 0, 0) + frames.number(_ID, one.id)
        body += frames.attribute(_GROUP, members) + frames.attribute(_GROUP_TYPE, pack("=H", _TYPE_RESILIENT))
        body += frames.attribute(_RESILIENT | _NESTED, settings)
    return frames.request(wire.RTM_NEWNEXTHOP, _FLAGS[op], body)


def apply(changes: Sequence[Change]) -> dict[int, tuple[int, str]]:
    """Make the changes in their order; by position, what was refused: (errno, the kernel's words)."""
    wanted = [(change.op, change.what) for change in changes if isinstance(change.what, NexthopObject)]
    return bulk.send([message(op, one) for op, one in wanted])
