"""Our nft table: has anything changed (one message to the kernel), what is there, make it (nft(8), started then only).

Every change of any nft table makes a new generation of them all.  As long as the number is the one at which our table
was read and found right, it is right, and no program is started.

What nft(8) says of its success is not believed: the kernel is asked whether anything changed, and whether there is a
table.  What fails stands in ``Firewall.failed`` until the table stands, and is tried again by each run.
"""

from __future__ import annotations

import os
from _struct import pack, unpack_from
from errno import EPERM
from time import monotonic

from mwan_hook.kernel import frames, netlink, wire
from mwan_hook.model import UNREAD, Firewall, Op, Ruleset

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from subprocess import Popen

    from mwan_hook.model import Change

FAMILY, TABLE = "inet", "mwan_hook"
PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin")
MISSING = (
    "nft(8) is not installed (package nftables): nothing is pinned, masqueraded, translated, counted or chosen by nft"
)
_SET = ("add", "set", FAMILY, TABLE)
NO_ANSWER = "nft: gave no answer in time"
TIMEOUT = 8.0  # seconds for a command of an operator's
DEATH = 1  # seconds that a killed nft(8) gets to be gone
NFPROTO_INET = 1
SUBSYSTEM = 10 << 8
_GETTABLE, _GETGEN = SUBSYSTEM | 1, SUBSYSTEM | 16
_NFTA_GEN_ID, _NFTA_TABLE_NAME = 1, 1


def deadline(patience: float) -> float:
    """The time until which nft(8) is waited for from now on."""
    return monotonic() + patience


def look(known: Firewall) -> Firewall:
    """What is there; ``known`` itself while no nft table has changed since, else with an UNREAD listing.

    Routes do not wait for nft(8), so none is started here.
    """
    number = generation()
    if number is None or number == known.generation:
        return known
    return Firewall(number, UNREAD if exists() else "")


def generation() -> int | None:
    """The number of the present generation in this network namespace; None where asking is not permitted.

    0 is a kernel without nf_tables.
    """
    reply = _asked(_GETGEN, 0, b"")
    if _code(reply) == EPERM:
        return None
    if _code(reply):
        return 0
    found = wire.attributes(reply, 20).get(_NFTA_GEN_ID, b"\0\0\0\0")
    # The namespace is part of it: another one counts from the start.
    return int(unpack_from(">I", found)[0]) + 1 | os.stat("/proc/self/ns/net").st_ino << 33 & 0x7FFFFFFFFFFFFFFF


def exists() -> bool:
    """Whether there is a table of our name."""
    return not _code(_asked(_GETTABLE, NFPROTO_INET, frames.attribute(_NFTA_TABLE_NAME, TABLE.encode() + b"\0")))


def listing(until: float) -> str:
    """Digest of the table as nft lists it, without counters and learned sources; empty if it could not be read."""
    from hashlib import sha256

    text = _listed(until)
    return sha256(text.encode("utf-8", "surrogateescape")).hexdigest() if text else ""


def _listed(until: float) -> str:
    """Terse: what sets hold changes all the time.  Since Linux 6.16 nft says how much it is, too."""
    code, text, _ = _run("-s", "-t", "list", "table", FAMILY, TABLE, until=until)
    if "# count " in text:
        text = "".join(f"{line.partition('# count ')[0].rstrip()}\n" for line in text.splitlines())
    return "" if code else text


def apply(change: Change, until: float) -> Firewall:
    """Make the table in one transaction, or take it away; what is there now, with why it could not be done."""
    commands = change.what.commands if isinstance(change.what, Ruleset) else ()
    before = generation()
    keeping = _keeping(commands, until)
    code, words = _done(keeping or commands, until)
    if code and keeping:
        code, words = _done(commands, until)
    seen = Firewall(generation() or 0, listing(until) if exists() else "", commands)
    failed = _reason(code, words) if code else _undone(change.op, seen, before)
    if change.op is Op.DELETE and not failed:
        return Firewall()
    return seen._replace(failed=failed)


def _undone(op: Op, seen: Firewall, before: int | None) -> str:
    """What is wrong although nft(8) has said yes."""
    if op is Op.DELETE:
        return "nft(8) said yes, but did not take the table away" if exists() else ""
    if not exists():
        return "nft(8) said yes, but there is no table: has another program flushed the ruleset?"
    if seen.generation == before:
        return "nft(8) said yes, but changed nothing"
    return "" if seen.listing else "nft(8) has made the table, but does not list it"


