"""Name servers of a link: told to systemd-resolved, through systemd-networkd where that has the link."""

from __future__ import annotations

from mwan_hook.addresses import packed
from mwan_hook.model import Family
from mwan_hook.modem.bus import TIMEOUT, AnsweredError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.modem.bus import Caller

RESOLVED = ("org.freedesktop.resolve1", "/org/freedesktop/resolve1", "org.freedesktop.resolve1.Manager")
NETWORKD = ("org.freedesktop.network1", "/org/freedesktop/network1", "org.freedesktop.network1.Manager")
MANAGED = "LinkBusy"  # systemd-resolved's word for a link of systemd-networkd's


def tell(bus: Caller, index: int, servers: Sequence[str]) -> str:
    """Have names asked of these servers through the link; with none, forget them.  What went wrong, in words."""
    told = [(Family.of(server).af, packed(server)) for server in servers]
    try:
        if told:
            _call(bus, "SetLinkDNS", "ia(iay)", (index, told))
        else:
            _call(bus, "RevertLinkDNS", "i", (index,))
    except AnsweredError as error:
        if error.absent:
            return "systemd-resolved does not run: the name servers are told to no one" if told else ""
        return f"the name servers could not be told to systemd-resolved: {error}" if told else ""
    return ""


def _call(bus: Caller, method: str, signature: str, body: tuple[object, ...]) -> None:
    program, path, interface = RESOLVED
    try:
        word = "RevertLink" if method == "RevertLinkDNS" else method
        bus.call(program, path, f"{interface}.{word}", signature, body, TIMEOUT, False)
    except AnsweredError as error:
        if error.name.rpartition(".")[2] != MANAGED:
            raise
        program, path, interface = NETWORKD
        bus.call(program, path, f"{interface}.{method}", signature, body, TIMEOUT, False)
