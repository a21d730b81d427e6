"""Runs in a namespace as long as a test does: look-ups, the real command in this process, and what is in the kernel.

Pickled calls come in on standard input, pickled answers go out on what standard output was.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import io
import os
import pickle
import re
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE, NLMSG_ERROR = 24, 25, 26, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
MAIN, LOCAL, RTPROT_KERNEL = 254, 255, 2
RTM_F_LOOKUP_TABLE, RTM_F_FIB_MATCH = 0x1000, 0x2000
RTA_DST, RTA_SRC, RTA_IIF, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_MULTIPATH, RTA_TABLE = 1, 2, 3, 4, 5, 7, 9, 15
RTA_MARK, RTA_VIA, RTA_IP_PROTO, RTA_DPORT = 16, 18, 27, 29
KINDS = {1: "unicast", 2: "local", 3: "broadcast", 5: "multicast", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
GROUPS = 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x40000 | 0x80000000  # addresses, routes, rules, nexthop objects
CHANGES = {20: "address", 21: "no address", 24: "route", 25: "no route", 32: "rule", 33: "no rule", 104: "nexthop"}
COUNTDOWN = re.compile(r" (?:expires|valid_lft|preferred_lft) \d+sec| users \d+ age \d+sec")
TUNSETIFF, IFF_TUN_NO_PI = 0x400454CA, 0x1001
SHOWN = ("rule show", "-d route show table all", "address show", "nexthop show")
SETTINGS = ("rp_filter", "ignore_routes_with_linkdown", "forwarding", "src_valid_mark")


class Question(NamedTuple):
    """What is asked of the kernel; interfaces by name."""

    family: int  # 4 or 6
    dst: str
    src: str = ""
    iif: str = ""
    oif: str = ""
    mark: int = 0
    dport: int = 443


class Reply(NamedTuple):
    """Where a packet goes; `error` is an errno, and then the rest is empty."""

    error: int
    kind: str = ""
    dev: str = ""
    via: str = ""
    table: int = 0
    src: str = ""
    length: int = 0  # of the prefix that matched
    devs: tuple[str, ...] = ()  # all that the route leads to


_SOCKETS: dict[str, socket.socket] = {}
_TUNNELS: list[int] = []


def _socket(name: str, groups: int = 0) -> socket.socket:
    if name not in _SOCKETS:
        made = _SOCKETS[name] = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind((0, groups))
    return _SOCKETS[name]


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", len(value) + 4, kind) + value + bytes(-len(value) % 4)


def _request(asked: Question, flags: int) -> bytes:
    af = socket.AF_INET if asked.family == 4 else socket.AF_INET6
    dst, src = (socket.inet_pton(af, text) if text else b"" for text in (asked.dst, asked.src))
    body = struct.pack("=BBBBBBBBI", af, 8 * len(dst), 8 * len(src), 0, 0, 0, 0, 0, flags) + _attribute(RTA_DST, dst)
    body += _attribute(RTA_SRC, src) if src else b""
    for kind, name in ((RTA_IIF, asked.iif), (RTA_OIF, asked.oif)):
        body += _attribute(kind, struct.pack("=I", socket.if_nametoindex(name))) if name else b""
    body += _attribute(RTA_MARK, struct.pack("=I", asked.mark)) if asked.mark else b""
    body += _attribute(RTA_IP_PROTO, b"\x11") + _attribute(RTA_DPORT, struct.pack(">H", asked.dport))
    return struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, 1, 1, 0) + body


def _attributes(data: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while at + 4 <= len(data):
        length, kind = struct.unpack_from("=HH", data, at)
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def _name(index: int) -> str:
    return socket.if_indextoname(index) if index else ""


def _devices(found: dict[int, bytes]) -> tuple[str, ...]:
    if RTA_OIF in found:
        return (_name(struct.unpack("=I", found[RTA_OIF])[0]),)
    names, data, at = [], found.get(RTA_MULTIPATH, b""), 0
    while at + 8 <= len(data):
        length, _, _, index = struct.unpack_from("=HBBi", data, at)
        names.append(_name(index))
        at += (length + 3) & ~3
    return tuple(names)


def _asked(asked: Question, flags: int) -> tuple[int, bytes]:
    sock = _socket("ask")
    sock.send(_request(asked, flags))
    message = sock.recv(65536)
    if struct.unpack_from("=H", message, 4)[0] == NLMSG_ERROR:
        return -struct.unpack_from("=i", message, 16)[0], b""
    return 0, message


def look_up(asked: Question, was: Reply | None = None) -> Reply:
    """One look-up, and which prefix it matched; `was`, where it is the same still."""
    error, message = _asked(asked, RTM_F_LOOKUP_TABLE if asked.family == 4 else 0)
    if error:
        return Reply(error)
    found = _attributes(message[28:])
    af = socket.AF_INET if asked.family == 4 else socket.AF_INET6
    via, src = (socket.inet_ntop(af, found[kind]) if kind in found else "" for kind in (RTA_GATEWAY, RTA_PREFSRC))
    via = via or (socket.inet_ntop(socket.AF_INET6, found[RTA_VIA][2:18]) if RTA_VIA in found else "")
    table = struct.unpack("=I", found[RTA_TABLE])[0] if RTA_TABLE in found else 0
    devices = _devices(found)
    now = Reply(0, KINDS.get(message[23], str(message[23])), devices[0] if devices else "", via, table, src)
    if was and was._replace(length=0, devs=()) == now:
        return was
    missing, whole = _asked(asked, RTM_F_FIB_MATCH)
    if missing:
        return now._replace(devs=devices)
    return now._replace(length=whole[17], devs=_devices(_attributes(whole[28:])) or devices)


def look_ups(asked: Sequence[Question], was: Sequence[Reply] = ()) -> list[Reply]:
    """Many of them; `was`: earlier answers to the same questions."""
    known = dict(zip(asked, was, strict=False))
    return [look_up(one, known.get(one)) for one in asked]


def mwan(*words: str) -> tuple[int, str]:
    """The command, in this process; its exit status and what it said."""
    from mwan_hook.__main__ import main

    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        try:
            code = main(list(words))
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 1
    return code, out.getvalue()


def ip(lines: Sequence[str], force: bool = False) -> str:
    """Run ip(8) over lines, those without a family first; what it said, if it complained."""
    said = ""
    for flag in ("", "-4", "-6"):
        own = [line.removeprefix(flag) for line in lines if (line[:2] if line[0] == "-" else "") == flag]
        argv = ["ip", *([flag] if flag else []), *(["-force"] if force else []), "-batch", "-"]
        text = "\n".join(own) + "\n"
        done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False) if own else None
        said += f"ip {flag}: {done.stdout}{done.stderr}" if done and done.returncode else ""
    return said


def wipe() -> None:
    """Delete every route but those that the kernel makes for addresses; ip(8) leaves some of IPv6's where they are."""
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    for family in (socket.AF_INET, socket.AF_INET6):
        for message in _dumped(sock, family):
            table = struct.unpack("=I", _attributes(message[28:])[RTA_TABLE])[0]
            if table != LOCAL and (table, message[21]) != (MAIN, RTPROT_KERNEL):
                header = struct.pack("=IHHII", len(message), RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, 1, 0)
                sock.send(header + message[16:24] + bytes(4) + message[28:])
                sock.recv(65536)
    sock.close()


