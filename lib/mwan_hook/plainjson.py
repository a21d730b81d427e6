"""``json.loads`` and ``json.dumps`` by the C halves of :mod:`json`: the other half brings ``re``, dear for a short run.

Where an interpreter has no such halves, or others, :mod:`json` itself does it.
"""

from __future__ import annotations

try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner
except ImportError:
    HALVES = False
else:
    HALVES = True

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class _Plain:
    """What the scanner asks for: ordinary numbers and dictionaries."""

    strict, object_hook, object_pairs_hook = True, None, None
    parse_float, parse_int, parse_constant = float, int, float


def loads(text: str | bytes) -> Any:
    """The value that UTF-8 JSON says.  Raises ValueError; RecursionError if it is nested too deeply."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogatepass")
    if HALVES:
        text = text.strip(" \t\n\r")
        try:
            found, end = make_scanner(_Plain)(text, 0)  # type: ignore[arg-type]
            if end == len(text):
                return found
        except (StopIteration, SystemError):  # its own error it finds in `json` only, as long as that is there
            pass
    import json  # it says what is wrong

    return json.loads(text)


def last_object(text: bytes, name: bytes) -> dict[str, Any]:
    """The object that is the last field of the last line, by its name; the rest of the line is not read.

    Empty where the last line has no such field there, is torn, or is no JSON.
    """
    opening = b'"%s":{' % name
    start = text.rfind(opening)
    if start < 0 or text[-3:] != b"}}\n" or text.find(b"\n", start) != len(text) - 1:
        return {}
    try:
        found: dict[str, Any] = loads(text[start + len(opening) - 1 : -2])
    except (ValueError, RecursionError):
        return {}
    return found


def dumps(value: object) -> str:
    """``value`` in ASCII without spaces.  Raises TypeError if JSON has no word for it, ValueError for a loop."""
    if not HALVES:
        import json

        return json.dumps(value, separators=(",", ":"))
    encode = make_encoder({}, _unknown, encode_basestring_ascii, None, ":", ",", False, False, True)
    return "".join(encode(value, 0))


def _unknown(value: object) -> NoReturn:
    raise TypeError(f"JSON has no word for {type(value).__name__}")
