"""Doctor: what the kernel was built without, and modules that cannot be loaded.  Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from mwan_hook.connections import own
from mwan_hook.doctor.finding import MODULES, PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.light import NamedTuple
from mwan_hook.model import Family, Nat6


class Part(NamedTuple):
    """A part that a kernel may be built without: its option, its module, and what needs it."""

    option: str
    module: str
    breaks: str


class Kernel(NamedTuple):
    """``options`` None: the configuration of the kernel is nowhere to be read."""

    release: str = ""
    options: Mapping[str, str] | None = None  # y or m
    place: str = ""
    known: frozenset[str] | None = None  # modules on disk, and built in; None: no list
    loaded: frozenset[str] = frozenset()
    locked: str = ""  # why none can be loaded any more


RULES4 = Part("CONFIG_IP_MULTIPLE_TABLES", "", "no rule and no table but main: nothing of mwan-hook works for IPv4")
RULES6 = Part("CONFIG_IPV6_MULTIPLE_TABLES", "", "no rule and no table but main: nothing of mwan-hook works for IPv6")
MULTIPATH = Part("CONFIG_IP_ROUTE_MULTIPATH", "", "uplinks cannot share: the kernel refuses the route")
_NFT = "the nft table of [router] is refused: nothing is pinned or masqueraded"
FIREWALL = (
    Part("CONFIG_NF_TABLES", "nf_tables", _NFT),
    Part("CONFIG_NF_TABLES_INET", "nf_tables", _NFT),
    Part("CONFIG_NFT_CT", "nft_ct", _NFT),
    Part("CONFIG_NF_CONNTRACK_MARK", "", "connections carry no mark: nothing is pinned"),
)
TRANSLATION = (
    Part("CONFIG_NFT_MASQ", "nft_masq", _NFT),
    Part("CONFIG_NFT_NAT", "nft_nat", _NFT),
    Part("CONFIG_NFT_FIB_INET", "nft_fib_inet", _NFT),
)
PORTS = (4, 17)  # the first kernel whose rules know protocols and ports
PREFIX = (5, 8)  # whose nftables translate prefixes
NFT = (5, 2)  # whose inet tables translate


def needed(case: Case) -> tuple[Part, ...]:
    """What this configuration asks of the kernel."""
    parts = [RULES4 if family is Family.IPV4 else RULES6 for family in case.snapshot.families]
    metrics = [uplink.metric for uplink in case.uplinks]
    shared = any(len(entry) > 1 for policy in case.config.policies for entry in policy.order)
    parts += [MULTIPATH] if shared or len(set(metrics)) < len(metrics) else []
    if case.config.firewall:
        parts += [*FIREWALL, *(TRANSLATION if _translates(case) else ())]
    return tuple(parts)


def _translates(case: Case) -> bool:
    router, uplinks = case.config.router, case.config.uplinks
    return bool(router.masquerade or router.nat6 is not Nat6.NO or any(u.masquerade or u.nat6 for u in uplinks))


def check(case: Case, kernel: Kernel) -> Iterator[Finding]:
    """Options that are off, modules that are not there or may not be loaded, and a kernel that is too old."""
    for part in needed(case):
        yield from _part(part, kernel)
    yield from _age(case, kernel.release)


def _part(part: Part, kernel: Kernel) -> Iterator[Finding]:
    built = (kernel.options or {}).get(part.option)
    if kernel.options is not None and built is None:
        what = f"{part.option} is not set in {kernel.place}"
        fix = Fix("boot a kernel that has this option")
        yield Finding("kernel-lacks", PROBLEM, part.option, what, part.breaks, fix)
    if not part.module or built == "y" or part.module in kernel.loaded:
        return
    if kernel.known is not None and part.module not in kernel.known:
        what = f"the module {part.module} is not in /lib/modules/{kernel.release}"
        words = "install the package with all modules of this kernel, or reboot into the kernel that is installed"
        fix = Fix(words)
        yield Finding("module-missing", PROBLEM, part.module, what, part.breaks, fix)
    elif kernel.locked and (kernel.known is not None or built == "m"):
        what = f"the module {part.module} is not loaded, and none is loaded on demand: {kernel.locked}"
        fix = Fix(path=MODULES, lines=(part.module,), commands=("reboot",))
        yield Finding("module-locked", PROBLEM, part.module, what, part.breaks, fix)


def _age(case: Case, release: str) -> Iterator[Finding]:
    version = _version(release)
    if not version:
        return
    wanted = []
    if any(policy.protocols or policy.sport or policy.dport for policy in case.config.policies):
        wanted.append((PORTS, "policies with proto, sport or dport", "their rules are refused"))
    nat6 = [case.config.router.nat6, *(uplink.nat6 for uplink in case.config.uplinks)]
    if Nat6.PREFIX in nat6:
        wanted.append((PREFIX, "nat6 = prefix", _NFT))
    elif case.config.firewall:
        wanted.append((NFT, "[router]", _NFT))
    for since, feature, breaks in wanted:
        if version < since:
            what = f"Linux {release}; {feature} needs {since[0]}.{since[1]}"
            yield Finding("kernel-old", PROBLEM, "kernel", what, breaks, Fix("boot a newer kernel"))


def _version(release: str) -> tuple[int, int] | None:
    found = re.match(r"([0-9]+)\.([0-9]+)", release)
    return (int(found[1]), int(found[2])) if found else None


def check_sockets(case: Case, unable: str) -> Iterator[Finding]:
    """Whether connections of this machine can be ended; empty: nothing against it."""
    if unable and case.config.router.own == own.ABORT and len(case.uplinks) > 1:
        fix = Fix("boot a kernel that has this option; or set [router] own = keep")
        yield Finding("sockets-stay", WARNING, "sock_diag", unable, own.STAY, fix)


def check_nft(case: Case, program: str, refusal: str) -> Iterator[Finding]:
    """nft(8) itself, and what the kernel says of our table (``refusal``; empty: nothing against it)."""
    if not case.config.firewall:
        return
    if not program:
        fix = Fix(commands=("apt install nftables",))
        what = "nft(8) is not installed, and the configuration has [router]"
        yield Finding("nft-missing", PROBLEM, "nft", what, "nothing is pinned, masqueraded, translated or counted", fix)
    elif refusal:
        fix = Fix("what it names is missing in this kernel, or in this nft(8)")
        yield Finding("nft-refuses", PROBLEM, "nft", f"the table of [router] is refused: {refusal}", _NFT, fix)
