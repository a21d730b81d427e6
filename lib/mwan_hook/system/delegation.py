"""By which interface a delegated prefix came: nothing in the kernel says so.

Asked when a prefix comes, not in every run.  A DHCP client's script may have written it down for us; networkd 252 keeps
its prefixes to itself (no file, nothing on D-Bus) but tells the journal of each.
"""

from __future__ import annotations

import os

from mwan_hook.core import prefixes
from mwan_hook.core.prefix6 import network
from mwan_hook.model import Family, Nat6, OnLink
from mwan_hook.say import complain
from mwan_hook.store.files import under
from mwan_hook.system.networkd import LINKS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mwan_hook.model import Config, Delegated, Snapshot, State, Uplink
    from mwan_hook.system.look import Reader

WRITTEN = "run/mwan-hook/prefixes"  # a file for each interface, a prefix in each line
JOURNAL = (
    *("journalctl", "-q", "-b", "--no-pager", "-o", "cat", "-n", "200", "-u", "systemd-networkd"),
    "--grep=received delegated prefix",
)
TOLD = "received delegated prefix "  # INTERFACE: DHCP: received delegated prefix PREFIX
TIMEOUT = 5
_LARGEST = 1 << 16


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
    there = prefixes.seen(snapshot, uplinks)
    found = prefixes.followed(state.delegated, there, uplinks, now)
    if any(prefixes.due(one, now) for one in found):
        found = prefixes.answered(found, dict(_answers(root)), now)
        complain(prefixes.nameless(found, snapshot, now))
        found = prefixes.followed(found, there, uplinks, now)  # what has come in an old one's place ends that
    if _located(config) and found:
        networks = (*reader.networks(), *_networks(snapshot))
        found = prefixes.located(found, tuple(dict.fromkeys(networks)), uplinks)
    return found


def _located(config: Config) -> bool:
    """Whether it matters where in the LAN a prefix is used."""
    modes = (config.router.nat6, *(uplink.nat6 for uplink in config.uplinks))
    return config.router.deprecate_prefixes or Nat6.PREFIX in modes


def _networks(snapshot: Snapshot) -> Iterator[OnLink]:
    """Those of addresses, whose routes somebody may have made himself."""
    for one in snapshot.addresses:
        if one.family is Family.IPV6 and one.usable and one.prefixlen == 64:
            yield OnLink(one.index, network(one.address, 64))


def _answers(root: str) -> Iterator[tuple[str, str]]:
    """Prefix and interface, what is said last counts."""
    if os.path.isdir(under(root, LINKS)):
        for line in _journal():
            before, told, prefix = line.partition(TOLD)
            if told:
                yield prefix.partition(" ")[0], before.partition(": ")[0]
    directory = under(root, WRITTEN)
    try:
        names = sorted(os.listdir(directory))
    except OSError:
        return
    for name in names:
        for word in _text(f"{directory}/{name}").split():
            yield word, name


def _text(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as stream:
            return stream.read(_LARGEST)
    except OSError:
        return ""


def _journal() -> list[str]:
    """What networkd has said in this boot; nothing where there is no journal."""
    from subprocess import DEVNULL, PIPE, SubprocessError, run

    try:
        done = run(JOURNAL, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, timeout=TIMEOUT, check=False)
    except (OSError, SubprocessError):
        return []
    return done.stdout.decode("utf-8", "replace").splitlines()
