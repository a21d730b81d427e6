"""The profiles of docs/examples as files of a bed: exactly as they stand there."""

from __future__ import annotations

from tests.lab.router import PROJECT
from tests.system.beds import Files

EXAMPLES = PROJECT / "docs/examples"


def profile(name: str, fiber: str = "enp1s0") -> Files:
    """Everything in the folder of a profile; `fiber` is the interface that it stands in for."""
    root = EXAMPLES / f"backup-{name}"
    found = {str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()}
    own = found["etc/mwan-hook/conf.d/backup.conf"]
    assert "= enp1s0" in own
    return {**found, "etc/mwan-hook/conf.d/backup.conf": own.replace("enp1s0", fiber)}
