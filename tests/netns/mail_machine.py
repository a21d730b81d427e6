"""A machine that mail is sent from: its files, and the real command."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mwan_hook.config import Loaded
from mwan_hook.model import Config, Family, FamilyState, Mail, Notice, State, Status, UplinkState, WayOut
from mwan_hook.notify import unsent
from mwan_hook.notify.mail import deliver
from mwan_hook.store import files
from mwan_hook.store import state as states
from tests.lab import starts
from tests.netns import mail_servers as servers
from tests.netns.mail_servers import Mailbox

TO = "owner@example.org"
SLACK = 8.0  # seconds that a busy machine takes to start a Python
CONFIG = Config(mail=Mail(to=(TO,), smtp_host="x"))


class Machine:
    """A machine's files below a directory of their own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0
        self.environment = {**os.environ, "MWAN_HOOK_ROOT": str(root), "TZ": "Europe/Vienna"}

    def configure(self, **keys: object) -> None:
        """``[mail]``; by default no gap between mails."""
        values = {"to": TO, "backoff_min": 0, "backoff_step": 0, "timeout": 10, **keys}
        self.write("etc/mwan-hook/mwan-hook.conf", "[mail]\n" + "".join(f"{k} = {v}\n" for k, v in values.items()))

    def loaded(self, wanted: Config) -> Loaded:
        """A configuration of this machine."""
        return Loaded(wanted, (), "", (), str(self.root))

    def write(self, path: str, text: str) -> Path:
        """A file below the root."""
        place = self.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        return place

    def online(self, *names: str) -> None:
        """What the last run said."""
        up = FamilyState(status=Status.ONLINE)
        best = {Family.IPV4: WayOut(names[0], f"{names[0]}0", "10.0.0.2", "10.0.0.1")} if names else {}
        (self.root / "run/mwan-hook").mkdir(parents=True, exist_ok=True)
        states.save(str(self.root), State(uplinks={name: UplinkState(ipv4=up) for name in names}, best=best))

    def notice(self, event: str, uplink: str, ago: float, *online: str) -> Notice:
        """Of something that happened ``ago`` seconds before now."""
        self.count += 1
        now = time.clock_gettime(time.CLOCK_BOOTTIME) - ago
        return Notice(
            id=f"{time.clock_gettime_ns(time.CLOCK_BOOTTIME):020d}-{self.count}",
            event=event,
            uplink=uplink,
            interface=f"{uplink}0",
            reason="0 of 3 targets answered",
            at=time.time() - ago,
            boottime=now,
            online=online,
        )

    def interrupted(self, length: float, uplink: str = "fiber") -> None:
        """An uplink was offline, and something is online now."""
        down, up = self.notice("offline", uplink, length, "cable"), self.notice("online", uplink, 0, uplink, "cable")
        up = up._replace(boottime=down.boottime + length)
        deliver.record(str(self.root), CONFIG, (down, up))
        self.online("cable", uplink)

    def command(self, *words: str, code: int = 0, **environment: str) -> str:
        """``mwan-hook mail WORDS``; all that it says."""
        program = self.words(*words)[3:]
        done = starts.run(starts.PROGRAM, program, environment={**self.environment, **environment}, timeout=60)
        said = (done.stdout + done.stderr).decode()
        assert done.returncode == code, said
        return said

    def words(self, *words: str) -> list[str]:
        """The command line."""
        return [sys.executable, "-m", "mwan_hook", "mail", *words]

    @property
    def waits(self) -> bool:
        """What systemd looks at before it starts anything."""
        return (self.root / files.MAIL_WAITING).exists()

    def impatient(self) -> None:
        """The next try is due."""
        unsent.MAIL.change(str(self.root), lambda book: book._replace(retry=0.0))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """One without a configuration yet."""
    return Machine(tmp_path)


@pytest.fixture
def box(machine: Machine) -> Iterator[Mailbox]:
    """The mailbox of a plain server that the machine is configured for."""
    made = Mailbox()
    with servers.real(made) as port:
        machine.configure(smtp_host="127.0.0.1", smtp_port=port)
        yield made


def text(box: Mailbox, number: int = -1) -> str:
    """A mail's text."""
    body = box.mails[number].get_body()
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
