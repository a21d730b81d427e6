"""The checks of what dials an uplink; what a check is stands in :mod:`mwan_hook.config.values`."""

from __future__ import annotations

from mwan_hook.config.values import several
from mwan_hook.dial import modemkeys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value


def start(value: Value) -> str:
    """What dials."""
    text = ",".join(several(value))
    kind, colon, rest = text.partition(":")
    if text and (kind != modemkeys.KIND or not colon):
        raise ValueError("expected modem:KEY=VALUE,...")
    modemkeys.settings(rest)
    return text
