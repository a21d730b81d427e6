"""Gateway and DNS servers that other managers than networkd have for a link, by the files that they keep.

NetworkManager keeps one below /run for each device that it manages, dhclient and dhcpcd keep theirs below /var/lib.
Nothing of this is read where networkd has a lease, or where a gateway and servers are known without one.
"""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.machine import leasefiles
from mwan_hook.model import Family, Lease
from mwan_hook.store.files import is_live, under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.machine.leasefiles import Offer
    from mwan_hook.model import Address

DEVICES = "run/NetworkManager/devices"
DHCLIENT = ("var/lib/dhcp/dhclient.{}.leases", "var/lib/dhcp/dhclient.leases", "var/lib/dhclient/dhclient.leases")
DHCPCD, DHCPCD_SOCKETS = "var/lib/dhcpcd", "run/dhcpcd"
TIMEOUT = 2.0  # seconds for dhcpcd to say what its files say
_LARGEST = 1 << 16  # bytes from a file's end: dhclient appends, the last one counts


def lease(root: str, index: int, interface: str, addresses: Sequence[str]) -> Lease:
    """The interface's lease; empty without one whose address it has.  ``addresses``: its IPv4 ones."""
    if not addresses:
        return Lease()
    for offers in _offers(root, index, interface):
        offer = leasefiles.current(offers, addresses)
        if offer:
            return Lease(offer.routers[0] if offer.routers else None, offer.servers)
    return Lease()


def own(addresses: Iterable[Address], index: int) -> list[str]:
    """Addresses that a DHCPv4 client may have given an interface."""
    return [one.address for one in addresses if one.index == index and one.family is Family.IPV4]


def places(root: str, index: int, interface: str) -> list[str]:
    """Paths of every file that :func:`lease` may read, and the directory where a new one appears."""
    named = [path.format(interface) for path in DHCLIENT]
    wireless = [f"{DHCPCD}/{name}" for name in of_dhcpcd(root, interface)]
    return [under(root, path) for path in (f"{DEVICES}/{index}", *named, DHCPCD, *wireless)]


def _offers(root: str, index: int, interface: str) -> Iterator[list[Offer]]:
    yield leasefiles.network_manager(_tail(under(root, f"{DEVICES}/{index}")).decode("utf-8", "replace"))
    for path in DHCLIENT:
        text = _tail(under(root, path.format(interface))).decode("utf-8", "replace")
        yield leasefiles.dhclient(text, interface)
    closed = False
    for name in of_dhcpcd(root, interface):
        try:
            yield leasefiles.dhcpcd(_read(under(root, f"{DHCPCD}/{name}")))
        except PermissionError:
            closed = True
        except OSError:
            continue
    if closed and is_live(root) and os.path.isdir(under(root, DHCPCD_SOCKETS)):
        from mwan_hook.machine import programs

        # dhcpcd tells any user: its files are root's alone
        yield leasefiles.dhcpcd_dump(programs.run(["dhcpcd", "-4", "--dumplease", interface], TIMEOUT).output)


def of_dhcpcd(root: str, interface: str) -> list[str]:
    """Names of its files for an interface: IF.lease, dhcpcd-IF.lease before 7, IF-SSID.lease of a wireless one."""
    try:
        names = os.listdir(under(root, DHCPCD))
    except OSError:
        return []
    plain = (f"{interface}.lease", f"dhcpcd-{interface}.lease")
    return [name for name in names if name in plain or (name.startswith(f"{interface}-") and name.endswith(".lease"))]


def _tail(path: str) -> bytes:
    try:
        return _read(path)
    except OSError:
        return b""


def _read(path: str) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.pread(descriptor, _LARGEST, max(0, os.fstat(descriptor).st_size - _LARGEST))
    finally:
        os.close(descriptor)
