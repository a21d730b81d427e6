"""Files in directories that other users may write to."""

from __future__ import annotations

from mwan_hook import plainos as os
from mwan_hook.model import MwanError
from mwan_hook.store.files import FILE, TEMPORARY, discard, replace_by, why


def replace(path: str, content: bytes) -> None:
    """Put ``content`` in the place of ``path`` at one stroke; others cannot guess the temporary file's name.

    What killed runs have left there is removed.  The caller holds the lock that guards ``path``.  Raises MwanError.
    """
    directory, name = os.path.split(path)
    try:
        for left in os.listdir(directory):
            if left.startswith(f"{name}.") and left.endswith(TEMPORARY):
                discard(os.path.join(directory, left))
    except OSError as error:
        raise MwanError(f"cannot write {path}: {why(error)}") from error
    replace_by(f"{path}.{os.urandom(8).hex()}{TEMPORARY}", path, content, durable=False, mode=FILE)
