"""Leases of delegated prefixes: which uplink has which one, as nothing in the kernel says.

Asked when a prefix comes or goes, not in every run.  networkd 257 tells its leases (`networkctl --json=short status`);
252 has them in no file and not on D-Bus, but tells the journal of each when it comes.  A script of another DHCP client
may have written them down for us.
"""

from __future__ import annotations

import os
from socket import AF_INET6, inet_ntop

from mwan_hook.addresses import is_address, network
from mwan_hook.machine.networkd import LINKS
from mwan_hook.model import Claims
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

WRITTEN = "run/mwan-hook/prefixes"  # a file for each interface, a prefix in each line
MOST = 10000  # lines: what a provider says again and again does not push the first word of another out
# What networkd has said of leases in this boot.  With --lines= and --grep= journalctl(1) begins with the last line: -r
# has it do so in any version.
JOURNAL = (
    *("journalctl", "-q", "-b", "--no-pager", "-o", "cat", "-n", str(MOST), "-r", "-u", "systemd-networkd"),
    "--grep=: (DHCP: received delegated prefix|DHCPv6 lease lost)",
)
LEASES = ("networkctl", "--no-pager", "--json=short", "status", "--")
TOLD = "DHCP: received delegated prefix "  # INTERFACE: DHCP: received delegated prefix PREFIX
LOST = "DHCPv6 lease lost"  # INTERFACE: DHCPv6 lease lost
TIMEOUT = 5
SHORTEST, LONGEST = 16, 64  # bits of a prefix that is delegated


def read(root: str, interfaces: Sequence[str]) -> Claims:
    """What is said of the prefixes; ``interfaces`` are those of the uplinks that are there."""
    if not os.path.isdir(under(root, LINKS)):
        return Claims(written=_written(root))
    from mwan_hook.machine.programs import run

    told = leases(run((*LEASES, *interfaces), TIMEOUT).output) if interfaces else {}
    return Claims(told, _of_journal(run(JOURNAL, TIMEOUT).output), _written(root))


def leases(text: str) -> dict[str, list[str]]:
    """Prefixes of the interfaces that networkctl(1) describes, a document of JSON in each line."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        interface, prefixes = _described(line)
        for prefix in prefixes:
            _add(found, prefix, interface)
    return found


def _described(line: str) -> tuple[str, list[str]]:
    import json

    try:
        link = json.loads(line)
        return str(link["Name"]), list(map(_prefix, link["DHCPv6Client"]["Prefixes"]))
    except (ValueError, KeyError, TypeError, OSError):  # 252 does not tell, nor a link without a lease
        return "", []


def _prefix(lease: Mapping[str, Any]) -> str:
    length = int(lease["PrefixLength"])
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(length)
    return network(inet_ntop(AF_INET6, bytes(lease["Prefix"])), length)


def _of_journal(text: str) -> dict[str, list[str]]:
    """What networkd has told the journal, whose last line comes first."""
    found: dict[str, list[str]] = {}
    for line in reversed(text.splitlines()):
        interface, _, words = line.partition(": ")
        if words == LOST:
            for holders in found.values():
                holders[:] = [holder for holder in holders if holder != interface]
        elif words.startswith(TOLD):
            _add(found, words[len(TOLD) :].partition(" ")[0], interface)
    return found


def _written(root: str) -> dict[str, list[str]]:
    """What clients' scripts have written down."""
    found: dict[str, list[str]] = {}
    directory = under(root, WRITTEN)
    for name in _oldest_first(directory):
        for prefix in _prefixes(contents(f"{directory}/{name}")):
            _add(found, prefix, name)
    return found


def _prefixes(text: str) -> Iterator[str]:
    """Words that are one, as the kernel writes it."""
    for word in text.split():
        address, _, length = word.partition("/")
        fits = length.isascii() and length.isdigit() and SHORTEST <= int(length[:4]) <= LONGEST
        if fits and ":" in address and is_address(address):
            yield network(address, int(length))


def _add(claims: dict[str, list[str]], prefix: str, interface: str) -> None:
    holders = claims.setdefault(prefix, [])
    if interface not in holders:
        holders.append(interface)


def _oldest_first(directory: str) -> list[str]:
    """Names of the files there, those that were written first in front."""
    try:
        with os.scandir(directory) as found:
            times = {entry.name: entry.stat(follow_symlinks=False).st_mtime_ns for entry in found}
    except OSError:
        return []
    return sorted(times, key=lambda name: (times[name], name))
