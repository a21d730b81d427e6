"""The command as a user without rights starts it."""

from __future__ import annotations

import shutil
import subprocess

from tests.lab import Lab, Network
from tests.lab.router import PROJECT

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--")


def as_nobody(lab: Lab, net: Network, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, by a user without rights, from a copy of the program that this user may read."""
    for place in (net.router.root, *net.router.root.parents):
        if place.stat().st_mode & 0o005 != 0o005:
            place.chmod(place.stat().st_mode | 0o055)
    copy = lab.dir / "program"
    if not copy.exists():
        shutil.copytree(PROJECT / "lib", copy, ignore=shutil.ignore_patterns("__pycache__"))
    command = ["/usr/bin/python3", "-B", "-m", "mwan_hook", "--root", str(net.router.root), *words]
    return subprocess.run(
        net.router.ns.argv(*NOBODY, "env", f"PYTHONPATH={copy}", *command),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
