#!/usr/bin/python3
"""A USB modem (MBIM) in software: runs in the virtual machine, whose kernel sees a stick at vhci_hcd's first port.

`mbim_stick.py APN TUN`: packets of a session come out of TUN.  Words written into the pipe /run/mbim-stick: `drop` (the
network ends the session), `stuck` (no answer to control messages before the device is configured anew), `end`.
USB/IP is in Documentation/usb/usbip_protocol.rst, MBIM in USB-IF's specification of that name.
"""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
import sys
from collections.abc import Callable

PIPE = "/run/mbim-stick"
ATTACH = "/sys/devices/platform/vhci_hcd.0/attach"
HIGH_SPEED, DEVID = 3, 0x10001
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
BASIC = bytes.fromhex("a289cc33bcbb8b4fb6b0133ec2aae6df")  # the service "basic connect"
INTERNET = bytes.fromhex("7e5e2a7e4e6f7272736b656e7e5e2a7e")  # a context's type
OPEN, CLOSE, COMMAND, INDICATION, DONE = 1, 2, 3, 0x80000007, 0x80000000
NOT_SUPPORTED, NOT_ACTIVE, BAD_ACCESS_STRING, UNKNOWN_APN = 9, 16, 18, 27
ACTIVE, INACTIVE, LTE, IPV4 = 1, 3, 0x20, 1
CIDS = (1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 15, 16, 19)
CAPS, SUBSCRIBER, RADIO, PIN, PINS, HOME, REGISTER, PACKETS, SIGNAL, CONNECT, ADDRESSES, SERVICES, SUBSCRIBE = CIDS
ADDRESS, GATEWAY, SERVER, MTU = "10.64.9.2", "10.64.9.1", "10.64.9.53", 1430
PROVIDER, NAME = "00101", "Test"


def descriptor(kind: int, form: str, *values: int) -> bytes:
    """One descriptor with its length in front."""
    body = struct.pack(f"<B{form}", kind, *values)
    return bytes([len(body) + 1]) + body


INTERRUPT, BULK, INTERFACE, ENDPOINT, CLASS = 3, 2, 4, 5, 0x24
FUNCTION = b"".join(
    (
        descriptor(INTERFACE, "BBBBBBB", 0, 0, 1, 2, 14, 0, 0),
        descriptor(CLASS, "BH", 0, 0x110),
        descriptor(CLASS, "BBB", 6, 0, 1),
        descriptor(CLASS, "BHHBBHB", 27, 0x100, 4096, 32, 128, 2048, 0),
        descriptor(ENDPOINT, "BBHB", 0x81, INTERRUPT, 64, 5),
        descriptor(INTERFACE, "BBBBBBB", 1, 0, 0, 10, 0, 2, 0),
        descriptor(INTERFACE, "BBBBBBB", 1, 1, 2, 10, 0, 2, 0),
        descriptor(ENDPOINT, "BBHB", 0x82, BULK, 512, 0),
        descriptor(ENDPOINT, "BBHB", 0x02, BULK, 512, 0),
    )
)
DESCRIPTORS = {
    1: descriptor(1, "HBBBBHHHBBBB", 0x200, 0, 0, 0, 64, 0x1209, 0x0001, 0x100, 0, 0, 0, 1),
    2: descriptor(2, "HBBBBB", 9 + len(FUNCTION), 2, 1, 0, 0xC0, 50) + FUNCTION,
    3: descriptor(3, "H", 0x0409),
}
NTB = struct.pack("<HHIHHHHIHHHH", 28, 1, 16384, 4, 0, 4, 0, 16384, 4, 0, 4, 1)


def words(*values: int) -> bytes:
    """32-bit numbers."""
    return struct.pack(f"<{len(values)}I", *values)


def with_texts(form: str, *values: int | str) -> bytes:
    """A structure whose texts (`t`) are an offset and a size of what follows it; the rest (`n`) are numbers."""
    at, fixed, tail = 4 * sum(2 if one == "t" else 1 for one in form), b"", b""
    for one in values:
        if isinstance(one, str):
            raw = one.encode("utf-16-le")
            fixed += words(at + len(tail) if raw else 0, len(raw))
            tail += raw + bytes(-len(raw) % 4)
        else:
            fixed += words(one)
    return fixed + tail


