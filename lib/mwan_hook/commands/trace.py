"""``mwan-hook trace``: which rules a packet passes, which table answers, and which uplink it is."""

from __future__ import annotations

import ipaddress
import os
import socket

from mwan_hook.commands import kept, lookup, screen
from mwan_hook.commands.screen import Sentence
from mwan_hook.kernel.question import UDP, Question
from mwan_hook.machine.names import SHARED
from mwan_hook.model import Family, MwanError, UsageError
from mwan_hook.say import complain, say
from mwan_hook.trace import inquiry, words
from mwan_hook.trace.compare import agree, askable, merge_twins
from mwan_hook.trace.values import LOOPBACK, PROTOCOLS, Device, KernelAnswer, Trace
from mwan_hook.trace.walk import trace
from mwan_hook.trace.words import Names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterable, Iterator, Sequence

    from mwan_hook.commands.kept import Foretold
    from mwan_hook.run.scene import Judged

INDENT = 10  # of a line that a terminal is too narrow for
TRIES = 3  # looks, while rules or routes change under them


def run(options: Namespace) -> int:
    """Ask, print; 0 if the kernel says the same, 1 if it does not."""
    devices = inquiry.devices(Question(Family.IPV4, "0.0.0.0"))
    asked, notes = question(options, devices)
    done, answer = ask_both(asked)
    judged = _judged(options.root)
    names = _names(judged, devices, asked)
    source = asked.source or (answer.source if answer else None)
    found = kept.connections(judged, asked, source) if judged else []
    same = answer is None or agree(done.outcome, answer)
    if options.json or options.graph:
        say(_drawn(options, done, answer, names, found))
    else:
        screen.tell(Sentence(line, INDENT) for line in _told(done, answer, names, notes, found))
    if options.svg:
        from mwan_hook.trace.pictures import write

        write(options.svg, done, answer, names)
    return 0 if same else 1


def _told(
    done: Trace, answer: KernelAnswer | None, names: Names, notes: Sequence[str], found: Sequence[Foretold]
) -> Iterator[str]:
    """Lines for people."""
    yield from notes
    yield from words.lines(done, names)
    yield verdict(done, answer, names)
    yield from _more(done, answer, names)
    yield from kept.lines(found)


def _drawn(
    options: Namespace, done: Trace, answer: KernelAnswer | None, names: Names, found: Sequence[Foretold]
) -> Iterable[str]:
    """JSON, or a flowchart."""
    if options.graph:
        from mwan_hook.trace.pictures import mermaid

        return mermaid(done, answer, names)
    from mwan_hook.trace.document import document

    sockets = [one.document() for one in found]
    return document(done, answer, names, options.destination, sockets).split("\n")


def ask_both(asked: Question) -> tuple[Trace, KernelAnswer | None]:
    """Our answer and the kernel's; asked again where they differ, because something may have changed in between."""
    for _ in range(TRIES):
        done = trace(asked, inquiry.ground(asked))
        answer = inquiry.answer(asked) if askable(asked) else None
        if answer is None or agree(done.outcome, answer):
            break
    return done._replace(outcome=merge_twins(done.outcome)), answer


def plain(judged: Judged, address: str) -> tuple[Trace, KernelAnswer | None, Names]:
    """The walk of a packet of this machine that says nothing but where to, the kernel's answer, and names."""
    devices = inquiry.devices(Question(Family.IPV4, "0.0.0.0"))
    asked = Question(Family.of(address), address, uid=os.getuid())
    done, answer = ask_both(asked)
    return done, answer, _names(judged, devices, asked)


def verdict(done: Trace, answer: KernelAnswer | None, names: Names) -> str:
    """The kernel's answer against ours."""
    if answer is None:
        return "kernel: it answers questions only for tcp, udp and icmp; not compared"
    word = "agrees" if agree(done.outcome, answer) else "DIFFERS"
    return f"kernel: {word}; {words.kernel(answer, names)}"


def _more(done: Trace, answer: KernelAnswer | None, names: Names) -> list[str]:
    """What follows from the source that the kernel chose."""
    asked = done.question
    if asked.iif or asked.source or not answer or answer.error or not answer.source:
        return []
    text = f"source: rules with from saw none in this lookup; the kernel chose {answer.source} by the route"
    if asked.family is Family.IPV6 or answer.kind != "unicast":
        return [text]
    again = asked._replace(source=answer.source)
    outcome = trace(again, inquiry.ground(again)).outcome
    first, *legs = words.result(outcome, names)
    return [text, f"        a socket that connects asks again with it: {'; '.join([first, *legs])}"]


