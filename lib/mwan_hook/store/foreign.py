"""Files of others: what they say, the secrets of the operator, where the system bus listens; and ours among them."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.store.files import FILE, TEMPORARY, discard, replace_by, under, why

LONGEST_LINE = 4096  # characters of a secret
BUS = "run/dbus/system_bus_socket"


def system_bus(root: str) -> str:
    """Where the system bus listens; below ``--root`` unless the environment says it."""
    from urllib.parse import quote

    own = os.path.abspath(under(root, BUS))
    return os.variable("DBUS_SYSTEM_BUS_ADDRESS") or f"unix:path={quote(own)}"


def secret(path: str, largest: int) -> str:
    """The text of a file that others may not read.  Raises MwanError."""
    try:
        with open(path, encoding="utf-8") as file:
            if os.fstat(file.fileno()).st_mode & 0o007:
                raise MwanError(f"{path} can be read by others and is not used; chmod 600 {path}")
            return file.read(largest)
    except UnicodeDecodeError:
        raise MwanError(f"{path} holds no text") from None
    except OSError as error:
        raise MwanError(f"cannot read {path}: {why(error)}") from error


def secret_line(root: str, path: str) -> str:
    """The first line of a file that others may not read; empty without a path.

    Raises MwanError, also if the line is empty.
    """
    if not path:
        return ""
    found = secret(under(root, path.lstrip("/")), LONGEST_LINE).partition("\n")[0].rstrip("\r")
    if not found:
        raise MwanError(f"{path} is empty: expected a first line with the secret")
    return found


def contents(path: str) -> str:
    """What a file of others says, a mebibyte of it at most; empty where it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(1 << 20)
    except OSError:
        return ""


def replace(path: str, content: bytes) -> None:
    """Put ``content`` in the place of ``path`` at one stroke, in a directory that other users may write to.

    They cannot guess the temporary file's name.  What killed runs have left there is removed.  The caller holds the
    lock that guards ``path``.  Raises MwanError.
    """
    directory, name = os.path.split(path)
    try:
        for left in os.listdir(directory):
            if left.startswith(f"{name}.") and left.endswith(TEMPORARY):
                discard(os.path.join(directory, left))
    except OSError as error:
        raise MwanError(f"cannot write {path}: {why(error)}") from error
    replace_by(f"{path}.{os.urandom(8).hex()}{TEMPORARY}", path, content, durable=False, mode=FILE)