def _done(commands: Sequence[str], until: float) -> tuple[int, str]:
    """All or nothing."""
    code, _, words = _run("-f", "-", text="".join(f"{line}\n" for line in commands), until=until)
    return code, words


def _keeping(commands: Sequence[str], until: float) -> list[str]:
    """The same without losing sets that are there: all else of the table goes instead of the table.

    None where there is no such set.
    """
    wanted = {words[4]: line for line in commands if tuple((words := line.split())[:4]) == _SET}
    there = _parts(_listed(until)) if wanted and exists() else []
    kept = {name for kind, name in there if kind == "set" and name in wanted}
    if not kept:
        return []
    # Chains first: their rules hold on to what else there is.
    going = sorted((part for part in there if part[1] not in kept), key=lambda part: part[0] != "chain")
    out = [f"delete {kind} {FAMILY} {TABLE} {name}" for kind, name in going]
    known = [wanted[name] for name in kept]
    made = [line for line in commands if line not in known and "table" not in line.split()[1:2]]
    return [f"flush table {FAMILY} {TABLE}", *out, *made]


def _parts(text: str) -> list[tuple[str, str]]:
    """Kind and name of what a listed table holds: chain NAME, set NAME, ct helper NAME."""
    heads = [line[1:-2] for line in text.splitlines() if line[:1] == "\t" != line[1:2] and line.endswith(" {")]
    return [(kind, name) for kind, _, name in (head.rpartition(" ") for head in heads)]


def remove() -> list[str]:
    """Take the table away; why it is still there, if so."""
    code, _, words = _run("delete", "table", FAMILY, TABLE, until=deadline(TIMEOUT))
    if not exists():
        return []
    return [_reason(code, words) if code else _undone(Op.DELETE, Firewall(), None)]


def ruleset() -> str:
    """All tables as nft's JSON, without the elements of sets; empty if it may not be read."""
    code, text, _ = _run("-j", "-t", "list", "ruleset", until=deadline(TIMEOUT))
    return "" if code else text


def refusal(commands: tuple[str, ...]) -> str:
    """What the kernel says against a table, in a transaction that is never committed; empty: nothing."""
    code, _, words = _run("-c", "-f", "-", text="".join(f"{line}\n" for line in commands), until=deadline(TIMEOUT))
    return _reason(code, words) if code else ""


def program() -> str:
    """Where nft(8) is, or nothing."""
    places = [*os.environ.get("PATH", "").split(":"), *PLACES]
    return next((f"{p}/nft" for p in places if p.startswith("/") and os.access(f"{p}/nft", os.X_OK)), "")


def _reason(code: int, words: str) -> str:
    """The first complaint of nft(8): what follows shows the place in a text that no user has seen."""
    first = words.strip().partition("\n")[0]
    if first in (MISSING, NO_ANSWER):
        return first
    return f"nft: {first or (f'killed by signal {-code}' if code < 0 else f'failed with exit code {code}')}"


def _run(*words: str, until: float, text: str = "") -> tuple[int, str, str]:
    """Exit status, output and complaints; in a process group of its own, which is killed at ``until``."""
    from subprocess import PIPE, Popen, TimeoutExpired

    nft = program()
    if not nft:
        return 127, "", MISSING
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        process = Popen([nft, *words], stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment, process_group=0)
    except OSError as error:
        return 126, "", f"{nft} cannot be started: {error.strerror}"
    try:
        out, err = process.communicate(text.encode("utf-8", "surrogateescape"), max(0.0, until - monotonic()))
    except TimeoutExpired:
        _kill(process)
        return 1, "", NO_ANSWER
    return process.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "backslashreplace")


def _kill(process: Popen[bytes]) -> None:
    """End it with what it has started; what even that does not end is left."""
    from signal import SIGKILL
    from subprocess import TimeoutExpired

    try:
        os.killpg(process.pid, SIGKILL)
        process.communicate(timeout=DEATH)
    except (OSError, TimeoutExpired):
        return


def _asked(kind: int, family: int, attributes: bytes) -> bytes:
    """The kernel's reply to one message; an empty one where it has no such socket."""
    try:
        message = frames.request(kind, 0, pack("=BBH", family, 0, 0) + attributes)
        return netlink.ask(message, netlink.NETLINK_NETFILTER)
    except OSError:
        return b""


def _code(reply: bytes) -> int:
    """errno of a refusal, 0 of an answer; no reply at all is a kernel that cannot."""
    if len(reply) < 20:
        return -1
    kind = unpack_from("=H", reply, 4)[0]
    return -int(unpack_from("=i", reply, 16)[0]) if kind == wire.NLMSG_ERROR else 0
