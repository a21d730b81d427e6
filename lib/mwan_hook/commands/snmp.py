"""``mwan-hook snmp``: what net-snmp's ``pass_persist`` and ``pass`` ask.  Needs no root and takes no lock.

With ``pass_persist`` it stays as long as snmpd does, and no longer; each answer comes from the state file as it is at
that moment, so there is nothing to go stale.
"""

from __future__ import annotations

import gc
import os

from mwan_hook.model import MwanError, State
from mwan_hook.notify import oids
from mwan_hook.say import say
from mwan_hook.store import state as states

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.notify.oids import Oid, Variable

NONE = "NONE"
REFUSED = "not-writable"
LARGEST = 1 << 16  # bytes of a request; snmpd's own are shorter than a packet
FIND: dict[str, Callable[[Sequence[Variable], Oid], Variable | None]] = {"get": oids.get, "getnext": oids.following}


def run(root: str, oid: str | None, get: str | None, getnext: str | None, put: Sequence[str] | None) -> int:
    """``pass`` where there is a request on the command line, else ``pass_persist``.  Raises MwanError."""
    base = _base(root, oid)
    if put is not None:
        say((REFUSED,))
    elif get is not None:
        _say(_answer(root, base, "get", get))
    elif getnext is not None:
        _say(_answer(root, base, "getnext", getnext))
    else:
        serve(root, base)
    return 0


def _say(answer: str) -> None:
    if answer != NONE:
        say(answer.split("\n"))


def serve(root: str, base: Oid, source: int = 0, sink: int = 1) -> None:
    """``pass_persist``: answer until snmpd closes the pipe, as it does when it ends or reads its configuration anew."""
    gc.enable()  # this is no short run
    requests = Requests(source)
    while (command := requests.line()) is not None:
        answer = _reply(root, base, command, requests)
        try:
            os.write(sink, answer.encode() + b"\n")
        except BrokenPipeError:
            break


def _reply(root: str, base: Oid, command: str, requests: Requests) -> str:
    """Answer each request, known or not: snmpd waits for it."""
    word = command.lower()
    if word == "ping":
        return "PONG"
    if word in FIND:
        return _answer(root, base, word, requests.line() or "")
    if word == "set":
        requests.drop()
        return REFUSED
    return NONE


def _answer(root: str, base: Oid, command: str, text: str) -> str:
    asked = oids.parse(text)
    found = FIND[command](oids.variables(base, _state(root)), asked) if asked else None
    return "\n".join((oids.dotted(found.oid), found.kind, found.value)) if found else NONE


class Requests:
    """Lines from snmpd, which writes a request at once and then waits for the answer."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._rest = b""

    def line(self) -> str | None:
        """The next one without its end; None at the end of the file.  Of what is too long only the end is kept."""
        while b"\n" not in self._rest:
            more = os.read(self._source, LARGEST)
            if not more:
                return None  # half a line is no request
            self._rest = self._rest[-LARGEST:] + more
        line, _, self._rest = self._rest.partition(b"\n")
        return line.decode("ascii", "replace").strip()

    def drop(self) -> None:
        """Forget the rest of a request: a value may have lines of its own, and none of them is a request."""
        self._rest = b""


def _base(root: str, given: str | None) -> Oid:
    """Where the tree hangs.  A configuration that cannot be read is no reason to fall silent, nor is this the place to
    speak of it: snmpd takes the standard error for answers.  Raises MwanError.
    """
    from mwan_hook import config
    from mwan_hook.model import Config

    text = given
    if text is None:
        try:
            text = config.look(root).config.snmp.oid
        except MwanError:
            text = Config().snmp.oid
    found = oids.parse(text)
    if not found:
        raise MwanError(f"{text} is no OID; expected numbers and dots, as .1.3.6.1.4.1.99999")
    return found


def _state(root: str) -> State:
    """What the last run remembered of this boot.  A file that cannot be used counts as none and stays where it is."""
    try:
        return states.load(root, writes=False)[0]
    except MwanError:
        return State()
