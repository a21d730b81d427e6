"""The time of a server (NTPv4, RFC 5905): one client packet and one answer of 76 bytes each over IPv4, 96 over IPv6.

An answer is a packet of mode 4 from the address that was asked, with the 64 random bits of the question as its origin
timestamp: none that did not see the question can make it.  Its clock does not matter here.  A server that sends a kiss
of death, or whose own clock is not set, shows as well that the line carries packets both ways; that is said beside the
verdict, because such a server may soon answer nothing at all.
"""

from __future__ import annotations

import os

from mwan_hook.light import TYPE_CHECKING
from mwan_hook.probes.bound import not_sent
from mwan_hook.probes.datagram import Server, ask
from mwan_hook.say import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Job
    from mwan_hook.probes.bound import Exchange, ProbeAnswer, Steps

LENGTH = 48  # of the header; extensions and a digest may follow
CLIENT = 0x23  # version 4, mode 3
MODE, SERVER = 0x07, 4
ORIGIN, TRANSMIT = slice(24, 32), slice(40, 48)
UNSET = 3  # leap indicator of a clock that is not set
STRATA = range(1, 16)
KISSES = {"RATE": "it is asked too often", "DENY": "access denied", "RSTR": "access denied"}


def probe(job: Job, addresses: Sequence[str], exchange: Exchange) -> Steps[ProbeAnswer]:
    """Ask the first address once."""
    token = os.urandom(8)  # for the transmit timestamp: it tells nothing of our clock

    def read(packet: bytes) -> str | None:
        return complaint(packet) if answers(packet, token) else None

    try:
        server = Server(addresses[0], job.target.port)
        words, answer = yield from ask(job, server, question(token), exchange, read)
    except OSError as error:
        return not_sent(error)
    return answer._replace(error=words or answer.error, wire_bytes=exchange.total())


def question(token: bytes) -> bytes:
    """A client's packet: nothing in it but version, mode and the transmit timestamp."""
    return bytes((CLIENT,)) + bytes(TRANSMIT.start - 1) + token


def answers(packet: bytes, token: bytes) -> bool:
    """True of a server's answer to the question with this token."""
    return len(packet) >= LENGTH and packet[0] & MODE == SERVER and packet[ORIGIN] == token


def complaint(packet: bytes) -> str:
    """Words for an answer with no time in it; empty for a good one."""
    leap, stratum = packet[0] >> 6, packet[1]
    kiss = packet[12:16].decode("latin-1").rstrip("\0")
    if stratum == 0 and kiss in KISSES:
        return f"the server sent a kiss of death, {kiss}: {KISSES[kiss]}"
    if leap == UNSET or stratum not in STRATA:
        code = f" ({shown(kiss)})" if stratum == 0 and kiss else ""
        return f"the server's clock is not set{code}"
    return ""
