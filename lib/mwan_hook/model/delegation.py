"""IPv6 prefixes that providers delegate."""

from __future__ import annotations

from mwan_hook.light import NamedTuple


class OnLink(NamedTuple):
    """An IPv6 network that is reached directly."""

    index: int  # type: ignore[assignment]  # not tuple.index
    prefix: str


class Delegated(NamedTuple):
    """An IPv6 prefix that a provider has delegated to this machine, and what became known of it."""

    prefix: str
    interface: str = ""  # that it came by; empty: not known so far
    since: float = 0.0  # when it came
    asked: float = 0.0  # when it was asked last where it came from
    gone: bool = False  # it is no longer there, and nothing has come in its place
    lans: tuple[OnLink, ...] = ()  # where hosts have addresses of it
