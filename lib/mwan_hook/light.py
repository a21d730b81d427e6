"""``NamedTuple`` without ``typing`` and ``eval``: with them the model alone costs two thirds of a bare Python.

Type checkers see the real one; at run time the class body's annotations name the fields and its assignments give
the defaults, as with :class:`typing.NamedTuple`.
"""

from __future__ import annotations

from collections import _tuplegetter  # type: ignore[attr-defined]  # what namedtuple's fields are made of

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - a re-export
else:

    class _Made(type):
        """Makes the tuple class when a subclass of :class:`NamedTuple` is written down."""

        def __new__(mcs, name, bases, body):
            if bases == (tuple,):
                return super().__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            body["__slots__"] = ()
            body["_fields"] = body["__match_args__"] = fields
            body["_field_defaults"] = {field: body[field] for field in fields if field in body}
            body.update((field, _tuplegetter(place, "")) for place, field in enumerate(fields))
            return super().__new__(mcs, name, bases, body)

    class NamedTuple(tuple, metaclass=_Made):
        """Base of every value in :mod:`mwan_hook.model`."""

        __slots__ = ()
        _fields = ()
        _field_defaults = {}

        def __new__(cls, *values, **named):
            fields = cls._fields
            if named or len(values) != len(fields):
                values = cls._filled(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _filled(cls, values, named):
            """All values in order, defaults included; TypeError as for any call with wrong arguments."""
            fields, defaults = cls._fields, cls._field_defaults
            try:
                filled = [*values, *(named.pop(f) if f in named else defaults[f] for f in fields[len(values) :])]
            except KeyError as missing:
                raise TypeError(f"{cls.__name__}() needs {missing}") from None
            if named or len(filled) != len(fields):
                raise TypeError(f"{cls.__name__}() takes {', '.join(fields)}; not {', '.join(named) or 'more'}")
            return filled

        @classmethod
        def _make(cls, values):
            """From an iterable of all values."""
            return cls(*values)

        def _replace(self, **changed):
            """A copy with some fields changed."""
            copy = tuple.__new__(type(self), map(changed.pop, self._fields, self))
            if changed:
                raise ValueError(f"{type(self).__name__} has no {', '.join(changed)}")
            return copy

        def _asdict(self):
            """Field names to values."""
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{f}={v!r}' for f, v in zip(self._fields, self, strict=True))})"
