"""What is asked of targets, and what they answered."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model.base import Connectivity, Family

NO_NEXTHOP = "no answer on the link from the next hop"  # the kernel's word: to ARP or neighbour discovery


class Method(str, Enum):
    """How a target is probed."""

    ICMP = "icmp"
    TCP = "tcp"
    DNS = "dns"
    NTP = "ntp"
    GATEWAY = "gateway"
    HTTP = "http"
    HTTPS = "https"


class Expect(str, Enum):
    """How an HTTP body is compared with the text that the target names."""

    EMPTY = "empty"
    WHOLE = "whole"
    ANYWHERE = "anywhere"
    PREFIX = "prefix"
    SUFFIX = "suffix"


class Target(NamedTuple):
    """One thing that a probe asks.

    ``text`` is the spelling of the configuration; ``name`` is the same without secrets, and names it everywhere else.
    """

    text: str
    method: Method
    host: str = ""  # address or name; dns and ntp: the server; empty for gateway
    port: int = 0
    path: str = ""  # http: path and query; dns: the name asked for
    rrtype: str = "A"  # dns
    expect: Expect = Expect.EMPTY
    body: str = ""  # http: the text that `expect` compares with
    name: str = ""

    def applies(self, family: Family) -> bool:
        """False for a literal address of the other family."""
        if ":" in self.host:
            return family is Family.IPV6
        literal = self.host.replace(".", "").isdigit()
        return not literal or family is Family.IPV4


DEMOTE, KEEP, OFFLINE = "demote", "keep", "offline"  # what becomes of a degraded uplink


class Probe(NamedTuple):
    """How an uplink is probed and judged (``[probe]``, each key also in an uplink)."""

    targets: tuple[Target, ...] = ()
    required: int = 1
    portal_targets: tuple[Target, ...] = ()
    portal_interval: float = 600
    interval: float = 10
    timeout: float = 3
    fall: int = 3
    rise: int = 3
    burst_interval: float = 0.5
    hysteresis_delay: float = 180
    hysteresis_backoff: float = 600
    latency_high: float = 0
    latency_low: float = 0
    portal_is_online: bool = False
    window: float = 60
    loss_high: float = 0
    loss_low: float = 0
    jitter_high: float = 0
    jitter_low: float = 0
    burst_echoes: int = 20
    degraded: str = ""  # DEMOTE, KEEP or OFFLINE; "": DEMOTE, and a limit of latency alone is for rounds

    @property
    def measured(self) -> bool:
        """Whether any limit is for what a window holds."""
        return bool(self.loss_high or self.jitter_high or (self.latency_high and self.degraded))


class Job(NamedTuple):
    """One target to ask through one uplink and family."""

    uplink: str
    family: Family
    target: Target
    interface: str
    index: int  # type: ignore[assignment]  # not tuple.index
    source: str
    gateway: str | None = None
    noarp: bool = False
    timeout: float = 3
    servers: tuple[str, ...] = ()
    portal: bool = False  # asked for the portal check, does not count in `required`
    other_source: str = ""  # of the uplink in its other family, by which name servers are asked, too; "": none
    other_servers: tuple[str, ...] = ()


class Result(NamedTuple):
    """The answer to a :class:`Job`."""

    job: Job
    connectivity: Connectivity
    rtt_ms: float | None = None
    error: str | None = None
    wire_bytes: int = 0  # both ways, from the IP header up


class TargetResult(NamedTuple):
    """What is remembered and shown of a :class:`Result`."""

    target: str
    connectivity: Connectivity
    rtt_ms: float | None = None
    error: str | None = None
    misses: int = 0  # in a row, up to this one


class Round(NamedTuple):
    """All targets of one uplink and family, asked once.  ``portal`` None: no check was made, or it could not tell."""

    connectivity: Connectivity
    latency_ms: float | None
    reason: str
    targets: tuple[TargetResult, ...] = ()
    portal: bool | None = None
    portal_checked: bool = False
    wire_bytes: int = 0
    lost: tuple[str, ...] = ()  # targets that left a question unanswered
    partial: bool = False  # not every target was asked: as many as are required answered at once
    ignored: bool = False  # all that was asked is ignored, because it is dead behind every uplink: no verdict follows
