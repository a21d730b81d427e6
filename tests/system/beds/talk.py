"""Conversations in lines of JSON over a unix socket: qemu's monitor (QMP) and the guest agent."""

from __future__ import annotations

import base64
import json
import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.lab import LabError, wait_for
from tests.lab.process import Done
from tests.system.beds.nspawn import ENVIRONMENT
from tests.system.beds.world import finished

PATIENCE = 60  # seconds for an answer; an emulated machine on a busy host is slow


class Talk:
    """One connection, that asks and is answered."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        wait_for(f"{path.name}", lambda: self.socket.connect_ex(str(path)) == 0, 20)
        self.buffer = b""

    def send(self, message: object, prefix: bytes = b"") -> None:
        """Say one thing."""
        self.socket.settimeout(PATIENCE)
        self.socket.sendall(prefix + json.dumps(message).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any]:
        """Hear one thing; TimeoutError if nothing is said."""
        end = time.monotonic() + timeout
        while b"\n" not in self.buffer:
            self.socket.settimeout(max(0.001, end - time.monotonic()))
            more = self.socket.recv(65536)
            if not more:
                raise LabError("the other side has hung up")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        heard: dict[str, Any] = json.loads(line.lstrip(b"\xff"))
        return heard

    def call(self, command: str, /, **arguments: object) -> Any:
        """Have a command executed; what it returns.  Events in between are passed over."""
        self.send({"execute": command, "arguments": {name.replace("_", "-"): v for name, v in arguments.items()}})
        while True:
            heard = self.receive(PATIENCE)
            if "error" in heard:
                raise LabError(f"{command}: {heard['error']}")
            if "return" in heard:
                return heard["return"]

    def close(self) -> None:
        """End it."""
        self.socket.close()


class Monitor(Talk):
    """QMP."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.receive(PATIENCE)
        self.call("qmp_capabilities")


class Agent(Talk):
    """The guest agent: commands without a network."""

    def answers(self) -> bool:
        """It is there; what was said before is cleared away."""
        number = os.getpid() * 1000 + time.monotonic_ns() % 1000
        self.send({"execute": "guest-sync-delimited", "arguments": {"id": number}}, b"\xff")
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            try:
                if self.receive(max(0.01, end - time.monotonic())).get("return") == number:
                    return True
            except TimeoutError:
                return False
            except ValueError:  # the rest of another's answer
                continue
        return False

    def execute(self, words: Sequence[str], data: bytes, check: bool, timeout: float) -> Done:
        """Run a command in the guest."""
        arguments: dict[str, object] = {"path": words[0], "arg": list(words[1:]), "env": list(ENVIRONMENT)}
        arguments |= {"capture_output": True, "input_data": base64.b64encode(data).decode()}
        pid = self.call("guest-exec", **arguments)["pid"]
        end, pause = time.monotonic() + timeout, 0.01
        while not (status := self.call("guest-exec-status", pid=pid))["exited"]:
            if time.monotonic() > end:
                raise LabError(f"{' '.join(words)}: not ended after {timeout} s")
            time.sleep(pause)
            pause = min(0.1, pause * 1.3)
        out, error = (base64.b64decode(status.get(name, "")) for name in ("out-data", "err-data"))
        return finished(words, status.get("exitcode", 128 + status.get("signal", 0)), out, error, check)