class Modem:
    """The firmware: what it answers, and what it has to tell."""

    def __init__(self, apn: str) -> None:
        self.apn = apn
        self.answers: list[bytes] = []  # fetched by the host, after an interrupt for each
        self.interrupts: list[bytes] = []
        self.radio, self.session, self.stuck = 1, INACTIVE, False

    def tell(self, message: bytes) -> None:
        """Have the host fetch a message."""
        self.answers.append(message)
        self.interrupts.append(struct.pack("<BBHHH", 0xA1, 1, 0, 0, 0))

    def drop(self) -> None:
        """Have the network end the session."""
        self.session = INACTIVE
        info = self.connection(36)
        head = words(INDICATION, 44 + len(info), 0, 1, 0)
        self.tell(head + BASIC + words(CONNECT, len(info)) + info)

    def heard(self, data: bytes) -> None:
        """Take a control message."""
        kind, _, number = struct.unpack_from("<III", data)
        if self.stuck:
            return
        if kind in (OPEN, CLOSE):
            self.tell(words(kind | DONE, 16, number, 0))
        elif kind == COMMAND:
            service, (cid, is_set, size) = data[20:36], struct.unpack_from("<III", data, 36)
            known = service == BASIC and cid in CIDS
            status, info = self.answer(cid, data[48 : 48 + size] if is_set else b"") if known else (NOT_SUPPORTED, b"")
            head = words(COMMAND | DONE, 48 + len(info), number, 1, 0)
            self.tell(head + service + words(cid, status, len(info)) + info)

    def answer(self, cid: int, given: bytes) -> tuple[int, bytes]:
        """Status and information for a command; `given` is empty for a question."""
        if cid == RADIO and given:
            (self.radio,) = struct.unpack_from("<I", given)
        if cid == CONNECT:
            return self.connect(given)
        if cid == ADDRESSES and self.session != ACTIVE:
            return NOT_ACTIVE, b""
        if cid == SUBSCRIBE:
            return 0, given
        return 0, self.told(cid)

    def told(self, cid: int) -> bytes:
        """What it says of itself."""
        on = bool(self.radio)
        provider, name = (PROVIDER, NAME) if on else ("", "")
        four = [socket.inet_aton(one) for one in (ADDRESS, GATEWAY, SERVER)]
        answers: dict[int, Callable[[], bytes]] = {
            CAPS: lambda: with_texts("nnnnnnnntttt", 2, 1, 1, 2, LTE, 0, 1, 1, "", "490154203237518", "1.0", "test"),
            SUBSCRIBER: lambda: with_texts("nttnn", 1, "001010123456789", "8949000000000000001", 0, 0),
            RADIO: lambda: words(1, self.radio),
            PIN: lambda: words(2, 0, 3),
            PINS: lambda: words(2, 1, 4, 8, *[0] * 36),
            HOME: lambda: with_texts("tntnnn", PROVIDER, 1, NAME, 1, 20, 99),
            REGISTER: lambda: with_texts("nnnnntttn", 0, 3 if on else 1, 1, LTE, 1, provider, name, "", 0),
            PACKETS: lambda: struct.pack("<IIIQQ", 0, 2 if on else 4, LTE if on else 0, 50_000_000, 150_000_000),
            SIGNAL: lambda: words(20, 99, 30, 0xFFFFFFFF, 0xFFFFFFFF),
            ADDRESSES: lambda: words(0, 15, 0, 1, 60, 0, 0, 68, 0, 1, 72, 0, 0, MTU, 0) + words(30) + b"".join(four),
            SERVICES: lambda: words(1, 0, 16, 28 + 4 * len(CIDS)) + BASIC + words(0, 0, len(CIDS), *CIDS),
        }
        return answers[cid]()

    def connect(self, given: bytes) -> tuple[int, bytes]:
        """Begin or end the session, or tell of it."""
        if not given:
            return 0, self.connection()
        begin, at, size = struct.unpack_from("<III", given, 4)
        self.session = ACTIVE if begin and given[at : at + size].decode("utf-16-le") == self.apn else INACTIVE
        refused = begin and self.session != ACTIVE
        return (BAD_ACCESS_STRING, self.connection(UNKNOWN_APN)) if refused else (0, self.connection())

    def connection(self, error: int = 0) -> bytes:
        """The session."""
        return words(0, self.session, 0, IPV4) + INTERNET + words(error)

    def control(self, kind: int, request: int, value: int, data: bytes) -> bytes | None:
        """The answer to a request on endpoint 0; None: it is not known."""
        if (kind, request) == (0x80, 6):
            return DESCRIPTORS.get(value >> 8)
        if (kind, request) == (0x80, 0):
            return bytes(2)
        if (kind, request) == (0xA1, 1):
            return self.answers.pop(0) if self.answers else b""
        if (kind, request) == (0xA1, 0x80):
            return NTB
        if (kind, request) == (0x00, 9):  # configured anew: the firmware has begun anew
            self.__init__(self.apn)  # type: ignore[misc]
        elif (kind, request) == (0x21, 0):
            self.heard(data)
        return b"" if kind in (0x00, 0x01, 0x02, 0x21) else None


