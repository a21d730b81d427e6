"""Making changes: routes, rules and nexthop objects by raw messages (:mod:`build`, :mod:`bulk`), sysctls by files.

Which route the kernel replaces, and which it joins, is shown by tests/netns/test_kernel_routes.py.
"""

from __future__ import annotations

from errno import EADDRNOTAVAIL, EEXIST, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENODEV, ENOENT, EPERM, ESRCH

from mwan_hook import plainos as os
from mwan_hook.kernel import build, bulk, sysctl, wire
from mwan_hook.kernel.reader import Reader
from mwan_hook.model import MAIN_TABLE, PROTOCOL, Change, Family, Op, Route, Rule, Sysctl
from mwan_hook.routing import words
from mwan_hook.say import brief

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Refused = Iterator[tuple[Change, str]]

GONE = (ESRCH, ENOENT, ENODEV, EADDRNOTAVAIL)
REASONS = {
    EEXIST: "another route has this destination and metric",
    EHOSTUNREACH: "the gateway cannot be reached",
    ENETUNREACH: "the gateway cannot be reached",
    ENETDOWN: "the interface is down",
    ENODEV: "there is no such interface",
}
_FLAGS = {Op.ADD: wire.NLM_F_EXCL, Op.REPLACE: wire.NLM_F_REPLACE, Op.APPEND: wire.NLM_F_APPEND, Op.PREPEND: 0}
JOINED = "a route of another program has become one with it"
NOT_PERMITTED = "changing routes is not permitted: this needs root (CAP_NET_ADMIN)"


class _DeniedError(Exception):
    """The kernel lets us change nothing at all."""


def apply(changes: Sequence[Change]) -> list[str]:
    """Make the changes in their order; what failed, each as ``IP LINE: REASON``, ten of a kind.

    What is already so is no failure: an equal object that exists, or one to delete that is gone.  A failure does not
    stop the rest, but without the permission nothing more is tried.
    """
    failed: list[tuple[Change, str]] = []
    denied = []
    try:
        for way, run in _runs(changes):
            failed += [(change, reason) for change, reason in way(run) if reason]
    except _DeniedError:
        denied.append(NOT_PERMITTED)
    names = _names() if failed else {}
    return [*brief(_sentence(change, reason, names) for change, reason in failed), *denied]


def _runs(changes: Sequence[Change]) -> list[tuple[Callable[[Sequence[Change]], Refused], list[Change]]]:
    """The changes in their order, those together that are made in one way and follow each other."""
    found: list[tuple[Callable[[Sequence[Change]], Refused], list[Change]]] = []
    last = None
    for change in changes:
        way = _way(change)
        if way is not last:
            found.append((way, run := []))
            last = way
        run.append(change)
    return found


def _sentence(change: Change, reason: str, names: dict[int, str]) -> str:
    """The kernel may call a gateway unreachable because the interface is gone."""
    from mwan_hook.kernel import copywords
    from mwan_hook.model import NexthopObject

    what = copywords.describe(change.what)[1] if isinstance(change.what, bytes) else change.what
    if isinstance(what, Route) and any(hop.index not in names for hop in what.nexthops):
        reason = REASONS[ENODEV]
    if isinstance(what, NexthopObject) and change.op is Op.ADD and reason == REASONS[EEXIST]:
        reason = "another nexthop has this id"
    return f"{words.line(change, names, copywords.describe)}: {reason}"


def _names() -> dict[int, str]:
    with Reader(PROTOCOL) as reader:
        return {link.index: link.name for link in reader.links()}


def _way(change: Change) -> Callable[[Sequence[Change]], Refused]:
    """What makes this kind of change; those that follow each other are made together."""
    way = _WAYS.get(type(change.what))
    if way:
        return way
    if isinstance(change.what, Route):
        return {Op.DELETE: _deletions, Op.REPLACE: _replacements}.get(change.op, _additions)
    return _objects


def _copies(changes: Sequence[Change]) -> Refused:
    refused = bulk.send([change.what for change in changes if isinstance(change.what, bytes)])
    for change, code, said in _each(changes, refused):
        if not (change.op is Op.ADD and code == EEXIST):  # appended, so what exists is equal
            yield change, _reason(code, said)


def _objects(changes: Sequence[Change]) -> Refused:
    from mwan_hook.kernel import nexthops

    for change, code, said in _each(changes, nexthops.apply(changes)):
        if not (change.op is Op.DELETE and code in GONE):
            yield change, _reason(code, said)


def _rules(changes: Sequence[Change]) -> Refused:
    rules = [(change.what, change.op is Op.ADD) for change in changes if isinstance(change.what, Rule)]
    for change, code, said in _each(changes, bulk.send([build.rule(rule, add) for rule, add in rules])):
        if not (code == EEXIST if change.op is Op.ADD else code in GONE):
            yield change, _reason(code, said)


