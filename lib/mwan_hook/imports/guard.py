"""What a file may be before any kind looks at it: text, of a bearable size, in lines; and numbers in it."""

from __future__ import annotations

LARGEST = 8 << 20  # bytes; backups of firewalls hold certificates and graphs
LONGEST_LINE = 1 << 16


class NotUnderstood(Exception):  # noqa: N818 - what it is, not that it is one
    """A file that is not of the kind that it should be, with the words why."""


def text(content: bytes) -> str:
    """The text of a file, its lines ended by ``\\n``.  Raises NotUnderstood."""
    if len(content) > LARGEST:
        raise NotUnderstood(f"expected at most {LARGEST >> 20} MiB")
    try:
        found = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise NotUnderstood(f"line {line}: expected UTF-8 text, not the byte 0x{content[error.start]:02x}") from None
    if "\0" in found:
        raise NotUnderstood(f"line {found.count(chr(10), 0, found.index(chr(0))) + 1}: expected text, not a NUL byte")
    return found.replace("\r\n", "\n").replace("\r", "\n")


def lines(text: str) -> list[tuple[int, str]]:
    """Numbers (from 1) and lines, for kinds that are read line by line.  Raises NotUnderstood."""
    found = list(enumerate(text.split("\n"), 1))
    for number, line in found:
        if len(line) >= LONGEST_LINE:
            raise NotUnderstood(f"line {number}: expected fewer than {LONGEST_LINE} characters")
    return found


def whole(text: str, missing: int) -> int:
    """A whole number of a file, where it is one."""
    return int(text[:10]) if text.isascii() and text.isdigit() else missing
