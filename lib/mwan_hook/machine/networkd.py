"""What systemd-networkd knows: leases and DNS servers of a link.

Reading the ``.network`` files is in :mod:`mwan_hook.config.networkfiles`; most runs have that from the cache.
"""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.addresses import is_address
from mwan_hook.light import NamedTuple
from mwan_hook.model import Lease
from mwan_hook.store.files import under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

LEASES = "run/systemd/netif/leases"
LINKS = "run/systemd/netif/links"
_LARGEST = 1 << 16


class Network(NamedTuple):
    """One ``.network`` file with its drop-ins, as far as it concerns us.

    ``match`` holds the words of ``[Match]`` by key, each with its own ``!`` where the list was inverted;
    ``values`` the keys of ``[probe]`` and ``metrics``; ``places`` says where each value stands.
    """

    name: str
    path: str
    match: Mapping[str, Sequence[str]]
    values: Mapping[str, Any]
    places: Mapping[str, str]


def lease(root: str, index: int) -> Lease:
    """Gateway and DNS servers of the link with this index; empty where networkd keeps nothing for it.

    Servers of the DHCPv4 lease come first, then what networkd has for the link besides (IPv6, RA, static).
    """
    dhcp = _variables(under(root, f"{LEASES}/{index}"))
    link = _variables(under(root, f"{LINKS}/{index}"))
    routers = [word for word in dhcp.get("ROUTER", "").split() if is_address(word) and word != "0.0.0.0"]
    servers = [_server(word) for word in f"{dhcp.get('DNS', '')} {link.get('DNS', '')}".split()]
    return Lease(routers[0] if routers else None, tuple(dict.fromkeys(server for server in servers if server)))


def link_facts(root: str, index: int) -> dict[str, str]:
    """What networkd keeps of a link (ADMIN_STATE, REQUIRED_FOR_ONLINE ...); empty where it does not manage it."""
    return _variables(under(root, f"{LINKS}/{index}"))


def _variables(path: str) -> dict[str, str]:
    """``KEY=value`` lines of a file of networkd's; empty where there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return {}
    try:
        text = os.read(descriptor, _LARGEST).decode("utf-8", "replace")
    except OSError:
        return {}
    finally:
        os.close(descriptor)
    lines = (line.partition("=") for line in text.split("\n") if not line.startswith("#"))
    return {key.strip(): value.strip().strip('"') for key, equals, value in lines if equals}


def _server(word: str) -> str:
    """The address of ``ADDRESS[:PORT][%INTERFACE][#NAME]``; empty if there is none."""
    word = word.partition("#")[0].partition("%")[0]
    if word.startswith("["):
        word = word[1:].partition("]")[0]
    if not is_address(word):
        word = word.rpartition(":")[0]
    return word if is_address(word) else ""
