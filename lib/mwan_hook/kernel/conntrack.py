"""Connections that leave by an uplink untranslated, because they are older than the translation: they are forgotten.

The kernel chooses a connection's translation at its first packet and keeps it while packets come.  One whose first
packet came before our table keeps a source that no provider answers.  Without its conntrack entry the next packet
begins anew, and is translated (tests/netns/test_untranslated.py).

And how many forwarded connections carry a mark.  They are counted without pyroute2, which takes a second for some
thousand entries; the kernel leaves out other marks by itself (nf_conntrack_netlink.c).  Imported only when translation
was added, or while an uplink is drained.
"""

from __future__ import annotations

from _socket import inet_ntop
from _struct import pack

from mwan_hook.addresses import covers
from mwan_hook.kernel import frames, lookup, netlink, wire
from mwan_hook.kernel.question import Question
from mwan_hook.model import Family, MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from typing import Any

    from mwan_hook.firewall.translation import Translation

SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}  # what pyroute2 can name an entry of
TRIES = 3  # a dump may be interrupted, or too large for a socket's buffer
SHOWN = 8  # lines; after an outage there may be thousands
MOST = 10000  # counted of a mark
_GET = 1 << 8 | 1  # NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET
_ORIGINAL, _REPLY, _STATUS, _PROTOCOL_INFO, _MARK, _MARK_MASK = 1, 2, 3, 4, 8, 21
_IP, _PROTOCOL = 1, 2  # CTA_TUPLE_*
_SOURCES = {1: 2, 3: 10}  # CTA_IP_V4_SRC, CTA_IP_V6_SRC: address family
_NUMBER, _TCP, _TCP_STATE = 1, 1, 1
_ICMP = (1, 58)
_ENDED = (7, 8)  # TCP_CONNTRACK_TIME_WAIT and TCP_CONNTRACK_CLOSE
_ATTRIBUTES = 20  # behind the headers of netlink and netfilter


def forget(added: Sequence[Translation], local: Collection[str], mask: int) -> tuple[list[str], list[str]]:
    """Delete the entries that ``added`` would have translated; conntrack(8) lines of what was done, and failures.

    Left alone: connections that got an answer, own packets (``local`` addresses), what is translated in any way,
    entries of other zones, and what would not leave by one of these uplinks now.  ``mask`` is that of marks which
    routing takes from connections; 0 if it takes none.
    """
    done: list[str] = []
    failed = ""
    for _ in range(TRIES):
        try:
            for family in dict.fromkeys(one.family for one in added):
                own = [one for one in added if one.family is family]
                done += _forgotten(family, own, local, mask)
            break
        except (MwanError, OSError, ImportError) as error:
            failed = f"connections from before the translation stay untranslated: conntrack: {error}"
    else:
        return done, [failed]
    return [*done[:SHOWN], *([f"# and {len(done) - SHOWN} more"] if len(done) > SHOWN else [])], []


def _forgotten(family: Family, added: Sequence[Translation], local: Collection[str], mask: int) -> Iterator[str]:
    from pyroute2.netlink.exceptions import NetlinkError
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTSocket

    sockets = NFCTSocket(nfgen_family=family.af)
    try:
        for entry in [one for one in sockets.dump() if _is_bare(one, family)]:
            named = _tuple(family, entry)
            flow = _flow(family, named)
            if flow.source in local or not _leaves(flow, added, (entry.get_attr("CTA_MARK") or 0) & mask):
                continue
            try:
                sockets.entry("del", tuple_orig=named)
            except NetlinkError as error:
                if error.code != 2:  # ENOENT: it has ended meanwhile
                    raise MwanError(str(error)) from error
                continue
            yield _line(flow)
    except NetlinkError as error:
        raise MwanError(str(error)) from error
    finally:
        sockets.close()


