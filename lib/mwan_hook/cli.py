"""The command line: one function a command.  Exit codes: 0 done, 1 something failed, 2 usage, 75 busy."""

from __future__ import annotations

import argparse
import os

from mwan_hook import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Add = Callable[..., argparse.ArgumentParser]


def run(args: Sequence[str] | None = None) -> int:
    """Parse and do; returns the exit code.  Raises MwanError for what the operator should read."""
    options = parser().parse_args(args)
    if not options.root:
        parser().error("--root needs a directory: an empty one, of an unset variable say, would be the live system")
    code: int = options.action(options)
    return code


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser("mwan-hook", description="Multi-WAN for systemd-networkd machines, without a daemon.")
    top.add_argument("--root", default=os.environ.get("MWAN_HOOK_ROOT") or "/", help="directory that files hang under")
    top.add_argument("--version", action="version", version=f"mwan-hook {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, action: Callable[[argparse.Namespace], int], words: str) -> argparse.ArgumentParser:
        one = commands.add_parser(name, help=words, description=words)
        one.add_argument("--root", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        one.set_defaults(action=action)
        return one

    _running(add)
    _serving(add)
    _looking(add)
    _switching(add)
    return top


def _running(add: Add) -> None:
    one = add("check", check, "one run: probe what is due, change what differs")
    one.add_argument("uplinks", nargs="*", metavar="UPLINK")
    one.add_argument("--now", action="store_true", help="probe whether due or not")
    one = add("event", event, "take spooled events, or the one given; facts first, then probe what changed")
    one.add_argument("what", nargs="*", metavar="ACTION IFACE")
    one.add_argument("--facts", action="store_true", help="no probes: leave to another run what is to be probed")
    one.add_argument("--early", action="store_true", help="before the network: only translate sources")
    one = add("wait-online", wait_online, "return when an uplink is online")
    one.add_argument("--timeout", type=_seconds, default=None, metavar="S", help="give up after so many seconds")
    one = add("mail", mail, "interruptions that wait to be told by mail")
    one.add_argument("--send", action="store_true", help="send what is due; what the timer runs")
    one.add_argument("--test", action="store_true", help="send a test mail now and say every step")
    one = add("webhook", webhook, "show or send queued posts to the webhook")
    one.add_argument("--send", action="store_true", help="post what is due; what the timer runs")
    one.add_argument("--test", action="store_true", help="post a test now")
    one = add("track", track, "exit with 0 while anything, or one of these, is online, else with 1: for keepalived")
    one.add_argument("uplinks", nargs="*", metavar="UPLINK", help="name, template's name or interface")
    one.add_argument("--family", choices=("ipv4", "ipv6"), help="online in this one; else in either")


def _serving(add: Add) -> None:
    one = add("notify", notify, "tell each channel what is spooled; what the path units start")
    one.add_argument("--no-wait", action="store_true", help="leave it to another one that is at it")
    step = one.add_mutually_exclusive_group()
    step.add_argument("--books", action="store_true", help="only mail, the webhook and Prometheus, which need no root")
    step.add_argument("--programs", action="store_true", help="only hooks and D-Bus")
    add("chores", chores, "do what runs that are not root have asked for; what the path unit starts")
    one = add("bus", bus, "answer on D-Bus until calls cease; what the bus starts")
    one.add_argument("--idle", type=_seconds, default=30.0, metavar="S", help="seconds without a call (30)")


def _looking(add: Add) -> None:
    one = add("status", status, "how the uplinks stand")
    one.add_argument("--json", action="store_true")
    one.add_argument("--watch", action="store_true", help="again and again")
    one.add_argument("-H", "--no-header", action="store_true")
    one = add("connectivity-state", connectivity_state, "what networkd-connectivity's command of this name prints")
    one.add_argument("-H", "--no-header", action="store_true")
    one = add("plan", plan, "the changes a run would make, in ip(8) syntax; changes nothing")
    one.add_argument("--json", action="store_true")
    one = add("probe", probe, "test uplinks now and show every target; changes nothing; 0 if all are full")
    one.add_argument("uplinks", nargs="+", metavar="UPLINK")
    one.add_argument("--json", action="store_true")
    one = add("config", config, "validate the configuration and print it")
    one.add_argument("--check", action="store_true", help="validate only")
    one.add_argument("--effective", action="store_true", help="what is in force, and where each value came from")
    one = add("snmp", snmp, "answer net-snmp: pass_persist on stdin; pass with -g, -n or -s")
    one.add_argument("--oid", default=None, help="root of the tree, instead of [snmp] oid")
    one.add_argument("-g", dest="get", metavar="OID", help="the value of this name")
    one.add_argument("-n", dest="getnext", metavar="OID", help="the one after it")
    one.add_argument("-s", dest="set", nargs=argparse.REMAINDER, metavar="OID TYPE VALUE", help="refused: read-only")
    _tracing(add)
    one = add("usage", usage, "what uplinks with a quota have carried")
    one.add_argument("uplink", nargs="?", metavar="UPLINK")
    one.add_argument("--set", dest="figure", type=_amount, metavar="AMOUNT", help="the carrier's figure, as in 3.2G")
    one.add_argument("--save", action="store_true", help="write it to the disk; what a shutdown runs")
    one = add("doctor", doctor, "what on this machine will hurt, what it breaks, and what puts it right")
    one.add_argument("--fix", action="store_true", help="write drop-ins, set sysctls, and show them")
    one.add_argument("--json", action="store_true")
    one = add("history", history, "transitions with their reason")
    one.add_argument("uplink", nargs="?", metavar="UPLINK")
    one.add_argument("--json", action="store_true")


def _tracing(add: Add) -> None:
    words = "which rules a packet passes, which table answers, which uplink it is; 1 if the kernel says otherwise"
    one = add("trace", trace, words)
    one.add_argument("destination", metavar="DEST", help="address or name")
    one.add_argument("--from", dest="source", metavar="A", help="source address")
    one.add_argument("--iif", metavar="IF", help="a packet to be forwarded, which came in there")
    one.add_argument("--oif", metavar="IF", help="a socket bound to this interface")
    one.add_argument("--mark", type=_number(0xFFFFFFFF), default=0, metavar="M")
    one.add_argument("--proto", metavar="P", help="tcp, udp (where none is given), icmp, or a number")
    one.add_argument("--sport", type=_number(65535), default=0, metavar="N")
    one.add_argument("--dport", type=_number(65535), default=0, metavar="N")
    one.add_argument("--uid", type=_number(0xFFFFFFFE), default=None, metavar="U", help="default: yours")
    one.add_argument("--json", action="store_true")
    one.add_argument("--graph", action="store_true", help="as a Mermaid flowchart")
    one.add_argument("--svg", metavar="FILE", help="write a picture")


def _number(largest: int) -> Callable[[str], int]:
    """A number up to this, decimal or 0x."""

    def number(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            value = -1
        if not 0 <= value <= largest:
            raise argparse.ArgumentTypeError(f"expected a number up to {largest}, not {text}")
        return value

    return number


def _amount(text: str) -> int:
    from mwan_hook.quota.words import amount

    try:
        return amount(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _switching(add: Add) -> None:
    for name, words in (("enable", "take an uplink in"), ("disable", "take an uplink out")):
        one = add(name, switch, f"{words}, remembered across boots")
        one.add_argument("uplink", metavar="UPLINK")
    add("flush", flush, "take out all that is ours, and nothing else")


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"expected seconds, not {text}")
    return value


def check(options: argparse.Namespace) -> int:
    """``mwan-hook check``."""
    from mwan_hook.run import tick

    return tick.check(options.root, options.uplinks, options.now)


def event(options: argparse.Namespace) -> int:
    """``mwan-hook event``."""
    from mwan_hook.run import tick

    if len(options.what) not in (0, 2):
        parser().error("event takes no arguments, or ACTION and IFACE")
    if (options.facts or options.early) and options.what:
        parser().error("--facts and --early go without ACTION and IFACE")
    if options.early:
        from mwan_hook.commands import early

        return early.run(options.root)
    return tick.facts(options.root) if options.facts else tick.event(options.root, tuple(options.what) or None)


def wait_online(options: argparse.Namespace) -> int:
    """``mwan-hook wait-online``."""
    from mwan_hook.commands import wait_online as command

    return command.run(options.root, options.timeout)


def track(options: argparse.Namespace) -> int:
    """``mwan-hook track``."""
    from mwan_hook.commands import track as command

    return command.run(options.root, options.uplinks, (options.family,) if options.family else command.FAMILIES)


def mail(options: argparse.Namespace) -> int:
    """``mwan-hook mail``."""
    from mwan_hook.commands import mail as command

    return command.run(options.root, options.send, options.test)


def webhook(options: argparse.Namespace) -> int:
    """``mwan-hook webhook``."""
    from mwan_hook.commands import webhook as command

    return command.run(options.root, options.send, options.test)


def status(options: argparse.Namespace) -> int:
    """``mwan-hook status``."""
    from mwan_hook.commands import status as command

    return command.run(options.root, options.json, options.watch, not options.no_header)


def connectivity_state(options: argparse.Namespace) -> int:
    """``mwan-hook connectivity-state``."""
    from mwan_hook.commands import connectivity_state as command

    return command.run(options.root, not options.no_header)


def notify(options: argparse.Namespace) -> int:
    """``mwan-hook notify``."""
    from mwan_hook.commands import notify as command

    one = (command.BOOKS,) * options.books + (command.PROGRAMS,) * options.programs
    return command.run(options.root, not options.no_wait, one or command.steps(options.root))


def chores(options: argparse.Namespace) -> int:
    """``mwan-hook chores``."""
    from mwan_hook.commands import chores as command

    return command.run(options.root)


def bus(options: argparse.Namespace) -> int:
    """``mwan-hook bus``."""
    from mwan_hook.notify.bus import announce as command

    return command.serve(options.root, options.idle)


def plan(options: argparse.Namespace) -> int:
    """``mwan-hook plan``."""
    from mwan_hook.commands import plan as command

    return command.run(options.root, options.json)


def probe(options: argparse.Namespace) -> int:
    """``mwan-hook probe``."""
    from mwan_hook.commands import probe as command

    return command.run(options.root, options.uplinks, options.json)


def trace(options: argparse.Namespace) -> int:
    """``mwan-hook trace``."""
    from mwan_hook.commands import trace as command

    return command.run(options)


def doctor(options: argparse.Namespace) -> int:
    """``mwan-hook doctor``."""
    from mwan_hook.commands import doctor as command

    return command.run(options.root, options.fix, options.json)


def config(options: argparse.Namespace) -> int:
    """``mwan-hook config``."""
    from mwan_hook.commands import config as command

    return command.run(options.root, options.check, options.effective)


def usage(options: argparse.Namespace) -> int:
    """``mwan-hook usage``."""
    from mwan_hook.commands import usage as command

    if options.figure is not None and not options.uplink:
        parser().error("usage --set needs an uplink")
    if options.save and (options.uplink or options.figure is not None):
        parser().error("usage --save goes alone")
    return command.run(options.root, options.uplink, options.figure, options.save)


def snmp(options: argparse.Namespace) -> int:
    """``mwan-hook snmp``."""
    from mwan_hook.commands import snmp as command

    return command.run(options.root, options.oid, options.get, options.getnext, options.set is not None)


def history(options: argparse.Namespace) -> int:
    """``mwan-hook history``."""
    from mwan_hook.commands import history as command

    return command.run(options.root, options.uplink, options.json)


def switch(options: argparse.Namespace) -> int:
    """``mwan-hook enable`` and ``disable``."""
    from mwan_hook.commands import switch as command

    return command.run(options.root, options.uplink, options.command == "enable")


def flush(options: argparse.Namespace) -> int:
    """``mwan-hook flush``."""
    from mwan_hook.commands import flush as command

    return command.run(options.root)
