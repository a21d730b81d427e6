"""The addresses of a name, by the system's resolver, which is not waited for as long as it would take."""

from __future__ import annotations

import socket
from threading import Thread

from mwan_hook.machine.resolvconf import nameservers
from mwan_hook.model import MwanError

PATIENCE = 2.0  # seconds; the resolver's own, of each server and several times: 5
RESOLV_CONF = "/etc/resolv.conf"  # the resolver's, wherever --root is


class UnansweredError(MwanError):
    """Whether there is such a name is not known."""


def addresses(name: str, wanted: int) -> list[str]:
    """Addresses, each once and without a zone.  ``wanted``: an address family.  Raises MwanError, UnansweredError."""
    found: list[list[str] | MwanError] = []
    asking = Thread(target=lambda: found.append(_asked(name, wanted)), daemon=True)
    try:
        asking.start()
    except RuntimeError as error:  # no room for another thread
        raise UnansweredError(f"{name}: {error}") from error
    asking.join(PATIENCE)
    if not found:
        servers = ", ".join(nameservers(RESOLV_CONF)) or "none is configured"
        raise UnansweredError(f"{name}: no name server has answered within {PATIENCE:g} s ({servers})")
    if isinstance(found[0], MwanError):
        raise found[0]
    return found[0]


def _asked(name: str, wanted: int) -> list[str] | MwanError:
    try:
        found = socket.getaddrinfo(name, None, wanted, socket.SOCK_DGRAM)
    except socket.gaierror as error:
        kind = UnansweredError if error.errno == socket.EAI_AGAIN else MwanError
        return kind(f"{name}: {error.strerror}")
    except (OSError, UnicodeError) as error:
        return MwanError(f"{name}: {error}")
    return list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))
