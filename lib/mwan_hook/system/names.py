"""Names for tables and our protocol in iproute2's files, so that ``ip route show table fiber`` works."""

from __future__ import annotations

import os

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
    """Bring both files up to date; writes only what differs.  What could not be written is returned in words."""
    named = tables if default_table == MAIN_TABLE else {default_table: SHARED, **tables}
    lines = "".join(f"{number}\t{name}\n" for number, name in named.items())
    failed = []
    for path, content in ((TABLES, lines), (PROTOCOLS, f"{protocol}\tmwan\n")):
        try:
            _put(files.under(root, path), (HEAD + content).encode())
        except MwanError as error:
            failed.append(str(error))
    return failed


def remove(root: str) -> None:
    """Take both files out."""
    for path in (TABLES, PROTOCOLS):
        try:
            os.unlink(files.under(root, path))
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MwanError(f"cannot remove {files.under(root, path)}: {error.strerror}") from error


def _put(path: str, content: bytes) -> None:
    if files.read(path) != content:
        files.make_directory(os.path.dirname(path))
        files.replace(path, content)
