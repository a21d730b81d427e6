"""Every noun of the program: immutable, typed, in canonical form.  Imports nothing of ours but the tuple base.

Units: seconds (CLOCK_BOOTTIME) where a name ends in nothing else, milliseconds in ``*_ms``, bytes in
``*_bytes``.  Addresses are text as the kernel prints them; a prefix is ``ADDRESS/LENGTH``, the
default route's is ``default``.
"""

from __future__ import annotations

from mwan_hook.light import Enum, IntEnum, NamedTuple

PROTOCOL = 172
LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE = 255, 254, 253
RESERVED_TABLES = frozenset((0, LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE))
GUARD_METRIC = 4294967295  # the worst; earlier versions had guards there, in uplinks' tables
DEFAULT = "default"
LOOKUP = "lookup"
HEAVIEST_TYPED = 256  # weight of a nexthop object that ip(8) before 6.12 takes
BEST_METRIC = 1  # of the shared default; its fallbacks follow at 2, 3, ...


class Family(str, Enum):
    """Address family, by the word that configuration and JSON use."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def af(self) -> int:
        """AF_INET or AF_INET6."""
        return 2 if self is Family.IPV4 else 10

    @property
    def flag(self) -> str:
        """ip(8)'s option for it."""
        return "-4" if self is Family.IPV4 else "-6"

    @classmethod
    def of(cls, address: str) -> Family:
        """The family an address (not a name) belongs to."""
        return cls.IPV6 if ":" in address else cls.IPV4


FAMILIES = (Family.IPV4, Family.IPV6)


class Connectivity(IntEnum):
    """What one round saw; a larger number is better."""

    UNKNOWN = 0
    NONE = 1
    PORTAL = 2
    LIMITED = 3
    FULL = 4

    @property
    def word(self) -> str:
        """Lower-case name, as printed."""
        return self.name.lower()


class Status(str, Enum):
    """The verdict that routing obeys."""

    ONLINE = "online"
    OFFLINE = "offline"
    DISABLED = "disabled"


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


class CopyRoutes(str, Enum):
    """Which routes of main an uplink's table gets."""

    OWN = "own"
    MAIN = "main"


class Nat6(str, Enum):
    """What an uplink does to IPv6 sources that are not its own."""

    NO = "no"
    MASQUERADE = "masquerade"
    PREFIX = "prefix"


class Failback(str, Enum):
    """Whether pinned connections stay on an uplink when a better one is back."""

    SOFT = "soft"
    HARD = "hard"


class Sharing(str, Enum):
    """What a default shared by several uplinks is made of (``[routing] nexthops``)."""

    AUTO = "auto"
    ROUTES = "routes"
    OBJECTS = "objects"


class Stage(str, Enum):
    """How far an uplink has come with its quota."""

    BELOW = "below"
    WARNING = "warning"
    EXCEEDED = "exceeded"


class LastResort(str, Enum):
    """What carries traffic while nothing is online."""

    MAIN = "main"
    KEEP = "keep"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"


class Activate(str, Enum):
    """When an uplink is up."""

    ALWAYS = "always"
    ON_DEMAND = "on-demand"


class Exercise(str, Enum):
    """How often an uplink that stands by is dialled to see that it works."""

    NEVER = "never"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


class Phase(str, Enum):
    """How far a dialled uplink has come."""

    IDLE = "idle"
    DIALLING = "dialling"
    UP = "up"
    LINGERING = "lingering"
    STOPPING = "stopping"
    WAITING = "waiting"
    EXERCISING = "exercising"

    @property
    def is_up(self) -> bool:
        """Whether it has an address and a way."""
        return self in (Phase.UP, Phase.LINGERING)


# ---------------------------------------------------------------- configuration


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


class Metrics(NamedTuple):
    """Metric of an uplink's own default in main by connectivity; None changes nothing."""

    full: int | None = None
    portal: int | None = None
    limited: int | None = None
    none: int | None = None


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


class Routing(NamedTuple):
    """``[routing]``.  ``default_table`` is a number; main is 254."""

    default_table: int = 1000
    first_table: int = 1001
    rule_priority: int = 1000
    main_first: bool = True
    copy_routes: CopyRoutes = CopyRoutes.OWN
    last_resort: LastResort = LastResort.MAIN
    mark_mask: int = 0x3F00
    protocol: int = PROTOCOL
    nexthops: Sharing = Sharing.AUTO


