"""install.sh with DESTDIR: what it lays out, what it leaves alone, and that it can be stopped anywhere."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mwan_hook.doctor import files as doctorfiles
from mwan_hook.doctor import fix
from mwan_hook.doctor.finding import MODULES, NETWORKD, SYSCTLS, Fix, sysctl_fix
from mwan_hook.model import Sysctl
from tests.lab.router import PROJECT
from tests.netns.installer import ENVIRONMENT, copy_of_checkout, files, install, look

NOTHING = "nothing was changed"
IFUPDOWN = ("if-up", "if-down", "if-post-down")
OURS = re.compile(rb"/usr/(?:lib|sbin)/mwan-hook")
PROGRAM = re.compile(
    r"sbin/mwan-hook$|(spool-event|bring-up|mwan-hook-wait-online)$|bin/connectivity-state$|"
    r"lib/mwan-hook/[a-z-]+\.d/|no-wait\.d/"
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A checkout of the test's own."""
    return copy_of_checkout(tmp_path / "source")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout that no test changes."""
    return copy_of_checkout(tmp_path_factory.mktemp("checkout") / "source")


@pytest.fixture(scope="module")
def whole(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation of it that no test changes."""
    top = tmp_path_factory.mktemp("whole")
    for name in ("etc", "usr"):
        (top / name).mkdir()
    good(checkout, top)
    return top


@pytest.fixture
def top(tmp_path: Path) -> Path:
    return tmp_path / "top"


@pytest.fixture
def installed(whole: Path, top: Path) -> Path:
    """A copy of the whole one."""
    return Path(shutil.copytree(whole, top, symlinks=True))


