"""Making changes: routes and rules by pyroute2, raw routes by :mod:`bulk`, sysctls by :mod:`sysctl`.

Works with pyroute2 0.7.2 and 0.9: family, full prefixes and numbers are always given, since each of them fills in
other defaults where they are missing.
"""

from __future__ import annotations

import os
import sys
from errno import EADDRNOTAVAIL, EEXIST, EHOSTUNREACH, ENETDOWN, ENETUNREACH, ENODEV, ENOENT, EPERM, ESRCH
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from itertools import groupby
from types import ModuleType

from mwan_hook.core import words
from mwan_hook.model import MAIN_TABLE, Change, Family, NexthopObject, Op, Route, Rule, Sysctl
from mwan_hook.say import brief
from mwan_hook.system import build, bulk, copies, keywords, nexthops, standing, sysctl, wire
from mwan_hook.system.look import Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

GONE = (ESRCH, ENOENT, ENODEV, EADDRNOTAVAIL)
MANY = 64  # routes to delete in a row that are worth the raw way
REASONS = {
    EEXIST: "another route has this destination and metric",
    EHOSTUNREACH: "the gateway cannot be reached",
    ENETUNREACH: "the gateway cannot be reached",
    ENETDOWN: "the interface is down",
    ENODEV: "there is no such interface",
}
_FLAGS = {Op.REPLACE: wire.NLM_F_REPLACE, Op.APPEND: wire.NLM_F_APPEND}
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
    kernel = _Kernel()
    try:
        for way, run in groupby(changes, _way):
            failed += [(change, reason) for change, reason in way(kernel, list(run)) if reason]
    except _DeniedError:
        denied.append(NOT_PERMITTED)
    finally:
        kernel.close()
    names = _names() if failed else {}
    return [*brief(_sentence(change, reason, names) for change, reason in failed), *denied]


def _sentence(change: Change, reason: str, names: dict[int, str]) -> str:
    """The kernel may call a gateway unreachable because the interface is gone."""
    what = copies.describe(change.what)[1] if isinstance(change.what, bytes) else change.what
    if isinstance(what, Route) and any(hop.index not in names for hop in what.nexthops):
        reason = REASONS[ENODEV]
    if isinstance(what, NexthopObject) and change.op is Op.ADD and reason == REASONS[EEXIST]:
        reason = "another nexthop has this id"
    return f"{words.line(change, names, copies.describe)}: {reason}"


def _names() -> dict[int, str]:
    with Reader() as reader:
        return {link.index: link.name for link in reader.links()}


def _way(change: Change) -> Callable[[_Kernel, Sequence[Change]], Iterator[tuple[Change, str]]]:
    """What makes this kind of change; those that follow each other are made together."""
    if isinstance(change.what, bytes):
        return _raw
    if isinstance(change.what, Sysctl):
        return _sysctls
    if isinstance(change.what, NexthopObject):
        return _objects
    if isinstance(change.what, Route) and change.op is Op.DELETE:
        return _deletions
    return _one_by_one


def _raw(_: _Kernel, changes: Sequence[Change]) -> Iterator[tuple[Change, str]]:
    refused = bulk.send([change.what for change in changes if isinstance(change.what, bytes)])
    for position, (code, said) in sorted(refused.items()):
        if not (changes[position].op is Op.ADD and code == EEXIST):  # appended, so what exists is equal
            yield changes[position], _reason(code, said)


def _objects(_: _Kernel, changes: Sequence[Change]) -> Iterator[tuple[Change, str]]:
    for position, (code, said) in sorted(nexthops.apply(changes).items()):
        if not (changes[position].op is Op.DELETE and code in GONE):
            yield changes[position], _reason(code, said)


def _deletions(kernel: _Kernel, changes: Sequence[Change]) -> Iterator[tuple[Change, str]]:
    changes = standing.still_there(changes)
    routes = [change.what for change in changes if isinstance(change.what, Route)]
    if len(routes) <= MANY:
        yield from _one_by_one(kernel, changes)
        return
    for position, (code, said) in sorted(bulk.send([build.deletion(route) for route in routes]).items()):
        if code not in GONE:
            yield changes[position], _reason(code, said)


def _sysctls(_: _Kernel, changes: Sequence[Change]) -> Iterator[tuple[Change, str]]:
    for change in changes:
        if isinstance(change.what, Sysctl):
            try:
                sysctl.write(change.what.key, change.what.value)
            except OSError as error:
                yield change, error.strerror or str(error)


def _one_by_one(kernel: _Kernel, changes: Sequence[Change]) -> Iterator[tuple[Change, str]]:
    for change in changes:
        if isinstance(change.what, Rule):
            yield change, kernel.rule(change.op, change.what)
        elif isinstance(change.what, Route):
            yield change, kernel.route(change.op, build.canonical(change.what))


def _reason(code: int, said: str = "") -> str:
    if code == EPERM:
        raise _DeniedError
    return REASONS.get(code) or said or os.strerror(code)


