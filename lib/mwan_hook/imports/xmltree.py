"""XML text as a tree of elements; what declares a document type or an entity is refused before it is read."""

from __future__ import annotations

from collections.abc import Iterator
from xml.parsers.expat import ExpatError, ParserCreate

from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.light import NamedTuple

DEEPEST = 64  # elements within each other
MOST = 500_000  # elements
DTD = "declares a document type or entities, as no config.xml does: it is not read"


class Element(NamedTuple):
    """One element; ``text`` without the blanks around it."""

    tag: str
    attributes: dict[str, str]
    children: list[Element]
    pieces: list[str]

    @property
    def text(self) -> str:
        """All characters right inside it."""
        return "".join(self.pieces).strip()

    def get(self, tag: str, missing: str = "") -> str:
        """The text of its first child of that name."""
        found = self.first(tag)
        return missing if found is None else found.text

    def has(self, tag: str) -> bool:
        """Whether there is such a child, empty or not."""
        return self.first(tag) is not None

    def first(self, tag: str) -> Element | None:
        """The first child of that name."""
        return next(self.all(tag), None)

    def all(self, tag: str) -> Iterator[Element]:
        """The children of that name."""
        return (child for child in self.children if child.tag == tag)

    def under(self, *tags: str) -> Iterator[Element]:
        """All elements below it by that path."""
        found = [self]
        for tag in tags:
            found = [child for one in found for child in one.all(tag)]
        return iter(found)


def parse(text: str) -> Element:
    """The root element.  Raises NotUnderstood."""
    tree, parser = _Tree(), ParserCreate()
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.characters
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _refuse
    parser.buffer_text = True
    try:
        parser.Parse(text, True)
    except ExpatError as error:
        raise NotUnderstood(f"line {error.lineno}: expected XML, whole ({error})") from None
    return tree.root.children[0]


class _Tree:
    """Elements, as the parser comes past them."""

    def __init__(self) -> None:
        self.root = Element("", {}, [], [])
        self._levels = [self.root]
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._levels) > DEEPEST or self._count > MOST:
            raise NotUnderstood(f"expected {DEEPEST} levels and {MOST} elements at most")
        one = Element(tag, attributes, [], [])
        self._levels[-1].children.append(one)
        self._levels.append(one)

    def end(self, _: str) -> None:
        self._levels.pop()

    def characters(self, data: str) -> None:
        self._levels[-1].pieces.append(data)


def _refuse(*_: object) -> None:
    raise NotUnderstood(DTD)
