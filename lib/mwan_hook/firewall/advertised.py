"""Rules of our nft table that deprecate prefixes in all router advertisements that this machine sends.

In a router advertisement that leaves this machine the preferred lifetime of a prefix becomes 0.  nft(8) keeps no
checksum right where it knows no field, so nothing is lost: the lifetime moves into the 32 reserved bits behind it,
which receivers ignore, and the sum over all words stays what it was.
"""

from __future__ import annotations

from mwan_hook.addresses import leading, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADER = 16 * 8  # bits of an advertisement before its options
UNIT = 8 * 8  # options begin at multiples of it
PLACES = 20  # where a prefix is looked for: behind four others and some small options
PREFIX_INFORMATION = 0x0304  # an option's type, and its length in units
_PREFERRED, _RESERVED, _PREFIX = 64, 96, 128  # bits from its beginning
_ALL = (1 << 64) - 1


def rules(prefixes: Sequence[str]) -> Iterator[str]:
    """Rules of a chain that sees what this machine sends."""
    yield "meta l4proto != ipv6-icmp return"
    yield "icmpv6 type != nd-router-advert return"
    for prefix in prefixes:
        address, length = split(prefix)
        mask = _ALL << (64 - length) & _ALL
        bits = leading(address, 64)
        for place in range(PLACES):
            at = HEADER + place * UNIT
            found = f"@th,{at},16 {PREFIX_INFORMATION:#x} @th,{at + _PREFIX},64 & {mask:#x} == {bits:#x}"
            lifetime, reserved = f"@th,{at + _PREFERRED},32", f"@th,{at + _RESERVED},32"
            yield f"{found} {lifetime} != 0 {reserved} set {lifetime} {lifetime} set 0"
