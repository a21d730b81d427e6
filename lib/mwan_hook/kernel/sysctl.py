"""Values under /proc/sys, those of the network namespace we run in."""

from __future__ import annotations

ROOT = "/proc/sys/"
MPTCP = "net/mptcp/enabled"


def read(key: str) -> str | None:
    """The value of a key written with slashes; None where there is no such file (no IPv6, interface gone)."""
    try:
        with open(ROOT + key, "rb", buffering=0) as file:  # layers for text and for buffers cost more than the reading
            return file.read().decode("utf-8", "surrogateescape").strip()
    except OSError:
        return None


def write(key: str, value: str) -> None:
    """Set a value.  A file that is not there is no error; OSError where the kernel refuses."""
    try:
        with open(ROOT + key, "r+", encoding="utf-8", errors="surrogateescape") as file:
            file.write(value + "\n")
    except FileNotFoundError:
        return
