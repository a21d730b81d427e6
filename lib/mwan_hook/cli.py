"""The command line: words to a command, whose options are the arguments of the function that does it.

Exit codes: 0 done, 1 something failed, 2 usage, 75 busy.
"""

from __future__ import annotations

import os
from importlib import import_module

from mwan_hook import __version__
from mwan_hook.commands.english import argparse
from mwan_hook.commands.parsing import Parser
from mwan_hook.commands.rows import GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.commands.rows import Add


def run(args: Sequence[str] | None = None) -> int:
    """Parse and do; returns the exit code.  Raises MwanError for what the operator should read."""
    options = vars(parser().parse_args(args))
    if not options["root"]:
        parser().error("--root needs a directory: an empty one, of an unset variable say, would be the live system")
    name, place = options.pop("command"), options.pop("place")
    code: int = function(name, place)(**options)
    return code


def function(name: str, place: str) -> Callable[..., int]:
    """What does a command: ``run`` of its module, or the ``MODULE:NAME`` of ``place``."""
    module, _, inner = (place or f"commands.{name.replace('-', '_')}:run").partition(":")
    found: Callable[..., int] = getattr(import_module(f"mwan_hook.{module}"), inner)
    return found


def parser() -> Parser:
    """All commands and their options."""
    top = Parser(prog="mwan-hook", description="Multi-WAN for systemd-networkd machines, without a daemon.")
    root = os.environ.get("MWAN_HOOK_ROOT") or "/"
    top.add_argument("--root", default=root, metavar="DIR", help="directory that files hang under")
    top.add_argument("--version", action="version", version=f"mwan-hook {__version__}")

    def adding(group: str) -> Add:
        def add(name: str, words: str, place: str = "") -> argparse.ArgumentParser:
            one = top.add(group, name, words)
            one.add_argument("--root", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
            one.set_defaults(place=place)
            return one

        return add

    for group, rows in GROUPS:
        rows(adding(group))
    return top


def usage(root: str, name: str | None, figure: int | None, save: bool) -> int:
    """``mwan-hook usage``.  Raises MwanError."""
    from mwan_hook.commands import usage as command

    if figure is not None and not name:
        parser().error("usage --set needs an uplink")
    if save and (name or figure is not None):
        parser().error("usage --save goes alone")
    return command.run(root, name, figure, save)


def dial(root: str, name: str, seconds: float | None, exercise: bool) -> int:
    """``mwan-hook dial``.  Raises MwanError."""
    from mwan_hook.commands import dial as command

    return command.exercise(root, name) if exercise else command.dial(root, name, seconds)


def trace(**options: object) -> int:
    """``mwan-hook trace``.  Raises MwanError."""
    from mwan_hook.commands import trace as command

    return command.run(argparse.Namespace(**options))


def complete(root: str, words: Sequence[str]) -> int:
    """``mwan-hook complete``."""
    from mwan_hook.commands import complete as command

    return command.run(parser(), root, words)


def track(root: str, names: Sequence[str], family: str | None) -> int:
    """``mwan-hook track``.  Raises MwanError."""
    from mwan_hook.commands import track as command

    return command.run(root, names, (family,) if family else command.FAMILIES)


def event(root: str, what: Sequence[str], facts: bool, early: bool) -> int:
    """``mwan-hook event`` in its three kinds.  Raises MwanError."""
    from mwan_hook.commands import early as translations
    from mwan_hook.run import tick

    if len(what) not in (0, 2):
        parser().error("event takes no arguments, or ACTION and IFACE")
    if (facts or early) and what:
        parser().error("--facts and --early go without ACTION and IFACE")
    if early:
        return translations.run(root)
    return tick.facts(root) if facts else tick.event(root, (what[0], what[1]) if what else None)