def good(source: Path, top: Path, *words: str) -> str:
    done = install(source, top, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def test_everything_is_where_its_reader_looks(whole: Path) -> None:
    there = files(whole)
    for name in (
        "usr/sbin/mwan-hook",
        "usr/lib/mwan-hook/mwan_hook/__main__.py",
        "usr/lib/mwan-hook/spool-event",
        "usr/lib/mwan-hook/bring-up",
        "usr/lib/systemd/system/mwan-hook-plugged@.service",
        "usr/lib/systemd/system/mwan-hook-check.timer",
        "usr/lib/systemd/system/mwan-hook-check.service.d/50-sandbox.conf",
        "usr/lib/systemd/system-generators/mwan-hook-wait-online",
        "usr/lib/systemd/networkd.conf.d/50-mwan-hook.conf",
        "usr/lib/systemd/network/89-mwan-hook-usb.network",
        "usr/lib/udev/rules.d/90-mwan-hook.rules",
        "usr/lib/networkd-dispatcher/routable.d/50-mwan-hook",
        "usr/lib/NetworkManager/dispatcher.d/no-wait.d/50-mwan-hook",
        "usr/lib/dhcpcd/dhcpcd-hooks/70-mwan-hook",
        "usr/lib/systemd/system/dhcpcd.service.d/50-mwan-hook.conf",
        "etc/dhcp/dhclient-exit-hooks.d/mwan-hook",
        "usr/share/doc/mwan-hook/README.md",
        "etc/mwan-hook/mwan-hook.conf",
    ):
        assert name in there
    assert gzip.decompress(there["usr/share/man/man8/mwan-hook.8.gz"][1]).startswith(b".")
    assert {p.name for p in (whole / "etc/iproute2").iterdir()} == {"rt_tables.d", "rt_protos.d"}
    for link in (
        "usr/lib/networkd-dispatcher/off.d/50-mwan-hook",
        *(f"etc/network/{name}.d/mwan-hook" for name in IFUPDOWN),
    ):
        assert os.readlink(whole / link) == "/usr/lib/mwan-hook/spool-event"
    # NetworkManager does not wait for what a link into no-wait.d leads to
    assert os.readlink(whole / "usr/lib/NetworkManager/dispatcher.d/50-mwan-hook") == "no-wait.d/50-mwan-hook"


def test_networkd_is_told_of_nexthops_where_it_understands(checkout: Path, installed: Path, tmp_path: Path) -> None:
    top = installed
    fake = tmp_path / "bin/systemctl"
    fake.parent.mkdir()
    drop_in = top / "usr/lib/systemd/networkd.conf.d/51-mwan-hook-nexthops.conf"
    for version, there in (("252 (252.39-1)", False), ("256~rc3 (256~rc3-1)", True), ("", False)):
        fake.write_text(f"#!/bin/sh\n[ -n '{version}' ] && echo 'systemd {version}'\n")
        fake.chmod(0o755)
        for unchanged in (False, True)[: 1 + there]:
            done = install(checkout, top, path=str(fake.parent))
            assert done.returncode == 0, done.stderr
            assert not unchanged or NOTHING in done.stdout
        assert drop_in.exists() == there, version
        assert not there or "[Network]\nManageForeignNextHops=no\n" in drop_in.read_text()


def test_every_module_is_installed_and_compiled(top: Path) -> None:
    good(PROJECT, top)
    modules = {str(path.relative_to(PROJECT / "lib")) for path in (PROJECT / "lib").rglob("*.py")}
    lib = top / "usr/lib/mwan-hook"
    assert {str(path.relative_to(lib)) for path in lib.rglob("*.py")} == modules
    compiled = {f"{p.parent.parent.relative_to(lib)}/{p.name.split('.')[0]}.py" for p in lib.rglob("*.pyc")}
    assert compiled == modules


def test_only_root_may_write_what_is_installed(whole: Path) -> None:
    for name, entry in look(whole).items():
        if not (whole / name).is_symlink():
            wanted = 0o755 if (whole / name).is_dir() or PROGRAM.search(name) else 0o644
            assert entry.mode & 0o7777 == wanted, name


def test_a_second_run_changes_nothing_and_says_so(checkout: Path, installed: Path) -> None:
    before = look(installed)
    assert NOTHING in good(checkout, installed)
    assert look(installed) == before


def test_an_upgrade_replaces_what_changed_and_removes_what_is_no_longer_shipped(source: Path, top: Path) -> None:
    old = source / "lib/mwan_hook/bygone"
    old.mkdir()
    (old / "__init__.py").write_text("OLD = 1\n")
    good(source, top)
    before = look(top)
    assert any("bygone/__pycache__" in name for name in before)
    (top / "etc/mwan-hook/mwan-hook.conf").write_text("[probe]\ninterval = 5\n")
    for path in (old / "__init__.py", source / "systemd/mwan-hook-boot.service"):
        path.unlink()
    old.rmdir()
    (source / "lib/mwan_hook/say.py").write_text("NEW = 1\n")
    (source / "lib/mwan_hook/new.py").write_text("NEW = 1\n")
    good(source, top)
    after = look(top)
    assert not [name for name in after if "bygone" in name or name.endswith("mwan-hook-boot.service")]
    assert after["usr/lib/mwan-hook/mwan_hook/say.py"].content == b"NEW = 1\n"
    assert "usr/lib/mwan-hook/mwan_hook/new.py" in after
    assert after["etc/mwan-hook/mwan-hook.conf"].content == b"[probe]\ninterval = 5\n"
    kept = (".timer", "/model.py", "/model.cpython-311.pyc", "/50-mwan-hook")
    untouched = [name for name in before if name.endswith(kept)]
    assert len(untouched) > 10
    assert [after[name] for name in untouched] == [before[name] for name in untouched]


def test_what_was_broken_is_mended(checkout: Path, whole: Path, installed: Path) -> None:
    top = installed
    (top / "usr/sbin/mwan-hook").chmod(0o600)
    (top / "usr/lib/systemd/system/mwan-hook-check.timer").write_text("")
    link = top / "usr/lib/networkd-dispatcher/routable.d/50-mwan-hook"
    link.unlink()
    link.symlink_to("/dev/null")
    good(checkout, top)
    assert files(top) == files(whole)


KILLER = """#!/bin/sh
echo >>"{count}"
[ "$(wc -l <"{count}")" -ne {number} ] || kill -KILL 0
exec /usr/bin/{tool} "$@"
"""


def killed(source: Path, top: Path, place: Path, tool: str, number: int) -> None:
    """Run install.sh, and kill it with all it has started at the n-th call of a tool."""
    place.mkdir(exist_ok=True)
    (place / "count").unlink(missing_ok=True)
    (place / tool).write_text(KILLER.format(count=place / "count", number=number, tool=tool))
    (place / tool).chmod(0o755)
    environment = {**ENVIRONMENT, "DESTDIR": str(top), "PATH": f"{place}:{ENVIRONMENT['PATH']}"}
    done = subprocess.run(
        [str(source / "install.sh")], env=environment, capture_output=True, timeout=120, check=False, process_group=0
    )
    (place / tool).unlink()
    assert done.returncode == -9


POINTS = [("mkdir", 1), ("mv", 1), ("mv", 2), ("chmod", 9), ("ln", 3), ("mv", 40), ("rmdir", 1)]


@pytest.mark.parametrize(("tool", "number"), POINTS)
def test_an_installation_that_is_killed_can_be_taken_out_and_is_cured_by_the_next_run(
    checkout: Path, whole: Path, tmp_path: Path, tool: str, number: int
) -> None:
    broken, taken = tmp_path / "broken", tmp_path / "taken"
    if tool == "rmdir":  # it is called by upgrades only
        shutil.copytree(whole, broken, symlinks=True)
        (broken / "usr/sbin/mwan-hook").write_text("")
    else:
        (broken / "usr/lib").mkdir(parents=True)
        (broken / "etc").mkdir()
    killed(checkout, broken, tmp_path / "bin", tool, number)
    shutil.copytree(broken, taken, symlinks=True)
    good(checkout, taken, "uninstall", "--purge")
    assert sorted(look(taken)) == (["etc", "usr"] if tool == "rmdir" else ["etc", "usr", "usr/lib"])
    good(checkout, broken)
    found, wanted = files(broken), files(whole)
    # the directories that a run made before it could note them are not known to be ours
    manifests = [one.pop("usr/lib/mwan-hook/manifest")[1].splitlines() for one in (found, wanted)]
    assert found == wanted
    assert set(manifests[0]) <= set(manifests[1])
    assert {line for line in manifests[1] if not line.endswith(b"/")} <= set(manifests[0])
    assert NOTHING in good(checkout, broken)


def test_an_upgrade_that_is_killed_still_removes_what_is_no_longer_shipped(source: Path, tmp_path: Path) -> None:
    top = tmp_path / "top"
    (source / "docs/former.md").write_text("old")
    good(source, top)
    (source / "docs/former.md").unlink()
    (source / "README.md").write_text("new")
    killed(source, top, tmp_path / "bin", "mv", 2)
    assert (top / "usr/share/doc/mwan-hook/docs/former.md").exists()
    good(source, top)
    assert not (top / "usr/share/doc/mwan-hook/docs/former.md").exists()


def test_another_prefix_has_the_rest_in_etc_with_its_paths(checkout: Path, top: Path) -> None:
    good(checkout, top, "--prefix", "/opt/mwan-hook")
    names = look(top)
    assert {name.split("/")[0] for name in names} == {"etc", "opt"}
    documents = "opt/mwan-hook/share/doc"
    texts = {name: entry.content for name, entry in names.items() if not name.endswith(".pyc")}
    program = "opt/mwan-hook/lib/mwan-hook/mwan_hook/"
    wrong = [name for name, text in texts.items() if OURS.search(text) and not name.startswith((documents, program))]
    assert wrong == []
    assert b"ExecStart=/opt/mwan-hook/sbin/mwan-hook check" in texts["etc/systemd/system/mwan-hook-check.service"]
    assert b'"/opt/mwan-hook/lib/mwan-hook/spool-event"' in texts["etc/udev/rules.d/90-mwan-hook.rules"]
    assert texts["etc/networkd-dispatcher/off.d/50-mwan-hook"] == b"/opt/mwan-hook/lib/mwan-hook/spool-event"
    for name in ("etc/systemd/networkd.conf.d/50-mwan-hook.conf", "etc/systemd/network/89-mwan-hook-usb.network"):
        assert name in texts


def test_what_the_operator_has_masked_in_etc_stays_masked(checkout: Path, top: Path) -> None:
    masked = [top / "etc/systemd/system/mwan-hook-netlink.socket", top / "etc/systemd/network/89-mwan-hook-usb.network"]
    for path in masked:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to("/dev/null")
    good(checkout, top, "--prefix", "/usr/local")
    assert NOTHING in good(checkout, top)
    good(checkout, top, "uninstall", "--purge")
    assert [os.readlink(path) for path in masked] == ["/dev/null"] * 2


def test_an_upgrade_and_an_uninstall_find_the_prefix_and_another_one_is_refused(checkout: Path, top: Path) -> None:
    good(checkout, top, "--prefix=/opt/x")
    assert NOTHING in good(checkout, top)
    other = install(checkout, top, "--prefix", "/usr")
    assert other.returncode == 1
    assert "is installed in /opt/x" in other.stderr
    good(checkout, top, "uninstall", "--purge")
    assert [name for name in look(top) if "mwan" in name] == []


def test_a_relative_staging_directory_is_the_callers(checkout: Path, tmp_path: Path) -> None:
    environment = {**ENVIRONMENT, "DESTDIR": "top/"}
    for words in ([], ["uninstall", "--purge"]):
        command = [str(checkout / "install.sh"), *words]
        subprocess.run(command, env=environment, cwd=tmp_path, timeout=120, check=True, capture_output=True)
        assert (tmp_path / "top/usr/sbin/mwan-hook").exists() == (not words)


def test_the_usb_network_can_be_declined_and_stays_so_until_it_is_wanted(source: Path, top: Path) -> None:
    network = top / "usr/lib/systemd/network/89-mwan-hook-usb.network"
    good(source, top)
    assert network.exists()
    good(source, top, "--no-usb-network")
    assert not network.exists()
    (source / "README.md").write_text("a newer version")
    assert NOTHING not in good(source, top)
    assert NOTHING in good(source, top)
    assert not network.exists()
    good(source, top, "--usb-network")
    assert network.exists()


def test_uninstall_takes_ours_and_leaves_the_rest(checkout: Path, top: Path) -> None:
    foreign = ("usr/lib/systemd/system/other.service", "usr/lib/networkd-dispatcher/off.d/10-other", "etc/iproute2/x")
    for name in foreign:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("foreign")
    (top / "usr/lib/udev/rules.d").mkdir(parents=True)  # empty, and not ours to take
    before = look(top)
    good(checkout, top)
    names = "etc/iproute2/rt_tables.d/mwan-hook.conf"
    for name in ("var/lib/mwan-hook/disabled.json", "run/mwan-hook/state.json", names):
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("{}")
    assert "no longer" in good(checkout, top, "uninstall")
    kept = {"etc/mwan-hook", "etc/mwan-hook/conf.d", "etc/mwan-hook/mwan-hook.conf", "var/lib/mwan-hook/disabled.json"}
    made = {"run", "var", "var/lib", "var/lib/mwan-hook"}
    assert set(look(top)) - set(before) == kept | made
    assert set(before) <= set(look(top))
    assert "no installation" in good(checkout, top, "uninstall", "--purge")
    assert set(look(top)) - set(before) == made - {"var/lib/mwan-hook"}


HOOK = "etc/networkd-dispatcher/off.d/50-mwan-hook"


def diagnosed(top: Path) -> set[str]:
    """Files of `doctor --fix`, one of them another's since; what must be left when they are taken out."""
    (top / "etc/sysctl.d").mkdir(parents=True)
    before = set(look(top))
    fixes = [
        Fix(path=NETWORKD, section="[Network]", lines=("ManageForeignRoutes=no",)),
        sysctl_fix([Sysctl("net/ipv4/ip_forward", "1")]),
        Fix(path=MODULES, lines=("nf_tables",)),
        Fix(links=((HOOK, "/opt/lib/mwan-hook/spool-event"),)),
    ]
    there = doctorfiles.there(str(top), [NETWORKD, SYSCTLS, MODULES, HOOK])
    doctorfiles.write(str(top), fix.written(fixes, there))
    assert {NETWORKD, SYSCTLS, HOOK} <= set(look(top))
    (top / MODULES).write_text("# another program's by now\n")
    return before | {MODULES, "etc/modules-load.d", "var", "var/lib"}


def test_uninstall_takes_what_doctor_has_written_and_no_other_file(checkout: Path, top: Path) -> None:
    kept = diagnosed(top)
    assert "no installation" in good(checkout, top, "uninstall")
    assert set(look(top)) == kept


def test_removing_the_package_takes_what_doctor_has_written(top: Path) -> None:
    kept = diagnosed(top)
    (top / HOOK).unlink()  # in /usr, and dpkg's, where a package is
    record = top / doctorfiles.RECORD
    record.write_text("".join(f"{top}{line}\n" for line in record.read_text().splitlines()))
    function = (PROJECT / "debian/mwan-hook.postrm").read_text().partition("case $1 in remove")[0]
    script = function.replace("/var/lib/mwan-hook-root", f"{top}/var/lib/mwan-hook-root") + "undo_doctor"
    done = subprocess.run(["sh", "-ec", script], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(look(top)) == kept


def test_removing_the_package_waits_for_modems_that_are_being_hung_up(top: Path) -> None:
    (top / "run/systemd/system").mkdir(parents=True)
    (top / "run/mwan-hook").mkdir()
    (top / "run/mwan-hook/state.json").touch()
    tools = top / "bin"
    tools.mkdir()
    said = "mwan-hook-modem@wwan0.service loaded deactivating stop-post Mobile data"
    for name, words in {
        "systemctl": f'echo look >>{top}/said; [ "$(grep -c look {top}/said)" -gt 2 ] || echo "{said}"',
        "mwan-hook": f'echo "$1" >>{top}/said',
        "deb-systemd-invoke": ":",
        "sleep": ":",
    }.items():
        (tools / name).write_text(f"#!/bin/sh\n{words}\n")
        (tools / name).chmod(0o755)
    script = (PROJECT / "debian/mwan-hook.prerm").read_text().replace("/run/", f"{top}/run/")
    environment = {"PATH": f"{tools}:/usr/bin:/bin"}
    subprocess.run(["sh", "-ec", script, "prerm", "remove"], env=environment, check=True, timeout=60)
    assert (top / "said").read_text().split() == ["flush", "notify", "look", "look", "look"]


def test_wrong_words_are_told_and_nothing_is_done(checkout: Path, top: Path) -> None:
    prefixes = (["--prefix", "usr"], ["--prefix"], ["--prefix", "/a b"], ["--prefix=/usr/../x"])
    for words in (["--purge"], ["instal"], ["uninstall", "--no-start"], ["--no-start=yes"], *prefixes):
        done = install(checkout, top, *words)
        assert done.returncode == 2
        assert "usage:" in done.stderr
    assert not top.exists()
    assert "--no-usb-network" in install(checkout, top, "--help").stdout
