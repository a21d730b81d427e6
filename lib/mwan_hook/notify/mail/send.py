"""One mail, to a server that a child process speaks to, or to a sendmail."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from email.utils import parseaddr
from functools import partial

from mwan_hook.model import MwanError
from mwan_hook.notify import child
from mwan_hook.notify.child import Delivery
from mwan_hook.notify.mail import smtp
from mwan_hook.store import files, foreign

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import Mail
    from mwan_hook.notify.child import Tell

LAST_WORDS = 300  # characters of what a sendmail says


def hand_over(root: str, mail: Mail, message: str, tell: Tell = lambda words: None) -> Delivery:
    """Send it as configured; never raises for what a server, a name or a file does.  ``tell`` hears of each step."""
    try:
        if mail.sendmail:
            return _by_program(mail, message, tell)
        password = foreign.secret_line(root, mail.password_file)
        return child.converse(partial(smtp.converse, mail, password, message), mail.timeout, smtp.CONTENT, tell)
    except MwanError as error:
        return Delivery(False, True, str(error))


def _by_program(mail: Mail, message: str, tell: Tell) -> Delivery:
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
            return Delivery(False, True, f"cannot start {path}: {files.why(error)}")
        try:
            code = program.wait(mail.timeout)
        except subprocess.TimeoutExpired:
            os.killpg(program.pid, signal.SIGKILL)  # not waited for yet: the number is its own still
            program.wait()
            return Delivery(False, False, f"{path} did not end within {mail.timeout:g} s and was killed")
        said.seek(0)
        return Delivery(code == 0, True, _verdict(path, code, said.read(1 << 16)), refused=code != 0)


def _verdict(path: str, code: int, said: bytes) -> str:
    if code == 0:
        return f"{path} took it"
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    last = " ".join(said.decode("utf-8", "replace").split())[-LAST_WORDS:]
    return f"{path} {how}{': ' + last if last else ''}"
