"""What makes the bus start us for a name and lets others call it: a service file a name, and one policy for all.

They are below ``/run/mwan-hook-root/dbus-1``, because names come and go with interfaces; the installed policy names the
place.  A policy that lists the names is what dbus-daemon and dbus-broker both understand: the latter knows no
``send_destination_prefix``.
"""

from __future__ import annotations

import sys

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.notify.bus.names import BASE, bus_name
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PLACE = files.ROOTS + "/dbus-1"
SERVICES = PLACE + "/services"
POLICIES = PLACE + "/policy.d"
POLICY = POLICIES + "/uplinks.conf"
UNIT = "mwan-hook-bus.service"


def installed(root: str) -> bool:
    """True if D-Bus is set up: the bus's policy for us is there."""
    return any(os.path.exists(files.under(root, path)) for path in files.BUS_POLICIES)


def sync(root: str, elements: Iterable[str]) -> bool:
    """Have files for the names with these last elements and no others; True if something changed.  Raises MwanError."""
    names = sorted(bus_name(word) for word in elements)
    if not names:
        return remove(root)
    wanted = {f"{SERVICES}/{name}.service": service(root, name) for name in names}
    wanted[POLICY] = policy(names)
    changed = False
    for path, content in wanted.items():
        changed |= files.keep(files.under(root, path), content, durable=False)
    return _drop(root, {path.rpartition("/")[2] for path in wanted}) or changed


def words(root: str) -> set[str]:
    """Last elements of the names that the bus starts us for."""
    try:
        names = os.listdir(files.under(root, SERVICES))
    except OSError:
        return set()
    return {name[len(BASE) + 1 : -len(".service")] for name in names if name.startswith(f"{BASE}.")}


def remove(root: str) -> bool:
    """Take all files away; True if there were any.  Raises MwanError."""
    changed = _drop(root, set())
    for path in (SERVICES, POLICIES, PLACE):
        try:
            os.rmdir(files.under(root, path))
        except OSError:
            continue  # not there, or holds what is not ours
    return changed


def service(root: str, name: str) -> bytes:
    """A service file.  Where systemd runs the bus starts our unit, elsewhere the command."""
    command = " ".join(_quoted(word) for word in (*_program(), "--root", os.path.abspath(root or "/"), "bus"))
    return f"[D-BUS Service]\nName={name}\nExec={command}\nUser=root\nSystemdService={UNIT}\n".encode()


def policy(names: Iterable[str]) -> bytes:
    """The bus's policy: everyone may call these names; the installed policy says which user may own them."""
    rules = "".join(f'    <allow send_destination="{name}"/>\n' for name in names)
    return f'<busconfig>\n  <policy context="default">\n{rules}  </policy>\n</busconfig>\n'.encode()


def _program() -> tuple[str, ...]:
    """How this program was started, for the bus to do likewise."""
    own = os.path.abspath(sys.argv[0])
    return (own,) if os.path.basename(own) == "mwan-hook" else (sys.executable, "-m", "mwan_hook")


def _quoted(word: str) -> str:
    plain = all(c.isalnum() or c in "/._-+@:" for c in word)
    return word if plain else "'" + word.replace("'", "'\\''") + "'"


def _drop(root: str, kept: set[str]) -> bool:
    changed = False
    for place in (SERVICES, POLICIES):
        directory = files.under(root, place)
        try:
            names = set(os.listdir(directory)) - kept
            for name in names:
                os.unlink(os.path.join(directory, name))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MwanError(f"cannot take files out of {directory}: {files.why(error)}") from error
        changed |= bool(names)
    return changed
