"""Whether mwan-hook-netlink.socket has heard of any change: where it has not, links, addresses, routes and rules are
what they were, and a run in peace need not read them.

The note names the sockets that systemd holds.  Each run that systemd starts for their news takes it away before it
reads them, and lays it down again only when it has looked at everything and done all there was to do; so a run that
fails or is killed leaves none.  The kernel tells of each netlink socket what it listens to, and how many bytes wait in
it (net/netlink/af_netlink.c, netlink_native_seq_show): a socket that is closed, or has news, ends the trust.
"""

from __future__ import annotations

import posix

from mwan_hook.run.alike import content, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterable, Sequence

NOTE = "run/mwan-hook/listening"
TABLE = "/proc/self/net/netlink"  # of this network namespace
# Links, addresses, routes and rules of both families, and nexthop objects, with which routes go that nothing tells of:
# what the socket unit asks for.
GROUPS = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000 | 0x80000000
REQUESTS = frozenset((18, 22, 26, 34))  # RTM_GETLINK, GETADDR, GETROUTE, GETRULE: what these groups tell of
_GROUPS, _WAITING, _INODE = 3, 4, 9  # columns of the table


def known(root: str) -> list[int]:
    """The inodes of the sockets that hear of changes; none where no unit is known to listen."""
    try:
        return [int(word) for word in content(under(root, NOTE)).split()]
    except (OSError, ValueError):
        return []


def nothing_new(root: str, inodes: Sequence[int]) -> bool:
    """Whether these sockets still listen to everything, none has news, and no run is looking at earlier ones."""
    return bool(inodes) and known(root) == list(inodes) and all_silent(inodes, content(TABLE))


def all_silent(inodes: Sequence[int], table: bytes) -> bool:
    """Whether the kernel's table has each socket, with no byte in it, and they hear of every group between them."""
    rows = [row for row in (line.split() for line in table.splitlines()[1:]) if int(row[_INODE]) in inodes]
    groups = 0
    for row in rows:
        groups |= int(row[_GROUPS], 16)
    return len(rows) == len(inodes) and groups & GROUPS == GROUPS and all(row[_WAITING] == b"0" for row in rows)


def begin(root: str) -> None:
    """Before the news are read."""
    try:
        posix.unlink(under(root, NOTE))
    except OSError:
        return  # mostly there is none; where none can be taken away, none can be laid down


def over(root: str, sockets: Iterable[socket]) -> None:
    """When all was looked at and done."""
    from mwan_hook.store import files

    text = " ".join(str(posix.fstat(sock.fileno()).st_ino) for sock in sockets)
    files.replace(under(root, NOTE), f"{text}\n".encode(), durable=False)
