"""A configuration that is being made."""

from __future__ import annotations

from mwan_hook.config.names import NAME_LENGTH, RESERVED_NAMES
from mwan_hook.imports.section import DraftSection, Remark, cut
from mwan_hook.say import shown

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECTIONS = ("routing", "probe", "router", "uplinks", "policies")
MOST = {"uplinks": 200, "policies": 250}  # sections in one
MOST_REMARKS = 1000


class Draft:
    """The whole configuration, and the devices that the operator gave to logical names."""

    def __init__(self, kind: str, source: str, devices: Mapping[str, str]) -> None:
        self.loses = False
        self.top = DraftSection(self, "", 0)
        self._parts = {name: DraftSection(self, name, 1) for name in SECTIONS}
        self._devices = devices
        self._asked: set[str] = set()
        self._unknown: set[str] = set()
        self._count = 0
        self.source = source
        self.title = shown(f"Made by `mwan-hook import {kind}` from {cut(source)}.")
        self.part("probe").set("hysteresis_delay", 0)
        self.part("probe").set("portal_interval", 0)

    def part(self, name: str) -> DraftSection:
        """A section that is there once: ``routing``, ``probe``, ``router``, ``uplinks`` or ``policies``."""
        return self._parts[name]

    def uplink(self, name: str) -> DraftSection:
        """A new section of ``[uplinks]``."""
        return self._inner("uplinks", _uplink_name(name), name)

    def policy(self, name: str) -> DraftSection:
        """A new section of ``[policies]``, behind those before."""
        return self._inner("policies", _plain_name(name), name)

    def uplinks(self) -> list[DraftSection]:
        """The sections of ``[uplinks]`` so far."""
        return [item for item in self.part("uplinks").items if isinstance(item, DraftSection)]

    def mapped(self, logical: str) -> bool:
        """Whether ``--map`` names the device of a logical name."""
        return logical in self._devices

    def device(self, logical: str, at: DraftSection) -> str:
        """The device of a logical name; the name itself, and a remark, where ``--map`` does not tell."""
        if logical not in self._devices and logical not in self._unknown:
            self._unknown.add(logical)
            name = cut(logical)
            at.differs(f"{name} is taken for the name of a device: say which one it is by --map {name}=DEVICE")
        return self.renamed(logical)

    def renamed(self, device: str) -> str:
        """The device that takes the place of one of the source."""
        self._asked.add(device)
        return self._devices.get(device, device)

    def finish(self) -> None:
        """Say what can only be said at the end."""
        for logical in self._devices:
            if logical not in self._asked:
                self.top.note(
                    f"--map {cut(logical)}={self._devices[logical]} changes nothing: there is no {cut(logical)}"
                )
        if self._count > MOST_REMARKS:
            self.top.items.append(Remark(f"note: {self._count - MOST_REMARKS} more remarks are left out", False))

    def sections(self) -> list[DraftSection]:
        """Sections that hold anything, in the order of the file."""
        return [part for part in self._parts.values() if part.items]

    def remarks(self) -> Iterator[str]:
        """What was remarked, each with its section."""
        for part in (self.top, *self.sections()):
            yield from (f"{where}: {one.words}" if where else one.words for where, one in part.told())

    def room(self, loses: bool) -> bool:
        """Whether one more remark is kept."""
        self.loses |= loses
        self._count += 1
        return self._count <= MOST_REMARKS

    def _inner(self, section: str, name: str, given: str) -> DraftSection:
        parent = self._parts[section]
        taken = {item.name for item in parent.items if isinstance(item, DraftSection)}
        numbered = (f"{name[:58]}-{number}" for number in range(2, len(taken) + 3))
        unique = name if name not in taken else next(one for one in numbered if one not in taken)
        part = DraftSection(self, unique, 2, whole=section == "policies")
        if len(taken) >= MOST[section]:
            parent.lost(given, f"there is room for {MOST[section]} {section}")
            return part
        parent.items.append(part)
        if unique != given:
            part.note(f"it was called {cut(given)}")
        return part


def _plain_name(given: str) -> str:
    name = "".join(letter if letter.isalnum() or letter in "_.:+-" else "-" for letter in given)[:NAME_LENGTH]
    return name if name[:1].isalnum() else f"x{name}"[:NAME_LENGTH]


def _uplink_name(given: str) -> str:
    name = _plain_name(given)
    reserved = name.lower() in RESERVED_NAMES or name.isdigit() or name.lower().startswith("0x")
    return f"uplink-{name}"[:NAME_LENGTH] if reserved else name
