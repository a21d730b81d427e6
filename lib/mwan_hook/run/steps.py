"""What each step of a repair ladder does: a row each.  Imported only by what repairs."""

from __future__ import annotations

import time

from mwan_hook.kernel import frames, interfaces
from mwan_hook.light import NamedTuple
from mwan_hook.machine import modems, networkd, programs, usbdevice
from mwan_hook.model import MwanError, Notice
from mwan_hook.notify import hooks
from mwan_hook.repair.steps import line
from mwan_hook.store import files
from mwan_hook.verdict.notices import identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.config import Loaded
    from mwan_hook.model import Uplink

EVENT = "repair"  # the directory of the programs that the step `hook` runs
NETWORKCTL = "networkctl"
TIMEOUT = 30.0  # seconds for networkctl
CARRIER = 10.0  # seconds for a link to have one again
UNMANAGED = ("", "unmanaged", "pending", "initialized")


class Work(NamedTuple):
    """An uplink that gets a step, and why."""

    root: str
    loaded: Loaded
    uplink: Uplink
    reason: str


class StepEffects(NamedTuple):
    """One row.

    ``refusal`` says why the step cannot be; empty: it can.  ``act`` does it, or raises MwanError; ``mend`` puts right
    what a process that was killed left, by what is in a file of root's.
    """

    refusal: Callable[[Work], str]
    act: Callable[[Work], None]
    mend: Callable[[str], None] = lambda _root: None


def _absent(work: Work) -> str:
    return "" if work.uplink.link else f"{work.uplink.interface or work.uplink.name} is not there"


def _down(work: Work) -> str:
    """Why the link itself cannot be worked at: up is up again only what was so, and a dialled one may stand by."""
    link = work.uplink.link
    return _absent(work) if not link or link.up else f"{link.name} is administratively down"


def _unmanaged(work: Work) -> str:
    """Why networkd cannot be asked.  Below another root it is not this machine's, and has no link of ours."""
    if found := _down(work):
        return found
    state = networkd.link_facts(work.root, work.uplink.index).get("ADMIN_STATE", "")
    if state in UNMANAGED:
        return f"systemd-networkd does not manage {work.uplink.interface}"
    return "" if programs.there(NETWORKCTL) else f"there is no {NETWORKCTL}"


def _networkctl(verb: str) -> Callable[[Work], None]:
    def act(work: Work) -> None:
        done = programs.run((NETWORKCTL, verb, work.uplink.interface), TIMEOUT)
        if done.wrong:
            raise MwanError(done.wrong)

    return act


def _bounce(work: Work) -> None:
    """What others have there is in a file as long as it is not put back."""
    protocols = {work.loaded.config.routing.protocol}
    kept = interfaces.foreign(work.uplink.index, protocols)
    files.replace(files.under(work.root, files.BOUNCED), b"".join(kept), durable=False)
    interfaces.bounce(work.uplink.index)
    _await_carrier(work.uplink.interface)
    _put_back(work.root)


def _await_carrier(interface: str) -> None:
    until = time.monotonic() + CARRIER
    while time.monotonic() < until:
        try:
            with open(f"/sys/class/net/{interface}/carrier", encoding="ascii") as file:
                if file.read().strip() == "1":
                    return
        except OSError:
            pass  # while it is down it cannot be read
        time.sleep(interfaces.STEP)


def _put_back(root: str) -> None:
    path = files.under(root, files.BOUNCED)
    stored = files.read(path)
    if stored is None:
        return
    left = interfaces.put_back(frames.split(stored))
    files.discard(path)
    if left:
        raise MwanError(f"{left} addresses or routes of others could not be put back")


def _no_device(work: Work) -> str:
    if found := _absent(work):
        return found
    device = usbdevice.of_interface(work.root, work.uplink.interface)
    return "" if device else f"{work.uplink.interface} belongs to no USB device"


def _replug(work: Work) -> None:
    """Which device is away is in a file as long as it is."""
    device, path = usbdevice.of_interface(work.root, work.uplink.interface), files.under(work.root, files.REPLUGGED)
    files.replace(path, device.encode(), durable=False)
    usbdevice.replug(work.root, device)
    files.discard(path)


def _give_back(root: str) -> None:
    path = files.under(root, files.REPLUGGED)
    usbdevice.give_back(root, (files.read(path) or b"").decode("ascii", "replace"))
    files.discard(path)


def _no_modem(work: Work) -> str:
    if found := _absent(work):
        return found
    if not programs.there(modems.PROGRAM):
        return f"there is no {modems.PROGRAM} (ModemManager)"
    try:
        modem = modems.of_interface(work.uplink.interface)
    except MwanError as error:
        return str(error)
    return "" if modem else f"ModemManager knows no modem with the port {work.uplink.interface}"


def _no_program(work: Work) -> str:
    return "" if any(hooks.found(work.root, EVENT)) else "there is no program in repair.d"


def _hook(work: Work) -> None:
    """Run the operator's programs, each with the time limit of hooks."""
    uplink, clock = work.uplink, time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    notice = Notice(
        identity(clock),
        EVENT,
        uplink.name,
        uplink.interface,
        uplink.index,
        new="hook",
        reason=work.reason,
        at=time.time(),
        boottime=clock / 1e9,
    )
    if not hooks.run_each(work.root, work.loaded.config.hooks.timeout, notice):
        raise MwanError("a program in repair.d failed")


STEPS = {
    "renew": StepEffects(_unmanaged, _networkctl("renew")),
    "reconfigure": StepEffects(_unmanaged, _networkctl("reconfigure")),
    "bounce": StepEffects(_down, _bounce, mend=_put_back),
    "replug": StepEffects(_no_device, _replug, mend=_give_back),
    "modem-reset": StepEffects(_no_modem, lambda work: modems.reset(modems.of_interface(work.uplink.interface))),
    "hook": StepEffects(_no_program, _hook),
}


def typed(work: Work, step: str) -> str:
    """The step as an operator would type it."""
    return line(step, work.uplink.interface)
