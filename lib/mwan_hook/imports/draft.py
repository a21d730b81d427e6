"""A configuration that is being made, and its sections: keys, remarks and sections at their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mwan_hook.config.names import NAME_LENGTH, RESERVED_NAMES
from mwan_hook.config.places import heading
from mwan_hook.config.spelling import listed, quoted
from mwan_hook.config.spelling import text as plain
from mwan_hook.config.targets import parse
from mwan_hook.light import NamedTuple
from mwan_hook.say import shown

Value = str | int | float | bool | Sequence[str]

SECTIONS = ("routing", "probe", "router", "uplinks", "policies")
MOST = {"uplinks": 200, "policies": 250}  # sections in one
MOST_REMARKS = 1000
ONE = {"uplinks": "uplink", "policies": "policy"}
LONGEST = 240  # characters of a text of the source in a remark
PATTERN = frozenset("*?[:")  # makes more of `match` than a name


class Entry(NamedTuple):
    """A key with its value as it is written."""

    key: str
    text: str


class Remark(NamedTuple):
    """A line of comment; ``loses`` tells whether traffic, verdicts or probing are not as the source has them."""

    words: str
    loses: bool


class DraftSection:
    """A section: keys, remarks and sections in the order in which they were put in.

    A policy stands or falls as a ``whole``: without one of its keys it would choose more than the source does.
    """

    def __init__(self, draft: Draft, name: str, depth: int, whole: bool = False) -> None:
        self.name = name
        self.depth = depth
        self.whole = whole
        self.broken = False
        self.device = ""  # that it matches, as the source or --map names it
        self.items: list[Entry | Remark | DraftSection] = []
        self._draft = draft

    def set(self, key: str, value: Value) -> None:
        """Give a key its value, in place of an earlier one; of targets the good ones."""
        several = None if isinstance(value, str | int | float) else [*value]
        if key == "targets" and several:
            several = self._good(several)
        texts = [plain(value)] if several is None else several
        if "" in texts or any(not one.isprintable() or {"'", '"'} <= {*one} for one in texts):
            words = "it is empty, or has characters that mwan-hook's files cannot hold"
            self.lost(f"{key} = {', '.join(texts)}", words)
            self.broken |= self.whole or key == "match"
            return
        same = (place for place, item in enumerate(self.items) if isinstance(item, Entry) and item.key == key)
        place = next(same, len(self.items))
        self.items[place : place + 1] = [Entry(key, quoted(texts[0]) if several is None else listed(texts))]

    def match(self, device: str) -> None:
        """Match one interface by its name; what would be a pattern here is none in the source."""
        self.device = device
        if set(device) & PATTERN:
            self.lost(f"interface {device}", "mwan-hook takes such a name for a pattern: name it by --map")
            self.broken = True
        else:
            self.set("match", device)

    def _good(self, texts: Sequence[str]) -> list[str]:
        """Targets that can be asked, each once."""
        found = []
        for text in dict.fromkeys(texts):
            try:
                parse(text)
                found.append(text)
            except ValueError as error:
                self.lost(f"target {text}", str(error).replace("expected", "it is expected to be", 1))
        return found

    def inside(self, name: str) -> DraftSection:
        """A section in this one, behind its keys."""
        part = DraftSection(self._draft, name, self.depth + 1)
        self.items.append(part)
        return part

    def get(self, key: str) -> str:
        """The value that a key was given, as it is written; empty if none."""
        return next((item.text for item in self.items if isinstance(item, Entry) and item.key == key), "")

    def lost(self, what: str, because: str) -> None:
        """Say that a sentence of the source does not hold here."""
        self.remark(f"lost: {cut(what)}, because {because}", loses=True)

    def differs(self, words: str) -> None:
        """Say how something is not quite as the source has it."""
        self.remark(f"differs: {words}", loses=True)

    def note(self, words: str) -> None:
        """Say something that changes neither traffic nor verdicts nor probing."""
        self.remark(f"note: {words}", loses=False)

    def remark(self, words: str, loses: bool) -> None:
        """Put in a comment, the first thousand of them; those beyond are counted."""
        if self._draft.room(loses):
            self.items.append(Remark(shown(words), loses))

    def drop(self, item: Entry | DraftSection, because: str) -> None:
        """Take out what no run would take; what was said of it stays."""
        place = self.items.index(item)
        if isinstance(item, Entry):
            self.items[place : place + 1] = [Remark(shown(f"lost: {item.key} = {cut(item.text)}, {because}"), True)]
        else:
            label = f"{ONE.get(self.name, '')} {item.name}".strip()
            last = Remark(shown(f"lost: {label}, {because}"), True)
            told = [Remark(f"{label}: {one.words}", one.loses) for _, one in item.told()]
            self.items[place : place + 1] = [*told, last]
        self._draft.loses = True

    def told(self, where: str = "") -> Iterator[tuple[str, Remark]]:
        """Remarks of this section and of those inside, each with its section."""
        here = f"{where} {heading(self.name, self.depth)}".strip() if self.depth else ""
        for item in self.items:
            if isinstance(item, Remark):
                yield here, item
            elif isinstance(item, DraftSection):
                yield from item.told(here)


def cut(words: str) -> str:
    """A text of the source as a remark quotes it."""
    return words if len(words) <= LONGEST else f"{words[:LONGEST]}..."


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
