"""What systemd-networkd knows: leases and DNS servers of a link, and which ``.network`` file is a link's.

Reading the ``.network`` files is in :mod:`mwan_hook.system.networkfiles`; most runs have that from the cache.
"""

from __future__ import annotations

import os
from _collections_abc import Mapping  # `collections.abc`, but for the package around it

from mwan_hook.core.targets import is_address
from mwan_hook.light import NamedTuple
from mwan_hook.model import Lease, Link
from mwan_hook.store.files import under

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

LEASES = "run/systemd/netif/leases"
LINKS = "run/systemd/netif/links"
_LARGEST = 1 << 16
_ADDRESS_KEYS = ("MACAddress", "PermanentMACAddress")
_FACTS = {"Driver": "driver", "Path": "path"}


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


class Leases(Mapping[int, Lease]):
    """The lease of every link by its index, each read when it is asked for."""

    def __init__(self, root: str) -> None:
        self.root = root

    def __getitem__(self, index: int) -> Lease:
        found = lease(self.root, index)
        if found == Lease():
            raise KeyError(index)
        return found

    def __iter__(self) -> Iterator[int]:
        names: set[str] = set()
        for directory in (LEASES, LINKS):
            try:
                names.update(os.listdir(under(self.root, directory)))
            except OSError:
                continue
        return (int(name) for name in sorted(names) if name.isdigit() and int(name) in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def leases(root: str) -> Leases:
    """All leases below ``root``."""
    return Leases(root)


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


def network_for(
    root: str, networks: Sequence[Network], link: Link, attributes: Mapping[str, str] | None = None
) -> Network | None:
    """The network in force for ``link``: the one networkd names, else the first that matches.

    ``attributes`` are those of :func:`mwan_hook.system.udev.attributes`, which is asked when they are not given
    and some ``[Match]`` needs them.
    """
    named = _variables(under(root, f"{LINKS}/{link.index}")).get("NETWORK_FILE")
    if named:
        name = named.rpartition("/")[2]
        return next((network for network in networks if network.name == name), None)
    for network in networks:
        if attributes is None and set(network.match) & {*_FACTS, "Property", "Type"}:
            from mwan_hook.system import udev

            attributes = udev.attributes(root, link.name, link.index)
        if applies(network.match, link, attributes or {}):
            return network
    return None


def applies(match: Mapping[str, Sequence[str]], link: Link, attributes: Mapping[str, str]) -> bool:
    """systemd.network(5): every key of ``[Match]`` has to hold; one we cannot judge does not; none at all neither."""
    return bool(match) and all(_holds(key, words, link, attributes) for key, words in match.items())


def _holds(key: str, words: Sequence[str], link: Link, attributes: Mapping[str, str]) -> bool:
    if key == "Name":
        return any(_any_glob(words, name) for name in (link.name, *link.altnames))
    if key in _ADDRESS_KEYS:
        return link.mac.lower() in words
    if key in _FACTS:
        return _any_glob(words, attributes.get(_FACTS[key]))
    if key == "Type":
        return _any_glob(words, _type(link, attributes))
    return key == "Property" and all(_property(word, attributes) for word in words)


def _any_glob(words: Sequence[str], text: str | None) -> bool:
    """Some glob fits; of inverted ones alone, none."""
    for word in words:
        if word.startswith("!") and text is not None and _glob(word[1:], text):
            return False
    wanted = [word for word in words if not word.startswith("!")]
    return not wanted or (text is not None and any(_glob(word, text) for word in wanted))


def _property(word: str, attributes: Mapping[str, str]) -> bool:
    key, _, glob = word.lstrip("!").partition("=")
    value = attributes.get(f"property:{key}")
    return (value is not None and _glob(glob, value)) != word.startswith("!")


def _type(link: Link, attributes: Mapping[str, str]) -> str:
    """The device type, near enough: udev's DEVTYPE (wlan, wwan, bridge, vlan), else by the link layer."""
    if link.name == "lo":
        return "loopback"
    return attributes.get("property:DEVTYPE") or ("none" if link.noarp or not link.mac else "ether")


def _glob(pattern: str, text: str) -> bool:
    if not set(pattern) & set("*?["):
        return pattern == text
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern)


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