class Match(NamedTuple):
    """One alternative of ``match``: kind is name, driver, mac, path, id or property; glob is its pattern."""

    kind: str
    glob: str
    key: str = ""  # property: the udev property's name


class Dial(NamedTuple):
    """How an uplink is dialled and hung up: ``start`` and what goes with it."""

    start: str = ""  # networkd, unit:NAME, modem:KEY=VALUE,... or command:PROGRAM ARGS
    stop: str = ""  # of a command: the one that hangs up
    reset: str = ""  # command:PROGRAM ARGS that is run after a failed dial
    activate: Activate = Activate.ALWAYS
    activate_delay: float = 0  # seconds without a better uplink before it is dialled
    ready_timeout: float = 60  # seconds from the request to address and default
    linger: float = 180  # seconds that it is kept up after a better uplink is back
    retry_min: float = 30  # pause after a failed dial; the next one is twice as long ...
    retry_max: float = 3600  # ... and at most this
    exercise: Exercise = Exercise.NEVER
    exercise_at: tuple[int, int] = (180, 300)  # minutes of the day
    dial_over_quota: bool = True  # dialled beyond its quota, too
    behind: bool = False  # without a metric of its own: all others are better

    @property
    def on_demand(self) -> bool:
        """Whether it stands by; else it is kept up."""
        return self.activate is Activate.ON_DEMAND

    @property
    def kind(self) -> str:
        """What dials: the word before the colon."""
        return self.start.partition(":")[0]

    @property
    def brings_interface(self) -> bool:
        """Whether the interface may be there only while it is dialled."""
        return self.kind in ("unit", "command")

    @property
    def by(self) -> str:
        """The same, with a unit's name; what follows other words may be secret."""
        return self.start if self.kind == "unit" else f"{self.kind}:"


class Rung(NamedTuple):
    """One step of a repair ladder, and the seconds after which a line that is out gets it."""

    step: str
    after: float


class UplinkConfig(NamedTuple):
    """One ``[[NAME]]`` of ``[uplinks]``; None where the configuration leaves it to us."""

    name: str
    match: tuple[Match, ...] = ()
    metric: int | None = None
    weight: int = 1
    table: int | None = None
    rule_priority: int | None = None
    mark: int | None = None
    mask: int | None = None
    gateways: tuple[str, ...] = ()  # of both families, each in the order in which they are tried
    families: tuple[Family, ...] = FAMILIES
    enabled: bool = True
    metered: bool = False
    metered_interval: float = 300
    metrics: Metrics = Metrics()
    probe: Probe = Probe()
    explicit: frozenset[str] = frozenset()  # keys of [probe] set in this uplink: they beat .network files
    masquerade: tuple[Family, ...] | None = None  # None: as [router] says
    nat6: Nat6 | None = None
    nat6_prefix: str | None = None  # that leaves by it; None: the one its own address is in
    failback: Failback = Failback.SOFT
    prefixes: tuple[str, ...] | None = None  # delegated to it; None: found out
    quota: int = 0  # bytes in a period, both ways; 0: none
    quota_reset_day: int = 1  # of the month
    quota_warn: int = 80  # percent of it
    dial: Dial | None = None  # None: ours to watch, not to dial
    repair: tuple[Rung, ...] = ()  # none: nothing is done about a dead line
    repair_max: int = 8  # steps in a day

    @property
    def literal(self) -> str | None:
        """The interface's name where ``match`` is one literal name; else the uplink is a template."""
        if len(self.match) == 1 and self.match[0].kind == "name" and not set(self.match[0].glob) & set("*?["):
            return self.match[0].glob
        return None

    def gateway(self, family: Family) -> tuple[str, ...]:
        """The configured gateways of a family."""
        return tuple([one for one in self.gateways if Family.of(one) is family]) if self.gateways else ()


class Router(NamedTuple):
    """``[router]``: what is done for machines behind this one, and for connections that come in."""

    pin: bool = False
    masquerade: tuple[Family, ...] = ()
    nat6: Nat6 = Nat6.NO
    deprecate_prefixes: bool = False  # those of dead uplinks, in what is advertised to the LAN


class Hooks(NamedTuple):
    """``[hooks]``: the operator's programs."""

    timeout: float = 30  # of each


