"""YAML text as dicts, lists and texts.

No scalar is taken for anything but text: YAML 1.1 reads the MAC address ``52:54:00:12:34:56`` as a number.
Tags make no objects; an alias counts as often as it is used.
"""

from __future__ import annotations

import re
from typing import Any

from mwan_hook.imports.guard import NotUnderstood

Data = str | list["Data"] | dict[str, "Data"]
Map = dict[str, Data]

DEEPEST = 32
MOST = 50_000  # values, aliases counted as often as they are used
LONGEST = 128 * 1024
_PILE = re.compile(rf"(?:[\[{{]\s*+){{{DEEPEST + 1}}}")  # PyYAML takes seconds for a thousand open brackets
MISSING = "reading netplan's files needs PyYAML: install python3-yaml (Debian) or PyYAML (pip)"


def parse(text: str) -> Data:
    """What the text says; an empty one is an empty dict.  Raises NotUnderstood; ImportError: no PyYAML."""
    import yaml

    if len(text) > LONGEST:
        raise NotUnderstood(f"expected {LONGEST >> 10} KiB at most")
    if _PILE.search(text):
        raise NotUnderstood(f"expected {DEEPEST} levels at most")
    try:
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise NotUnderstood(f"{line}expected YAML ({error.problem})") from None
    except yaml.YAMLError as error:
        raise NotUnderstood(f"expected YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise NotUnderstood(f"expected {DEEPEST} levels at most") from None
    return {} if node is None else _Bounded().of(node, 1)


class _Bounded:
    """A node as plain data, with a bound on how much that is."""

    def __init__(self) -> None:
        self.left = MOST

    def of(self, node: Any, depth: int) -> Data:
        """Data of one node.  Raises NotUnderstood."""
        line = f"line {node.start_mark.line + 1}"
        self.left -= 1
        if self.left < 0 or depth > DEEPEST:
            raise NotUnderstood(f"{line}: expected {DEEPEST} levels and {MOST} values at most, aliases counted")
        if node.id == "scalar":
            return str(node.value)
        if node.id == "sequence":
            return [self.of(child, depth + 1) for child in node.value]
        found: dict[str, Data] = {}
        for key, value in node.value:
            if key.id != "scalar":
                raise NotUnderstood(f"{line}: expected a name before the colon")
            if key.value in found:
                raise NotUnderstood(f"line {key.start_mark.line + 1}: {key.value} is given twice")
            found[key.value] = self.of(value, depth + 1)
        return found


def mapping(data: Data | None) -> Map:
    """The data if it is a mapping, else an empty one."""
    return data if isinstance(data, dict) else {}


def word(tree: Map, key: str, missing: str = "") -> str:
    """The text of a key."""
    found = tree.get(key, missing)
    return found.strip() if isinstance(found, str) else missing


def items(tree: Map, key: str) -> list[str]:
    """The texts of a key that has a list, or one."""
    found = tree.get(key, [])
    return [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, str) and one]


def entries(tree: Map, key: str) -> list[Map]:
    """The mappings of a key that has a list of them."""
    found = tree.get(key)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def on(tree: Map, key: str, missing: bool) -> bool:
    """Whether a switch is on, in the words of YAML 1.1."""
    found = word(tree, key).lower()
    return missing if not found else found in ("true", "yes", "on", "y")