class _Kernel:
    """pyroute2, opened when the first route or rule is changed."""

    def __init__(self) -> None:
        self._opened: Any = None

    def close(self) -> None:
        """Give the socket back."""
        if self._opened is not None:
            self._opened.close()

    def rule(self, op: Op, rule: Rule) -> str:
        """Why it failed; empty if it did not."""
        code, reason = self._request("rule", op, keywords.of_rule(rule))
        # With its priority a rule exists only as an equal one, its protocol included.
        done = code in (EEXIST if op is Op.ADD else 0, *(GONE if op is Op.DELETE else ()))
        return "" if done else reason

    def route(self, op: Op, route: Route) -> str:
        """Why it failed; empty if it did not."""
        if op is Op.REPLACE:
            return self._replace(route)
        if op is Op.PREPEND and route.family is Family.IPV4:
            code, reason = _raw_one(build.insertion(route, wire.NLM_F_CREATE))
        elif op is Op.DELETE and route.from_:
            code, reason = _raw_one(build.deletion(route))
        else:
            code, reason = self._put(Op.ADD if op is Op.PREPEND else op, route)
        if op is Op.DELETE:
            return "" if code in GONE else reason
        return self._beside(op, route) if code == EEXIST else reason

    def _beside(self, op: Op, route: Route) -> str:
        """Something stands at the destination and metric of a route to put in."""
        there = standing.at(route)
        if any(standing.holds(old, route) for old in there):
            return ""
        foreign = all(old.protocol != route.protocol for old in there)
        if op is Op.ADD and route.family is Family.IPV4 and foreign:
            return self.route(Op.PREPEND, route)
        return REASONS[EEXIST]

    def _replace(self, route: Route) -> str:
        """The kernel replaces whatever comes first at a destination and metric, so look whose that is."""
        there = standing.at(route)
        if all(old.protocol == route.protocol for old in there):
            kept = self._kept_legs(route, there) if route.family is Family.IPV6 else ""
            return kept or self._put(Op.REPLACE, route)[1]
        if route.family is Family.IPV6:  # would become one multipath route with the foreign one
            return REASONS[EEXIST]
        failed = self.route(Op.PREPEND, route)
        ours = [old for old in there if old.protocol == route.protocol and old != route]
        return failed or next(filter(None, [self.route(Op.DELETE, old) for old in ours]), "")

    def _kept_legs(self, route: Route, there: Sequence[Route]) -> str:
        """IPv6: why a route must not be replaced; empty if all that the kernel would take is ours.

        It may have merged a foreign route into ours, and then tells of one multipath route of ours.  Only a delete
        compares the protocol of each nexthop, so those that are not wanted any more are deleted one by one.
        """
        spare = standing.spare_legs(route, there)
        if not spare or (route.nhid and route.table != MAIN_TABLE):  # in a table of ours nobody has merged anything
            return ""
        if not route.nhid and not any(standing.share_a_way(old, route) for old in there):
            failed = self.route(Op.APPEND, route)
            if failed:
                return failed
        for leg in spare:
            self._request("route", Op.DELETE, keywords.of_route(leg, Op.DELETE))
        left = standing.at(route)
        foreign = route.nhid and any(old.protocol != route.protocol for old in left)
        return JOINED if foreign or standing.spare_legs(route, left) else ""

    def _put(self, op: Op, route: Route) -> tuple[int, str]:
        """(errno, words), both empty for success."""
        if not route.nhid:
            return self._request("route", op, keywords.of_route(route, op))
        if op is Op.DELETE:
            return _raw_one(build.deletion(route))
        return _raw_one(build.insertion(route, wire.NLM_F_CREATE | _FLAGS.get(op, wire.NLM_F_EXCL)))

    def _request(self, kind: str, op: Op, values: dict[str, Any]) -> tuple[int, str]:
        """(errno, words), both empty for success."""
        make, refused = _pyroute2()
        try:
            self._opened = self._opened or make()
            getattr(self._opened, kind)(op.value, **values)
        except refused as error:
            return error.code, _reason(error.code)
        except OSError as error:
            return error.errno or 0, _reason(error.errno or 0)
        return 0, ""


def _pyroute2() -> tuple[Any, Any]:
    """IPRoute and NetlinkError, without the package's ``__init__``.

    That imports everything there is, and (0.7.2) starts two processes: a third of what a change costs.  Should a
    release need it, it is run after all.
    """
    try:
        if "pyroute2" not in sys.modules:
            spec = PathFinder.find_spec("pyroute2")
            sys.modules["pyroute2"] = module_from_spec(spec) if spec else ModuleType("pyroute2")
        from pyroute2.iproute import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError
    except (ImportError, AttributeError):
        for name in [name for name in sys.modules if name.partition(".")[0] == "pyroute2"]:
            del sys.modules[name]
        from pyroute2 import IPRoute
        from pyroute2.netlink.exceptions import NetlinkError
    return IPRoute, NetlinkError


def _raw_one(message: bytes) -> tuple[int, str]:
    """(errno, words), both empty for success, of what pyroute2 has no words for."""
    code, said = bulk.send([message]).get(0, (0, ""))
    return code, _reason(code, said) if code else ""