class Security(str, Enum):
    """How an SMTP connection is kept private."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"

    @property
    def port(self) -> int:
        """Where such a server listens by custom."""
        return {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}[self]


class Mail(NamedTuple):
    """``[mail]``.  No ``to``: no mail.  Either ``smtp_host`` or ``sendmail`` is set where ``to`` is."""

    to: tuple[str, ...] = ()
    sender: str = ""  # `from`; empty: left to the mailer
    smtp_host: str = ""
    smtp_port: int = 0  # 0: that of `security`
    security: Security = Security.NONE  # where nothing is said: starttls with a `user`
    user: str = ""
    password_file: str = ""  # below --root
    sendmail: str = ""  # a program, wherever --root is
    timeout: float = 30
    min_interruption: float = 5
    backoff_min: float = 60
    backoff_step: float = 300
    backoff_max: float = 3600

    @property
    def port(self) -> int:
        """The port to speak to."""
        return self.smtp_port or self.security.port


class Webhook(NamedTuple):
    """``[webhook]``.  No ``url``: nothing is posted."""

    url: str = ""
    events: tuple[str, ...] = ()  # none: all
    header_file: str = ""  # below --root
    timeout: float = 30
    verify: bool = True
    ca_file: str = ""  # below --root; empty: the system's
    backoff_min: float = 10
    backoff_max: float = 3600


class Prometheus(NamedTuple):
    """``[prometheus]``: a file for node_exporter's textfile collector."""

    textfile: str = ""  # below --root; empty: none is written
    interval: float = 60


class Snmp(NamedTuple):
    """``[snmp]``."""

    oid: str = ".1.3.6.1.4.1.99999"  # the tree's root


class Fallback(str, Enum):
    """What becomes of a policy's packets while none of its uplinks is online."""

    DEFAULT = "default"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"


class Policy(NamedTuple):
    """One ``[[NAME]]`` of ``[policies]``.  Of each selector any alternative is enough; none given: any packet."""

    name: str
    sources: tuple[str, ...] = ()  # prefixes; a host without length
    destinations: tuple[str, ...] = ()
    protocols: tuple[int, ...] = ()
    sport: tuple[tuple[int, int], ...] = ()  # ranges
    dport: tuple[tuple[int, int], ...] = ()
    iif: tuple[str, ...] = ()
    marks: tuple[tuple[int, int | None], ...] = ()  # mark and mask
    uids: tuple[tuple[int, int], ...] = ()
    uplinks: tuple[str, ...] = ()  # by preference; a template's name stands for all of its uplinks
    fallback: Fallback = Fallback.DEFAULT
    sticky: int = 0  # seconds that a source keeps its uplink; 0: each connection for itself
    macs: tuple[str, ...] = ()  # of the senders
    dscp: tuple[int, ...] = ()

    @property
    def by_marks(self) -> bool:
        """Whether it chooses by what the kernel's rules have no words for."""
        return bool(self.macs or self.dscp)

    @property
    def marked(self) -> bool:
        """Whether it needs our nft table."""
        return self.by_marks or self.sticky > 0

    @property
    def forwards(self) -> bool:
        """Whether it can choose forwarded packets."""
        return not self.uids and (not self.iif or any(name != "lo" for name in self.iif))

    @property
    def marks_own(self) -> bool:
        """Whether nft chooses packets of this machine for it."""
        return bool(self.dscp) and not self.macs and (not self.iif or "lo" in self.iif)


class Config(NamedTuple):
    """All that the files say.  No uplinks: zero configuration (``probe`` is what they get then)."""

    routing: Routing = Routing()
    probe: Probe = Probe()
    uplinks: tuple[UplinkConfig, ...] = ()
    explicit_probe: frozenset[str] = frozenset()  # keys of [probe] set in a file: they beat .network files
    hooks: Hooks = Hooks()
    mail: Mail = Mail()
    webhook: Webhook = Webhook()
    prometheus: Prometheus = Prometheus()
    snmp: Snmp = Snmp()
    router: Router = Router()
    policies: tuple[Policy, ...] = ()

    @property
    def dials(self) -> bool:
        """Whether any uplink is dialled."""
        return any(uplink.dial for uplink in self.uplinks)

    @property
    def firewall(self) -> bool:
        """Whether anything asks for an nft table."""
        asking = self.router != Router() or any(uplink.masquerade or uplink.nat6 for uplink in self.uplinks)
        return asking or any(policy.marked for policy in self.policies)


