"""Whether gateways answer ARP and neighbour discovery, as the kernel knows; and having it ask them."""

from __future__ import annotations

import time
from _socket import inet_ntop, inet_pton
from _struct import pack, unpack_from

from mwan_hook.addresses import VIA_IPV6
from mwan_hook.kernel import bulk, frames, wire
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import FAMILIES, PROTOCOL, Family, turn_key

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mwan_hook.model import Link, Turn, Uplink

PATIENCE = 0.25  # seconds for answers, where nothing was known of a gateway
STEP = 0.02
_NDA_DST = 1
_NTF_USE = 1
_INCOMPLETE, _FAILED = 0x01, 0x20  # NUD_*; all others but none tell of an answer
_STATE = 24  # offset in a message


def answers(reader: Reader, family: Family, link: Link, gateways: Sequence[str]) -> dict[str, bool | None]:
    """Whether each gateway answers; None while that is not known.  Without ARP none can be asked: True."""
    if link.noarp:
        return dict.fromkeys(gateways, True)
    found = _states(reader, family, link.index, gateways)
    return {one: _answer(found.get(one, 0)) for one in gateways}


def is_silent(reader: Reader, family: Family, link: Link, gateway: str) -> bool:
    """Whether a gateway that packets were just sent to has given no answer on the link, nor one before."""
    if link.noarp:
        return False
    return bool(_states(reader, family, link.index, (gateway,)).get(gateway, 0) & (_INCOMPLETE | _FAILED))


def ask(uplinks: Iterable[Uplink], turns: Mapping[str, Turn]) -> bool:
    """Have the kernel ask every gateway that it knows nothing of, or that was silent; whether anything is known anew.

    One that is in use is asked by its own traffic.  Answers are waited for where the gateway in use gives none.
    """
    waiting = []
    with Reader(PROTOCOL) as reader:
        for uplink in uplinks:
            for family in FAMILIES:
                choices, link = uplink.way(family).choices, uplink.link
                if choices and link and link.carrier and not link.noarp:
                    known = answers(reader, family, link, choices)
                    _solicit(link.index, [one for one in choices if not known[one]])
                    current = turns[turn_key(uplink.name, family)].gateway
                    if not known[current]:
                        waiting.append((family, link, choices, known))
        return _waited(reader, waiting)


def _waited(reader: Reader, waiting: list[tuple[Family, Link, tuple[str, ...], dict[str, bool | None]]]) -> bool:
    end = time.monotonic() + PATIENCE
    while waiting and time.monotonic() < end:
        time.sleep(STEP)
        if all(all(answers(reader, family, link, choices).values()) for family, link, choices, _ in waiting):
            break
    return any(answers(reader, family, link, choices) != known for family, link, choices, known in waiting)


def _answer(state: int) -> bool | None:
    if not state or state & _INCOMPLETE:
        return None
    return not state & _FAILED


def _states(reader: Reader, family: Family, index: int, gateways: Sequence[str]) -> dict[str, int]:
    """States of a device's neighbours; of IPv6 gateways of IPv4 routes by the names that those have."""
    found = dict(map(_state, reader.neighbours(family, index)))
    if any(one.startswith(VIA_IPV6) for one in gateways):
        others = map(_state, reader.neighbours(Family.IPV6, index))
        found.update((VIA_IPV6 + address, state) for address, state in others)
    return found


def _state(message: bytes) -> tuple[str, int]:
    (state,) = unpack_from("=H", message, _STATE)
    return inet_ntop(message[16], wire.attributes(message, 28)[_NDA_DST]), state


def _solicit(index: int, gateways: Sequence[str]) -> None:
    """Have the kernel ask gateways, as a packet for them would; it goes on by itself."""
    bulk.send([frames.request(wire.RTM_NEWNEIGH, wire.NLM_F_CREATE, _wish(index, one)) for one in gateways])


def _wish(index: int, gateway: str) -> bytes:
    text = gateway.removeprefix(VIA_IPV6)
    af = Family.of(text).af
    return pack("=BxxxiHBB", af, index, 0, _NTF_USE, 0) + frames.attribute(_NDA_DST, inet_pton(af, text))