def _deletions(changes: Sequence[Change]) -> Refused:
    from mwan_hook.kernel import standing

    changes = standing.still_there(changes)
    routes = [change.what for change in changes if isinstance(change.what, Route)]
    refused = bulk.send([build.deletion(build.canonical(route)) for route in routes])
    for change, code, said in _each(changes, refused):
        if code not in GONE:
            yield change, _reason(code, said)


def _additions(changes: Sequence[Change]) -> Refused:
    messages = [_insertion(change.op, change.what) for change in changes if isinstance(change.what, Route)]
    for change, code, said in _each(changes, bulk.send(messages)):
        if code == EEXIST and isinstance(change.what, Route):
            yield change, _beside(change.op, build.canonical(change.what))
        else:
            yield change, _reason(code, said)


def _replacements(changes: Sequence[Change]) -> Refused:
    for change in changes:
        if isinstance(change.what, Route):
            yield change, _replace(build.canonical(change.what))


def _sysctls(changes: Sequence[Change]) -> Refused:
    for change in changes:
        if isinstance(change.what, Sysctl):
            try:
                sysctl.write(change.what.key, change.what.value)
            except OSError as error:
                yield change, error.strerror or str(error)


_WAYS: dict[type, Callable[[Sequence[Change]], Refused]] = {
    bytes: _copies,
    Rule: _rules,
    Sysctl: _sysctls,
}


def _each(changes: Sequence[Change], refused: bulk.Refusals) -> Iterator[tuple[Change, int, str]]:
    """What was refused, in its order: (change, errno, the kernel's words)."""
    for position, (code, said) in sorted(refused.items()):
        yield changes[position], code, said


def _reason(code: int, said: str = "") -> str:
    if code == EPERM:
        raise _DeniedError
    return REASONS.get(code) or said or os.strerror(code)


def _insertion(op: Op, route: Route) -> bytes:
    """IPv6 knows no order among routes of one metric, so what is to be in front is added."""
    if op is Op.PREPEND and route.family is Family.IPV6:
        op = Op.ADD
    return build.insertion(build.canonical(route), wire.NLM_F_CREATE | _FLAGS[op])


def _put(op: Op, route: Route) -> str:
    """Why a route could not be put in; empty if it was, or if what stands there is it."""
    code, said = bulk.send([_insertion(op, route)]).get(0, (0, ""))
    return _beside(op, route) if code == EEXIST else _reason(code, said) if code else ""


def _take(route: Route) -> str:
    """Why a route could not be deleted; empty if it is gone."""
    code, said = bulk.send([build.deletion(route)]).get(0, (0, ""))
    return _reason(code, said) if code and code not in GONE else ""


def _beside(op: Op, route: Route) -> str:
    from mwan_hook.kernel import standing

    there = standing.at(route)
    if any(standing.holds(old, route) for old in there):
        return ""
    foreign = all(old.protocol != route.protocol for old in there)
    if op is Op.ADD and route.family is Family.IPV4 and foreign:
        return _put(Op.PREPEND, route)
    return REASONS[EEXIST]


def _replace(route: Route) -> str:
    """Look whose route comes first at a destination and metric: that is the one which the kernel replaces."""
    from mwan_hook.kernel import standing

    there = standing.at(route)
    if all(old.protocol == route.protocol for old in there):
        kept = _kept_legs(route, there) if route.family is Family.IPV6 else ""
        return kept or _put(Op.REPLACE, route)
    if route.family is Family.IPV6:  # would become one multipath route with the foreign one
        return REASONS[EEXIST]
    failed = _put(Op.PREPEND, route)
    ours = [old for old in there if old.protocol == route.protocol and old != route]
    return failed or next(filter(None, map(_take, ours)), "")


def _kept_legs(route: Route, there: Sequence[Route]) -> str:
    """IPv6: why a route must not be replaced; empty if all that the kernel would take is ours.

    It may have merged a foreign route into ours, and then tells of one multipath route of ours.  Only a delete
    compares the protocol of each nexthop, so those that are not wanted any more are deleted one by one.
    """
    from mwan_hook.kernel import standing

    spare = standing.spare_legs(route, there)
    if not spare or (route.nhid and route.table != MAIN_TABLE):  # in a table of ours nothing was merged
        return ""
    if not route.nhid and not any(standing.share_a_way(old, route) for old in there):
        failed = _put(Op.APPEND, route)
        if failed:
            return failed
    bulk.send([build.deletion(leg) for leg in spare])
    left = standing.at(route)
    foreign = route.nhid and any(old.protocol != route.protocol for old in left)
    return JOINED if foreign or standing.spare_legs(route, left) else ""