# ---------------------------------------------------------------- what the kernel has


class Link(NamedTuple):
    """A network device."""

    index: int  # type: ignore[assignment]  # not tuple.index
    name: str
    up: bool
    carrier: bool
    mac: str = ""
    noarp: bool = False  # no neighbours to ask: ppp, wwan, tun
    altnames: tuple[str, ...] = ()


class Address(NamedTuple):
    """An address of ours (never the peer's) on a device."""

    index: int  # type: ignore[assignment]  # not tuple.index
    family: Family
    address: str
    prefixlen: int
    usable: bool  # global or site scope, not link-local, 169.254/16, tentative or failed in DAD
    tentative: bool = False
    deprecated: bool = False  # new connections should no longer use it
    temporary: bool = False  # RFC 8981: for privacy, gone tomorrow
    no_network: bool = False  # the kernel made no route to its network


class Nexthop(NamedTuple):
    """One way of a route; ``gateway`` None is a nexthop by device."""

    index: int  # type: ignore[assignment]  # not tuple.index
    gateway: str | None = None
    weight: int = 1
    onlink: bool = False


class Lease(NamedTuple):
    """What systemd-networkd knows of a link that the kernel does not."""

    gateway4: str | None = None
    servers: tuple[str, ...] = ()  # DNS servers, both families


class Route(NamedTuple):
    """A route in canonical form: what the kernel normalises away is normalised here too."""

    family: Family
    table: int
    dst: str = DEFAULT
    metric: int = 0
    nexthops: tuple[Nexthop, ...] = ()
    kind: str = "unicast"
    src: str | None = None
    mtu: int = 0
    scope: int = 0
    tos: int = 0
    protocol: int = PROTOCOL
    from_: str | None = None  # IPv6: the prefix of sources that it is for
    nhid: int = 0  # of ours and of copies: the nexthop object that it goes through, instead of `nexthops`


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


class Rule(NamedTuple):
    """A routing policy rule."""

    family: Family
    priority: int
    table: int
    src: str | None = None  # prefix or address without length where it is a host
    dst: str | None = None
    iif: str | None = None
    oif: str | None = None
    mark: int | None = None
    mask: int | None = None
    suppress_prefixlength: int | None = None
    protocol: int = PROTOCOL
    ipproto: int | None = None
    sport: tuple[int, int] | None = None  # first and last
    dport: tuple[int, int] | None = None
    uids: tuple[int, int] | None = None
    action: str = LOOKUP  # anything else leads to no table
    # Only foreign rules have what follows.
    inverted: bool = False  # `not`: matches what its selectors do not
    l3mdev: bool = False  # looks in the table of the packet's VRF
    narrowed: bool = False  # has a selector (or suppressor) besides the ones above
    target: int = 0  # priority that a goto leads to; ours jump, too


class Copies(NamedTuple):
    """Bulk difference between main's routes to copy and one of our tables; raw messages, see kernel/copies."""

    family: Family
    table: int
    add: tuple[bytes, ...] = ()
    replace: tuple[bytes, ...] = ()
    extra: tuple[Route, ...] = ()  # ours in the table, not a copy of anything in main
    kept: int = 0  # how many copies are right already


class Sysctl(NamedTuple):
    """A value under /proc/sys: ``key`` is the path with slashes, ``index`` the interface's, as far as it is known."""

    key: str
    value: str
    index: int = 0  # type: ignore[assignment]  # not tuple.index


UNREAD = "?"  # the listing of a table that is there, but that nft(8) has not been asked for yet


class Firewall(NamedTuple):
    """Our nft table, as it was seen last and as it was made."""

    generation: int = 0  # of all nft tables when it was read: the same number means that nothing has changed
    listing: str = ""  # digest of it in nft's own words; empty: there is none
    commands: tuple[str, ...] = ()  # that made it
    failed: str = ""  # why those could not be done: they are tried again until this is empty


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


class Traffic(NamedTuple):
    """What interfaces have carried in this boot, by their index."""

    boot_id: str = ""
    carried: dict[int, int] = {}  # bytes, both ways