def packets(block: bytes) -> list[bytes]:
    """The IP packets of a block that the host sent."""
    found = []
    (at,) = struct.unpack_from("<H", block, 10)
    while at:
        size, following = struct.unpack_from("<HH", block, at + 4)
        pairs = [struct.unpack_from("<HH", block, place) for place in range(at + 8, at + size, 4)]
        found += [block[first : first + count] for first, count in pairs if first and count]
        at = following
    return found


def block(packet: bytes) -> bytes:
    """A block with one packet for the host."""
    table = struct.pack("<4sHHHHHH", b"IPS\0", 16, 0, 28, len(packet), 0, 0)
    return struct.pack("<4sHHHH", b"NCMH", 12, 0, 28 + len(packet), 12) + table + packet


class Wire:
    """The USB cable: requests of the host's, answered in any order."""

    def __init__(self, host: socket.socket, modem: Modem, tun: int) -> None:
        self.host, self.modem, self.tun = host, modem, tun
        self.waiting: dict[int, list[int]] = {1: [], 2: []}  # reads of interrupts, and of packets
        self.inbound: list[bytes] = []

    def exactly(self, count: int) -> bytes:
        """So many bytes of the host's."""
        data = self.host.recv(count, socket.MSG_WAITALL) if count else b""
        if len(data) < count:
            raise SystemExit(0)  # unplugged
        return data

    def done(self, number: int, status: int, data: bytes, length: int) -> None:
        """Answer a request."""
        head = struct.pack(">5I5i8x", 3, number, 0, 0, 0, status, length, 0, 0, 0)
        self.host.sendall(head + data)

    def serve(self) -> None:
        """Take one request."""
        head = self.exactly(48)
        command, number, _, inward, endpoint, what, length = struct.unpack_from(">7I", head)
        if command == 2:
            found = [queue for queue in self.waiting.values() if what in queue]
            for queue in found:
                queue.remove(what)
            self.host.sendall(struct.pack(">5Ii24x", 4, number, 0, 0, 0, -errno.ECONNRESET if found else 0))
            return
        data = b"" if inward else self.exactly(length)
        if endpoint and inward:
            self.waiting[endpoint].append(number)
        elif endpoint:
            for packet in packets(data) if self.modem.session == ACTIVE else ():
                os.write(self.tun, packet)
            self.done(number, 0, b"", length)
        else:
            kind, request, value = struct.unpack_from("<BBH", head, 40)
            answer = self.modem.control(kind, request, value, data)
            said = (answer or b"")[:length] if inward else b""
            self.done(number, -errno.EPIPE if answer is None else 0, said, len(said) if inward else length)

    def flush(self) -> None:
        """Give the host what it waits for."""
        for endpoint, ready in ((1, self.modem.interrupts), (2, self.inbound)):
            while ready and self.waiting[endpoint]:
                data = ready.pop(0)
                self.done(self.waiting[endpoint].pop(0), 0, data, len(data))


def plugged() -> socket.socket:
    """Plug it in: the other end is the kernel's."""
    ours, kernels = socket.socketpair()
    with open(ATTACH, "w", encoding="ascii") as file:
        file.write(f"0 {kernels.fileno()} {DEVID} {HIGH_SPEED}")
    kernels.close()
    return ours


def main(apn: str, name: str) -> None:
    """Run until the pipe says `end`."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    os.mkfifo(PIPE)
    pipe = os.open(PIPE, os.O_RDWR)
    modem = Modem(apn)
    wire = Wire(plugged(), modem, tun)
    while True:
        ready, _, _ = select.select([wire.host.fileno(), tun, pipe], [], [])
        if pipe in ready:
            for word in os.read(pipe, 100).decode().split():
                if word == "end":
                    return
                modem.stuck = word == "stuck"
                if word == "drop":
                    modem.drop()
        if tun in ready:
            packet = os.read(tun, 65536)
            if modem.session == ACTIVE and packet[0] >> 4 == 4:
                wire.inbound.append(block(packet))
        if wire.host.fileno() in ready:
            wire.serve()
        wire.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
