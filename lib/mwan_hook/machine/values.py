"""What files and systemd tell of networkd and of units, as values.  Pure."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TRUE, FALSE = ("1", "yes", "y", "true", "t", "on"), ("0", "no", "n", "false", "f", "off")
# key, code, what networkd takes out, and the first version of systemd that has the key
KEYS = (
    ("ManageForeignRoutes", "foreign-routes", "routes", 246),
    ("ManageForeignRoutingPolicyRules", "foreign-rules", "rules", 249),
    ("ManageForeignNextHops", "foreign-nexthops", "nexthop objects", 256),
)
DISPATCHER = "networkd-dispatcher.service"
# who looks after interfaces
NETWORKD, NETWORK_MANAGER, IFUPDOWN = "systemd-networkd", "NetworkManager", "ifupdown"
DHCPCD, DHCLIENT = "dhcpcd", "dhclient"
# Those that the installer links, of networkd-dispatcher's (install/files.sh).
STATES = (
    *("routable", "degraded", "carrier", "no-carrier", "off", "dormant", "degraded-carrier", "missing", "enslaved"),
    *("configured", "configuring", "failed", "linger", "unmanaged"),
)


class Setting(NamedTuple):
    """One assignment, in the order that networkd reads them; ``changed`` is when its file came (epoch seconds)."""

    value: str
    place: str
    changed: float = 0.0


class Networkd(NamedTuple):
    """How it is set up.  ``version`` 0: not known; ``since`` None: it does not run, or since when is not known."""

    version: int = 0
    settings: Mapping[str, tuple[Setting, ...]] = {}
    since: float | None = None


class WaitOnline(NamedTuple):
    """The unit that a boot waits for."""

    commands: tuple[tuple[str, ...], ...]  # each ExecStart=
    place: str  # of the last
    required: tuple[str, ...] = ()  # interfaces of uplinks that networkd says are required


def effective(settings: Sequence[Setting]) -> tuple[bool, Setting | None, Setting | None]:
    """The value in force, who set it, and the last one that networkd ignores because it is neither yes nor no."""
    value, by, ignored = True, None, None
    for one in settings:
        word = one.value.lower()
        if word in TRUE or word in FALSE:
            value, by = word in TRUE, one
        else:
            ignored = one
    return value, by, ignored


class Unit(NamedTuple):
    """One unit.  ``active`` None: systemd could not be asked."""

    name: str
    path: str = ""  # empty: there is none
    enabled: bool = False
    masked: bool = False
    active: bool | None = None


class LinkSetup(NamedTuple):
    """What networkd's file for a link says of bringing it up, and of what others have put there."""

    path: str
    policy: str  # ActivationPolicy=
    keep: str = "no"  # KeepConfiguration=
    apn: str = ""  # FILE:LINE of [MobileNetwork] APN=; empty: none


class DialUnit(NamedTuple):
    """The unit that dials an uplink.  ``path`` empty: there is none."""

    name: str
    path: str
    enabled: bool
    restart: str  # Restart=
    timeout: float  # TimeoutStartSec= in seconds; 0: for ever
    holds_on: str = ""  # where its pppd is told to dial again by itself


class Installed(NamedTuple):
    """What is on this machine of ours and of those that start us."""

    systemd: bool = True  # there is one, or its files are below --root
    units: tuple[Unit, ...] = ()
    channels: frozenset[str] = frozenset()  # of MAIL, WEBHOOK and RECORD, those that are set up
    spooler: str = ""  # path of hooks/spool-event; empty: not installed by install.sh or dpkg
    udev_rule: str = ""  # path; empty: there is none, or it is masked
    networkd: bool = False
    dispatcher: Unit = Unit(DISPATCHER)
    dispatcher_links: str = ""  # the directory that they belong in
    linked: frozenset[str] = frozenset()  # states whose directory has our link
    user: bool = True  # what the services run as is there, or made at the next boot
