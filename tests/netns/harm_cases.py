"""Strategies: the machines of :mod:`harm_world`, from plain ones to those that were multi-homed before we came."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

from hypothesis import strategies as st

from tests.netns.harm_world import FAMILIES, LINES, MAIN, PLANS, Case, Plan

T = TypeVar("T")
CATCH_ALL, FROM_OWN = 20000, 10000


class Builder:
    """Collects one machine."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.base: list[str] = []
        self.foreign: list[str] = []
        self.leases: list[tuple[str, str]] = []
        self.owners: list[tuple[str, str]] = []
        self.known: set[tuple[str, int]] = set()
        self.gateways: dict[str, list[str]] = {}
        self.notes: list[str] = []

    def one(self, *values: T) -> T:
        """One of them; shrinks to the first."""
        return self.draw(st.sampled_from(values))

    def maybe(self, of: int = 4) -> bool:
        """True once in `of`; shrinks to False."""
        return self.draw(st.integers(0, of - 1)) == of - 1

    def has(self, address: str, length: int, device: str, words: str = "") -> str:
        """Note an address; the line that adds it."""
        self.owners.append((address, device))
        return f"addr add {address}/{length} dev {device} {words}" + (" nodad" if ":" in address else "")


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A machine with two or three lines, and a few things of other programs."""
    made = Builder(draw)
    count = made.one(2, 3)
    lines = LINES[:count]
    metrics = [made.one(100, 200, 300) for _ in lines]
    for family in FAMILIES:
        plan = PLANS[family]
        made.base.append(made.has(plan.lan, plan.length, "lan0"))
        made.base.append(made.has(plan.dmz, plan.length, "dmz0"))
        ways = [_line(made, plan, number, metric) for number, metric in enumerate(metrics, 1)]
        if "table" in ways or "bare" in ways:
            _catch_all(made, plan, ways)
        for feature in (_unplaced,) if made.maybe(10) else [one for one in FEATURES if made.maybe(5)]:
            made.notes.append(f"{feature.__name__.strip('_')}{family}")
            feature(made, plan, lines)
    uplinks = lines if count == 2 or not made.maybe() else lines[:2]
    policed = made.maybe(6)
    conf = _configuration(made, uplinks, metrics, policed)
    known = frozenset((device, family) for device, family in made.known if device in uplinks)
    base, foreign = tuple(made.base), tuple(dict.fromkeys(made.foreign))
    return Case(conf, uplinks, base, foreign, tuple(made.leases), tuple(made.owners), known, policed, tuple(made.notes))


# -- lines to providers


class Line(NamedTuple):
    """One family of one line."""

    plan: Plan
    number: int
    metric: int
    own: str
    net: str
    gateway: str

    @property
    def device(self) -> str:
        """Its interface."""
        return LINES[self.number - 1]


def _line(made: Builder, plan: Plan, number: int, metric: int) -> str:
    """Addresses and default of one line; the kind of its default."""
    kinds = ("main", "main", "main", "table", "bare", "config", "none", "lease" if plan.family == 4 else "prefix")
    kind, place = made.one(*kinds), number
    own = plan.own.format(number)
    if number == 2 and kind != "prefix" and made.maybe(8):  # two lines of one provider
        own, place = plan.own.format(1)[:-1] + "1", 1
    net = own.rsplit(".", 1)[0] + ".0" if plan.family == 4 else own.rsplit("::", 1)[0] + "::"
    line = Line(plan, number, metric, own, f"{net}/{plan.length}", plan.gateway.format(place))
    seconds = _addresses(made, line, kind)
    _default(made, line, kind)
    if kind != "none":
        made.known.add((line.device, plan.family))
    made.notes.append(f"{line.device}/{plan.family}:{kind}{seconds and '+' + seconds}{'*' * (place != number)}")
    return kind


def _addresses(made: Builder, line: Line, kind: str) -> str:
    """Its own, and where another stands: a modem's alias or a ULA, a deprecated one."""
    plan, device = line.plan, line.device
    seconds = made.one("", "", "before", "behind")
    second = [made.has(plan.second.format(line.number), plan.length, device)] if seconds else []
    made.base += second if seconds == "before" else []
    if plan.family == 6 and made.maybe():
        made.base.append(made.has(f"2001:db8:{line.number}::dead", 64, device, "preferred_lft 0"))
    if kind != "prefix":
        made.base.append(made.has(line.own, plan.length, device, "noprefixroute" * (kind == "bare")))
    made.base += second if seconds == "behind" else []
    return seconds


