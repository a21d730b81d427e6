"""The Debian root directories that all beds stand on.  Nothing is written to one once it is made."""

from __future__ import annotations

import os
from pathlib import Path

from tests.lab import LabError
from tests.lab.process import run
from tests.system.beds.cache import alone, cached
from tests.system.beds.files import Files, Link, write

SUITES = ("bookworm", "trixie")  # Debian 12: systemd 252, Python 3.11; Debian 13: systemd 257, Python 3.13
HOST = "hut"
# what a machine has, what mwan-hook needs, what tests look with: a bed reaches no real network
PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-resolved", "libnss-resolve", "udev", "dbus", "networkd-dispatcher"),
    *("iproute2", "nftables", "kmod", "procps", "netbase", "ca-certificates", "snmpd", "snmp", "qemu-guest-agent"),
    *("python3", "python3-venv", "python3-pyroute2", "python3-requests", "python3-configobj", "python3-filelock"),
    *("python3-dnspython", "python3-jeepney", "curl", "iputils-ping", "tcpdump", "conntrack", "ethtool"),
    *("radvd", "dnsmasq-base", "isc-dhcp-server"),
    # what dials backups, and what answers it
    *("ppp", "pppoe", "pptp-linux", "pptpd", "wpasupplicant", "hostapd", "iw", "wireguard-tools", "openvpn"),
    "modemmanager",
)
# unit tests run in Debian 13's image, too
MORE = {
    "trixie": (
        *("python3-pytest", "python3-pytest-xdist", "python3-hypothesis"),
        *("python3-pyfakefs", "python3-aiosmtpd", "python3-prometheus-client", "groff-base", "openssl"),
    )
}
ENABLED = ("systemd-networkd", "systemd-resolved", "networkd-dispatcher")
DISABLED = ("snmpd", "ModemManager")  # a test that needs it starts it
# of no use in a bed, and each costs time
MASKED = (
    *("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer"),
    *("e2scrub_reap.service", "fstrim.timer", "systemd-tmpfiles-clean.timer", "systemd-timesyncd.service"),
    *("getty.target", "console-getty.service", "systemd-logind.service", "systemd-user-sessions.service"),
    *("systemd-update-utmp.service", "systemd-update-utmp-runlevel.service", "systemd-journal-flush.service"),
    *("systemd-binfmt.service", "proc-sys-fs-binfmt_misc.automount", "sys-fs-fuse-connections.mount"),
    *("dev-hugepages.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount"),
    *("isc-dhcp-server.service", "radvd.service", "pptpd.service", "pppd-dns.service", "wpa_supplicant.service"),
    *("openvpn.service",),
    *("systemd-random-seed.service", "systemd-pstore.service", "ldconfig.service", "systemd-firstboot.service"),
)
FILES: Files = {
    "etc/hostname": f"{HOST}\n",
    "etc/hosts": f"127.0.0.1 localhost {HOST}\n::1 localhost\n",
    "etc/fstab": "",
    "etc/machine-id": "",
    "etc/resolv.conf": Link("/run/systemd/resolve/stub-resolv.conf"),
    "etc/systemd/journald.conf.d/bed.conf": "[Journal]\nStorage=volatile\nRateLimitBurst=0\n",
    "etc/systemd/system.conf.d/bed.conf": "[Manager]\nDefaultTimeoutStopSec=5s\n",
    **{f"etc/systemd/system/{unit}": Link("/dev/null") for unit in MASKED},
}
# of this machine's environment: with it the bytecode of Python's packages was where no bed looks for it, and each start
# of a program that imports them, and cannot write there, compiled them
UNSET = ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE")
LEFT_OUT = ("man", "doc", "locale", "info", "i18n")  # of /usr/share
# What looks after interfaces besides networkd, in an image of its own: there each would take all of them.
MANAGERS = ("network-manager", "ifupdown", "isc-dhcp-client", "dhcpcd", "dhcpcd-base", "netplan.io")
NOT_STARTED = ("NetworkManager", "NetworkManager-wait-online", "networking", "dhcpcd")


def suite() -> str:
    """The Debian of this run's containers; tests/run takes them in turn."""
    wanted = os.environ.get("MWAN_TEST_SUITE") or SUITES[0]
    if wanted not in SUITES:
        raise LabError(f"MWAN_TEST_SUITE={wanted}: there are {' and '.join(SUITES)}")
    return wanted


def mirror() -> list[str]:
    """Where this machine's apt has Debian from, as the builder's last argument; none: it knows one itself."""
    words = ["apt-get", "indextargets", "--format", "$(REPO_URI) $(COMPONENT)", "Created-By: Packages"]
    lines = [line.split() for line in run(words).stdout.splitlines()]
    found = [uri.rstrip("/") for uri, component in lines if component == "main"]
    return [uri for uri in found if uri.endswith("/debian")][:1]


def _builder(*words: str) -> list[str]:
    """The command line of a program that makes root directories."""
    unset = [word for name in UNSET for word in ("-u", name)]
    return ["env", *unset, f"PATH={os.environ['PATH']}:/usr/sbin:/sbin", *words]


def debootstrap(debian: str, target: Path, variant: str, packages: tuple[str, ...], *options: str) -> None:
    """Have a suite's packages unpacked below `target`."""
    include = f"--include={','.join(packages)}"
    words = ["mmdebstrap", "--quiet", f"--variant={variant}", "--mode=root", include, *options]
    alone(_builder(*words, debian, str(target), *mirror()))


def image(debian: str) -> Path:
    """The root directory of a suite; half a minute when it has to be made."""
    key = [debian, _packages(debian), ENABLED, DISABLED, FILES, LEFT_OUT, UNSET]
    return cached("rootfs", key, lambda root: _build(debian, root))


def _packages(debian: str) -> tuple[str, ...]:
    return (*PACKAGES, *MORE.get(debian, ()))


def managers(debian: str) -> Path:
    """The same with the programs of MANAGERS, none of which is started."""
    key = [image(debian).name, MANAGERS, NOT_STARTED]
    return cached("managers", key, lambda root: _add(image(debian), root))


def _add(base: Path, root: Path) -> None:
    """Let this machine's apt fetch the packages, and the root's own dpkg unpack them."""
    run(["cp", "-a", "--reflink=auto", str(base), str(root)], timeout=300)
    settings = (f"Dir={root}", f"DPkg::Chroot-Directory={root}", "APT::Sandbox::User=root")
    apt = ["apt-get", "-qq", *(word for one in settings for word in ("-o", one))]
    alone(_builder(*apt, "update"))
    asked = ("-y", "--no-install-recommends", "install")
    alone(_builder("DEBIAN_FRONTEND=noninteractive", *apt, *asked, *MANAGERS))
    alone(_builder(*apt, "clean"))
    run(["chroot", str(root), "systemctl", "disable", *NOT_STARTED])


def _build(debian: str, root: Path) -> None:
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in LEFT_OUT]
    quick = ["--dpkgopt=force-unsafe-io", '--aptopt=APT::Install-Recommends "false"']
    debootstrap(debian, root, "apt", _packages(debian), *excluded, *quick)
    # what was left out of the image is not to be left out of packages that a test installs
    (root / "etc/dpkg/dpkg.cfg.d/99mmdebstrap").unlink()
    write(root, FILES)
    inside = ["chroot", str(root)]
    run([*inside, "systemctl", "enable", *ENABLED])
    run([*inside, "systemctl", "disable", *DISABLED])
    run([*inside, "systemd-sysusers"])
    run([*inside, "passwd", "--delete", "root"])