def _dumped(sock: socket.socket, family: int) -> list[bytes]:
    """Messages of all routes of a family."""
    body = struct.pack("=BBBBBBBBI", family, *bytes(7), 0)
    sock.send(struct.pack("=IHHII", 28, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0) + body)
    found: list[bytes] = []
    while True:
        data = sock.recv(65536)
        while data:
            length, kind = struct.unpack_from("=IH", data)
            if kind != RTM_NEWROUTE:
                return found
            found.append(data[:length])
            data = data[(length + 3) & ~3 :]


def shown() -> str:
    """All that the kernel has of rules, routes, addresses and objects, and the settings that a run could change."""
    lines = [f"-{family} {what}" for what in SHOWN[:2] for family in (4, 6)]
    text = ""
    for words in (*(line.split() for line in lines), *(what.split() for what in SHOWN[2:])):
        text += subprocess.run(["ip", *words], capture_output=True, text=True, check=False).stdout
    text = COUNTDOWN.sub("", text)
    for _, name in socket.if_nameindex():
        for family in ("ipv4", "ipv6"):
            for key in SETTINGS:
                path = f"/proc/sys/net/{family}/conf/{name}/{key}"
                with contextlib.suppress(OSError), open(path, encoding="ascii") as file:
                    text += f"{path} {file.read()}"
    return text


def listen() -> None:
    """Hear what is changed from now on."""
    if "listen" in _SOCKETS:
        _SOCKETS.pop("listen").close()
    _socket("listen", GROUPS)


def heard() -> list[str]:
    """What was changed since the last time."""
    said: list[str] = []
    sock = _socket("listen", GROUPS)
    while True:
        try:
            message = sock.recv(65536, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return said
        kind = struct.unpack_from("=H", message, 4)[0]
        said.append(CHANGES.get(kind, str(kind)))


def tunnel(name: str) -> None:
    """A tun device with a carrier; it lives as long as this process."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN_NO_PI))
    _TUNNELS.append(descriptor)


CALLS: dict[str, Callable[..., Any]] = {
    call.__name__: call for call in (look_ups, mwan, ip, wipe, shown, listen, heard, tunnel)
}


def serve() -> None:
    """Answer until standard input ends; nothing that is called writes into the answers."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with contextlib.suppress(EOFError):
        while True:
            name, words = pickle.load(sys.stdin.buffer)
            try:
                answer: tuple[bool, Any] = (True, CALLS[name](*words))
            except Exception as error:  # noqa: BLE001 - told to the test
                import traceback

                answer = (False, f"{error!r}\n{traceback.format_exc()}")
            pickle.dump(answer, answers)
            answers.flush()


if __name__ == "__main__":
    # Pickled classes are those of the module by its name, not of __main__.
    importlib.import_module("tests.netns.harm_agent").serve()
