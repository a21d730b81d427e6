"""One mail to one server, in a child process that is killed when the time is over, whatever it hangs in."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from email.utils import parseaddr

from mwan_hook.model import MwanError
from mwan_hook.notify import mailsmtp
from mwan_hook.notify.mailsmtp import Outcome, Server
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from mwan_hook.model import Mail

    Tell = Callable[[str], None]

GOODBYE = 2.0  # seconds that a child may take to leave a server that has answered
LAST_WORDS = 300  # characters of what a sendmail says


def hand_over(root: str, mail: Mail, message: str, tell: Tell = lambda words: None) -> Outcome:
    """Send it as configured; never raises for what a server, a name or a file does.  ``tell`` hears of each step."""
    try:
        if mail.sendmail:
            return _by_program(mail, message, tell)
        server = Server(mail.smtp_host, mail.port, mail.security, mail.user, _password(root, mail), mail.timeout)
        return _by_child(server, message, tell)
    except MwanError as error:
        return Outcome(False, True, str(error))


def _password(root: str, mail: Mail) -> str:
    """The first line of password_file.  Raises MwanError, also if others may read it."""
    if not mail.password_file:
        return ""
    path = files.under(root, mail.password_file.lstrip("/"))
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise MwanError(f"{path} can be read by others and is not used; chmod 600 {path}")
            return file.readline(4096).rstrip("\r\n")
    except UnicodeDecodeError:
        raise MwanError(f"{path} holds no text") from None
    except OSError as error:
        raise MwanError(f"cannot read {path}: {files.why(error)}") from error


def _by_child(server: Server, message: str, tell: Tell) -> Outcome:
    """Steps and outcome come through a pipe; the last step tells where it hung."""
    end = time.monotonic() + server.timeout
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _child(server, message, writing)
    os.close(writing)
    grace = 0.0
    try:
        outcome, grace = _heard(reading, server, end, tell)
        return outcome
    finally:
        os.close(reading)
        _leave(child, grace)


def _child(server: Server, message: str, writing: int) -> None:
    """Never returns."""
    code = 1
    try:
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # its parent is gone: nobody hears the outcome
        mailsmtp.converse(server, message, lambda line: _write(writing, line))
        code = 0
    finally:
        os._exit(code)


def _write(descriptor: int, line: tuple[str, str, Outcome | None]) -> None:
    step, words, outcome = line
    os.write(descriptor, json.dumps([step, words, list(outcome) if outcome else None]).encode() + b"\n")


def _heard(reading: int, server: Server, end: float, tell: Tell) -> tuple[Outcome, float]:
    """The outcome, and for how long the child may say goodbye to the server."""
    step = mailsmtp.RESOLVE
    words = ""
    rest = b""
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        part = os.read(reading, 1 << 16) if ready else b""
        if not part:
            why = "the sender ended without a word" if ready else f"no end of it within {server.timeout:g} s"
            return Outcome(False, step != mailsmtp.CONTENT, f"{words}: {why}"), 0.0
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            step, words, outcome = json.loads(line)
            if outcome:
                return Outcome(*outcome), GOODBYE
            tell(words)


def _leave(child: int, grace: float) -> None:
    """It is gone, or killed."""
    end = time.monotonic() + grace
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return
        time.sleep(0.01)


def _by_program(mail: Mail, message: str, tell: Tell) -> Outcome:
    """A sendmail: recipients are in the message, its exit code is the answer.  What it leaves behind delivers still."""
    path = mail.sendmail
    words = [path, "-i", "-t", *(["-f", parseaddr(mail.sender)[1]] if mail.sender else [])]
    tell(" ".join(words))
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(message.replace("\r\n", "\n").encode())
        given.seek(0)
        try:
            program = subprocess.Popen(
                words, stdin=given, stdout=said, stderr=subprocess.STDOUT, start_new_session=True
            )
        except OSError as error:
            return Outcome(False, True, f"cannot start {path}: {files.why(error)}")
        try:
            code = program.wait(mail.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)  # not waited for by anybody yet: the number is its own still
            program.wait()
            return Outcome(False, False, f"{path} did not end within {mail.timeout:g} s and was killed")
        said.seek(0)
        return Outcome(code == 0, True, _verdict(path, code, said.read(1 << 16)), refused=code != 0)


def _verdict(path: str, code: int, said: bytes) -> str:
    if code == 0:
        return f"{path} took it"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    last = " ".join(said.decode("utf-8", "replace").split())[-LAST_WORDS:]
    return f"{path} {how}{': ' + last if last else ''}"
