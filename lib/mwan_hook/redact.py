"""What of a URL only the configuration may say: user parts and queries carry passwords and tokens."""

from __future__ import annotations

HIDDEN = "***"


def hidden(text: str) -> str:
    """Text with the user part and the query of a URL in it replaced; other text as it is."""
    scheme, found, rest = text.partition("://")
    if not found:
        return text
    ends = [at for at in (rest.find("/"), rest.find("?")) if at >= 0]
    host, tail = (rest[: min(ends)], rest[min(ends) :]) if ends else (rest, "")
    user, at, host_only = host.rpartition("@")
    if user or at:
        host = f"{HIDDEN}@{host_only}"
    return f"{scheme}://{host}{without_query(tail)}"


def without_query(text: str) -> str:
    """Text up to a query; an expectation that holds a question mark is none."""
    before, mark, _ = text.partition("?")
    if not mark or "=" in before:
        return text
    return f"{before}?{HIDDEN}"


def erased(words: str, path: str) -> str:
    """An error's words without the query of the path that was asked for."""
    query = path.partition("?")[2]
    return words.replace(query, HIDDEN) if query else words
