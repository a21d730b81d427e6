"""Files that a bed puts into a system."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class Link(NamedTuple):
    """A symbolic link as the content of a path."""

    target: str


Files = Mapping[str, "str | bytes | Link"]
"""Path -> content; what begins with #! is executable."""


def content(value: str | bytes) -> bytes:
    """The bytes of a file."""
    return value if isinstance(value, bytes) else value.encode()


def mode(data: bytes) -> int:
    """A script can be executed."""
    return 0o755 if data.startswith(b"#!") else 0o644


def write(root: Path, files: Files) -> None:
    """Put files below a directory, in place of what is there."""
    for name, value in files.items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        if isinstance(value, Link):
            path.symlink_to(value.target)
        else:
            data = content(value)
            path.write_bytes(data)
            path.chmod(mode(data))


def archive(files: Files) -> bytes:
    """A tar archive, owned by root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, value in files.items():
            entry, data = tarfile.TarInfo(name.lstrip("/")), b""
            if isinstance(value, Link):
                entry.type, entry.linkname = tarfile.SYMTYPE, value.target
            else:
                data = content(value)
                entry.size, entry.mode = len(data), mode(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()
