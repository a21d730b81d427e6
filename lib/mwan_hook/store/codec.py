"""The nouns as JSON and back.  Fields at their default are left out; what comes back has the types of the model.

The annotations of the model are the schema, so a field that is added there is stored without a word here.
"""

from __future__ import annotations

from errno import EINTR, EMFILE, ENFILE, ENOMEM

from mwan_hook import model, plainjson
from mwan_hook import plainos as os
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Decoder = Callable[[object], Any]

VERSION = 1
LARGEST_INTEGER = 1 << 63
LARGEST_NUMBER = 1e10  # no time of ours is further away, and any calendar knows all these
_PASSING = (EINTR, EMFILE, ENFILE, ENOMEM)
_SIMPLE = frozenset((str, int, float, bool))
_NONE = object()  # no default
_usual: dict[Any, list[Any]] = {}
_decoders: dict[str, Decoder] = {}


def encode(value: Any) -> bytes:
    """A noun as the content of a file."""
    return plainjson.dumps({"version": VERSION, **_plain(value)}).encode() + b"\n"


def decode(content: bytes, kind: str) -> Any:
    """The noun of that name in a file's content.  Raises ValueError with words if it is not one."""
    try:
        raw = plainjson.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON: {error}") from None
    version = raw.get("version") if isinstance(raw, dict) else None
    if type(version) is not int or version < 1:
        raise ValueError("not a file of mwan-hook")
    if version > VERSION:
        raise ValueError(f"of version {version}, this program knows {VERSION}")
    return decoder(kind)(raw)


def load(
    path: str, kind: str, nothing: Any, doubt: Callable[[Any], str] | None, writes: bool
) -> tuple[Any, tuple[str, ...]]:
    """The noun that a file holds, and messages; ``nothing`` if there is none, or it cannot be used.

    Such a file is set aside as ``path.bad``, the latest one only, by a caller that ``writes``: commands that only look
    leave it.  ``doubt`` says what in it cannot be ours.  Raises MwanError if it cannot be read.
    """
    content = None
    try:
        content = files.read(path)
        if content is None:
            return nothing, ()
        found = decode(content, kind)
        why = doubt(found) if doubt else ""
    except ValueError as error:
        found, why = nothing, str(error)
    if not why:
        return found, ()
    return nothing, (_set_aside(path, content, why) if writes else f"{path} cannot be used ({why}); taken for empty",)


def load_always(
    path: str, kind: str, nothing: Any, doubt: Callable[[Any], str] | None, writes: bool
) -> tuple[Any, tuple[str, ...]]:
    """Load what routing must not wait for: a caller that ``writes`` sets aside what cannot be read, too.

    Raises MwanError where only looking is meant, or another try may read it.
    """
    try:
        return load(path, kind, nothing, doubt, writes)
    except model.MwanError as error:
        cause = error.__cause__
        if not writes or not isinstance(cause, OSError) or cause.errno in _PASSING:
            raise
        return nothing, (_set_aside(path, None, files.why(cause)),)


def _set_aside(path: str, content: bytes | None, why: str) -> str:
    """Move what was read out of the way; without a lock another run may have put a good file there meanwhile."""
    words = f"{path} cannot be used ({why})"
    try:
        if content is None or files.read(path) == content:
            os.rename(path, f"{path}.bad")
            return f"{words}; set aside as {path}.bad, going on from nothing"
    except FileNotFoundError:
        pass  # another run has set it aside
    except OSError as error:
        return f"{words}, nor set aside: {error.strerror}; going on from nothing"
    return f"{words}; going on from nothing"


def plain(value: Any) -> Any:
    """What json can write."""
    if isinstance(value, tuple):
        return _plain(value) if hasattr(value, "_fields") else [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def _plain(value: Any) -> dict[str, Any]:
    """The fields that are not at their default."""
    kind = type(value)
    usual = _usual.get(kind)
    if usual is None:
        usual = _usual[kind] = [kind._field_defaults.get(field, _NONE) for field in kind._fields]
    return {
        field: item if type(item) in _SIMPLE else plain(item)
        for field, item, default in zip(kind._fields, value, usual)  # noqa: B905 - `strict` is dear
        if item is not default and item != default
    }


def teach(*kinds: Any) -> None:
    """Nouns that are not the model's, each after those that it is made of."""
    for kind in kinds:
        _decoders[kind.__name__] = _record(kind)


def decoder(kind: str) -> Decoder:
    """What turns JSON into the type that an annotation names."""
    found = _decoders.get(kind)
    if found is None:
        found = _decoders[kind] = _made(kind)
    return found


def _made(kind: str) -> Decoder:
    if kind.endswith(" | None"):
        return _optional(decoder(kind.removesuffix(" | None")))
    if kind.startswith("tuple[") and kind.endswith(", ...]"):
        return _sequence(decoder(kind[len("tuple[") : -len(", ...]")]))
    if kind.startswith("dict["):
        key, _, item = kind[len("dict[") : -1].partition(", ")
        return _mapping(decoder(key), decoder(item))
    named = getattr(model, kind)
    return _record(named) if hasattr(named, "_fields") else _member(named)


def _optional(inner: Decoder) -> Decoder:
    return lambda raw: None if raw is None else inner(raw)


def _sequence(inner: Decoder) -> Decoder:
    def of(raw: object) -> tuple[Any, ...]:
        if not isinstance(raw, list):
            raise ValueError("a list was expected")
        return tuple([inner(item) for item in raw])

    return of


def _mapping(key: Decoder, inner: Decoder) -> Decoder:
    def of(raw: object) -> dict[Any, Any]:
        if not isinstance(raw, dict):
            raise ValueError("an object was expected")
        return {key(name): inner(item) for name, item in raw.items()}

    return of


def _record(kind: Any) -> Decoder:
    """A field's decoder is made where a file first has that field: most files have few of them."""
    kinds, fields = kind.__annotations__, kind._fields
    defaults, needed = kind._field_defaults, [field for field in fields if field not in kind._field_defaults]

    def of(raw: object) -> Any:
        if not isinstance(raw, dict):
            raise ValueError("an object was expected")
        for field in needed:
            if field not in raw:
                raise ValueError(f"{kind.__name__} without {field}")
        found = {field: decoder(kinds[field])(raw[field]) for field in raw if field in kinds}
        return kind(*map({**defaults, **found}.__getitem__, fields))

    return of


def _member(kind: Any) -> Decoder:
    members = {member.value: member for member in kind}

    def of(raw: object) -> Any:
        if type(raw) not in (str, int) or raw not in members:
            raise ValueError(f"{raw!r:.40} is no {kind.__name__}")
        return members[raw]

    return of


def _bool(raw: object) -> bool:
    if type(raw) is not bool:
        raise ValueError("true or false was expected")
    return raw


def _int(raw: object) -> int:
    if type(raw) is not int or not 0 <= raw < LARGEST_INTEGER:
        raise ValueError("a whole number was expected")
    return raw


def _float(raw: object) -> float:
    if type(raw) not in (int, float) or not -LARGEST_NUMBER < raw < LARGEST_NUMBER:  # type: ignore[operator]
        raise ValueError("a number was expected")
    return float(raw)  # type: ignore[arg-type]


def _str(raw: object) -> str:
    if type(raw) is not str:
        raise ValueError("text was expected")
    if not raw.isascii():
        raw.encode("utf-8", "surrogateescape")  # a lone surrogate that no file name gives could not be printed
    return raw


_decoders |= {"bool": _bool, "int": _int, "float": _float, "str": _str}
