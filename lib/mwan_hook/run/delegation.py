"""The interface by which a delegated prefix came: nothing in the kernel says so.

Asked when a prefix comes, not in every run.  A DHCP client's script may have written it down for us; networkd 252 keeps
its prefixes to itself (no file, nothing on D-Bus) but tells the journal of each.
"""

from __future__ import annotations

import os

from mwan_hook.addresses import network
from mwan_hook.machine.networkd import LINKS
from mwan_hook.model import Family, Nat6, OnLink
from mwan_hook.routing import delegated
from mwan_hook.say import complain
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.kernel.reader import Reader
    from mwan_hook.model import Config, Delegated, Snapshot, State, Uplink

WRITTEN = "run/mwan-hook/prefixes"  # a file for each interface, a prefix in each line
MOST = 10000  # lines: what a provider says again and again does not push the first word of another out
JOURNAL = (
    *("journalctl", "-q", "-b", "--no-pager", "-o", "cat", "-n", str(MOST), "-r", "-u", "systemd-networkd"),
    "--grep=: (DHCP: received delegated prefix|DHCPv6 lease lost)",
)
TOLD = "DHCP: received delegated prefix "  # INTERFACE: DHCP: received delegated prefix PREFIX
LOST = "DHCPv6 lease lost"  # INTERFACE: DHCPv6 lease lost
TIMEOUT = 5


def known(
    root: str,
    reader: Reader,
    config: Config,
    uplinks: Sequence[Uplink],
    state: State,
    snapshot: Snapshot,
    now: float,
) -> tuple[Delegated, ...]:
    """Every prefix with what is known of it; who is new is asked for."""
    there = delegated.seen(snapshot, uplinks)
    found = delegated.followed(state.delegated, there, uplinks, now)
    if any(delegated.due(one, now) for one in found):
        said = claims(root)
        found = delegated.answered(found, said, uplinks, now)
        complain(delegated.nameless(found, snapshot, now))
        complain(delegated.clashes(found, said, uplinks, now))
        found = delegated.followed(found, there, uplinks, now)  # what has come in an old one's place ends that
    if _located(config) and found:
        networks = (*reader.networks(), *_networks(snapshot))
        found = delegated.located(found, tuple(dict.fromkeys(networks)), uplinks)
    return found


def _located(config: Config) -> bool:
    """Whether it matters where in the LAN a prefix is used."""
    modes = (config.router.nat6, *(uplink.nat6 for uplink in config.uplinks))
    return config.router.deprecate_prefixes or Nat6.PREFIX in modes


def _networks(snapshot: Snapshot) -> Iterator[OnLink]:
    """Networks of addresses; their routes may have been made by hand."""
    for one in snapshot.addresses:
        if one.family is Family.IPV6 and one.usable and one.prefixlen == 64:
            yield OnLink(one.index, network(one.address, 64))


def claims(root: str) -> dict[str, list[str]]:
    """Prefixes, each with the interfaces that have a lease of it, who had it first in front."""
    found: dict[str, list[str]] = {}
    if os.path.isdir(under(root, LINKS)):
        for line in _journal():
            interface, _, words = line.partition(": ")
            if words == LOST:
                for holders in found.values():
                    holders[:] = [holder for holder in holders if holder != interface]
            elif words.startswith(TOLD):
                _add(found, words[len(TOLD) :].partition(" ")[0], interface)
    directory = under(root, WRITTEN)
    for name in _oldest_first(directory):
        for word in contents(f"{directory}/{name}").split():
            _add(found, word, name)
    return found


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


def _journal() -> list[str]:
    """What networkd has said of leases in this boot, in order; nothing where there is no journal.

    With --lines= and --grep= journalctl(1) begins with the last line, so it is told to in any version.
    """
    from subprocess import DEVNULL, PIPE, SubprocessError, run

    try:
        done = run(JOURNAL, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, timeout=TIMEOUT, check=False)
    except (OSError, SubprocessError):
        return []
    return done.stdout.decode("utf-8", "replace").splitlines()[::-1]
