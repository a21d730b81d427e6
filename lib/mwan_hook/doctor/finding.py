"""Values of ``doctor``: a finding, what puts it right, and what every check may ask.  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum

from mwan_hook.light import NamedTuple
from mwan_hook.model import FAMILIES, Config, Family, Snapshot, State, Sysctl, Uplink
from mwan_hook.phrases import listed
from mwan_hook.verdict.standing import is_online, uses

NAME = "zz-mwan-hook-doctor.conf"  # behind all others: of drop-ins the last one counts
NETWORKD = f"etc/systemd/networkd.conf.d/{NAME}"
SYSCTLS = f"etc/sysctl.d/{NAME}"
MODULES = f"etc/modules-load.d/{NAME}"
WAIT_ONLINE = f"etc/systemd/system/systemd-networkd-wait-online.service.d/{NAME}"


class Severity(IntEnum):
    """How much it matters; a larger number is worse."""

    NOTE = 1  # to know
    WARNING = 2  # will hurt some day, or something else than uplinks
    PROBLEM = 3  # mwan-hook does not do its work

    @property
    def word(self) -> str:
        """Lower-case name, as printed."""
        return self.name.lower()


NOTE, WARNING, PROBLEM = Severity


class Fix(NamedTuple):
    """What puts it right.  ``path`` with its lines and ``links`` are what ``--fix`` writes, below --root."""

    words: str = ""  # where neither a file nor a command is enough
    path: str = ""
    section: str = ""  # as in [Network]
    lines: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()  # path and target
    sysctls: tuple[Sysctl, ...] = ()  # set at once, too
    commands: tuple[str, ...] = ()  # the operator's, afterwards or instead

    @property
    def written(self) -> bool:
        """Whether ``--fix`` has anything to write."""
        return bool(self.lines or self.links)


class Finding(NamedTuple):
    """A setting that will hurt.  ``code`` and ``about`` stay the same from version to version."""

    code: str
    severity: Severity
    about: str  # interface, unit, file, rule ...; empty: the machine
    what: str  # with the value seen, and where it came from
    breaks: str
    fix: Fix = Fix()


class Case(NamedTuple):
    """The uplinks as a run would see them now."""

    config: Config
    uplinks: tuple[Uplink, ...] = ()
    state: State = State()  # as judged; its boot_id is empty before the first run of a boot
    snapshot: Snapshot = Snapshot()
    now: float = 0.0  # CLOCK_BOOTTIME

    @property
    def present(self) -> tuple[Uplink, ...]:
        """Uplinks whose interface is there."""
        return tuple(uplink for uplink in self.uplinks if uplink.present)

    def online(self, uplink: Uplink) -> bool:
        """True if it is online in any family."""
        return any(is_online(uplink, family, self.state) for family in FAMILIES)

    def concerns(self, family: Family) -> bool:
        """Whether any uplink has to do with a family, so that there are rules of ours in it."""
        return any(uses(uplink, family, self.state) for uplink in self.present)

    def behind(self, family: Family) -> tuple[str, ...]:
        """Interfaces with an address of a family that are no uplinks: hosts may be behind them."""
        outside = {uplink.index for uplink in self.present} | {1}
        names = self.snapshot.names
        able = [one for one in self.snapshot.addresses if one.family is family and one.usable]
        inside = dict.fromkeys(one.index for one in able if one.index not in outside)
        return tuple(names.get(index, str(index)) for index in inside)


def sysctl_fix(sysctls: Iterable[Sysctl], words: str = "") -> Fix:
    """Lines of a sysctl.d file, and the same at once."""
    wanted = tuple(sysctls)
    lines = tuple(f"{spelled(one.key)} = {one.value}" for one in wanted)
    return Fix(words, SYSCTLS, lines=lines, sysctls=wanted)


def spelled(key: str) -> str:
    """The key as sysctl(8) writes it; slashes stay where an interface's name has a dot."""
    return key if "." in key else key.replace("/", ".")


def without_systemd(one: Finding) -> Finding:
    """The finding where systemd does not run: no command of its is advised."""
    theirs = [command for command in one.fix.commands if command.startswith("systemctl ")]
    rest = tuple(command for command in one.fix.commands if command not in theirs)
    words = one.fix.words
    if theirs and not (rest or words or one.fix.written):
        words = f"nothing while systemd does not run; where it does: {listed(theirs)}"
    return one._replace(fix=one.fix._replace(commands=rest, words=words))


def ordered(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first, else as they were found; each once."""
    return tuple(sorted(dict.fromkeys(findings), key=lambda one: -one.severity))
