"""The files of ``doctor --fix``, and the list of them by which uninstalling takes them out."""

from __future__ import annotations

import os
from collections.abc import Iterable

from mwan_hook.doctor.fix import Writing
from mwan_hook.model import MwanError
from mwan_hook.store.files import ROOTS_LIB, make_directory, replace, under, why
from mwan_hook.store.foreign import contents

RECORD = f"{ROOTS_LIB}/doctor.files"  # a path a line; a slash at the end: a directory that was made for one


def there(root: str, paths: Iterable[str]) -> dict[str, str | None]:
    """What stands at each path; a link, or what cannot be read, counts as another program's."""
    found: dict[str, str | None] = {}
    for path in paths:
        place = under(root, path)
        found[path] = None
        if os.path.lexists(place):
            found[path] = _text(place)
    return found


def _text(place: str) -> str:
    return "" if os.path.islink(place) else contents(place)


def write(root: str, writing: Writing) -> None:
    """Files and links, each whole or not at all; noted before they are made.  Raises MwanError."""
    paths = [*writing.files, *writing.links]
    if not paths:
        return
    _note(root, paths)
    for path, text in writing.files.items():
        replace(under(root, path), text.encode(), durable=True)
    for path, target in writing.links.items():
        make_directory(os.path.dirname(under(root, path)))
        try:
            os.symlink(target, under(root, path))
        except OSError as error:
            raise MwanError(f"cannot make the link {under(root, path)}: {why(error)}") from error


def _note(root: str, paths: Iterable[str]) -> None:
    place = under(root, RECORD)
    known = _text(place).splitlines()
    new = [line for path in paths for line in (*_missing(root, os.path.dirname(path)), f"/{path}")]
    lines = list(dict.fromkeys([*known, *new]))
    if lines != known:
        replace(place, "".join(f"{line}\n" for line in lines).encode(), durable=True)


def _missing(root: str, directory: str) -> list[str]:
    """Directories that are not there, outermost first."""
    if not directory or os.path.isdir(under(root, directory)):
        return []
    return [*_missing(root, os.path.dirname(directory)), f"/{directory}/"]
