"""``mwan-hook modem``: dial the modem of an interface, or hang up; what mwan-hook-modem@.service runs.

Nothing stays in the background: a connection that drops is seen by probes, and dialled anew by a run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from mwan_hook import config
from mwan_hook.commands import screen
from mwan_hook.commands.screen import Sentence
from mwan_hook.config import Loaded
from mwan_hook.dial import causes, modemkeys
from mwan_hook.dial.causes import DialError
from mwan_hook.kernel.reader import Reader
from mwan_hook.machine import udev
from mwan_hook.model import PROTOCOL, Allotment, MwanError, Snapshot, State, Uplink
from mwan_hook.modem import memory
from mwan_hook.modem.bus import AnsweredError, Caller
from mwan_hook.modem.connect import Attempt, dial
from mwan_hook.modem.hangup import clear, end
from mwan_hook.modem.interface import Connected
from mwan_hook.modem.manager import Manager
from mwan_hook.modem.place import in_main
from mwan_hook.routing.uplinks import Inputs, bind, interfaces_to_describe
from mwan_hook.say import complain, say
from mwan_hook.store import foreign

INDENT = 4  # of a line that a terminal is too narrow for
MARGIN = 2.0  # seconds before ready_timeout: an exit status says more than being stopped does


def run(root: str, interface: str, hang_up: bool) -> int:
    """0: connected, or hung up; else a status of :mod:`mwan_hook.dial.causes`.  Raises MwanError."""
    if not interface or "/" in interface or interface in (".", ".."):
        raise DialError(causes.CONFIGURATION, f"{interface!r} is no interface's name")
    try:
        with memory.one_at_a_time(root, interface):
            return _hang_up(root, interface) if hang_up else _dial(root, interface)
    except AnsweredError as error:
        raise DialError(causes.NO_NETWORK, f"{interface}: {error}") from None
    except DialError as error:
        raise DialError(error.code, f"{interface}: {error}") from None


def _hang_up(root: str, interface: str) -> int:
    known = memory.dialled(root, interface)
    if known is None:
        return 0
    known = clear(root, interface, known)
    with Caller(root) as bus:
        end(root, interface, known, bus)
    say([f"{interface}: hung up"])
    return 0


def _dial(root: str, interface: str) -> int:
    until = time.monotonic()
    try:
        uplink = _uplink(config.look(root), interface)
        wanted = uplink.config.dial
        kind, _, words = wanted.start.partition(":") if wanted else ("", "", "")
        if wanted is None or kind != modemkeys.KIND:
            raise MwanError(f"uplink {uplink.name} has no start = modem:KEY=VALUE,... in the configuration")
        settings = modemkeys.settings(words)
        password, pin = (foreign.secret_line(root, path) for path in (settings.password_file, settings.pin_file))
        until += wanted.ready_timeout - MARGIN
    except (MwanError, ValueError) as error:
        raise DialError(causes.CONFIGURATION, str(error)) from None
    attempt = Attempt(root, interface, settings, in_main(uplink.metric), password, pin, until)
    with Caller(root) as bus:
        done = dial(attempt, bus, Manager(bus))
    screen.tell([Sentence(f"{interface}: {', '.join(_told(settings.apn, done))}", INDENT)])
    complain([f"{interface}: {done.trouble}"] if done.trouble else [])
    return 0


def _uplink(loaded: Loaded, interface: str) -> Uplink:
    """The uplink that the interface is, by the configuration alone.  Raises MwanError."""
    with Reader(PROTOCOL) as reader:
        links = reader.links()
    described = interfaces_to_describe(loaded.config, links)
    attributes = {link.name: udev.attributes(loaded.root, link.name, link.index) for link in described}
    bound = bind(loaded.config, Inputs(Snapshot(links=links), State(), Allotment(), attributes))
    found = next((uplink for uplink in bound.uplinks if uplink.interface == interface), None)
    if not found:
        raise MwanError("no uplink in the configuration matches this interface")
    return found


def _told(apn: str, done: Connected) -> Iterator[str]:
    yield f"connected (APN {apn})" if apn else "connected"
    yield from done.placing.addresses
    for metric in done.metrics:
        yield f"default of {metric.replace(' ', ' with metric ')}"
    if done.placing.servers:
        yield f"name servers {' '.join(done.placing.servers)}"
    for family in done.placing.left:
        yield f"{family.value} by DHCP or advertisements"