class Snapshot(NamedTuple):
    """The kernel at one moment, as far as deciding needs it."""

    links: tuple[Link, ...] = ()
    addresses: tuple[Address, ...] = ()
    defaults: tuple[Route, ...] = ()  # every default of main, ours and foreign, dead ones left out
    elsewhere: tuple[Route, ...] = ()  # foreign defaults of other tables, of uplinks that have none in main
    shared: tuple[Route, ...] = ()  # ours in the shared default's table (where that is main: in `defaults`)
    rules: tuple[Rule, ...] = ()  # ours
    foreign_rules: tuple[Rule, ...] = ()  # all others but the kernel's own for main and default, in their order
    foreign_wide: tuple[Route, ...] = ()  # defaults, whole and in pieces, of tables that others lead everything into
    pieces: tuple[Route, ...] = ()  # of main: defaults in pieces, as far as the search for defaults meets them
    claims: tuple[Route, ...] = ()  # of main: what leases and advertisements bring that is a default in all but name
    short: tuple[Route, ...] = ()  # of main, where there are claims: other routes as wide as they
    inside: tuple[Route, ...] = ()  # of main: what leases and advertisements bring inside a network of the LAN
    aside: int = 0  # where there are claims: the table in which routes stand that must not meet them
    hosts: tuple[Route, ...] = ()  # of main: routes of programs through uplinks, where they may be to a tunnel's server
    vrfs: bool = False  # this kernel can make VRFs, and then puts a rule for them
    copies: tuple[Copies, ...] = ()
    sysctls: tuple[Sysctl, ...] = ()  # current values of those we set
    families: tuple[Family, ...] = FAMILIES  # that this kernel knows
    protocol: int = PROTOCOL  # what marks an object as ours
    orphans: tuple[Route, ...] = ()  # ours in tables that belong to no uplink any more (full look only)
    former_routes: tuple[Route, ...] = ()  # ours of an earlier protocol number, in any table
    former_rules: tuple[Rule, ...] = ()
    firewall: Firewall | None = None  # None: nothing asks for it
    policies: tuple[Route, ...] = ()  # ours in the policies' own tables
    blocked: tuple[str, ...] = ()  # what the DHCP client has made unreachable: delegated prefixes
    delegated: tuple[Delegated, ...] = ()  # and what is known of each, gone ones too
    pool: Pool | None = None  # None: nothing of ours can be there, and nothing is wanted
    traffic: Traffic = Traffic()  # of uplinks that have a quota


# ---------------------------------------------------------------- uplinks as they stand


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
    switched: bool | None = None  # by a command; None: `enabled` is the configuration's

    @property
    def present(self) -> bool:
        """True while the interface exists."""
        return self.link is not None

    def way(self, family: Family) -> Way:
        """The facts of one family."""
        return self.ipv4 if family is Family.IPV4 else self.ipv6


# ---------------------------------------------------------------- probing


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


class Round(NamedTuple):
    """All targets of one uplink and family, asked once.  ``portal`` None: no check was made, or it could not tell."""

    connectivity: Connectivity
    latency_ms: float | None
    reason: str
    targets: tuple[TargetResult, ...] = ()
    portal: bool | None = None
    portal_checked: bool = False
    wire_bytes: int = 0
    partial: bool = False  # not every target was asked: as many as are required answered at once


# ---------------------------------------------------------------- memory


class Turn(NamedTuple):
    """The gateway in use of an uplink with several in a family, and why not the others."""

    gateway: str
    silent: dict[str, float] = {}  # gateways that were passed over because they did not answer, and when
    failed: tuple[str, ...] = ()  # gateways that answer, and behind which probes got nothing


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
    known: bool = False  # what its verdict is: it was online, or found dead at first sight, in this boot


class UplinkState(NamedTuple):
    """One uplink's memory."""

    interface: str = ""
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    ipv4: FamilyState = FamilyState()
    ipv6: FamilyState = FamilyState()

    def family(self, family: Family) -> FamilyState:
        """The memory of one family."""
        return self.ipv4 if family is Family.IPV4 else self.ipv6

    def with_family(self, family: Family, value: FamilyState) -> UplinkState:
        """A copy with one family replaced."""
        return self._replace(ipv4=value) if family is Family.IPV4 else self._replace(ipv6=value)