def question(options: Namespace, devices: dict[int, Device]) -> tuple[Question, list[str]]:
    """What the options ask, and what is to be said about it.  Raises UsageError."""
    source = _address(options.source, "--from") if options.source else None
    destination, notes = _destination(options.destination, Family.of(source) if source else None)
    family = Family.of(destination)
    if source and Family.of(source) is not family:
        raise UsageError(f"{destination} and --from {source} are of different families")
    if options.iif and (options.oif or options.uid is not None):
        raise UsageError("a forwarded packet (--iif) has no --oif yet, and no --uid")
    if options.iif and not source:
        raise UsageError("a forwarded packet (--iif) has a source: add --from")
    proto = _protocol(options.proto, family)
    if (options.sport or options.dport) and proto not in (6, 17):
        raise UsageError("ports need --proto tcp or udp")
    iif, oif = _index(options.iif, devices, "--iif"), _index(options.oif, devices, "--oif")
    if iif == LOOPBACK:
        raise UsageError("lo is where this machine's own packets come from: leave --iif out")
    uid = options.uid if options.uid is not None else 0 if iif else os.getuid()
    asked = Question(family, destination, source, iif, oif, options.mark, proto, options.sport, options.dport, uid)
    return asked, notes


def addresses_of(destination: str) -> list[str]:
    """An address as it is written, or the first one of each family that a name has.  Raises MwanError."""
    try:
        ipaddress.ip_address(destination)
    except ValueError:
        known = {Family.of(address): address for address in reversed(lookup.addresses(destination, socket.AF_UNSPEC))}
        return [_destination(known[family], None)[0] for family in Family if family in known]
    return [_destination(destination, None)[0]]


def _destination(text: str, family: Family | None) -> tuple[str, list[str]]:
    """The address, and what was resolved."""
    try:
        address, notes = str(ipaddress.ip_address(text)), list[str]()
    except ValueError:
        address, notes = _resolved(text, family)
    what = ipaddress.ip_address(address)
    if what.is_multicast or what.is_unspecified or address == "255.255.255.255":
        raise UsageError(f"{text} is no address of one machine")
    plain, zone, interface = address.partition("%")
    if zone:
        raise UsageError(
            f"{text} leaves by {interface}, as it says itself; to ask of it: trace {plain} --oif {interface}"
        )
    return address, notes


def _resolved(name: str, family: Family | None) -> tuple[str, list[str]]:
    addresses = lookup.addresses(name, family.af if family else socket.AF_UNSPEC)
    more = f", the first of {len(addresses)}: {', '.join(addresses)}" if len(addresses) > 1 else ""
    return addresses[0], [f"{name} is {addresses[0]}{more}"]


def _address(text: str, option: str) -> str:
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        address = "%"
    if "%" in address:
        raise UsageError(f"{option} {text}: expected an address, without an interface")
    return address


def _protocol(text: str | None, family: Family) -> int:
    if text is None:
        return UDP
    numbers = {name: number for number, name in PROTOCOLS.items()} | {"icmpv6": 58}
    numbers |= {"icmp": 58} if family is Family.IPV6 else {}
    number = numbers.get(text.lower(), int(text) if text.isdecimal() else 0)
    if not 0 < number < 256:
        raise UsageError(f"--proto {text}: expected tcp, udp, icmp or a number from 1 to 255")
    return number


def _index(name: str | None, devices: dict[int, Device], option: str) -> int:
    if name is None:
        return 0
    try:
        return socket.if_nametoindex(name)
    except OSError:
        known = ", ".join(device.name for device in devices.values())
        raise UsageError(f"{option} {name}: there is no such interface; there are: {known}") from None


def _judged(root: str) -> Judged | None:
    """How things stand, where the configuration can be read."""
    from mwan_hook import config
    from mwan_hook.run import judge, look

    try:
        return judge.judge(look.to_read(root, config.look(root)))
    except MwanError as error:
        complain([f"{line} (uplinks are not named)" for line in str(error).splitlines()])
        return None


def _names(judged: Judged | None, devices: dict[int, Device], asked: Question) -> Names:
    """Names of tables and interfaces, and of uplinks."""
    if judged is None:
        return Names(devices=devices)
    seen, state = judged.scene, judged.state
    tables = {seen.config.routing.default_table: SHARED, **seen.named_tables}
    known = {
        one.link.index: (one.name, state.memory(one.name).family(asked.family).word) for one in seen.uplinks if one.link
    }
    if not any(course.mark for course in seen.bound.policies):
        return Names(tables, devices, known)
    from mwan_hook.trace import marks

    notes = marks.notes(asked, seen.bound.policies, seen.config.routing, devices, set(known))
    return Names(tables, devices, known, tuple(notes))
