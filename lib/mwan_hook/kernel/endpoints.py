"""Endpoints and limits of MPTCP's path manager in the kernel, of this network namespace (linux/mptcp_pm.h)."""

from __future__ import annotations

from _socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from errno import EINVAL, ENOENT
from struct import error as malformed
from struct import pack
from sys import byteorder

from mwan_hook.kernel import frames, generic, sysctl
from mwan_hook.model import BACKUP, IMPLICIT, Endpoint, MwanError, Paths

FAMILY = "mptcp_pm"
_ADD, _DELETE, _GET, _SET_LIMITS, _GET_LIMITS, _SET_FLAGS = 1, 2, 3, 5, 6, 7
SEEN = (FAMILY, (_GET,), (_GET_LIMITS,))  # what a look reads
_ADDRESS, _SUBFLOWS = 1, 3  # MPTCP_PM_ATTR_*
_AF, _ID, _ADDR4, _ADDR6, _PORT, _FLAGS, _INDEX = 1, 2, 3, 4, 5, 6, 7  # MPTCP_PM_ADDR_ATTR_*
_NESTED, _FULLMESH = 0x8000, 0x8


def usable() -> bool:
    """Whether this kernel has MPTCP, and this namespace has it switched on."""
    return sysctl.read(sysctl.MPTCP) not in (None, "0")


def look() -> Paths | None:
    """What there is; None where the kernel cannot tell."""
    try:
        with PathManagerSocket() as paths:
            return Paths(paths.endpoints(), paths.limit())
    except (generic.Refused, MwanError, OSError, frames.InterruptedDumpError, LookupError, malformed):
        return None


class PathManagerSocket(generic.Generic):
    """A look at the path manager, and changes of it.  Raises generic.Refused, OSError."""

    def __init__(self) -> None:
        super().__init__(FAMILY)

    def endpoints(self) -> tuple[Endpoint, ...]:
        """All endpoints, in the kernel's order."""
        return tuple([_endpoint(one) for buffer in self.dump(_GET) for one in frames.messages(buffer)])

    def limit(self) -> int:
        """How many subflows a connection may have beside its first."""
        return _number(frames.attributes(self.ask(_GET_LIMITS), generic.HEADER)[_SUBFLOWS])

    def set_limit(self, subflows: int) -> None:
        """Set it; that of accepted addresses stays."""
        self.tell(_SET_LIMITS, frames.number(_SUBFLOWS, subflows))

    def add(self, one: Endpoint) -> None:
        """Add an endpoint by its id, or in the place of one that the kernel has made, whose id it keeps then."""
        number = b"" if one.flags & IMPLICIT else frames.attribute(_ID, bytes((one.id,)))
        flags = frames.number(_FLAGS, one.flags & ~IMPLICIT)
        self._change(_ADD, _address(one) + number + flags + frames.number(_INDEX, one.index))

    def set_backup(self, one: Endpoint) -> None:
        """Change the backup flag in place: peers are told, and no subflow is closed, as by deleting and adding."""
        flags = frames.number(_FLAGS, one.flags & (BACKUP | _FULLMESH))  # what is not said is taken away
        self._change(_SET_FLAGS, frames.attribute(_ID, bytes((one.id,))) + flags)

    def delete(self, one: Endpoint) -> None:
        """Delete an endpoint, which closes its subflows and tells peers; one that is gone is no failure."""
        try:
            self._change(_DELETE, frames.attribute(_ID, bytes((one.id,))))
        except generic.Refused as refused:
            if refused.code not in (EINVAL, ENOENT):  # Linux 6.18 says EINVAL of an id that there is not
                raise

    def _change(self, command: int, body: bytes) -> None:
        self.tell(command, frames.attribute(_ADDRESS | _NESTED, body))


def _endpoint(message: bytes) -> Endpoint:
    found = frames.attributes(frames.attributes(message, generic.HEADER)[_ADDRESS], 0)
    raw = found.get(_ADDR4) or found.get(_ADDR6, bytes(16))
    return Endpoint(
        inet_ntop(AF_INET if len(raw) == 4 else AF_INET6, raw),
        _number(found.get(_ID, b"")),
        _number(found.get(_INDEX, b"")),
        _number(found.get(_FLAGS, b"")),
        _number(found.get(_PORT, b"")),
    )


def _address(one: Endpoint) -> bytes:
    family, kind = (AF_INET6, _ADDR6) if ":" in one.address else (AF_INET, _ADDR4)
    return frames.attribute(_AF, pack("=H", family)) + frames.attribute(kind, inet_pton(family, one.address))


def _number(raw: bytes) -> int:
    return int.from_bytes(raw, byteorder)