class Usage(NamedTuple):
    """What an uplink with a quota has carried, and the reading that it is counted on from."""

    boot_id: str = ""
    index: int = 0  # type: ignore[assignment]  # not tuple.index
    counter: int = 0  # bytes, by the kernel
    at: float = 0.0  # CLOCK_BOOTTIME seconds of that boot
    period: str = ""  # in force, by its first day, YYYY-MM-DD; empty: the date is not known
    periods: dict[str, int] = {}  # bytes in each
    reset_day: int = 1
    stage: Stage = Stage.BELOW
    first: str = ""  # day on which counting began


class Usages(NamedTuple):
    """What outlives a boot: usage by uplink."""

    uplinks: dict[str, Usage] = {}


class Activation(NamedTuple):
    """What is remembered of a dialled uplink; it is stored before a request goes out."""

    phase: Phase = Phase.IDLE
    since: float = 0.0  # of the phase
    asked_at: float = 0.0  # when the last dial was asked for; names that request
    stop_at: float = 0.0  # the same of a hang-up
    stop_verb: str = ""  # how it is hung up
    tries: int = 0  # failed dials, and the one under way
    next_at: float = 0.0  # of a pause: when it is dialled again
    linger_until: float = 0.0
    wanted_since: float = 0.0
    ready_at: float = 0.0  # when it had address and way
    ours: bool = False  # dialled by us in this boot: only that is hung up
    spent: bool = False  # the redial that costs nothing was taken
    mendable: bool = False  # the last dial failed for what a reset or a repair step may mend
    reset_at: float = 0.0  # when the last reset was asked for; names that request
    hand_until: float = 0.0  # dialled by a command
    hung: bool = False  # by a command: not dialled before the next outage
    final: str = ""  # why it is not dialled any more until the operator does something
    reason: str = ""
    invocation: str = ""  # of the unit
    by: str = ""  # what dialled it
    interface: str = ""
    exercise_now: bool = False  # by a command
    exercised_at: float = 0.0  # seconds since the epoch
    dialled: int = 0  # in this boot
    failed: int = 0
    hung_up: int = 0
    exercise_failed: int = 0
    seconds: float = 0.0  # up by our dialling, but for now


class Dials(NamedTuple):
    """What outlives a boot: failed dials and exercises by uplink."""

    tries: dict[str, int] = {}
    exercised_at: dict[str, float] = {}  # seconds since the epoch


BY_US = "hung up: "  # begins the reason why an uplink is offline that was hung up


class WayOut(NamedTuple):
    """The best way out of one family; all empty when there is none."""

    uplink: str = ""
    interface: str = ""
    address: str = ""
    gateway: str = ""


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


class Allotment(NamedTuple):
    """What outlives a boot: tables and marks given to uplinks, and who was switched by hand."""

    tables: dict[str, int] = {}
    marks: dict[str, int] = {}
    enabled: dict[str, bool] = {}  # by a command, where it differs from the configuration
    configured: dict[str, bool] = {}  # what the configuration said then
    policies: dict[str, int] = {}  # tables given to policies
    seen: tuple[str, ...] = ()  # uplinks of templates, the one that was there longest ago first
    policy_marks: dict[str, int] = {}  # NAME: what nft chose for a policy; NAME/UPLINK: and keeps on an uplink


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


# ---------------------------------------------------------------- changes


class Ruleset(NamedTuple):
    """Our whole nft table, made anew in one transaction, or taken away."""

    commands: tuple[str, ...]  # nft(8)'s


class Op(str, Enum):
    """What is done to an object of the kernel."""

    ADD = "add"
    REPLACE = "replace"
    APPEND = "append"
    PREPEND = "prepend"  # IPv4: in front of what stands at its destination and metric
    DELETE = "del"


class Change(NamedTuple):
    """One line that an operator could have typed.  ``bytes`` is a raw route of a bulk copy into ``table``."""

    op: Op
    what: Route | Rule | Sysctl | Ruleset | NexthopObject | bytes
    table: int = 0
    family: Family = Family.IPV4


# ---------------------------------------------------------------- errors


class MwanError(Exception):
    """An error with words for the operator; ``code`` is the exit status."""

    code = 1


class ConfigError(MwanError):
    """One or more mistakes in the configuration, each on its own line."""

    code = 2


class UsageError(MwanError):
    """A word of the command line that means nothing here."""

    code = 2


class Busy(MwanError):  # noqa: N818 - its name is the word of the exit code
    """A lock was not to be had in time."""

    code = 75


def turn_key(name: str, family: Family) -> str:
    """What a turn is remembered by."""
    return f"{name}/{family.value}"