def _default(made: Builder, line: Line, kind: str) -> None:
    """Where other programs have put it."""
    plan, device, flag, table = line.plan, line.device, f"-{line.plan.family}", 100 + line.number
    leg = f"via {line.gateway} dev {device} " + (f"proto dhcp src {line.own}" if plan.family == 4 else "proto ra")
    if kind in ("main", "prefix"):
        made.base.append(f"{flag} route append default {leg} metric {line.metric}")
        if kind == "main" and made.maybe(6):
            made.notes.append(f"stale {device}/{plan.family}")
            stale = f"via {plan.silent.format(line.number)} dev {device} onlink proto static"
            made.base.append(f"{flag} route append default {stale} metric {line.metric + made.one(9, -9)}")
    elif kind in ("table", "bare"):
        if kind == "bare":
            made.base.append(f"{flag} route add {line.net} dev {device} proto kernel scope link table {table}")
        made.base.append(f"{flag} route add default {leg} metric 1024 table {table}")
        made.base.append(f"{flag} rule add pref {FROM_OWN + line.number} from {line.own} lookup {table} proto static")
    elif kind == "lease":
        lease = f"ADDRESS={line.own}\nNETMASK=255.255.255.0\nROUTER={line.gateway}\nLIFETIME=3600\n"
        made.leases.append((device, lease))
    elif kind == "config":
        made.gateways.setdefault(device, []).append(line.gateway)


def _catch_all(made: Builder, plan: Plan, ways: list[str]) -> None:
    """One of the tables serves all others."""
    first = next(place for place, kind in enumerate(ways, 1) if kind in ("table", "bare"))
    if not made.maybe(3):
        made.base.append(f"-{plan.family} rule add pref {CATCH_ALL} lookup {100 + first} proto static")


# -- other programs


