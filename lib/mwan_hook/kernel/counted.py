"""What the named counters of our nft table say, without nft(8): one dump of that table's counters.

The kernel writes the generation of all tables into each message of a dump (nfgenmsg.res_id, the lower 16 bits in the
order of the network; nf_tables_api.c), and marks a dump that a change has run into.
"""

from __future__ import annotations

from struct import error as malformed
from struct import pack, unpack_from

from mwan_hook.kernel import frames, netlink
from mwan_hook.kernel.nft import NFPROTO_INET, SUBSYSTEM, TABLE
from mwan_hook.model import MwanError

GETOBJ = SUBSYSTEM | 19
NFTA_OBJ_TABLE, NFTA_OBJ_NAME, NFTA_OBJ_TYPE, NFTA_OBJ_DATA = 1, 2, 3, 4
NFT_OBJECT_COUNTER = 1
NFTA_COUNTER_PACKETS = 2
_BODY = 16 + 4  # the headers: nlmsghdr and nfgenmsg
_NOTHING = (-1, dict[str, int]())


def read() -> tuple[int, dict[str, int]]:
    """The lower 16 bits of the generation, and packets by counter; -1 and nothing where that cannot be read."""
    generations: set[int] = set()
    packets: dict[str, int] = {}
    try:
        for buffer in netlink.dump_alone(GETOBJ, _asked(), netlink.NETLINK_NETFILTER):
            for message in frames.messages(buffer):
                generations.add(unpack_from(">H", message, 18)[0])
                packets.update(_counter(message))
    except (MwanError, OSError, frames.InterruptedDumpError, LookupError, malformed):
        return _NOTHING
    return (generations.pop(), packets) if len(generations) == 1 else _NOTHING


def _asked() -> bytes:
    kind = frames.attribute(NFTA_OBJ_TYPE, pack(">I", NFT_OBJECT_COUNTER))
    return pack("=BBH", NFPROTO_INET, 0, 0) + frames.attribute(NFTA_OBJ_TABLE, TABLE.encode() + b"\0") + kind


def _counter(message: bytes) -> dict[str, int]:
    found = frames.attributes(message, _BODY)
    data = frames.attributes(found.get(NFTA_OBJ_DATA, b""), 0)
    if found.get(NFTA_OBJ_TYPE) != pack(">I", NFT_OBJECT_COUNTER) or NFTA_COUNTER_PACKETS not in data:
        return {}
    if found.get(NFTA_OBJ_TABLE) != TABLE.encode() + b"\0":
        return {}
    name = found[NFTA_OBJ_NAME].rstrip(b"\0").decode("ascii", "replace")
    return {name: int(unpack_from(">Q", data[NFTA_COUNTER_PACKETS])[0])}
