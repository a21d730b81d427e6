"""VyOS configuration text as a tree of words, from ``set`` commands or from braces (config.boot).

Both say the same: ``set a b c 'value'`` is the path a, b, c, value; ``a { b c { d value } }`` likewise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from mwan_hook.imports.guard import NotUnderstood, whole

Tree = dict[str, "Tree"]
Statement = tuple[int, list[str], str]  # number of its line, words, what ends it: { } or the line

DEEPEST = 64  # words of a path; VyOS has less than twenty
_TOKEN = re.compile(
    r"(?P<comment>/\*.*?\*/|//[^\n]*|^[ \t]*#[^\n]*)|(?P<end>\n|[{}](?=\s|\Z))|(?P<blank>[^\S\n]+)"
    r"|(?P<word>(?:'[^']*'|\"(?:\\.|[^\"\\])*+\"|\\.|[^\s'\"\\])++)",
    re.DOTALL | re.MULTILINE,
)
_PIECE = re.compile(r"'([^']*)'|\"((?:\\.|[^\"\\])*+)\"|\\(.)|([^\s'\"\\]++)", re.DOTALL)


def parse(text: str) -> Tree:
    """The tree that ``text`` spells.  Raises NotUnderstood."""
    statements = list(_statements(text))
    first = next((words for _, words, _ in statements if words), [""])
    return _from_commands(statements) if first[0] in ("set", "delete") else _from_braces(statements)


def _from_commands(statements: list[Statement]) -> Tree:
    tree: Tree = {}
    for number, words, end in statements:
        if end != "\n":
            raise NotUnderstood(f"line {number}: expected commands alone, as in set load-balancing wan ...; not braces")
        if words[:1] == ["set"] and 1 < len(words) <= DEEPEST:
            _put(tree, words[1:])
        elif words and words[0] != "delete":
            raise NotUnderstood(f"line {number}: expected set and {DEEPEST} words at most")
    return tree


def _from_braces(statements: list[Statement]) -> Tree:
    tree: Tree = {}
    levels = [(tree, 0)]
    for number, words, end in statements:
        inner, depth = levels[-1]
        if depth + len(words) > DEEPEST or len(levels) > DEEPEST:
            raise NotUnderstood(f"line {number}: expected {DEEPEST} levels at most")
        if words:
            inner = _put(inner, words)
        if end == "{":
            levels.append((inner, depth + len(words)))
        elif end == "}" and len(levels) == 1:
            raise NotUnderstood(f"line {number}: a brace is closed that was not opened")
        elif end == "}":
            levels.pop()
    if len(levels) > 1:
        raise NotUnderstood("the file ends within a brace: it is cut off")
    return tree


def _put(tree: Tree, words: list[str]) -> Tree:
    for word in words:
        tree = tree.setdefault(word, {})
    return tree


def _statements(text: str) -> Iterator[Statement]:
    """Words up to a brace or the end of a line, without quotes and comments."""
    at, number, words = 0, 1, list[str]()
    while at < len(text):
        token = _TOKEN.match(text, at)
        if not token:
            what = "a comment" if text.startswith("/*", at) else "a quote"
            raise NotUnderstood(f"line {number}: {what} is not closed")
        if token.lastgroup == "word":
            words.append(_plain(token[0]))
        elif token.lastgroup == "end":
            yield number, words, token[0]
            words = []
        number += token[0].count("\n")
        at = token.end()
    if words:
        yield number, words, "\n"


def _plain(word: str) -> str:
    """A word without its quotes; a backslash keeps the next character."""
    return _PIECE.sub(
        lambda piece: piece[1] or re.sub(r"\\(.)", r"\1", piece[2] or "") or piece[3] or piece[4] or "", word
    )


def value(tree: Tree, key: str, missing: str) -> str:
    """The value of a leaf; of several, which only a careless hand writes, the last."""
    return next(reversed(tree.get(key, {})), missing)


def rank(name: str) -> tuple[int, str]:
    """Where a numbered node stands in its order."""
    return whole(name, 1 << 31), name