def _local_moved(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    place = made.one(100, 1001, 32765)
    made.foreign += [f"-{plan.family} rule add pref {place} lookup local", f"-{plan.family} rule del pref 0"]


def _unplaced(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """A full tunnel whose rules have no priorities: the kernel puts them in front of all that stand then."""
    _full_tunnel(made, plan, "", "")


def _wg_quick(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """A full tunnel whose rules have priorities."""
    places = ("pref 501", "pref 500"), ("pref 5001", "pref 5000"), ("pref 32765", "pref 32764")
    _full_tunnel(made, plan, *made.one(*places))


def _full_tunnel(made: Builder, plan: Plan, first: str, second: str) -> None:
    flag = f"-{plan.family}"
    made.foreign += [
        made.has(plan.tunnel, plan.host, "wg0"),
        f"{flag} route add default dev wg0 table 51820",
        f"{flag} rule add {first} not fwmark 0xca6c lookup 51820",
        f"{flag} rule add {second} lookup main suppress_prefixlength 0",
    ]


def _tailscale(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """Its rules; with an exit node a default in its table."""
    flag, mark = f"-{plan.family}", "fwmark 0x80000/0xff0000"
    made.foreign += [
        made.has(plan.tail_own, plan.host, "ts0"),
        f"{flag} rule add pref 5210 {mark} lookup main",
        f"{flag} rule add pref 5230 {mark} lookup default",
        f"{flag} rule add pref 5250 {mark} unreachable",
        f"{flag} rule add pref 5270 lookup 52",
        f"{flag} route add {plan.tailnet} dev ts0 table 52",
    ]
    if made.maybe(2):
        made.foreign.append(f"{flag} route add default dev ts0 table 52")
        lan = "172.20.0.0/24" if plan.family == 4 else "2001:db8:20::/64"
        made.foreign += [f"{flag} route add throw {lan} table 52"] if made.maybe(2) else []


def _halves(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """OpenVPN's def1, with its host route to the server."""
    flag = f"-{plan.family}"
    if not any(address == plan.tunnel for address, _ in made.owners):
        made.foreign.append(made.has(plan.tunnel, plan.host, "wg0"))
    made.foreign += [f"{flag} route add {half} dev wg0" for half in plan.halves]
    number = made.one(1, 2)
    way = f"via {plan.gateway.format(number)} dev {LINES[number - 1]} onlink"
    made.foreign.append(f"{flag} route add {plan.worlds[1]}/{plan.host} {way}")


def _vrf(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """A management network with a table of its own, as VRFs were written with rules."""
    flag, place = f"-{plan.family}", made.one(500, 1000, 1001, 2000)
    made.foreign += [
        made.has(plan.vrf_own, plan.length, "vrf0", "noprefixroute"),
        f"{flag} route add {plan.vrf} dev vrf0 table 77",
        f"{flag} route add unreachable default metric 42000 table 77",
        f"{flag} rule add pref {place} iif vrf0 lookup 77",
        f"{flag} rule add pref {place} oif vrf0 lookup 77",
    ]


def _l3mdev(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """The kernel's own rule for VRFs, which matches nothing here."""
    made.foreign.append(f"-{plan.family} rule add pref 1000 l3mdev proto kernel")


def _lan_policy(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """One network goes by a line of its own, or by a host on the other side."""
    flag, place, number = f"-{plan.family}", made.one(500, 1500, 5000, 32000), made.one(1, 2)
    net = "172.21.0.0/24" if plan.family == 4 else "fd21::/64"
    way = made.one(f"via {plan.gateway.format(number)} dev {LINES[number - 1]} onlink", f"via {plan.lan_host} dev lan0")
    if LINES[number - 1] in way:  # a gateway that is found in any table makes a line usable
        made.known.add((LINES[number - 1], plan.family))
    made.foreign += [
        f"{flag} route add default {way} table 200",
        f"{flag} rule add pref {place} from {net} lookup 200",
    ]


def _far(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """A network behind a router of the LAN, a line, or in a table of its own."""
    flag, number = f"-{plan.family}", made.one(1, 2)
    way = made.one(f"via {plan.lan_host} dev lan0", f"via {plan.gateway.format(number)} dev {LINES[number - 1]} onlink")
    if made.maybe(2):
        place = made.one(500, 1050, 5000)
        rule = made.one(f"to {plan.far}", "", f"iif lo to {plan.far}")
        made.foreign += [
            f"{flag} route add {plan.far} {way} table 300",
            f"{flag} rule add pref {place} {rule} lookup 300",
        ]
    else:
        made.foreign.append(f"{flag} route add {plan.far} {way}")


def _null(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """What leads nowhere on purpose; thrown out of one table, it goes on in the next."""
    flag, kind = f"-{plan.family}", made.one("blackhole", "unreachable", "prohibit", "throw")
    table = 301 if kind == "throw" else made.one(MAIN, 301)
    made.foreign.append(f"{flag} route add {kind} {plan.null} table {table}")
    if table == 301:
        made.foreign.append(f"{flag} rule add pref {made.one(600, 6000)} lookup 301")


def _refusal(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """A rule that refuses."""
    who = made.one(f"from {plan.dmz_host}", f"to {plan.null}", "fwmark 1", "dport 53 ipproto udp", "iif dmz0")
    kind, place = made.one("unreachable", "blackhole", "prohibit"), made.one(700, 7000)
    made.foreign.append(f"-{plan.family} rule add pref {place} {who} {kind}")


def _odd_rules(made: Builder, plan: Plan, lines: tuple[str, ...]) -> None:
    """Selectors and actions of every kind."""
    flag = f"-{plan.family}"
    made.foreign.append(f"{flag} route add {plan.far} via {plan.lan_host} dev lan0 table 302")
    if made.maybe(2):
        made.foreign.append(f"{flag} route add default via {plan.lan_host} dev lan0 table 302")
    for _ in range(made.one(1, 2, 3)):
        place = made.one(550, 1150, 1950, 8000)
        choices = ("", f"from {plan.dmz_host}", f"to {plan.far}", "iif lan0", "iif lo", "oif lan0", "fwmark 1")
        odd = ("uidrange 0-0", "not fwmark 1", f"not to {plan.far}", "dport 53 ipproto udp", f"from {plan.lan}")
        who = made.one(*choices, *odd)
        what = made.one("lookup 302", "lookup 302 suppress_prefixlength 0", "nop", "goto 32766", "lookup main")
        made.foreign.append(f"{flag} rule add pref {place} {who} {what}")


FEATURES = (
    _local_moved, _wg_quick, _tailscale, _halves, _vrf, _l3mdev, _lan_policy, _far, _null, _refusal, _odd_rules,
)  # fmt: skip


# -- our own side


def _configuration(made: Builder, uplinks: tuple[str, ...], metrics: list[int], policed: bool) -> str:
    text = "[routing]\n"
    text += f"main_first = {made.one('yes', 'yes', 'no')}\n"
    text += f"default_table = {made.one('1000', '1000', 'main')}\n"
    text += f"nexthops = {made.one('auto', 'routes', 'objects')}\n"
    text += f"copy_routes = {made.one('own', 'own', 'main')}\n"
    text += f"last_resort = {made.one('main', 'main', 'keep')}\n"
    text += f"rule_priority = {made.one(1000, 1000, 1000, 5300, 90)}\n"
    text += f"[router]\npin = {made.one('no', 'no', 'yes')}\n"
    six = made.one(", icmp://2001:db8:99::9", "")
    text += f"[probe]\ntargets = icmp://9.9.9.9{six}\nportal_targets =\nfall = 1\nrise = 1\ntimeout = 1\n"
    text += "burst_interval = 0.05\nhysteresis_delay = 0\n[uplinks]\n"
    for device, metric in zip(uplinks, metrics, strict=False):
        text += f"[[{device.replace('wan', 'line')}]]\nmatch = {device}\nmetric = {metric}\n"
        if device in made.gateways:
            text += f"gateway = {', '.join(made.gateways[device])}\n"
    if policed:
        text += "[policies]\n[[lan]]\nfrom = 172.20.0.0/24, 2001:db8:20::/64\nuplinks = line2, line1\n"
    return text
