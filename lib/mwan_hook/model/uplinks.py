"""Uplinks as they stand, and what is remembered of them."""

from __future__ import annotations

from mwan_hook.light import NamedTuple
from mwan_hook.model.base import Connectivity, Family, Status
from mwan_hook.model.kernel import Firewall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.delegation import Delegated
    from mwan_hook.model.dialling import Activation
    from mwan_hook.model.draining import Drain, Draining
    from mwan_hook.model.endpoints import PathManager
    from mwan_hook.model.kernel import Address, Link, Route, Sysctl
    from mwan_hook.model.measuring import Evidence, Quality
    from mwan_hook.model.probing import TargetResult
    from mwan_hook.model.quota import Usage
    from mwan_hook.model.settings import UplinkConfig
    from mwan_hook.model.telling import Notice


class Lease(NamedTuple):
    """What systemd-networkd knows of a link that the kernel does not."""

    gateway4: str | None = None
    servers: tuple[str, ...] = ()  # DNS servers, both families


class Way(NamedTuple):
    """One family of one uplink, by the facts.  ``missing`` says in words what it lacks; empty: it can be probed."""

    family: Family
    addresses: tuple[Address, ...] = ()  # of the interface, the one to send from first
    gateway: str | None = None
    onlink: bool = False
    default: Route | None = None  # its own default, as its table shall have it
    missing: str = "no interface"
    servers: tuple[str, ...] = ()  # DNS servers of its lease
    lent: str = ""  # it sends from an address of another interface: the loopback's, or a LAN's in its prefix
    choices: tuple[str, ...] = ()  # where there are several gateways: all of them, in order
    homes: tuple[int, ...] = ()  # tables of others, not main, in which its default was found

    @property
    def source(self) -> str:
        """The address that stands for the uplink: probes come from it, NAT and hooks take it."""
        if self.lent:
            return self.lent
        for address in self.addresses:
            if address.usable:
                return address.address
        return ""

    @property
    def sources(self) -> tuple[str, ...]:
        """All addresses that packets of this machine may leave by it with."""
        own = tuple([one.address for one in self.addresses if one.usable])
        return (self.lent, *own) if self.lent else own

    @property
    def key(self) -> str:
        """Identity of the way: a change throws probe results away, the same again may give a pass."""
        return f"{self.source} {self.gateway or 'dev'}" if not self.missing else ""


class Uplink(NamedTuple):
    """An uplink of the configuration bound to its interface (index 0: the interface is not there)."""

    config: UplinkConfig
    name: str
    interface: str
    index: int  # type: ignore[assignment]  # not tuple.index
    table: int
    metric: int
    mark: int
    mask: int
    enabled: bool
    link: Link | None = None
    ipv4: Way = Way(Family.IPV4)
    ipv6: Way = Way(Family.IPV6)
    behind: tuple[Family, ...] = ()  # families in which it comes after all others, also of higher metric
    second: tuple[Family, ...] = ()  # families in which it waits for another one of its metric, instead of sharing
    switched: bool | None = None  # by a command; None: `enabled` is the configuration's
    draining: bool = False  # by a command: it keeps the connections that it has, and gets no new ones

    def preference(self, family: Family) -> tuple[bool, int, bool]:
        """What it is ordered by in a family, the lowest first; those of the same share."""
        return family in self.behind, self.metric, family in self.second

    @property
    def present(self) -> bool:
        """True while the interface exists."""
        return self.link is not None

    def way(self, family: Family) -> Way:
        """The facts of one family."""
        return self.ipv4 if family is Family.IPV4 else self.ipv6


class Turn(NamedTuple):
    """The gateway in use of an uplink with several in a family, and why not the others."""

    gateway: str
    silent: dict[str, float] = {}  # gateways that were passed over because they did not answer, and when
    failed: tuple[str, ...] = ()  # gateways that answer, and behind which probes got nothing


DEGRADED = "degraded"  # the verdict between online and offline, and the event


class FamilyState(NamedTuple):
    """Verdict and memory of one family of one uplink; times are CLOCK_BOOTTIME seconds of this boot."""

    status: Status = Status.OFFLINE
    connectivity: Connectivity = Connectivity.UNKNOWN
    judged: bool = False  # a verdict was given in this boot
    since: float = 0.0  # of the status
    good: int = 0
    bad: int = 0
    held_until: float | None = None
    full_at: float | None = None  # when a round last turned full
    passes: tuple[float, ...] = ()  # when passes were given
    may_pass: bool = False  # one good round is enough, until ``fall`` bad ones
    dialled: bool = False  # by us: that first good round is no pass, and may be late
    burst: bool = False  # came back by a link event: earns its rise without waiting for the timer
    way: str = ""  # Way.key that all this was seen on
    lost_at: float | None = None  # when a way that was online, or had a pass, lost link, address or gateway
    lost_way: str = ""  # Way.key of the way that was lost then
    portal: bool = False  # the last portal check said so
    portal_at: float | None = None
    portal_due: bool = True
    probed_at: float | None = None
    next_probe_at: float | None = None
    latency_ms: float | None = None
    srtt_ms: float | None = None  # smoothed round trip, RFC 6298's alpha
    reason: str = ""
    probe_bytes: int = 0
    targets: tuple[TargetResult, ...] = ()
    by_facts: bool = False  # no target applies: link, address and gateway alone judge
    rounds: int = 0  # judged in this boot
    bad_rounds: int = 0  # of them
    transitions: int = 0  # to online or from it, in this boot
    leads: float | None = None  # since then, those of its metric: where the quicker one is preferred
    degraded: bool = False  # online, and beyond a limit of loss, latency or jitter
    quality: Quality | None = None  # what is measured where there are such limits
    known: bool = False  # what its verdict is: it was online, or found dead at first sight, in this boot
    sources: tuple[str, ...] = ()  # addresses that it had when it was online last
    ended_at: float | None = None  # when sockets were looked through for them, in or after an outage
    aborted: int = 0  # sockets of this machine that were ended because they had one of them
    evidence: Evidence | None = None  # what traffic says, where that is asked for

    @property
    def word(self) -> str:
        """The verdict, as people and programs are told."""
        return DEGRADED if self.degraded and self.status is Status.ONLINE else self.status.value


