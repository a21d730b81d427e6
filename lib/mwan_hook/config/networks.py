"""Which ``.network`` file is a link's."""

from __future__ import annotations

from mwan_hook.light import glob
from mwan_hook.machine.networkd import link_facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mwan_hook.machine.networkd import Network
    from mwan_hook.model import Link

_ADDRESS_KEYS = ("MACAddress", "PermanentMACAddress")
_FACTS = {"Driver": "driver", "Path": "path"}


def network_for(root: str, networks: Sequence[Network], link: Link) -> Network | None:
    """The network in force for ``link``: the one networkd names, else the first that matches.

    udev is asked for the link's attributes where some ``[Match]`` needs them.
    """
    named = link_facts(root, link.index).get("NETWORK_FILE")
    if named:
        name = named.rpartition("/")[2]
        return next((network for network in networks if network.name == name), None)
    attributes: Mapping[str, str] | None = None
    for network in networks:
        if attributes is None and set(network.match) & {*_FACTS, "Property", "Type"}:
            from mwan_hook.machine import udev

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
        if word.startswith("!") and text is not None and glob(word[1:], text):
            return False
    wanted = [word for word in words if not word.startswith("!")]
    return not wanted or (text is not None and any(glob(word, text) for word in wanted))


def _property(word: str, attributes: Mapping[str, str]) -> bool:
    key, _, pattern = word.lstrip("!").partition("=")
    value = attributes.get(f"property:{key}")
    return (value is not None and glob(pattern, value)) != word.startswith("!")


def _type(link: Link, attributes: Mapping[str, str]) -> str:
    """The device type, near enough: udev's DEVTYPE (wlan, wwan, bridge, vlan), else by the link layer."""
    if link.name == "lo":
        return "loopback"
    return attributes.get("property:DEVTYPE") or ("none" if link.noarp or not link.mac else "ether")
