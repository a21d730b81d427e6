"""Names of the protocols above IP that people write down; the numbers are IANA's."""

NUMBERS = {
    "icmp": 1,
    "igmp": 2,
    "ipencap": 4,
    "tcp": 6,
    "udp": 17,
    "dccp": 33,
    "ipv6": 41,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ipv6-icmp": 58,
    "ospf": 89,
    "l2tp": 115,
    "sctp": 132,
    "udplite": 136,
}
NAMES = {number: name for name, number in NUMBERS.items()}
OTHER_WORDS = {"icmpv6": "ipv6-icmp", "icmp6": "ipv6-icmp", "sit": "ipv6"}
WITH_PORTS = frozenset((6, 17, 33, 132, 136))
IPV4_ONLY, IPV6_ONLY = 1, 58  # the two ICMPs
