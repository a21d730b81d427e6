"""What people, hooks and other programs are told."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Connectivity, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.uplinks import WayOut


class Transition(NamedTuple):
    """One change that people and hooks hear of."""

    event: str  # online offline full portal limited none default-route plugged unplugged quota-STAGE, dialling and such
    uplink: str
    interface: str
    family: Family | None
    old: str
    new: str
    reason: str
    at: float  # seconds since the epoch


class Contact(NamedTuple):
    """Where one family of an uplink stands: empty where there is none."""

    address: str = ""
    gateway: str = ""


class Notice(NamedTuple):
    """A transition on its way to hooks, mail and the like: all that they need to know, as it was then."""

    id: str  # digits that sort by age, unique in this boot; hooks know it as EVENT_ID
    event: str  # those of Transition, flushed and again
    uplink: str = ""
    interface: str = ""
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    family: Family | None = None
    old: str = ""
    new: str = ""
    state: Connectivity = Connectivity.UNKNOWN  # of the uplink, best of its families
    old_state: Connectivity = Connectivity.UNKNOWN
    reason: str = ""
    at: float = 0.0  # seconds since the epoch
    boottime: float = 0.0
    ipv4: Contact = Contact()  # of the uplink; of a default-route event: of the way out
    ipv6: Contact = Contact()
    online: tuple[str, ...] = ()  # uplinks that are, in any family
    offline: tuple[str, ...] = ()  # interfaces of uplinks that are there and not online
    default: dict[Family, WayOut] = {}
    online_interfaces: tuple[str, ...] = ()  # of ``online``
    dial_try: int = 0  # failed dials of the uplink, and the one under way


class Notified(NamedTuple):
    """How far hooks have been told."""

    boot_id: str = ""
    last: str = ""  # id of the last notice that all had
    begun: str = ""  # id of the one that they are getting,
    done: tuple[str, ...] = ()  # and who had it
