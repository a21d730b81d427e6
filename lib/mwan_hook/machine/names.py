"""Names for tables and our protocol in iproute2's files, so that ``ip route show table fiber`` works."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.model import MAIN_TABLE, MwanError
from mwan_hook.store import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES = "etc/iproute2/rt_tables.d/mwan-hook.conf"
PROTOCOLS = "etc/iproute2/rt_protos.d/mwan-hook.conf"
HEAD = "# written by mwan-hook\n"
SHARED = "mwan"


def write(root: str, protocol: int, default_table: int, tables: Mapping[int, str]) -> list[str]:
    """Bring both files up to date; writes only what differs.  What could not be written is returned in words.

    A name that is no word is left out.  A run that is not root has root's unit do it.
    """
    named = {number: name for number, name in tables.items() if _plain(name)}
    if default_table != MAIN_TABLE:
        named = {default_table: SHARED, **named}
    lines = "".join(f"{number}\t{name}\n" for number, name in named.items())
    failed = []
    wanted = {TABLES: (HEAD + lines).encode(), PROTOCOLS: f"{HEAD}{protocol}\tmwan\n".encode()}
    try:
        differing = {path: content for path, content in wanted.items() if _stored(files.under(root, path)) != content}
        if differing and _asked(root, protocol, named):
            return []
    except MwanError as error:
        return [str(error)]
    for path, content in differing.items():
        try:
            files.replace(files.under(root, path), content, durable=False)
        except MwanError as error:
            failed.append(str(error))
    return failed


def asked_for(root: str, content: Mapping[str, object]) -> list[str]:
    """Do what a run has asked for that is not root; raises ValueError where it is no such thing."""
    protocol, tables = content.get("protocol"), content.get("tables")
    if not isinstance(tables, dict) or type(protocol) is not int or protocol not in range(256):
        raise ValueError("no names of tables")
    named = {int(number): str(name) for number, name in tables.items()}
    if any(not 0 < number < 1 << 32 or not _plain(name) for number, name in named.items()):
        raise ValueError("no names of tables")
    return write(root, protocol, MAIN_TABLE, named)


def _plain(name: str) -> bool:
    return 0 < len(name) < 256 and name.isprintable() and not any(letter.isspace() for letter in name)


def _asked(root: str, protocol: int, named: Mapping[int, str]) -> bool:
    if os.geteuid() == 0:
        return False
    from mwan_hook.store import chores

    tables = {str(number): name for number, name in named.items()}
    return chores.ask(root, chores.NAMES, {"protocol": protocol, "tables": tables})


def _stored(path: str) -> bytes | None:
    try:
        return files.read(path)
    except ValueError:
        return None


def remove(root: str) -> None:
    """Take out both files, where we have written them: what stands there as a link is another program's (NixOS)."""
    for path in (TABLES, PROTOCOLS):
        try:
            if not os.path.islink(files.under(root, path)):
                os.unlink(files.under(root, path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MwanError(f"cannot remove {files.under(root, path)}: {error.strerror}") from error
