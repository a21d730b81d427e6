"""The kernel's own counters of an interface: one small message each, no dump, and by index, not by name."""

from __future__ import annotations

from _struct import pack, unpack_from

from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.model import MwanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

RTM_NEWSTATS, RTM_GETSTATS = 92, 94
IFLA_STATS_LINK_64 = 1
_BODY = 16 + 12  # the headers: nlmsghdr and if_stats_msg


def read(indexes: Iterable[int]) -> dict[int, int]:
    """Bytes received and sent by each interface since it came to be; without those that are gone.  Raises MwanError."""
    return {index: received + sent for index, (received, sent) in read_both(indexes).items()}


def read_both(indexes: Iterable[int]) -> dict[int, tuple[int, int]]:
    """Bytes received and sent of interfaces, by index; one that is gone is left out.  Raises MwanError."""
    found = {}
    try:
        for index in indexes:
            request = pack("=BBHII", 0, 0, 0, index, 1 << (IFLA_STATS_LINK_64 - 1))
            carried = _carried(netlink.ask(frames.request(RTM_GETSTATS, 0, request)))
            if carried is not None:
                found[index] = carried
    except OSError as error:
        raise MwanError(f"reading counters from the kernel: {error.strerror}") from error
    return found


def _carried(message: bytes) -> tuple[int, int] | None:
    """``struct rtnl_link_stats64`` begins with packets received and sent, and then bytes."""
    if unpack_from("=H", message, 4)[0] != RTM_NEWSTATS:
        return None
    stats = wire.attributes(message, _BODY).get(IFLA_STATS_LINK_64)
    if stats is None:
        return None
    received, sent = unpack_from("=QQ", stats, 16)
    return received, sent