def _is_bare(entry: Any, family: Family) -> bool:
    """True for an entry of our family and zone that has seen no answer and that nothing translates."""
    there, back = entry.get_attr("CTA_TUPLE_ORIG"), entry.get_attr("CTA_TUPLE_REPLY")
    if entry["nfgen_family"] != family.af or not there or not back or entry.get_attr("CTA_ZONE"):
        return False
    if (entry.get_attr("CTA_STATUS") or 0) & SEEN_REPLY:
        return False
    known = there.get_attr("CTA_TUPLE_PROTO").get_attr("CTA_PROTO_NUM") in NAMES
    return known and _ends(there, family) == _ends(back, family)[::-1]


def _ends(direction: Any, family: Family) -> tuple[str, str]:
    """Source and destination."""
    addresses, name = direction.get_attr("CTA_TUPLE_IP"), "CTA_IP_V4" if family is Family.IPV4 else "CTA_IP_V6"
    return addresses.get_attr(f"{name}_SRC"), addresses.get_attr(f"{name}_DST")


def _tuple(family: Family, entry: Any) -> Any:
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple

    return NFCTAttrTuple.from_netlink(family.af, entry.get_attr("CTA_TUPLE_ORIG"))


def _flow(family: Family, named: Any) -> Question:
    ports = {"sport": named.sport or 0, "dport": named.dport or 0}
    return Question(family, named.daddr, named.saddr, proto=named.proto, **ports)


def _leaves(flow: Question, added: Sequence[Translation], mark: int) -> bool:
    """True if the kernel routes its packets out by one of these uplinks, in from elsewhere."""
    if not flow.source:
        return False
    meant = {one.index for one in added if not one.prefix or covers(one.prefix, flow.source)}
    behind = lookup.out(Question(flow.family, flow.source)) if meant else 0
    if not behind or behind in meant:
        return False
    return lookup.out(flow._replace(iif=behind, mark=mark)) in meant


def _line(flow: Question) -> str:
    ports = f" --sport {flow.sport} --dport {flow.dport}" if flow.sport else ""
    family, proto = flow.family.value, NAMES[flow.proto]
    return f"conntrack -D -f {family} -p {proto} -s {flow.source} -d {flow.destination}{ports}"


def forwarded(marks: Iterable[int], mask: int, local: Collection[str]) -> int:
    """Connections with one of these marks that were answered and have not ended, and no end of which is ``local``.

    At most MOST of a mark.  Raises MwanError or OSError.
    """
    return sum(_forwarded(mark, mask, local) for mark in dict.fromkeys(marks))


def _forwarded(mark: int, mask: int, local: Collection[str]) -> int:
    count = 0
    body = bytes(4) + frames.attribute(_MARK, pack(">I", mark)) + frames.attribute(_MARK_MASK, pack(">I", mask))
    for buffer in netlink.dump_alone(_GET, body, netlink.NETLINK_NETFILTER):
        count += sum(_counts(message, mark, mask, local) for message in frames.split(buffer))
        if count >= MOST:
            break
    return min(count, MOST)


def _counts(message: bytes, mark: int, mask: int, local: Collection[str]) -> bool:
    found = wire.attributes(message, _ATTRIBUTES)
    if int.from_bytes(found.get(_MARK, b""), "big") & mask != mark:
        return False
    if not int.from_bytes(found.get(_STATUS, b""), "big") & SEEN_REPLY or _has_ended(found.get(_PROTOCOL_INFO, b"")):
        return False
    there, back = _half(found.get(_ORIGINAL, b"")), _half(found.get(_REPLY, b""))
    number = wire.attributes(there.get(_PROTOCOL, b""), 0).get(_NUMBER, b"\0")[0]
    ends = {_source(there.get(_IP, b"")), _source(back.get(_IP, b""))}
    return number not in _ICMP and ends.isdisjoint(local)


def _half(value: bytes) -> dict[int, bytes]:
    return wire.attributes(value, 0)


def _has_ended(info: bytes) -> bool:
    tcp = wire.attributes(wire.attributes(info, 0).get(_TCP, b""), 0)
    return tcp.get(_TCP_STATE, b"\0")[0] in _ENDED


def _source(addresses: bytes) -> str:
    """The address that packets of a direction come from, as text."""
    found = wire.attributes(addresses, 0)
    return next((inet_ntop(af, found[kind]) for kind, af in _SOURCES.items() if kind in found), "")
