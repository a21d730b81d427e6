"""Nexthop objects of the kernel."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import PROTOCOL, Family
from mwan_hook.model.kernel import Nexthop


class NexthopObject(NamedTuple):
    """A nexthop object of the kernel: one way (``hop``), or a resilient group (``members``: ids and weights)."""

    id: int
    family: Family
    hop: Nexthop | None = None
    members: tuple[tuple[int, int], ...] = ()
    buckets: int = 0  # 0: a group that is not resilient
    idle: int = 0  # seconds after which a bucket that nothing uses may move
    protocol: int = PROTOCOL


class Pool(NamedTuple):
    """The nexthop objects of the kernel, as far as they concern us."""

    use: bool = False  # whether a shared default shall go through them
    ours: tuple[NexthopObject, ...] = ()
    taken: frozenset[int] = frozenset()  # ids that others have
    answer: str = ""  # routes or objects: what `auto` found, to be remembered for this boot
    heaviest: int = 256  # weight that this kernel takes
    own: int = 0  # table of this machine's own IPv6 packets, which a group gives the wrong source; 0: none
