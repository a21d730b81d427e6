"""Doctor: whether runs go on, what the last one could not do, and uplinks that are nowhere.  Pure."""

from __future__ import annotations

from collections.abc import Iterator

from mwan_hook.doctor.finding import NOTE, PROBLEM, WARNING, Case, Finding, Fix
from mwan_hook.durations import duration
from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Family, State, Uplink
from mwan_hook.policy import order
from mwan_hook.verdict.facts import probed
from mwan_hook.verdict.schedule import interval

SEVERAL = 3  # periods that may be missed
LEAST = 60.0  # seconds; a slow machine, or a run that waits for a lock, is not dead
STATE_FILE = "run/mwan-hook/state.json"


class Memory(NamedTuple):
    """The state file as it lies there."""

    present: bool = False
    state: State = State()  # what was read of it: nothing, if it is of another boot
    set_aside: float | None = None  # age of state.json.bad in seconds
    messages: tuple[str, ...] = ()  # of reading it


def check(case: Case, memory: Memory) -> Iterator[Finding]:
    """Everything that the memory tells."""
    yield from _bad(memory)
    if not memory.state.boot_id:
        yield _never(memory)
    else:
        yield from _stopped(case, memory)
    for error in filter(None, (*memory.state.errors, memory.state.firewall.failed)):
        words = "it is tried again by every run; if the words do not help, plan and trace may"
        breaks = "the kernel is not as it should be"
        yield Finding("run-failed", WARNING, error, f"the last run could not: {error}", breaks, Fix(words))


def check_page(page: str, failure: str) -> Iterator[Finding]:
    """Why the page of the report is not made, if it is not."""
    if page and failure:
        breaks = "the page stays as it was"
        words = "make the directory, or name another one; it is tried again after a transition and every hour"
        yield Finding("report-failed", WARNING, page, failure, breaks, Fix(words))


def _bad(memory: Memory) -> Iterator[Finding]:
    breaks = "verdicts and holds of before are lost: every uplink was judged anew"
    for message in memory.messages:
        fix = Fix("nothing; find the program that writes there")
        yield Finding("state-bad", WARNING, STATE_FILE, message, breaks, fix)
    if memory.set_aside is not None and not memory.messages:
        what = f"a state file was set aside {duration(memory.set_aside)} ago"
        fix = Fix(
            commands=(f"rm /{STATE_FILE}.bad",), words="look who has written it (a disk, a foreign program), then"
        )
        yield Finding("state-bad", NOTE, STATE_FILE, what, breaks, fix)


def _never(memory: Memory) -> Finding:
    what = "the state file is of another boot" if memory.present else "there is no state file"
    what += ": no run of mwan-hook in this boot"
    breaks = "nothing of mwan-hook is in the kernel: no failover, no sharing"
    fix = Fix(commands=("mwan-hook check", "systemctl enable --now mwan-hook-check.timer"))
    return Finding("never-run", PROBLEM, STATE_FILE, what, breaks, fix)


def _stopped(case: Case, memory: Memory) -> Iterator[Finding]:
    """Findings of a timer that stands still, by what was due: a run that has nothing to do writes nothing."""
    late = [found for uplink in case.present if (found := _overdue(case, uplink, memory.state.saved_at)) is not None]
    if not late:
        return
    seconds, name = max(late)
    saved = f"the state file was saved {duration(case.now - memory.state.saved_at)} ago"
    what = f"{saved}, and {name} was to be probed {duration(seconds)} ago"
    breaks = "no run looks whether lines still carry: a dead one keeps its traffic"
    commands = ("systemctl status mwan-hook-check.timer mwan-hook-check.service", "mwan-hook check")
    yield Finding("runs-stopped", PROBLEM, STATE_FILE, what, breaks, Fix(commands=commands))


def _overdue(case: Case, uplink: Uplink, saved_at: float) -> tuple[float, str] | None:
    """Seconds since it should have been probed, where that is too long."""
    memory = case.state.memory(uplink.name)
    others = any(case.online(other) for other in case.uplinks if other.name != uplink.name)
    limit = max(LEAST, SEVERAL * interval(uplink.config, others))
    worst = 0.0
    for family in FAMILIES:
        one = memory.family(family)
        if uplink.enabled and one.way and not one.by_facts and not uplink.way(family).missing:
            worst = max(worst, case.now - (saved_at if one.next_probe_at is None else one.next_probe_at))
    return (worst, uplink.name) if worst > limit else None


