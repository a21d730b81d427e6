"""What config.xml of OPNsense and pfSense have in common: interfaces, switches and aliases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from ipaddress import ip_interface

from mwan_hook.addresses import is_address
from mwan_hook.imports import xmltree
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.xmltree import Element
from mwan_hook.light import NamedTuple

FAMILIES = {"inet": "ipv4", "inet6": "ipv6"}
EVERYTHING = {"inet": "0.0.0.0/0", "inet6": "::/0"}
_ADDRESS = {"inet": ("ipaddr", "subnet"), "inet6": ("ipaddrv6", "subnetv6")}
_HOSTS, _PORTS = ("host", "network"), ("port",)


class Interface(NamedTuple):
    """One interface by its logical name, as in wan, lan, opt1."""

    logical: str
    device: str
    called: str  # its description
    element: Element

    def dynamic(self, family: str) -> str:
        """How it gets its address, as in dhcp or pppoe; nothing where it has a static one or none."""
        text = self.element.get(_ADDRESS[family][0])
        return "" if not text or is_address(text) else text.lower()

    def network(self, family: str) -> str:
        """The network of its static address."""
        address, bits = _ADDRESS[family]
        try:
            return str(ip_interface(f"{self.element.get(address)}/{self.element.get(bits)}").network)
        except ValueError:
            return ""


class Backup(NamedTuple):
    """A file with what all of it refers to."""

    root: Element
    draft: Draft
    interfaces: dict[str, Interface]
    flag: Callable[[Element, str], bool]  # whether a switch is on, which the two spell in ways of their own
    hosts: dict[str, list[str]]  # contents of aliases
    ports: dict[str, list[str]]
    asked: set[str]  # interfaces whose device was said to be unknown

    def device(self, logical: str, at: DraftSection) -> str:
        """The device of a logical interface, by --map under either name."""
        known = self.interfaces.get(logical)
        name = known.device if known else logical
        for one in (logical, name):
            if (found := self.draft.renamed(one)) != one:
                return found
        if logical not in self.asked:
            self.asked.add(logical)
            at.differs(f"{name} is the device of {logical} there: add --map {logical}=DEVICE")
        return name


def opened(text: str, root: str, draft: Draft, flag: Callable[[Element, str], bool]) -> Backup:
    """The file, if its root element has that name.  Raises NotUnderstood."""
    found = xmltree.parse(text)
    if found.tag != root:
        raise NotUnderstood(f"expected a config.xml with the root element {root}, not {found.tag}")
    interfaces = {one.logical: one for one in _interfaces(found)}
    return Backup(found, draft, interfaces, flag, _aliases(found, _HOSTS), _aliases(found, _PORTS), set())


def _interfaces(root: Element) -> Iterator[Interface]:
    for group in root.all("interfaces"):
        for one in group.children:
            if one.get("if"):
                yield Interface(one.tag, one.get("if"), one.get("descr") or one.tag, one)


def _aliases(root: Element, kinds: tuple[str, ...]) -> dict[str, list[str]]:
    """Names with what they stand for; those that are filled at run time have no contents here."""
    found = {}
    for one in (*root.under("aliases", "alias"), *root.under("OPNsense", "Firewall", "Alias", "aliases", "alias")):
        if one.get("type") in kinds and one.get("enabled", "1") != "0":
            found[one.get("name")] = (one.get("address") or one.get("content")).split()
    return found


def present(element: Element, tag: str) -> bool:
    """Whether a tag is there, which is yes in pfSense."""
    return element.has(tag)


def filled(element: Element, tag: str) -> bool:
    """Whether a tag holds anything but 0, which is yes in OPNsense."""
    return element.get(tag) not in ("", "0")
