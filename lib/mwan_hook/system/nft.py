"""Our nft table: has anything changed (one message to the kernel), what is there, make it (nft(8), started then only).

Every change of any nft table makes a new generation of them all.  As long as the number is the one at which our table
was read and found right, it is right, and no program is started.
"""

from __future__ import annotations

import os
from _socket import AF_NETLINK, SO_RCVTIMEO, SOCK_CLOEXEC, SOCK_RAW, SOL_SOCKET, socket
from errno import EPERM
from struct import pack, unpack_from

from mwan_hook.model import Firewall, Op, Ruleset
from mwan_hook.say import say
from mwan_hook.system import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.model import Change

FAMILY, TABLE = "inet", "mwan_hook"
PLACES = ("/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin", "/usr/local/bin", "/run/current-system/sw/bin")
MISSING = "nft(8) is not installed (package nftables): nothing is pinned, masqueraded, translated or chosen by nft"
_SET = ("add", "set", FAMILY, TABLE)
TIMEOUT = 30
NETLINK_NETFILTER = 12
_NFPROTO_INET = 1
_SUBSYSTEM = 10 << 8
_GETTABLE, _GETGEN = _SUBSYSTEM | 1, _SUBSYSTEM | 16
_NFTA_GEN_ID, _NFTA_TABLE_NAME = 1, 1


def look(known: Firewall) -> Firewall:
    """What is there; ``known`` itself while nobody has touched any nft table since."""
    number = generation()
    if number is None or (number == known.generation and not (known.failed == MISSING and program())):
        return known
    return Firewall(number, listing() if exists() else "")


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
    name = TABLE.encode() + b"\0"
    padded = name + bytes(-len(name) % 4)
    reply = _asked(_GETTABLE, _NFPROTO_INET, pack("=HH", 4 + len(name), _NFTA_TABLE_NAME) + padded)
    return not _code(reply)


def listing() -> str:
    """Digest of the table as nft lists it, without counters and learned sources; empty if it could not be read."""
    from hashlib import sha256

    text = _listed()
    return sha256(text.encode()).hexdigest() if text else ""


def _listed() -> str:
    """Terse: what sets hold changes all the time.  Newer kernels have nft say how much it is."""
    code, text, _ = _run("-s", "-t", "list", "table", FAMILY, TABLE)
    if "# count " in text:
        text = "".join(f"{line.partition('# count ')[0].rstrip()}\n" for line in text.splitlines())
    return "" if code else text


def apply(change: Change, known: Firewall) -> tuple[Firewall, str]:
    """Make the table in one transaction, or take it away; what is there now, and why it could not be done.

    What was said of the same failure before is not said again.
    """
    commands = change.what.commands if isinstance(change.what, Ruleset) else ()
    keeping = _keeping(commands)
    code, words = _done(keeping or commands)
    if code and keeping:
        code, words = _done(commands)
    if not code and change.op is Op.DELETE:
        return Firewall(), ""
    number = generation() or 0
    seen = Firewall(number, listing() if exists() else "", commands)
    if not code and seen.listing:
        return seen, ""
    failed = _reason(words) or "nft(8) made no table"
    return seen._replace(failed=failed), "" if failed == known.failed else failed


def _done(commands: Sequence[str]) -> tuple[int, str]:
    """All or nothing."""
    code, _, words = _run("-f", "-", text="".join(f"{line}\n" for line in commands))
    return code, words


def _keeping(commands: Sequence[str]) -> list[str]:
    """The same without losing sets that are there: all else of the table goes instead of the table.

    None where there is no such set.
    """
    wanted = {words[4]: line for line in commands if tuple((words := line.split())[:4]) == _SET}
    there = _parts(_listed()) if wanted and exists() else []
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
    """Take the table away, with the line that does it on standard output; why not, if so."""
    if not exists():
        return []
    say((f"[#] nft delete table {FAMILY} {TABLE}",))
    code, _, words = _run("delete", "table", FAMILY, TABLE)
    return [_reason(words)] if code and exists() else []


def ruleset() -> str:
    """All tables as nft's JSON, without the elements of sets; empty if it may not be read."""
    code, text, _ = _run("-j", "-t", "list", "ruleset")
    return "" if code else text


def refusal(commands: tuple[str, ...]) -> str:
    """What the kernel says against a table, in a transaction that is never committed; empty: nothing."""
    code, _, words = _run("-c", "-f", "-", text="".join(f"{line}\n" for line in commands))
    return (_reason(words) or "nft(8) says no, without a reason") if code else ""


def program() -> str:
    """Where nft(8) is, or nothing."""
    places = [*os.environ.get("PATH", "").split(":"), *PLACES]
    return next((f"{p}/nft" for p in places if p.startswith("/") and os.access(f"{p}/nft", os.X_OK)), "")


def _reason(words: str) -> str:
    """The first complaint of nft(8): what follows shows the place in a text that nobody has seen."""
    first = words.strip().partition("\n")[0]
    return first if first in ("", MISSING) else f"nft: {first}"


def _run(*words: str, text: str = "") -> tuple[int, str, str]:
    from subprocess import PIPE, Popen, TimeoutExpired

    nft = program()
    if not nft:
        return 127, "", MISSING
    environment = {**os.environ, "LC_ALL": "C"}
    process = Popen([nft, *words], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True, env=environment)
    try:
        out, err = process.communicate(text, TIMEOUT)
    except TimeoutExpired:
        process.kill()
        process.communicate()
        return 1, "", f"gave no answer within {TIMEOUT} s"
    return process.returncode, out, err


def _asked(kind: int, family: int, attributes: bytes) -> bytes:
    """The kernel's reply to one message; an empty one where it has no such socket."""
    body = pack("=BBH", family, 0, 0) + attributes
    try:
        sock = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)
    except OSError:
        return b""
    try:
        sock.setsockopt(SOL_SOCKET, SO_RCVTIMEO, pack("=qq", 5, 0))
        sock.send(pack("=IHHII", 16 + len(body), kind, wire.NLM_F_REQUEST, 1, 0) + body)
        return sock.recv(8192)
    except OSError:
        return b""
    finally:
        sock.close()


def _code(reply: bytes) -> int:
    """errno of a refusal, 0 of an answer; no reply at all is a kernel that cannot."""
    if len(reply) < 20:
        return -1
    kind = unpack_from("=H", reply, 4)[0]
    return -int(unpack_from("=i", reply, 16)[0]) if kind == wire.NLMSG_ERROR else 0
