"""``NamedTuple`` without ``typing``: importing that costs a third of bare Python.

Type checkers see the real one; at run time the class body's annotations name the fields and
its assignments give the defaults, as with :class:`typing.NamedTuple`.
"""

from collections import namedtuple

TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import NamedTuple as NamedTuple  # noqa: PLC0414 - a re-export
else:

    class _Made(type):
        """Builds the tuple class when a subclass of :class:`NamedTuple` is written down."""

        def __new__(mcs, name, bases, body):
            if not bases:
                return super().__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = [body.pop(field) for field in fields if field in body]
            made = namedtuple(name, fields, defaults=defaults, module=body["__module__"])
            for key, value in body.items():
                if key not in ("__module__", "__qualname__"):
                    setattr(made, key, value)
            return made

    class NamedTuple(metaclass=_Made):
        """Base of every value in :mod:`mwan_hook.model`."""
