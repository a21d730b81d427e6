"""Whether an operator's session goes by an uplink: what would cut it asks for a yes."""

from __future__ import annotations

from mwan_hook.kernel import lookup
from mwan_hook.kernel.question import Question
from mwan_hook.machine import sessions
from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Uplink

TCP = 6


def operators_way(uplink: Uplink) -> str:
    """Words of an operator's session that goes by this uplink; empty where none does."""
    for session in sessions.standing():
        family = Family.of(session.server)
        own = session.server in [address.address for address in uplink.way(family).addresses]
        if own or (uplink.index and _goes_by(session) == uplink.index):
            return f"the operator's session from {session.client} goes by it"
    return ""


def _goes_by(session: sessions.Session) -> int:
    packet = Question(
        Family.of(session.client),
        session.client,
        source=session.server,
        proto=TCP,
        sport=session.server_port,
        dport=session.client_port,
    )
    return lookup.out(packet)
