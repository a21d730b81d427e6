"""The Debian package: built from a copy of the checkout, judged by lintian, installed and purged by apt and by dpkg."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import mwan_hook
from tests.lab.router import PROJECT
from tests.netns.installer import PARTS as SOURCE
from tests.system.beds import Container
from tests.system.test_install import LOOK, UNITS, in_kernel, names, online, ours, starts

PARTS = ("debian", *SOURCE)
IGNORED = shutil.ignore_patterns("__pycache__", ".debhelper", "mwan-hook", "files", "*.debhelper", "*.substvars")
# dpkg's own files change with every package
BOOKS = ("/var/lib/dpkg", "/var/lib/apt", "/var/cache", "/etc/apt")
CLEAN = "dpkg -P mwan-hook; systemctl reset-failed"


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package; what it was made of is beside it."""
    place = tmp_path_factory.mktemp("package")
    source = place / "mwan-hook"
    source.mkdir()
    for part in PARTS:
        if (PROJECT / part).is_dir():
            shutil.copytree(PROJECT / part, source / part, symlinks=True, ignore=None if part == "lib" else IGNORED)
        else:
            shutil.copy2(PROJECT / part, source / part)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    words = ["dpkg-buildpackage", "-us", "-uc"]
    done = subprocess.run(words, cwd=source, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = place.glob("mwan-hook_*.deb")
    return found


def put(bed: Container, package: Path) -> str:
    name = f"/tmp/{package.name}"
    bed.write({name[1:]: package.read_bytes()})
    return name


def tree(bed: Container) -> set[str]:
    compiled = re.compile(r"/usr/(bin|share)/.*__pycache__")
    return {name for name in names(bed.sh(LOOK)) if not name.startswith(BOOKS) and not compiled.match(name)}


def test_the_package_has_the_programs_version_and_lintian_nothing_against_it(package: Path) -> None:
    assert package.name == f"mwan-hook_{mwan_hook.__version__}_all.deb"
    (changes,) = package.parent.glob("*.changes")
    words = ["lintian", "--fail-on", "error,warning", "--allow-root", str(changes)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_ships_no_compiled_files_and_no_list_of_its_own(package: Path) -> None:
    listed = subprocess.run(["dpkg", "-c", str(package)], capture_output=True, text=True, timeout=60, check=True).stdout
    paths = [line.split()[5] for line in listed.splitlines()]
    assert "./usr/lib/mwan-hook/mwan_hook/run/tick.py" in paths
    assert [path for path in paths if re.search(r"\.pyc$|__pycache__|/manifest$|mwan-hook-new", path)] == []
    fields = subprocess.run(["dpkg", "-f", str(package)], capture_output=True, text=True, timeout=60, check=True).stdout
    for name in ("pyroute2", "requests", "configobj", "filelock", "dnspython", "jeepney"):
        assert f"python3-{name}" in fields
    assert re.search(r"Recommends: .*networkd-dispatcher \| .*, nftables", fields)


def test_apt_installs_it_running_and_purges_it_without_a_trace(bed: Container, package: Path) -> None:
    name, before = put(bed, package), tree(bed)
    bed.run("apt-get", "install", "-y", "-q", name, timeout=120)
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 30)
    for unit in UNITS:
        assert bed.run("systemctl", "is-active", unit).stdout == "active\n"
        assert bed.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
    assert bed.run("systemctl", "is-active", "networkd-dispatcher").stdout == "active\n"
    assert bed.sh("find /usr/lib/mwan-hook -name '*.pyc'")
    refused = bed.run("/opt/mwan-hook/install.sh", check=False)
    assert (refused.returncode, "use apt" in refused.stderr) == (1, True)
    bed.run("apt-get", "purge", "-y", "-q", "mwan-hook", timeout=120)
    assert ours(bed) == ""
    assert tree(bed) == before
    assert not bed.sh("ls -d /run/mwan-hook*", check=False)


def test_removal_keeps_the_configuration_and_an_upgrade_the_routes(bed: Container, package: Path) -> None:
    name = put(bed, package)
    bed.run("dpkg", "-i", name, timeout=120)
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 30)
    bed.sh("printf '[probe]\\ninterval = 20\\n' >/etc/mwan-hook/mwan-hook.conf; mwan-hook disable wan2")
    networkd = starts(bed)["systemd-networkd"]
    out = bed.run("dpkg", "-i", name, timeout=120).stdout
    assert "ip rule del" not in out
    assert starts(bed)["systemd-networkd"] == networkd
    assert bed.sh("cat /etc/mwan-hook/mwan-hook.conf") == "[probe]\ninterval = 20\n"
    bed.run("dpkg", "-r", "mwan-hook", timeout=120)
    assert in_kernel(bed) == ""
    assert bed.sh("ls /etc/mwan-hook/mwan-hook.conf /var/lib/mwan-hook")
    bed.run("dpkg", "-P", "mwan-hook", timeout=120)
    assert not bed.sh("ls -d /etc/mwan-hook /var/lib/mwan-hook", check=False)


def test_without_systemd_it_leaves_the_kernel_alone(image: Path, package: Path, tmp_path: Path) -> None:
    """In a chroot the kernel is another machine's: what is there with our mark is not the package's to take."""
    for name in ("upper", "work", "root"):
        (tmp_path / name).mkdir()
    script = f"""set -e; mount --make-rprivate /; cd {tmp_path}
        mount -t overlay -o lowerdir={image},upperdir=upper,workdir=work chroot root
        mount -t proc proc root/proc; mount --rbind /dev root/dev; mount -t tmpfs run root/run
        cp {package} root/package.deb
        ip link set lo up; ip rule add priority 1000 from 10.7.7.7 lookup 77 protocol 172
        list() {{ find root/etc root/usr -xdev ! -path '*/lib/python3/*' ! -path '*/share/python3/*'; }}
        list | sort >before
        chroot root dpkg -i /package.deb >&2; chroot root mwan-hook config --check
        chroot root dpkg -P mwan-hook >&2
        list | sort >after; diff before after; ip -N rule show"""
    words = ["unshare", "--mount", "--net", "sh", "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10.7.7.7" in done.stdout
