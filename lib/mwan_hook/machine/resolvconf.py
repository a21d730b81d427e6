"""The name servers of a file in the format of resolv.conf(5)."""

from __future__ import annotations

from mwan_hook.addresses import is_address
from mwan_hook.store.foreign import contents


def nameservers(path: str) -> list[str]:
    """Addresses, each once and without a zone; none where the file cannot be read."""
    lines = [line.split() for line in contents(path).splitlines()]
    words = [line[1].partition("%")[0] for line in lines if len(line) > 1 and line[0] == "nameserver"]
    return list(dict.fromkeys(filter(is_address, words)))
