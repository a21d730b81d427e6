"""Words of the command line as values; argparse.ArgumentTypeError says what was expected."""

from __future__ import annotations

from mwan_hook.commands.english import argparse
from mwan_hook.durations import measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 31_536_000.0  # seconds: a year


def number(largest: int) -> Callable[[str], int]:
    """A number up to this, decimal or 0x."""

    def value_of(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
        if not 0 <= value <= largest:
            raise argparse.ArgumentTypeError(f"expected a number up to {largest}, not {text}")
        return value

    return value_of


def amount(text: str) -> int:
    """Bytes, as in ``3.2G``."""
    from mwan_hook.quota import words

    try:
        return words.amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def seconds(text: str) -> float:
    """A time in seconds, possibly none."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, not {text}")
    return value


def duration(text: str) -> float:
    """A time with its unit, as in ``90s``."""
    number, unit = measured(text)
    try:
        value = float(number) * unit
    except ValueError:
        value = -1.0
    if not 0 < value < LONGEST:
        raise argparse.ArgumentTypeError(f"expected a time, as in 90s, 30m or 1h, not {text}")
    return value


def mapping(text: str) -> tuple[str, str]:
    """A logical name and the device that it stands for, as in ``wan=enp1s0``."""
    logical, equals, device = text.partition("=")
    good = device.isprintable() and 0 < len(device.encode()) <= 15 and device not in (".", "..")
    if not (logical and equals and good) or set(device) & set("/:*?[ "):
        raise argparse.ArgumentTypeError(f"expected LOGICAL=DEVICE, as in wan=enp1s0, not {text}")
    return logical, device
