"""How the running kernel was built, and which modules it may load."""

from __future__ import annotations

import os

from mwan_hook.doctor.checks.kernel import Kernel
from mwan_hook.store.files import under
from mwan_hook.store.foreign import contents

PROC_CONFIG = "/proc/config.gz"
NIXOS = "run/booted-system/kernel-modules/lib/modules"  # where it has modules


def kernel(root: str) -> Kernel:
    """The running one; its modules and, where /proc does not tell, its configuration are files."""
    release = os.uname().release
    options, place = _options(root, release)
    return Kernel(release, options, place, _known(root, release), _loaded(), _locked())


def _options(root: str, release: str) -> tuple[dict[str, str] | None, str]:
    places = (f"boot/config-{release}", f"usr/lib/modules/{release}/config", f"lib/modules/{release}/config")
    for path in (PROC_CONFIG, *(under(root, place) for place in places)):
        if said := _text(path):
            lines = (line.partition("=") for line in said.splitlines() if line.startswith("CONFIG_"))
            return {key: value for key, _, value in lines if value in ("y", "m")}, path
    return None, ""


def _text(path: str) -> str:
    if not path.endswith(".gz"):
        return contents(path)
    import gzip

    try:
        with gzip.open(path, "rt", encoding="ascii", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def _known(root: str, release: str) -> frozenset[str] | None:
    """Names of modules that are on disk or built in; None where there is no list."""
    for top in ("lib/modules", "usr/lib/modules", NIXOS):
        base = under(root, f"{top}/{release}")
        text = _text(f"{base}/modules.dep")
        if text:
            paths = [line.partition(":")[0] for line in text.splitlines()]
            return frozenset(map(_name, (*paths, *_text(f"{base}/modules.builtin").splitlines())))
    return None


def _name(path: str) -> str:
    """``kernel/net/netfilter/nft_ct.ko.xz`` is nft_ct."""
    return os.path.basename(path).partition(".ko")[0].replace("-", "_")


def _loaded() -> frozenset[str]:
    return frozenset(line.split()[0] for line in _text("/proc/modules").splitlines() if line.strip())


def _locked() -> str:
    if _text("/proc/sys/kernel/modules_disabled").strip() == "1":
        return "kernel.modules_disabled = 1"
    path = "/proc/sys/kernel/modprobe"
    return "kernel.modprobe is empty" if os.path.exists(path) and not _text(path).strip() else ""
