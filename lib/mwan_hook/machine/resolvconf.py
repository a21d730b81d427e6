"""The name servers of a file in the format of resolv.conf(5)."""

from __future__ import annotations

from mwan_hook.addresses import is_address

LARGEST = 1 << 16  # bytes


def nameservers(path: str) -> list[str]:
    """Addresses, each once and without a zone; none where the file cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            lines = [line.split() for line in stream.read(LARGEST).splitlines()]
    except OSError:
        return []
    words = [line[1].partition("%")[0] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return list(dict.fromkeys(filter(is_address, words)))
