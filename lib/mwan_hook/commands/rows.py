"""The command line's rows: each command with its options, in the groups of the help."""

from __future__ import annotations

from collections.abc import Callable

from mwan_hook.commands import parsing
from mwan_hook.commands.english import argparse

Add = Callable[..., argparse.ArgumentParser]


def _looking(add: Add) -> None:
    one = add("status", "show how the uplinks stand")
    _as_json(one)
    one.add_argument("--watch", action="store_true", help="again and again")
    one.add_argument("-a", "--all", dest="numbers", action="store_true", help="metric, weight and table, too")
    _headless(one)
    one = add("history", "transitions with their reason")
    one.add_argument("uplink", nargs="?", metavar="UPLINK")
    _as_json(one)
    one = add("probe", "test uplinks now and show every target; changes nothing; 0 if all are full")
    one.add_argument("names", nargs="+", metavar="UPLINK")
    _as_json(one)
    one = add("usage", "what uplinks with a quota have carried", "cli:usage")
    one.add_argument("name", nargs="?", metavar="UPLINK")
    one.add_argument(
        "--set", dest="figure", type=parsing.amount, metavar="AMOUNT", help="the carrier's figure, as in 3.2G"
    )
    one.add_argument("--save", action="store_true", help="write it to the disk; what a shutdown runs")
    one = add("wait-online", "return when an uplink is online")
    one.add_argument("--timeout", type=parsing.seconds, default=None, metavar="S", help="give up after so many seconds")
    _headless(add("connectivity-state", "what networkd-connectivity's command of this name prints"))


def _changing(add: Add) -> None:
    one = add("check", "one run: probe what is due, change what differs", "run.tick:check")
    one.add_argument("names", nargs="*", metavar="UPLINK")
    one.add_argument("--now", action="store_true", help="probe whether due or not")
    for name, words in (("enable", "take an uplink in"), ("disable", "take an uplink out")):
        one = add(name, f"{words}, remembered across boots", "commands.switch:run")
        one.add_argument("name", metavar="UPLINK")
        one.set_defaults(enabled=name == "enable")
    words = "give an uplink no new connections, and disable it when the old ones have ended"
    one = add("drain", words, "commands.switch:drain")
    one.add_argument("name", metavar="UPLINK")
    words = "disable it after so long at the latest, as in 90s, 30m or 1h (10m)"
    one.add_argument("--wait", type=parsing.duration, default=600.0, metavar="T", help=words)
    one = add("dial", "dial an uplink now, or exercise it", "cli:dial")
    one.add_argument("name", metavar="UPLINK")
    way = one.add_mutually_exclusive_group()
    words = "as in 90s, 30m or 1h; else until hangup"
    way.add_argument("--for", dest="seconds", type=parsing.duration, metavar="T", help=words)
    way.add_argument("--exercise", action="store_true", help="dial, probe, hang up, and say each step")
    one = add("hangup", "hang up an uplink; it is idle until the next outage", "commands.dial:hang_up")
    one.add_argument("name", metavar="UPLINK")
    one.add_argument("--yes", dest="sure", action="store_true", help="although your session goes by it")
    one = add("repair", "show the repair ladders, or do one step now; 1 if it cannot be done")
    one.add_argument("name", nargs="?", metavar="UPLINK")
    one.add_argument("--step", metavar="STEP", help="renew, reconfigure, bounce, replug, modem-reset or hook")
    one.add_argument("--yes", action="store_true", help="also where an operator's session goes by this uplink")
    one.add_argument("--due", action="store_true", help="do what is due; what the service runs")
    add("flush", "take out all that is ours, and nothing else")


def _explaining(add: Add) -> None:
    words = "whether an uplink is used, or which way a packet goes: by whose order, and what would change it when"
    one = add("why", words)
    one.add_argument(
        "word", nargs="?", metavar="UPLINK", help="an uplink, a template, or the address or name of a destination"
    )
    one.add_argument("--at", metavar="TIME", help="as it was, by the record: 03:12, 2026-11-30T03:12, or 2h ago")
    _as_json(one)
    _as_json(add("plan", "the changes a run would make, in ip(8) syntax; changes nothing"))
    words = "which rules a packet passes, which table answers, which uplink it is; 1 if the kernel says otherwise"
    one = add("trace", words, "cli:trace")
    one.add_argument("destination", metavar="DEST", help="address or name")
    one.add_argument("--from", dest="source", metavar="A", help="source address")
    one.add_argument("--iif", metavar="IF", help="a packet to be forwarded, which came in there")
    one.add_argument("--oif", metavar="IF", help="a socket bound to this interface")
    one.add_argument("--mark", type=parsing.number(0xFFFFFFFF), default=0, metavar="M")
    one.add_argument("--proto", metavar="P", help="tcp, udp (where none is given), icmp, or a number")
    one.add_argument("--sport", type=parsing.number(65535), default=0, metavar="N")
    one.add_argument("--dport", type=parsing.number(65535), default=0, metavar="N")
    one.add_argument("--uid", type=parsing.number(0xFFFFFFFE), default=None, metavar="U", help="default: yours")
    one.add_argument("--json", action="store_true")
    one.add_argument("--graph", action="store_true", help="as a Mermaid flowchart")
    one.add_argument("--svg", metavar="FILE", help="write a picture")
    one = add("replay", "what is on record judged again; with --with, what another configuration would have made of it")
    one.add_argument("--since", default="7d", metavar="T", help="as in 12h: so long ago; or 2026-11-01 (7d)")
    one.add_argument("--until", metavar="T", help="as in 1h, or 2026-11-30 (now)")
    words = "another value, as in probe.fall=5 or fiber.latency_high=200"
    one.add_argument("--with", dest="options", action="append", default=[], metavar="KEY=VALUE", help=words)
    _as_json(one)
    one = add("report", "availability, outages, round trips, loss and data of the uplinks")
    one.add_argument("--since", default="30d", metavar="T", help="as in 7d: so long ago; or 2026-11-01 (30d)")
    one.add_argument("--until", metavar="T", help="as in 12h, or 2026-11-30 (now)")
    one.add_argument("--for", dest="only", metavar="UPLINK", help="this one alone, as its provider may read it")
    one.add_argument("--html", metavar="FILE", help="write a page")
    one.add_argument("--csv", metavar="FILE", help="write a table for spreadsheets")
    one.add_argument("--refresh", action="store_true", help=argparse.SUPPRESS)
    one = add("doctor", "find settings on this machine that break multi-WAN, and what puts them right")
    one.add_argument("--fix", action="store_true", help="write drop-ins, set sysctls, and show them")
    _as_json(one)


