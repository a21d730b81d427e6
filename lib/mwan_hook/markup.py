"""Text from outside in HTML and SVG."""

from __future__ import annotations

from html import escape

from mwan_hook.say import shown


def escaped(text: str) -> str:
    """Text as it may stand between tags and in attributes; XML knows no control characters at all."""
    return escape(shown(text))
