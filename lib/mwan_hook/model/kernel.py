"""What the kernel has, and how it is changed."""

from __future__ import annotations

from mwan_hook.light import Enum, NamedTuple
from mwan_hook.model.base import DEFAULT, FAMILIES, LOOKUP, PROTOCOL, Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model.delegation import Delegated
    from mwan_hook.model.endpoints import Paths
    from mwan_hook.model.nexthops import NexthopObject, Pool


class Link(NamedTuple):
    """A network device."""

    index: int  # type: ignore[assignment]  # not tuple.index
    name: str
    up: bool
    carrier: bool
    mac: str = ""
    noarp: bool = False  # no neighbours to ask: ppp, wwan, tun
    altnames: tuple[str, ...] = ()
    mtu: int = 0  # 0: not known


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
    mtu6: dict[int, int] = {}  # what IPv6 takes for the MTU of uplinks, by index, where our nft table needs it
    policies: tuple[Route, ...] = ()  # ours in the policies' own tables
    blocked: tuple[str, ...] = ()  # what the DHCP client has made unreachable: delegated prefixes
    delegated: tuple[Delegated, ...] = ()  # and what is known of each, gone ones too
    pool: Pool | None = None  # None: nothing of ours can be there, and nothing is wanted
    traffic: Traffic = Traffic()  # of uplinks that have a quota
    paths: Paths | None = None  # MPTCP's; None: nothing of ours can be there, and nothing is wanted

    @property
    def names(self) -> dict[int, str]:
        """Names of interfaces by index."""
        return {link.index: link.name for link in self.links}


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
