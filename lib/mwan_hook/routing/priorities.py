"""The priority of every rule and chain of ours, and the bits of our marks.

Priorities of rules are offsets from ``[routing] rule_priority``, or follow from an uplink's own.

What must stay in front of all of them (look-ups of local addresses, VRFs) is laid right before the first.
"""

from __future__ import annotations

from mwan_hook.model import Family

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Config, Routing, UplinkConfig

AHEAD = -1  # behind the kernel's rule for local addresses, before that of main
MAIN = 0  # main without its defaults, with `main_first`
MAIN_BEHIND_VRFS = 1  # the same where a rule of VRFs stands at the base
JUMPS, NETWORKS = 50, 51  # beside other programs' rules (:mod:`tunnels`): networks of their tables take up to 99
DEVICES = 100
OWN_MARKS = 198  # own packets have a source when nft chooses them: before the rules of addresses
REFUSE_EARLY = 199  # behind the rules of devices, which our probes are bound to, and before those of addresses
SOURCES = 200
GUARDS = 250
MARKS = 300  # of uplinks, and of policies' pairs
SHARED_ADDRESSES = 301  # addresses that several uplinks have, and delegated prefixes with `pin`
SHARED_GUARDS = 302
POLICIES, POLICIES_END = 400, 899
EACH_POLICY = 2  # its own, and its fallback's
DEFAULT = 900

KERNEL_MAIN, KERNEL_DEFAULT = 32766, 32767
KERNEL_VRFS = 1000  # where the kernel puts its rule for VRFs when the first of them is made (drivers/net/vrf.c)
LAST = KERNEL_MAIN - 1  # beyond it the kernel's main answers first

LAST_BASE = LAST - DEFAULT

# Before the shared default stand main without its defaults (`main_first = no`) and then own IPv6 packets, where that
# default goes through a nexthop object (:mod:`nexthops`).  Behind an uplink's own `rule_priority` come its guards,
# these two, and the shared default; above 32761 they share what room there is, in the order in which they are put in.
BEFORE_DEFAULT = 2
BEHIND_SOURCES, DEFAULT_BEHIND = 1, 4

# Chains of our nft table.
CHAIN_MANGLE = -145  # after marks that iptables' mangle and others' tables at that priority set on purpose
CHAIN_TRANSLATED = -95  # after dstnat (-100): policies choose what the kernel is going to route
CHAIN_SRCNAT = 120  # after all others: what the operator, docker or firewalld translate is theirs
CHAIN_ADVERTISED = 300  # after all others: no other chain sees what is no longer as its sender made it

ALL_BITS = 0xFFFFFFFF  # of a mark: one without a mask compares them all, as in ip-rule(8)
MARK_MASKS = (0x3F00, 0x3F0000, 0x3F000000, 0x3F, 0xFC00, 0xFC0000)  # the default of mark_mask, then what to propose
WIDER_MARK_MASKS = (0xFF00, 0xFFFF00)

# Routes of main up to this prefix length are defaults in disguise: the halves of a VPN, and in IPv6 2000::/3, ::/3 and
# 2000::/4 with 3000::/4.
DISGUISED = {Family.IPV4: 1, Family.IPV6: 4}
# What a lease or an advertisement brings up to this length is one, too: no network is wider than 10.0.0.0/8, and no
# provider has more than a /16 of IPv6.
CLAIMED = {Family.IPV4: 7, Family.IPV6: 15}


def sources(routing: Routing, uplink: UplinkConfig) -> int:
    """The rules of an uplink's addresses."""
    return routing.rule_priority + SOURCES if uplink.rule_priority is None else uplink.rule_priority


def guards(routing: Routing, uplink: UplinkConfig) -> int:
    """The rules that refuse what did not find its way in the uplink's table."""
    own = uplink.rule_priority
    return routing.rule_priority + GUARDS if own is None else min(own + BEHIND_SOURCES, LAST)


def default(config: Config) -> int:
    """The rule of the shared default: an uplink's addresses are served before it, wherever their rules stand."""
    own = [uplink.rule_priority + DEFAULT_BEHIND for uplink in config.uplinks if uplink.rule_priority is not None]
    return min(max(config.routing.rule_priority + DEFAULT, *own, 0), LAST)
