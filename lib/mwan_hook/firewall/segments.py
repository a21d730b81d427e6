"""Rules of our nft table that lower the segment size which both ends of a forwarded TCP connection are told.

A line that takes less than 1500 bytes at once tells a sender so by ICMP, which is lost on many ways: the connection
opens, and hangs with the first full packet.  So what a SYN allows is lowered to what the line takes, by the interface
that it comes in or goes out by: nft's own `rt mtu` looks the way of the answers up without marks and policies.

The kernel only ever lowers the option (nft_exthdr.c), and the rules ask first, so a smaller one stays.
"""

from __future__ import annotations

from mwan_hook.firewall.match import interface
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Router, Snapshot, Uplink

CHAIN = "segments"
USUAL = 1500  # bytes: what takes so many needs nothing
HEADERS = {Family.IPV4: 40, Family.IPV6: 60}  # of IP and TCP, without options
LEAST = {Family.IPV4: 576, Family.IPV6: 1280}  # what every line takes; less is no line for this family
SKIPPED = ("meta l4proto != tcp return", "tcp flags & (syn | rst) != syn return")


def rules(router: Router, uplinks: Sequence[Uplink], snapshot: Snapshot, known: Sequence[str]) -> tuple[str, ...]:
    """Rules of the chain, or none.  ``known`` made the table until now: what an uplink that is away had, it keeps."""
    if router.mss == 0:
        return ()
    stood = [line.partition(f" {CHAIN} ")[2] for line in known if line.startswith("add rule ")]
    found = [line for uplink in uplinks for line in _lowering(router.mss, uplink, snapshot, stood)]
    return (*SKIPPED, *found) if found else ()


def _lowering(wanted: int | None, uplink: Uplink, snapshot: Snapshot, stood: Sequence[str]) -> Iterator[str]:
    """A family without a default keeps its rules: an MTU may have stood there, and failover waits for no nft(8)."""
    option = "tcp option maxseg size"
    for family in snapshot.families:
        away = wanted is None and uplink.way(family).default is None
        size = segment(wanted, uplink, family, snapshot)
        for key in ("iif", "oif"):
            head = f"{interface(key, uplink)} meta nfproto {family.value} "
            kept = next((line for line in stood if away and line.startswith(head)), "")
            if kept or size:
                yield kept or f"{head}{option} > {size} {option} set {size}"


def segment(wanted: int | None, uplink: Uplink, family: Family, snapshot: Snapshot) -> int:
    """The largest segment that a family of an uplink shall carry, ``wanted`` at most; 0: as it comes."""
    size = mtu(uplink, family, snapshot)
    fitting = size - HEADERS[family] if LEAST[family] <= size < USUAL else 0
    return min(filter(None, (wanted, fitting)), default=0)


def mtu(uplink: Uplink, family: Family, snapshot: Snapshot) -> int:
    """Bytes of the largest packet that the kernel sends by an uplink; 0: not known.

    The link's, IPv6's own (a router may advertise less), and that of the uplink's default.
    """
    default = uplink.way(family).default
    told = (
        uplink.link.mtu if uplink.link else 0,
        snapshot.mtu6.get(uplink.index, 0) if family is Family.IPV6 else 0,
        default.mtu if default else 0,
    )
    return min(filter(None, told), default=0)
