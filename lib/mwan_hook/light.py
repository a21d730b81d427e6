"""What the model is made of, without ``typing``, ``enum`` and ``collections``: they cost more than a bare Python.

Type checkers see the real ones.  At run time the class body's annotations name the fields of a :class:`NamedTuple` and
its assignments give the defaults, as with :class:`typing.NamedTuple`; those of
an :class:`Enum` are its members.
"""

from __future__ import annotations

TYPE_CHECKING = False

if TYPE_CHECKING:
    from collections import _count_elements  # type: ignore[attr-defined]
    from collections import defaultdict as defaultdict  # noqa: PLC0414 - re-exports
    from collections.abc import Iterable
    from enum import Enum as Enum  # noqa: PLC0414
    from enum import IntEnum as IntEnum  # noqa: PLC0414
    from functools import partial as partial  # noqa: PLC0414
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414
    from typing import TypeVar

    _Thing = TypeVar("_Thing")
else:
    from _collections import _count_elements, _tuplegetter, defaultdict
    from _functools import partial  # noqa: F401

    _MISSING, _type = object(), type.__new__
    _GETTERS = tuple(_tuplegetter(place, "") for place in range(64))

    class _Made(type):
        """The metaclass that makes a tuple class of each subclass of :class:`NamedTuple`."""

        def __new__(mcs, name, bases, body):
            if bases == (tuple,):
                return _type(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            body["__slots__"] = ()
            body["_fields"] = body["__match_args__"] = fields
            body["_field_defaults"] = {field: body[field] for field in fields if field in body}
            body.update(zip(fields, _GETTERS))  # noqa: B905 - `strict` is dear
            return _type(mcs, name, bases, body)

        def __getattr__(cls, name):
            """Make what is needed once a tuple is made without all of its values, or is copied."""
            if name != "_known":
                raise AttributeError(f"{cls.__name__} has no {name}")
            fields, defaults = cls._fields, cls._field_defaults
            needed = len(fields) - len(defaults)  # these come first
            places = dict(zip(fields, range(len(fields)), strict=True))
            cls._known = places, needed, (*[_MISSING] * needed, *defaults.values())
            return cls._known

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
            fields, given = cls._fields, len(values)
            places, needed, blank = cls._known
            filled = [*values, *blank[given:]]
            for name, value in named.items():
                place = places.get(name, -1)
                if place < given:
                    raise TypeError(f"{cls.__name__}() takes {', '.join(fields)}; not {name}")
                filled[place] = value
            if given > len(fields):
                raise TypeError(f"{cls.__name__}() takes {', '.join(fields)}; not more")
            if given < needed and _MISSING in filled[given:needed]:
                raise TypeError(f"{cls.__name__}() needs {fields[filled.index(_MISSING)]!r}")
            return filled

        # Makes one of an iterable of all values, unchecked and without a step of the interpreter: of thousands.
        _make = classmethod(tuple.__new__)

        def _replace(self, **changed):
            """A copy with some fields changed."""
            values, (places, _, _) = [*self], type(self)._known
            try:
                for name, value in changed.items():
                    values[places[name]] = value
            except KeyError:
                raise ValueError(f"{type(self).__name__} has no {name}") from None
            return tuple.__new__(type(self), values)

        def _asdict(self):
            """Field names to values."""
            return dict(zip(self._fields, self, strict=True))

        def __getnewargs__(self):
            return tuple(self)

        def __repr__(self):
            return f"{type(self).__name__}({', '.join(f'{f}={v!r}' for f, v in zip(self._fields, self, strict=True))})"

    class _Members(type):
        """The metaclass that makes the members of each :class:`Enum`, and finds them again by their value."""

        def __new__(mcs, name, bases, body):
            values = {word: body[word] for word in body if word[0] != "_" and not hasattr(body[word], "__get__")}
            made = super().__new__(mcs, name, bases, {word: body[word] for word in body if word not in values})
            made._members = {}
            if values and not isinstance(bases[0], mcs):  # a str has words of its own for these
                made.__repr__, made.__str__ = Enum.__repr__, Enum.__str__
            for word, value in values.items():
                member = made._members[value] = bases[0].__new__(made, value)
                member.name, member.value = word, value
                setattr(made, word, member)
            return made

        def __call__(cls, value):
            try:
                return cls._members[value]
            except (KeyError, TypeError):
                raise ValueError(f"{value!r} is not a valid {cls.__name__}") from None

        def __getitem__(cls, name):
            for member in cls:
                if member.name == name:
                    return member
            raise KeyError(name)

        def __iter__(cls):
            return iter(cls._members.values())

        def __len__(cls):
            return len(cls._members)

    class Enum(metaclass=_Members):
        """A closed set of values with names; a subclass is a str or an int, too, and names that type first."""

        def __repr__(self):
            return f"<{type(self).__name__}.{self.name}: {self.value!r}>"

        def __str__(self):
            return f"{type(self).__name__}.{self.name}"

        def __reduce__(self):
            return type(self), (self.value,)

    class IntEnum(int, Enum):
        """Members are numbers."""

        __repr__ = Enum.__repr__
        __str__ = int.__repr__


def tally(things: Iterable[_Thing]) -> dict[_Thing, int]:
    """How often each thing is there, and 0 for any other: ``collections.Counter``, as far as it is needed."""
    counted: dict[_Thing, int] = defaultdict(int)
    _count_elements(counted, things)
    return counted


def glob(pattern: str, text: str) -> bool:
    """True if a shell's pattern matches all of the text; one without wildcards costs no import."""
    if not set(pattern) & set("*?["):
        return pattern == text
    from fnmatch import fnmatchcase

    return fnmatchcase(text, pattern)
