"""What the lease files of NetworkManager, dhclient and dhcpcd say, as values.  Pure.

A default of the classless static routes takes the place of the routers, as RFC 3442 has it.
"""

from __future__ import annotations

from _socket import AF_INET, inet_ntop

from mwan_hook.addresses import is_address
from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# RFC 2131: what comes before the options, and where they begin
_COOKIE, _OPTIONS = bytes((0x63, 0x82, 0x53, 0x63)), 240
_ROUTERS, _SERVERS, _CLASSLESS, _PAD, _END = 3, 6, 121, 0, 255
_ROUTES = "classless-static-routes"  # dhclient's name, with "rfc3442-" in Debian's configuration
_UNSPECIFIED = "0.0.0.0"


class Offer(NamedTuple):
    """One DHCPv4 lease: the address that it gives, and who was named with it."""

    address: str
    routers: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()


def network_manager(text: str) -> list[Offer]:
    """The lease in a file below /run/NetworkManager/devices; none where that has no [dhcp4]."""
    values = dict(line.partition("=")[::2] for line in text.split("\n") if line.startswith("dhcp4."))
    return _offers({key.removeprefix("dhcp4."): value for key, value in values.items()})


def dhcpcd_dump(text: str) -> list[Offer]:
    """The lease in what ``dhcpcd --dumplease`` prints of an interface: a block of variables for each protocol."""
    return _offers(dict(line.partition("=")[::2] for line in text.split("\n")))


def _offers(values: Mapping[str, str]) -> list[Offer]:
    """Variables as a DHCP client's scripts know them."""
    address = values.get("ip_address", "")
    if not is_address(address):
        return []
    routes = values.get("rfc3442_classless_static_routes") or values.get("classless_static_routes", "")
    words = routes.split()
    default = [via for to, via in zip(words[::2], words[1::2], strict=False) if to.partition("/")[2] == "0"]
    routers = default if words else values.get("routers", "").split()
    return [Offer(address, _addresses(routers), _addresses(values.get("domain_name_servers", "").split()))]


def dhclient(text: str, interface: str) -> list[Offer]:
    """The leases of an interface in a dhclient.leases(5) file, the latest first."""
    found = [
        _lease(block)
        for block in _blocks(text)
        if block.get("interface") == f'"{interface}"' and is_address(block.get("fixed-address", ""))
    ]
    return found[::-1]


def _blocks(text: str) -> Iterator[dict[str, str]]:
    """What each whole ``lease { ... }`` states, without the word ``option``."""
    block: dict[str, str] | None = None
    for line in text.split("\n"):
        word = line.strip()
        if line.startswith("lease {"):
            block = {}
        elif line.startswith("}"):
            if block is not None:
                yield block
            block = None
        elif block is not None:
            key, _, value = word.removesuffix(";").removeprefix("option ").partition(" ")
            block[key] = value


def _lease(block: Mapping[str, str]) -> Offer:
    routes = block.get(f"rfc3442-{_ROUTES}") or block.get(_ROUTES, "")
    numbers = [int(word) for word in _words(routes) if word.isdecimal() and len(word) < 4 and int(word) < 256]
    routers = _classless(bytes(numbers)) if routes else _words(block.get("routers", ""))
    return Offer(block["fixed-address"], _addresses(routers), _addresses(_words(block.get("domain-name-servers", ""))))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def dhcpcd(message: bytes) -> list[Offer]:
    """The lease in a file of dhcpcd's, which is the server's last message as it came."""
    if len(message) < _OPTIONS or message[236:_OPTIONS] != _COOKIE:
        return []
    options = _options(message[_OPTIONS:])
    routes = options.get(_CLASSLESS, b"")
    routers = _classless(routes) if routes else _quads(options.get(_ROUTERS, b""))
    return [
        Offer(inet_ntop(AF_INET, message[16:20]), _addresses(routers), _addresses(_quads(options.get(_SERVERS, b""))))
    ]


def _options(data: bytes) -> dict[int, bytes]:
    """Options by number; one that is sent in pieces is put together (RFC 3396)."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data) and data[at] != _END:
        if data[at] == _PAD:
            at += 1
            continue
        length = data[at + 1] if at + 1 < len(data) else 0
        found[data[at]] = found.get(data[at], b"") + data[at + 2 : at + 2 + length]
        at += 2 + length
    return found


def _quads(data: bytes) -> list[str]:
    return [inet_ntop(AF_INET, data[at : at + 4]) for at in range(0, len(data) - 3, 4)]


def _classless(data: bytes) -> list[str]:
    """Gateways of the defaults in option 121: a length, as many bytes of the network as it needs, the gateway."""
    found, at = [], 0
    while at < len(data):
        length = data[at]
        via = at + 1 + (min(length, 32) + 7) // 8
        if not length:
            found += _quads(data[via : via + 4])
        at = via + 4
    return found


def _addresses(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(word for word in words if is_address(word) and word != _UNSPECIFIED)


def current(offers: Iterable[Offer], addresses: Sequence[str]) -> Offer | None:
    """The first one whose address the interface has: files outlive their leases."""
    return next((offer for offer in offers if offer.address in addresses), None)