def _setting_up(add: Add) -> None:
    one = add("config", "validate the configuration and print it")
    one.add_argument("--check", action="store_true", help="validate only")
    one.add_argument("--effective", action="store_true", help="what is in force, and where each value came from")
    words = "the configuration of another program in mwan-hook's words; changes nothing; 3 if something is lost"
    one = add("import", words, "commands.import_:run")
    one.add_argument(
        "kind", metavar="KIND", help="mwan3, dynmhs, vyos, opnsense, pfsense, netplan or networkd-connectivity"
    )
    one.add_argument("file", metavar="FILE", help="its file; `-`: standard input")
    one.add_argument(
        "--map",
        dest="maps",
        type=parsing.mapping,
        action="append",
        default=[],
        metavar="LOGICAL=DEVICE",
        help="the device that a logical name of the file stands for",
    )
    way = add("mail", "show or send the mails that wait").add_mutually_exclusive_group()
    way.add_argument("--send", action="store_true", help="send what is due; what the timer runs")
    way.add_argument("--test", action="store_true", help="send a test mail now and say every step")
    way = add("webhook", "show or send the posts to the webhook that wait").add_mutually_exclusive_group()
    way.add_argument("--send", action="store_true", help="post what is due; what the timer runs")
    way.add_argument("--test", action="store_true", help="post a test now")


def _started_by_others(add: Add) -> None:
    """What udev, systemd, keepalived, snmpd, the bus and shells start: the man page has it."""
    words = "take spooled events, or the one given; facts first, then probe what changed"
    one = add("event", words, "cli:event")
    one.add_argument("what", nargs="*", metavar="ACTION IFACE")
    one.add_argument("--facts", action="store_true", help="no probes: leave to another run what is to be probed")
    one.add_argument("--early", action="store_true", help="before the network: only translate sources")
    words = "exit with 0 while anything, or one of these, is online, else with 1: for keepalived"
    one = add("track", words, "cli:track")
    one.add_argument("names", nargs="*", metavar="UPLINK", help="name, template's name or interface")
    one.add_argument("--family", choices=("ipv4", "ipv6"), help="online in this one; else in either")
    one = add("notify", "deliver the spooled notices to each channel; what the path units start")
    one.add_argument("--no-wait", dest="wait", action="store_false", help="end at once if another one delivers")
    step = one.add_mutually_exclusive_group()
    words = "only mail, the webhook and Prometheus, which need no root"
    step.add_argument("--books", dest="step", action="store_const", const="books", help=words)
    step.add_argument("--programs", dest="step", action="store_const", const="programs", help="only hooks and D-Bus")
    add("record", "write to the disk what verdicts were made from; what the timer and a shutdown start")
    add("chores", "do what runs that are not root have asked for; what the path unit starts")
    one = add("modem", "dial the modem of an interface; what mwan-hook-modem@.service runs")
    one.add_argument("interface", metavar="IFACE")
    one.add_argument("--hang-up", action="store_true", help="end the connection, and take away what was set for it")
    one = add("bus", "answer on D-Bus until calls cease; what the bus starts", "notify.bus.announce:serve")
    one.add_argument("--idle", type=parsing.seconds, default=30.0, metavar="S", help="seconds without a call (30)")
    one = add("snmp", "answer net-snmp: pass_persist on stdin; pass with -g, -n or -s")
    one.add_argument("--oid", default=None, help="root of the tree, instead of [snmp] oid")
    one.add_argument("-g", dest="get", metavar="OID", help="the value of this name")
    one.add_argument("-n", dest="getnext", metavar="OID", help="the one after it")
    one.add_argument("-s", dest="put", nargs=argparse.REMAINDER, metavar="OID TYPE VALUE", help="refused: read-only")
    one = add("complete", "what may come next on a command line; what shells start", "cli:complete")
    one.add_argument("words", nargs="*", metavar="WORD")


def _as_json(one: argparse.ArgumentParser) -> None:
    one.add_argument("--json", dest="as_json", action="store_true")


def _headless(one: argparse.ArgumentParser) -> None:
    one.add_argument("-H", "--no-header", dest="header", action="store_false")


GROUPS: tuple[tuple[str, Callable[[Add], None]], ...] = (
    ("look", _looking),
    ("change", _changing),
    ("explain", _explaining),
    ("set up", _setting_up),
    ("", _started_by_others),
)
"""Headings of the help, and the commands below each."""
