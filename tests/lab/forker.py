"""Starts programs by forking a process that has their modules at hand: a true start costs several times as much.

    forker.py MODULE...      import these, then serve the socket that is standard input until its other end is closed

A request is a dictionary in marshal's form with four file descriptors: input, output and errors of the process to be,
and a pipe that is told its pid, and at its end its status and what it used.  In the child sys.modules holds what every
start of Python brings; a module that was imported here comes at once when the program asks for it, not before.
"""

from __future__ import annotations

import sys

EVERY_START = set(sys.modules)

# ruff: noqa: E402 - before the first import of our own
import array
import builtins
import contextlib
import ctypes
import gc
import importlib
import importlib.machinery
import importlib.util
import marshal
import os
import posix
import select
import signal
import socket
import struct
import time
from pathlib import Path
from types import ModuleType
from typing import Any

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_SLAVE, MNT_DETACH = 0x4000, 0x80000, 2
PR_SET_PDEATHSIG, MADV_COLLAPSE, HUGE = 1, 25, 2 << 20
PID, END = struct.Struct("i"), struct.Struct("id")
LIBC = ctypes.CDLL(None, use_errno=True)
# Without what modules have registered with Python for a fork: a true start has no such thing, and it writes to as many
# pages as the rest.  The forker has one thread, which holds no lock.
fork = ctypes.PyDLL(None).fork


class Recorder:
    """Stands for __import__ and notes which modules each module has imported."""

    def __init__(self) -> None:
        self.needs: dict[str, set[str]] = {}
        self.true = builtins.__import__
        builtins.__import__ = self.record  # type: ignore[assignment]

    def record(
        self, name: str, globals: dict[str, Any] | None = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        """Import, as Python does it."""
        found = self.true(name, globals, locals, fromlist or (), level)
        own = globals or {}
        whole = importlib.util.resolve_name("." * level + name, own.get("__package__")) if level else name
        parts = whole.split(".")
        noted = self.needs.setdefault(own.get("__name__", ""), set())
        noted.update(".".join(parts[: end + 1]) for end in range(len(parts)))
        noted.update(f"{whole}.{one}" for one in fromlist or () if f"{whole}.{one}" in sys.modules)
        return found

    def end(self) -> dict[str, set[str]]:
        """What each has imported."""
        builtins.__import__ = self.true
        return self.needs


class Kept:
    """Finds the modules that this process has imported; their code is not run again."""

    def __init__(self, needs: dict[str, set[str]]) -> None:
        self.needs, self.seeded = needs, False
        own = {name: module for name, module in sys.modules.items() if name not in EVERY_START}
        self.modules = {name: module for name, module in own.items() if type(module) is ModuleType}
        self.specs = {id(module): module.__spec__ for module in self.modules.values()}
        for name in self.modules:
            del sys.modules[name]

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> Any:
        """Say that a module is here."""
        return importlib.machinery.ModuleSpec(name, self) if name in self.modules else None  # type: ignore[arg-type]

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """Give the module as it is."""
        return self.modules[spec.name]

    def exec_module(self, module: ModuleType) -> None:
        """Leave it as it was; what it had imported is there with it."""
        module.__spec__ = self.specs[id(module)]
        waiting = [module.__name__]
        while waiting:
            for name in self.needs.get(waiting.pop(), ()):
                if name in self.modules and name not in sys.modules:
                    sys.modules[name] = self.modules[name]
                    waiting.append(name)
        if "random" in sys.modules and not self.seeded:
            self.seeded = True
            self.modules["random"].seed()  # as importing it does


def call(name: str, *words: Any) -> None:
    """Call libc; OSError with its reason."""
    if getattr(LIBC, name)(*words):
        raise OSError(ctypes.get_errno(), name)


def enter(namespace: str) -> None:
    """Do what `ip netns exec` does: the network of the namespace, with its /sys."""
    fd = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    call("setns", fd, CLONE_NEWNET)
    os.close(fd)
    call("unshare", CLONE_NEWNS)
    call("mount", b"", b"/", b"none", MS_SLAVE | MS_REC, None)
    LIBC.umount2(b"/sys", MNT_DETACH)
    call("mount", namespace.encode(), b"/sys", b"sysfs", 0, None)


def environ(wanted: dict[bytes, bytes]) -> None:
    """Have these variables; most are there already."""
    own = posix.environ
    for key in own.keys() - wanted.keys():
        del own[key]
        os.unsetenv(key)
    for key, value in wanted.items():
        if own.get(key) != value:
            own[key] = value
            os.putenv(key, value)


def become(request: dict[str, Any], descriptors: list[int], parent: int) -> None:
    """Be the process that was asked for."""
    for number in range(3):
        os.dup2(descriptors[number], number)
    os.closerange(3, 1024)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if request["dies"]:
        call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
    if request["session"]:
        os.setsid()
    environ(request["environment"])
    time.tzset()
    os.chdir(request["directory"])
    if request["namespace"]:
        enter(request["namespace"])
    name, function = request["entry"].split(":")
    sys.argv = [os.path.join(os.getcwd(), *name.split(".")) + ".py", *request["words"]]
    module = importlib.import_module(name)
    sys.argv[0] = module.__file__ or ""
    getattr(module, function)()


def child(request: dict[str, Any], descriptors: list[int], parent: int) -> None:
    """Run the program and end as Python does."""
    code = 0
    try:
        become(request, descriptors, parent)
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
        if isinstance(leaving.code, str):
            print(leaving.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        sys.excepthook(*sys.exc_info())
        code = 1
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def receive(sock: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """The next request; None at the end."""
    data, extra, _, _ = sock.recvmsg(1 << 20, socket.CMSG_SPACE(4 * 4))
    if not data:
        return None
    numbers = array.array("i")
    for _, _, content in extra:
        numbers.frombytes(content)
    return marshal.loads(data), list(numbers)


def serve(sock: socket.socket) -> None:
    """Start what is asked for and tell how each process ended."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}
    while True:
        for fd, _ in poll.poll():
            if fd in running:
                poll.unregister(fd)
                pid, told = running.pop(fd)
                _, status, used = os.wait4(pid, 0)
                with contextlib.suppress(OSError):
                    os.write(told, END.pack(status, used.ru_utime + used.ru_stime))
                os.close(told)
                os.close(fd)
                continue
            found = receive(sock)
            if found is None:
                return
            request, descriptors = found
            own = os.getpid()
            pid = fork()
            if pid == 0:
                child(request, descriptors, own)
            os.write(descriptors[3], PID.pack(pid))
            for number in descriptors[:3]:
                os.close(number)
            pidfd = os.pidfd_open(pid)
            running[pidfd] = pid, descriptors[3]
            poll.register(pidfd, select.POLLIN)


def collapse() -> None:
    """Have what is written seldom in huge pages, where the kernel can: a fork copies one entry in place of 512."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        place, modes, _, _, inode, *_ = line.split()
        begin, end = (int(word, 16) for word in place.split("-"))
        begin, end = -(-begin // HUGE) * HUGE, end // HUGE * HUGE
        if modes.startswith("rw") and inode == "0" and begin < end:
            LIBC.madvise(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin), MADV_COLLAPSE)


def main() -> None:
    """See the module's words."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=os.dup(0))
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    sys.path[0] = os.getcwd()  # as with python -m
    recorder = Recorder()
    for name in sys.argv[1:]:
        importlib.import_module(name)
    sys.meta_path.insert(0, Kept(recorder.end()))
    gc.collect()
    gc.freeze()
    collapse()
    serve(sock)


if __name__ == "__main__":
    main()
    os._exit(0)
