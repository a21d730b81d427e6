"""install.sh as root, on a copy of this machine's file system without systemd and without a network.

What it fetches with is stubbed, because a test fetches nothing: apt-get is a script, and pip gets wheels of empty
modules from a directory.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.lab.router import PROJECT
from tests.netns.installer import Done, Machine, copy_of_checkout, used_by

MODULES = {
    "pyroute2": ("0.9.1", "pyroute2.py", "IPRoute = 1\n"),
    "requests": ("2.32", "requests.py", ""),
    "configobj": ("5.0.9", "configobj.py", "ConfigObj = 1\n"),
    "filelock": ("3.16", "filelock.py", ""),
    "dnspython": ("2.7", "dns/message.py", ""),
    "jeepney": ("0.9", "jeepney.py", ""),
}
COMPILED = "usr/lib/python3/"  # Python may compile what it imports
DEBIAN = "usr/lib/python3/dist-packages/filelock"
# filelock is not there, and no other directory of the caller's has it
WITHOUT = f"mv $root/{DEBIAN} $root/usr/lib/python3/dist-packages/kept"
NO_APT = "rm -f $root/usr/bin/apt-get"
APT = """cat >$root/usr/bin/apt-get <<'END'
#!/bin/sh
echo "apt-get $*" >>/apt.log
case "$*" in *install*python3-filelock*) mv /usr/lib/python3/dist-packages/kept /{} ;; esac
END"""


# a line that a program dials, and that is the only way out; the program says which way it was asked for
DIALLED = """
ip link add lte0 type veth peer far0 && ip link set far0 up
cat >/tmp/dial <<'END'
#!/bin/sh
echo "asked: $1"
ip addr replace 192.0.2.9/24 dev lte0; ip link set lte0 $1; [ $1 = down ] || ip route add default dev lte0 via 192.0.2.1
END
chmod 755 /tmp/dial
cat >/etc/mwan-hook/mwan-hook.conf <<'END'
[uplinks]
[[lte]]
match = lte0
metric = 9
activate = on-demand
start = command:/tmp/dial up
stop = command:/tmp/dial down
END
mwan-hook event
for n in $(seq 100); do ip route show default | grep lte0 && break; sleep 0.1; done
mwan-hook event
mwan-hook status -H
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with no more of the program than these tests run."""
    place = tmp_path_factory.mktemp("source")
    return copy_of_checkout(place / "source", used_by(place / "root", "status", "config --check"))


@pytest.fixture
def machine(tmp_path: Path, source: Path) -> Machine:
    return Machine(tmp_path / "machine", source)


def said(done: Done) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheels(place: Path) -> None:
    """Packages that pip can install without a network."""
    place.mkdir()
    for name, (version, module, text) in MODULES.items():
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(place / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(module, text)
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")


def test_installed_without_systemd_the_command_works_and_is_gone_again(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", PROJECT)
    install = "./install.sh && mwan-hook status -H && ./install.sh"
    gone = "./install.sh uninstall --purge 2>&1 && ip route show default"
    out = said(machine.run(f"{install}\n{DIALLED}rm /tmp/dial\n{gone}"))
    assert "systemd does not run here" in out
    assert "nothing was changed" in out
    assert "lte (lte0) stays up" in out
    assert out.endswith("default via 192.0.2.1 dev lte0 \n"), "the only way out, hung up by no uninstallation"
    assert machine.written(COMPILED) == []


def test_no_start_leaves_no_trace_of_a_run_and_a_start_writes_nothing_and_hears_nothing_of_its_caller(
    machine: Machine,
) -> None:
    script = """./install.sh --no-start && ls /run
        mkdir /tmp/evil && echo 'raise SystemExit("evil")' >/tmp/evil/json.py
        find /usr/lib/mwan-hook -newer /tmp/evil >/tmp/0; cd /tmp/evil
        PYTHONPATH=/tmp/evil PYTHONHOME=/tmp/evil mwan-hook config --check && head -n1 /usr/sbin/mwan-hook
        find /usr/lib/mwan-hook -newer /tmp/evil | cmp - /tmp/0"""
    out = said(machine.run(script))
    assert out.startswith("mwan-hook is in /usr\n")
    assert out.endswith(("\n#!/usr/bin/python3 -I\n", "\n#!/usr/bin/python3 -IS\n"))


def test_without_root_nothing_is_done_and_sudo_is_named(machine: Machine) -> None:
    nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ./install.sh"
    for words in ("", " uninstall"):
        done = machine.run(nobody + words)
        assert done.returncode == 1
        assert f"needs root: sudo ./install.sh{words}" in done.stderr
    assert machine.written() == []


def test_a_read_only_usr_is_told_with_the_way_around_it(machine: Machine) -> None:
    frozen = "cd $root/usr; mount --bind . .; mount -o remount,bind,ro $root/usr; mount -t tmpfs local $root/usr/local"
    done = machine.run("./install.sh --no-start", frozen)
    assert done.returncode == 1
    assert "--prefix /usr/local" in done.stderr
    assert machine.written() == []
    out = said(machine.run("./install.sh --no-start --prefix /usr/local && /usr/local/sbin/mwan-hook status", frozen))
    assert "mwan-hook is in /usr/local" in out
    assert "etc/systemd/system/mwan-hook-check.timer" in machine.written()


def test_a_debian_package_is_apts_to_change(machine: Machine) -> None:
    stub = "printf '#!/bin/sh\\necho installed\\n' >$root/usr/bin/dpkg-query"
    for words in ("", "uninstall"):
        done = machine.run(f"./install.sh {words}", stub)
        assert done.returncode == 1
        assert "use apt" in done.stderr
    assert machine.written("usr/bin/dpkg-query") == []


def test_modules_that_are_missing_come_from_apt(machine: Machine) -> None:
    before = f"{WITHOUT}; {APT.format(DEBIAN)}"
    out = said(machine.run("./install.sh --no-start && cat /apt.log && mwan-hook status", before))
    assert "python3-filelock" in out
    assert "--no-upgrade" in out
    assert not (machine.place / "upper/usr/lib/mwan-hook/venv").exists()


def test_without_apt_they_come_into_an_environment_that_goes_too(tmp_path: Path, machine: Machine) -> None:
    wheels(tmp_path / "wheels")
    before = f"{WITHOUT}; {NO_APT}; mkdir $root/wheels; mount --bind {tmp_path}/wheels $root/wheels"
    script = """export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; ./install.sh --no-start && ./install.sh --no-start
        head -n1 /usr/sbin/mwan-hook; mwan-hook --help >/dev/null || exit 1; ./install.sh uninstall --purge"""
    out = said(machine.run(script, before))
    assert "nothing was changed" in out
    assert "#!/usr/lib/mwan-hook/venv/bin/python3 -I" in out
    moved = ("usr/lib/python3/", "usr/bin/apt-get", "wheels")
    assert [name for name in machine.written(*moved) if not name.startswith(("root/.cache", "tmp"))] == []


def test_offline_it_says_what_is_missing_and_leaves_nothing(machine: Machine) -> None:
    done = machine.run("PIP_RETRIES=0 ./install.sh", f"{WITHOUT}; {NO_APT}")
    assert done.returncode == 1
    assert "Nothing was installed" in done.stderr
    assert "python3-filelock" in done.stderr
    assert [name for name in machine.written() if "mwan" in name] == []