def check_uplinks(case: Case) -> Iterator[Finding]:
    """Uplinks without an interface, none at all, no configuration."""
    if not case.config.uplinks:
        what = "no uplink is configured: every interface with a default route in main is one"
        breaks = "little, if that is what you want; equal metrics share"
        fix = Fix("name your uplinks in /etc/mwan-hook/mwan-hook.conf, [uplinks]")
        yield Finding("no-configuration", NOTE, "", what, breaks, fix)
    if not case.uplinks and not case.config.uplinks:
        what = "no interface has a default route in main, and none is configured"
        fix = Fix("set DHCP= or Gateway= in a .network file, or [uplinks] in mwan-hook.conf")
        yield Finding("no-uplinks", PROBLEM, "", what, "there is nothing to route by", fix)
    for entry in case.config.uplinks:
        if any(uplink.present and uplink.config.name == entry.name for uplink in case.uplinks):
            continue
        if entry.dial and entry.dial.brings_interface:
            continue
        wanted = ", ".join(f"{one.kind}:{one.key + '=' if one.key else ''}{one.glob}" for one in entry.match)
        what = f"no interface matches uplink {entry.name} (match = {wanted})"
        severity = WARNING if entry.literal else NOTE
        words = "nothing, if the modem is unplugged on purpose; else change match (`ip link` tells what there is)"
        yield Finding("no-interface", severity, entry.name, what, "it carries nothing", Fix(words))
    if len(case.present) > 1:
        yield from (_unprobed(uplink, family) for uplink, family in _by_facts(case))


def _by_facts(case: Case) -> Iterator[tuple[Uplink, Family]]:
    """Point-to-point uplinks, and the family in which no target applies to them: their facts outlive a session."""
    for uplink in case.present:
        if uplink.enabled and uplink.link and uplink.link.noarp:
            bare = [one for one in FAMILIES if not uplink.way(one).missing and not probed(uplink, one)]
            yield from ((uplink, family) for family in bare)


def _unprobed(uplink: Uplink, family: Family) -> Finding:
    what = f"no target of {uplink.name} applies to {family.value} on {uplink.interface}, a point-to-point link"
    breaks = "where the network ends a session, address and route often stay: it would be online for ever"
    fix = Fix(f"an icmp, tcp, dns or http target of {family.value} in targets of {uplink.config.name}")
    return Finding("unprobed", WARNING, uplink.name, what, breaks, fix)


def check_order(case: Case) -> Iterator[Finding]:
    """Policies whose commas order uplinks of equal metric."""
    metrics = {uplink.config.name: uplink.metric for uplink in case.uplinks}
    for name, names in order.formerly_shared(case.config.policies, metrics).items():
        what = f"[policies] [[{name}]] uplinks: {order.only_ordered(names)}"
        breaks = "nothing, if that is what you want; before there was a +, such uplinks shared"
        fix = Fix(f"nothing, or {order.SHARING.join(names)}; a + in any policy ends this note")
        yield Finding("policy-order", NOTE, name, what, breaks, fix)


def check_configuration(mistakes: tuple[str, ...], doubts: tuple[str, ...]) -> Iterator[Finding]:
    """What ``config --check`` says."""
    for line in mistakes:
        breaks = "no run does anything until it is put right: routes stay as they are"
        yield Finding("configuration", PROBLEM, "", line, breaks, Fix(commands=("mwan-hook config --check",)))
    for line in doubts:
        breaks = "it may mean something else than you want"
        yield Finding("configuration-doubt", NOTE, "", line, breaks, Fix("see the line that it names"))


def unseen(words: str) -> Finding:
    """What could not be looked at."""
    fix = Fix("run doctor as root; else look there yourself")
    return Finding("not-seen", NOTE, "", f"not looked at: {words}", "what is wrong there is not told", fix)
