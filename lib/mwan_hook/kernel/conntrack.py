"""Connections that leave by an uplink untranslated, because they are older than the translation: they are forgotten.

The kernel chooses a connection's translation at its first packet and keeps it while packets come.  One whose first
packet came before our table keeps a source that no provider answers.  Without its conntrack entry the next packet
begins anew, and is translated (tests/netns/test_untranslated.py).  Imported only when translation was added.
"""

from __future__ import annotations

from mwan_hook.addresses import covers
from mwan_hook.kernel import lookup
from mwan_hook.kernel.question import Question
from mwan_hook.model import Family, MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from typing import Any

    from mwan_hook.firewall.table import Translation

SEEN_REPLY = 1 << 1  # IPS_SEEN_REPLY of linux/netfilter/nf_conntrack_common.h
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}  # what pyroute2 can name an entry of
TRIES = 3  # a dump may be interrupted, or too large for a socket's buffer
SHOWN = 8  # lines; after an outage there may be thousands


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
