"""Every noun of the program: immutable, typed, in canonical form.  Imports nothing of ours but the tuple base.

Units: seconds (CLOCK_BOOTTIME) where a name ends in nothing else, milliseconds in ``*_ms``, bytes in
``*_bytes``.  Addresses are text as the kernel prints them; a prefix is ``ADDRESS/LENGTH``, the
default route's is ``default``.

All of them are imported from here.  Those that few runs have a use for are made when they are asked for: a class costs
what forty lines of a run do.
"""

from __future__ import annotations

from mwan_hook.model.base import *  # noqa: F403
from mwan_hook.model.kernel import *  # noqa: F403
from mwan_hook.model.probing import *  # noqa: F403
from mwan_hook.model.settings import *  # noqa: F403
from mwan_hook.model.uplinks import *  # noqa: F403

SELDOM = {
    "connections": ("Neighbourhood", "Peer", "PeerWay", "Socket", "TCP", "UDP"),
    "delegation": ("Claims", "Delegated", "OnLink"),
    "dialling": ("Activate", "Activation", "BY_US", "Dial", "Dials", "Exercise", "Phase", "Rung"),
    "draining": ("Drain", "Draining"),
    "endpoints": ("BACKUP", "Endpoint", "IMPLICIT", "Mptcp", "PathManager", "Paths", "SUBFLOW"),
    "measuring": ("Bucket", "Counted", "Evidence", "Measured", "Quality"),
    "nexthops": ("NexthopObject", "Pool"),
    "policies": ("Fallback", "Policy"),
    "quota": ("Stage", "Usage", "Usages"),
    "recording": (
        *("AnswerRecord", "At", "BaseRecord", "BytesRecord", "ConfigRecord", "FactsRecord", "RoundRecord", "RunRecord"),
    ),
    "summary": ("Hour", "LineHour", "Moved", "STANDBY", "Stretch", "UNKNOWN"),
    "telling": ("Contact", "Notice", "Notified", "Transition"),
}

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.connections import *  # noqa: F403
    from mwan_hook.model.delegation import *  # noqa: F403
    from mwan_hook.model.dialling import *  # noqa: F403
    from mwan_hook.model.draining import *  # noqa: F403
    from mwan_hook.model.endpoints import *  # noqa: F403
    from mwan_hook.model.measuring import *  # noqa: F403
    from mwan_hook.model.nexthops import *  # noqa: F403
    from mwan_hook.model.policies import *  # noqa: F403
    from mwan_hook.model.quota import *  # noqa: F403
    from mwan_hook.model.recording import *  # noqa: F403
    from mwan_hook.model.summary import *  # noqa: F403
    from mwan_hook.model.telling import *  # noqa: F403
else:

    def __getattr__(name):
        for module, names in SELDOM.items():
            if name in names:
                made = __import__(f"{__name__}.{module}", fromlist=names)
                globals().update((one, getattr(made, one)) for one in names)
                return globals()[name]
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
