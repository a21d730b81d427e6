"""What the kernel knows of the gateway of a line that is out, where nothing answers: whether that is what is silent.

Nothing is asked for it: the probes have made the kernel look for the gateway's link address.  A line that is online is
judged without a look: the kernel believes for up to a minute that a gateway is there which has just died.
"""

from __future__ import annotations

from mwan_hook.kernel import neighbours
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import NO_NEXTHOP, PROTOCOL, Family, Result
from mwan_hook.probes.bound import is_silence

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.run.scene import Key

    Results = dict[tuple[str, Family], list[Result]]


def explained(silent: Sequence[Key], answers: Sequence[Results]) -> tuple[Results, ...]:
    """The answers, of which those of lines with a silent gateway say so.  ``silent``: where nothing answered."""
    with Reader(PROTOCOL) as reader:
        dead = {key.name for key in silent if _is_dead(reader, key)}
    return tuple(
        {name: [_said(one) for one in found] if name in dead else found for name, found in one.items()}
        for one in answers
    )


def _is_dead(reader: Reader, key: Key) -> bool:
    link, gateway = key.uplink.link, key.uplink.way(key.family).gateway
    return link is not None and gateway is not None and neighbours.is_silent(reader, key.family, link, gateway)


def _said(one: Result) -> Result:
    """What was heard stays: a host that refuses a connection has answered, and that may decide."""
    return one._replace(error=NO_NEXTHOP) if is_silence(one.error) else one
