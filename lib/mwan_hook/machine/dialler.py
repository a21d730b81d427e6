"""What dials: systemd-networkd, a unit, or a program.  It is asked here, and looked at.

Each request is served once: what was asked last is on record in a directory of root's, with its answer.
"""

from __future__ import annotations

from mwan_hook.dial import requests
from mwan_hook.dial.values import COMMAND, NETWORKD, Sight, Verb
from mwan_hook.light import NamedTuple
from mwan_hook.machine import detached, transient
from mwan_hook.model import MwanError
from mwan_hook.store import codec, files, lock, wake

BUSY = 5.0  # seconds that another run which is asking is waited for
NOT_FOUND, MASKED = 5, "masked"  # systemctl's exit code, and a word of what it says


class Order(NamedTuple):
    """One request with all that it takes."""

    uplink: str
    interface: str
    verb: Verb
    key: str
    start: str
    stop: str  # or what resets
    redial: bool = False  # a start limit may be in the way

    @property
    def kind(self) -> str:
        """What dials."""
        return self.start.partition(":")[0]

    @property
    def line(self) -> str:
        """The request in words that an operator could have typed."""
        return requests.line(self.start, self.stop, self.verb, self.interface)


class Errand(NamedTuple):
    """The last request that was served, and how."""

    key: str
    verb: str
    code: int = 0
    said: str = ""
    before: str = ""  # the unit's invocation before it was asked
    begun: bool = False  # only that


class Remembered(NamedTuple):
    """How an uplink is hung up that the configuration may not know any more."""

    start: str
    stop: str


codec.teach(Errand, Remembered)


def key(moment: float) -> str:
    """A request's name as text."""
    return f"{moment:.6f}"


def serve(root: str, order: Order) -> Errand:
    """Ask it, unless that was done before.  The caller holds :func:`serving`.  Raises MwanError."""
    if order.kind == NETWORKD:
        return _asked(order, *order.line.split())
    old = errand(root, order.uplink)
    if old and is_served(root, order):
        return old
    done = _program(root, order) if order.kind == COMMAND else _unit(root, order, old)
    _keep(root, order, done)
    return done


def serving(root: str) -> lock.Flock:
    """The lock that is held while something is asked to dial or to hang up."""
    return lock.Flock(files.under(root, f"{files.DIALS}/lock"), BUSY, lock.LONGEST)


def errand(root: str, uplink: str) -> Errand | None:
    """The last request that was served for an uplink."""
    found: Errand | None = codec.load(_path(root, uplink, "json"), "Errand", None, None, writes=False)[0]
    return found


def is_served(root: str, order: Order) -> bool:
    """Whether a request of a unit or a program is on record as served."""
    done = errand(root, order.uplink)
    return bool(done and (done.key, done.verb, done.begun) == (order.key, order.verb.value, False))


def remembered(root: str, uplink: str) -> Remembered | None:
    """How it was dialled; only root may know."""
    found: Remembered | None = codec.load(_path(root, uplink, "how"), "Remembered", None, None, writes=False)[0]
    return found


def look(root: str, order: Order, up: bool) -> Sight:
    """What has become of a request.  ``up``: the link is."""
    if order.kind == NETWORKD:
        return Sight(alive=up, sent=up is (order.verb is Verb.DIAL))
    done, sent = errand(root, order.uplink), is_served(root, order)
    if order.verb is Verb.RESET:
        return Sight(sent=sent)
    refused = done if sent and done and done.code and order.verb is Verb.DIAL else None
    if order.kind == COMMAND:
        life = _program_life(root, order)
    else:
        name = requests.unit(order.start, order.interface)
        invocation = transient.invocation(root, name)
        gone = sent and not invocation and order.verb is Verb.DIAL and not refused
        life = Sight(alive=bool(invocation), code=transient.show(name).code if gone else None, invocation=invocation)
    if refused:
        final = refused.code == NOT_FOUND or MASKED in refused.said
        return life._replace(sent=True, code=refused.code, said=refused.said, final=final)
    return life._replace(sent=sent)


def _unit(root: str, order: Order, old: Errand | None) -> Errand:
    """Start or stop a unit; one that a killed run had started is not started again."""
    name, verb = requests.unit(order.start, order.interface), order.verb
    if verb is not Verb.DIAL:
        return _asked(order, "systemctl", "stop", "--no-block", "--", name)
    shown = transient.show(name).invocation
    if old and old.key == order.key and shown and shown != old.before:
        return old._replace(begun=False)
    _keep(root, order, Errand(order.key, verb.value, before=shown, begun=True))
    if order.redial:
        transient.call("systemctl", "reset-failed", "--", name)
    return _asked(order, "systemctl", "start", "--no-block", "--", name)._replace(before=shown)


def _asked(order: Order, *argv: str) -> Errand:
    done = transient.call(*argv)
    return Errand(order.key, order.verb.value, done.code, done.said)


def _program(root: str, order: Order) -> Errand:
    """Start a program, or end the one that dials and start the one that hangs up; a reset is one beside them."""
    import shlex

    by_systemd = wake.watched(root)
    dial, stop = f"dial-{order.uplink}", f"{'reset' if order.verb is Verb.RESET else 'hangup'}-{order.uplink}"
    if order.verb in (Verb.END, Verb.ABORT):
        transient.end(dial) if by_systemd else detached.end(root, dial)
    done = Errand(order.key, order.verb.value)
    if order.verb is Verb.END:
        return done
    dials = order.verb is Verb.DIAL
    argv, variables = shlex.split(order.line), {"UPLINK": order.uplink, "IFACE": order.interface}
    try:
        if by_systemd:
            transient.start(dial if dials else stop, argv, variables, order.key, stops=not dials)
        else:
            if not dials:
                detached.end(root, stop)
            detached.start(root, dial if dials else stop, argv, variables, order.key)
    except MwanError as error:
        return done._replace(code=1, said=str(error))
    return done


def _program_life(root: str, order: Order) -> Sight:
    dial, stop = f"dial-{order.uplink}", f"hangup-{order.uplink}"
    if wake.watched(root):
        alive = bool(transient.invocation(root, transient.unit(dial)))
        stopping = bool(transient.invocation(root, transient.unit(stop)))
        if order.verb is not Verb.DIAL:
            failed = not stopping and transient.show(transient.unit(stop)).failed
            return Sight(alive=alive, stopping=stopping, stop_failed=failed)
        return Sight(alive=alive, code=None if alive else transient.ended(dial, order.key))
    alive, stopping = detached.alive(root, dial), detached.alive(root, stop)
    if order.verb is not Verb.DIAL:
        last = detached.ended(root, stop)
        return Sight(alive=alive, stopping=stopping, stop_failed=bool(not stopping and last.key and last.number))
    last = detached.ended(root, dial)
    code = last.number if last.key == order.key else None
    return Sight(alive=alive, code=code, said=_said(root, dial, code))


def _said(root: str, job: str, code: int | None) -> str:
    words = detached.said(root, job) if code else ""
    return f"exit code {code}: {words}" if words else ""


def _keep(root: str, order: Order, done: Errand) -> None:
    """Put it on record.  Raises MwanError."""
    if order.verb is Verb.DIAL:
        how = codec.encode(Remembered(order.start, order.stop))
        files.replace(_path(root, order.uplink, "how"), how, durable=False, mode=0o600)  # a command may hold a secret
    files.replace(_path(root, order.uplink, "json"), codec.encode(done), durable=False)


def _path(root: str, uplink: str, kind: str) -> str:
    return files.under(root, f"{files.DIALS}/{uplink}.{kind}")
