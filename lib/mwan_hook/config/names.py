"""The checks of names that the operator gives: of uplinks and policies."""

from __future__ import annotations

NAME_LENGTH = 64
RESERVED_NAMES = ("main", "local", "default", "unspec", "all", "cache", "mwan")  # tables of ip(8)'s own, and ours


def plain_name(name: str) -> None:
    """ValueError unless ``name`` can stand in status and as a part of a name in rt_tables.d."""
    good = name and len(name) <= NAME_LENGTH and all(c.isalnum() or c in "_.:+-" for c in name)
    if not good or not name[0].isalnum():
        raise ValueError(
            f"expected letters, digits and _ . : + - (at most {NAME_LENGTH}, the first a letter or digit; "
            "NAME@INTERFACE is made by mwan-hook)"
        )


def uplink_name(name: str) -> None:
    """ValueError unless ``name`` can stand in rt_tables.d and ``NAME@INTERFACE`` too."""
    plain_name(name)
    if name.lower() in RESERVED_NAMES or name.isdigit() or name.lower().startswith("0x"):
        raise ValueError("expected a name that ip(8) does not take for another routing table or for a number")