class UplinkState(NamedTuple):
    """One uplink's memory."""

    interface: str = ""
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    ipv4: FamilyState = FamilyState()
    ipv6: FamilyState = FamilyState()
    came: float = 0.0  # when the interface was first seen with this index

    def family(self, family: Family) -> FamilyState:
        """The memory of one family."""
        return self.ipv4 if family is Family.IPV4 else self.ipv6

    def with_family(self, family: Family, value: FamilyState) -> UplinkState:
        """A copy with one family replaced."""
        return self._replace(ipv4=value) if family is Family.IPV4 else self._replace(ipv6=value)


class WayOut(NamedTuple):
    """The best way out of one family; all empty when there is none."""

    uplink: str = ""
    interface: str = ""
    address: str = ""
    gateway: str = ""


class State(NamedTuple):
    """The state file."""

    boot_id: str = ""
    uplinks: dict[str, UplinkState] = {}
    last_online: dict[Family, tuple[str, ...]] = {}  # for last_resort = keep
    best: dict[Family, WayOut] = {}
    tables: tuple[int, ...] = ()  # that hold routes of ours
    sysctls: tuple[Sysctl, ...] = ()  # values from before us
    foreign: tuple[Route, ...] = ()  # defaults of main that ours stand for
    config: str = ""  # fingerprint of the configuration last put in force
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()  # said once, not in every run
    led: str = ""  # what ways depended on when peers of WireGuard were led last
    lead_again: float | None = None  # when some are to be led a second time
    peers: dict[str, str] = {}  # the way of each, as it was then
    saved_at: float = 0.0
    saved_wall: float = 0.0  # seconds since the epoch, for people
    run_seconds: float = 0.0  # from the start of the run that saved it
    protocols: tuple[int, ...] = ()  # numbers that objects of ours may carry
    outbox: tuple[Notice, ...] = ()  # not yet in the spool of notices: stored at one stroke with what they tell of
    firewall: Firewall = Firewall()
    delegated: tuple[Delegated, ...] = ()
    deprecated: tuple[str, ...] = ()  # prefixes that the LAN was told not to use
    to_repeat: tuple[str, ...] = ()  # those of which it shall hear once more ...
    said_at: float = 0.0  # ... since then
    unheard: int = 0  # notices that were dropped lately, because none was taken out of the spool
    objects: bool = False  # nexthop objects of ours may be in the kernel
    sharing: str = ""  # what `nexthops = auto` found in this boot
    usage: dict[str, Usage] = {}  # of uplinks with a quota
    turns: dict[str, Turn] = {}  # by UPLINK/FAMILY
    elsewhere: tuple[int, ...] = ()  # tables in which defaults of uplinks were found
    dials: dict[str, Activation] = {}  # of uplinks that are dialled
    begun: float = 0.0  # when a run first looked at those, in this boot
    rest: str = ""  # what the last decision about dialling rested on ...
    rest_until: float = 0.0  # ... and when it is due again, if that does not change
    follow_at: float | None = None  # when connections are to be looked after; None: when something turns
    followed: dict[Family, tuple[str, ...]] = {}  # uplinks that were online then, by preference
    unable: str = ""  # why this kernel ends no socket of another program
    drains: dict[str, Draining] = {}  # of uplinks that are drained
    ignored: dict[str, float] = {}  # FAMILY TARGET: dead behind every uplink, and since when
    dark_since: float = 0.0  # when all uplinks died at once; 0: they did not, or one is back
    dark: tuple[str, ...] = ()  # those that did, and are not back yet
    light_at: float = 0.0  # when the first of them came back
    mptcp: PathManager | None = None  # endpoints of ours

    def memory(self, name: str) -> UplinkState:
        """What is remembered of an uplink; of one that was never seen in this boot nothing."""
        return self.uplinks.get(name, UplinkState())


class Allotment(NamedTuple):
    """What outlives a boot: tables and marks given to uplinks, and who was switched by hand."""

    tables: dict[str, int] = {}
    marks: dict[str, int] = {}
    enabled: dict[str, bool] = {}  # by a command, where it differs from the configuration
    configured: dict[str, bool] = {}  # what the configuration said then
    policies: dict[str, int] = {}  # tables given to policies
    seen: tuple[str, ...] = ()  # uplinks of templates, the one that was there longest ago first
    policy_marks: dict[str, int] = {}  # NAME: what nft chose for a policy; NAME/UPLINK: and keeps on an uplink
    draining: dict[str, Drain] = {}  # by a command


def turn_key(name: str, family: Family) -> str:
    """What a turn is remembered by."""
    return f"{name}/{family.value}"
