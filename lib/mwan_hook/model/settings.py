"""What the configuration says of routing, of uplinks and of those who are told."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model.base import FAMILIES, PROTOCOL, Family
from mwan_hook.model.probing import Probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.dialling import Dial, Rung
    from mwan_hook.model.endpoints import Mptcp
    from mwan_hook.model.policies import Policy


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


class LastResort(str, Enum):
    """What carries traffic while nothing is online."""

    MAIN = "main"
    KEEP = "keep"
    UNREACHABLE = "unreachable"
    BLACKHOLE = "blackhole"


class Metrics(NamedTuple):
    """Metric of an uplink's own default in main by connectivity; None changes nothing."""

    full: int | None = None
    portal: int | None = None
    limited: int | None = None
    none: int | None = None


LATENCY = "latency"  # of `prefer`


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
    mptcp: bool = False  # whether uplinks' addresses are endpoints of MPTCP
    prefer: str = "weight"  # among equal metrics; or LATENCY
    write_etc: bool = True  # names for ip(8), and what `doctor --fix` writes


class Match(NamedTuple):
    """One alternative of ``match``: kind is name, driver, mac, path, id or property; glob is its pattern."""

    kind: str
    glob: str
    key: str = ""  # property: the udev property's name


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
    mptcp: Mptcp | None = None  # None: `backup` if metered, else `yes`

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
    own: str = "abort"  # sockets of this machine by an uplink that has failed; or `keep`
    own_after: float = 60  # seconds
    evidence: str = "no"  # whether answers to traffic stand for probes: `traffic`
    mss: int | None = None  # largest TCP segment of what is forwarded; None: by each uplink's MTU, 0: as it comes
    wireguard: str = "follow"  # the best uplink, or "keep": its peers are left alone

    @property
    def steers(self) -> bool:
        """Whether it asks for an nft table that changes packets."""
        return bool(self.pin or self.masquerade or self.nat6 is not Nat6.NO or self.deprecate_prefixes)


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


class Recording(NamedTuple):
    """``[record]``: how long what verdicts were made from is kept, and how much of it."""

    keep: float = 2_592_000  # seconds; 0: nothing is recorded
    size: int = 8_000_000  # bytes below /var


class Reporting(NamedTuple):
    """``[report]``."""

    html: str = ""  # a page below --root; empty: none is made


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
    record: Recording = Recording()
    report: Reporting = Reporting()

    @property
    def dials(self) -> bool:
        """Whether any uplink is dialled."""
        return any(uplink.dial for uplink in self.uplinks)

    @property
    def firewall(self) -> bool:
        """Whether anything asks for an nft table."""
        return self.router.evidence != "no" or self.steers

    @property
    def steers(self) -> bool:
        """Whether anything asks for one that marks or changes packets, and does not only count them."""
        asking = self.router.steers or any(uplink.masquerade or uplink.nat6 for uplink in self.uplinks)
        return asking or any(policy.marked for policy in self.policies)
