"""Raw routes of a bulk copy in ip(8)'s words."""

from __future__ import annotations

from mwan_hook.kernel import canonical, wire
from mwan_hook.model import Op, Route

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_METRICS = {
    2: "mtu",
    3: "window",
    4: "rtt",
    5: "rttvar",
    6: "ssthresh",
    7: "cwnd",
    8: "advmss",
    9: "reordering",
    10: "hoplimit",
    11: "initcwnd",
    13: "rto_min",
    14: "initrwnd",
    15: "quickack",
    17: "fastopen_no_cookie",
}
# What the kernel counts in, and how it is written (tests/netns/test_kernel_messages.py).
_UNITS = {4: (8, "ms"), 5: (4, "ms"), 13: (1, "ms")}
_PREFERENCES = {1: "high", 3: "low"}
_LOCK, _FEATURES, _ALGORITHM = 1, 12, 16  # RTAX_*
_LOCKABLE = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 14))  # the word rto_min locks by itself
_ECN = 1
_FLOW = 11  # RTA_FLOW
_ENCAPSULATIONS = {1: "mpls", 2: "ip", 3: "ila", 4: "ip6", 5: "seg6", 6: "bpf", 7: "seg6local", 8: "rpl", 9: "ioam6"}


def describe(message: bytes) -> tuple[str, Route, str]:
    """A raw route for people: the verb, the route, and ip(8)'s words for what the type does not hold.

    What ip(8) has no short words for is named in a comment.
    """
    route = wire.route(message)
    assert route is not None
    found = wire.attributes(message, 28)
    metrics = wire.attributes(found.get(wire.RTA_METRICS, b""), 0)
    words = list(_metric_words(metrics))
    words += [f"realm {_realm(found[_FLOW])}"] if _FLOW in found else []
    preference = int.from_bytes(found.get(wire.RTA_PREF, b""), "little")
    words += [f"pref {_PREFERENCES[preference]}"] if preference in _PREFERENCES else []
    unsaid = list(_unsaid(found))
    words += [f"# with {', '.join(unsaid)}"] if unsaid else []
    flags = message[6] | message[7] << 8
    verb = Op.REPLACE if flags & wire.NLM_F_REPLACE else Op.APPEND if flags & wire.NLM_F_APPEND else Op.ADD
    return verb.value, route._replace(mtu=0), " ".join(words)


def _metric_words(metrics: dict[int, bytes]) -> Iterator[str]:
    locked = int.from_bytes(metrics.get(_LOCK, b""), "little")
    for kind, value in metrics.items():
        lock = "lock " if locked >> kind & 1 and kind in _LOCKABLE else ""
        number = int.from_bytes(value, "little")
        if kind in _METRICS:
            per, unit = _UNITS.get(kind, (1, ""))
            yield f"{_METRICS[kind]} {lock}{number // per}{unit}"
        elif kind == _ALGORITHM:
            lock = "lock " if locked >> kind & 1 else ""
            yield f"congctl {lock}{value.rstrip(bytes(1)).decode('ascii', 'replace')}"
        elif kind == _FEATURES and number & _ECN:
            yield "features ecn"


def _realm(value: bytes) -> str:
    number = int.from_bytes(value, "little")
    return f"{number >> 16}/{number & 0xFFFF}" if number >> 16 else str(number)


def _unsaid(found: dict[int, bytes]) -> Iterator[str]:
    for _, _, _, rest in wire.legs(found.get(wire.RTA_MULTIPATH, b"")):
        of_leg = wire.attributes(rest, 0)
        yield from _unsaid(of_leg)
        if _FLOW in of_leg:
            yield f"realm {_realm(of_leg[_FLOW])} of a nexthop"
    if canonical.RTA_ENCAP_TYPE in found:
        number = int.from_bytes(found[canonical.RTA_ENCAP_TYPE], "little")
        yield f"encap {_ENCAPSULATIONS.get(number, number)}"
