"""The check of an amount of bytes, beside those of configvalues."""

from __future__ import annotations

from mwan_hook.config.values import one
from mwan_hook.quota import words

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.config.values import Value


def amount(value: Value) -> int:
    """Bytes; 0 is none."""
    return words.amount(one(value))


CHECKS: dict[str, Callable[..., object]] = {"amount": amount}
