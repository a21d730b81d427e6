"""The configuration: files to :class:`Config`, all mistakes at once, each with file, line, section, key and the fix.

``etc/mwan-hook/mwan-hook.conf``, then ``conf.d/*.conf`` in lexical order, key by key; later ones win.
Most runs find the validated values in the cache and import no parser.
"""

from __future__ import annotations

from mwan_hook.config import build, cache
from mwan_hook.light import NamedTuple
from mwan_hook.machine.networkd import Network
from mwan_hook.model import Config, ConfigError, Link, UplinkConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


class Loaded(NamedTuple):
    """The configuration in force.  ``fingerprint`` changes with every value; ``networks`` are .network files."""

    config: Config
    warnings: tuple[str, ...]
    fingerprint: str
    networks: tuple[Network, ...]
    root: str


def load(root: str) -> Loaded:
    """The configuration below ``root``; kept in the cache.  Raises ConfigError with all mistakes, a line each.

    Files that the services' user cannot read yet are opened to it by root's unit.
    """
    try:
        return _cached(root) or _loaded(root, _fresh(root, keep=True))
    except ConfigError:
        from mwan_hook.config.read import closed
        from mwan_hook.store import chores

        if not closed(root) or not chores.done(root, chores.CONFIGURATION, lambda: not closed(root)):
            raise
    return _loaded(root, _fresh(root, keep=True))


def look(root: str) -> Loaded:
    """:func:`load` for a command that changes nothing, the cache neither."""
    return _cached(root) or _loaded(root, _fresh(root, keep=False))


def _cached(root: str) -> Loaded | None:
    record = cache.read(root)
    if record is not None:
        try:
            return _loaded(root, record)
        except (KeyError, TypeError, ValueError, AttributeError):
            pass  # not what this version wrote; read the files
    return None


def _fresh(root: str, keep: bool) -> dict[str, Any]:
    from mwan_hook.config.read import fresh

    return fresh(root, keep)


def for_interface(loaded: Loaded, uplink: UplinkConfig, link: Link) -> UplinkConfig:
    """``uplink`` on ``link``: its .network file's values beneath what mwan-hook.conf sets, above the defaults."""
    if not loaded.networks:
        return uplink
    from mwan_hook.config.networks import network_for

    network = network_for(loaded.root, loaded.networks, link)
    if network is None:
        return uplink
    return build.overlay(uplink, network.values, uplink.explicit | loaded.config.explicit_probe)


def _loaded(root: str, record: Mapping[str, Any]) -> Loaded:
    return Loaded(
        build.build(record["plain"]),
        tuple(record["warnings"]),
        record["fingerprint"],
        tuple(Network(*network) for network in record["networks"]),
        root,
    )
