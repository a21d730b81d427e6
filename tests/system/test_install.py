"""install.sh on a booted machine: it starts by itself, is not started over, and goes without a trace."""

from __future__ import annotations

from tests.system.beds import Container

INSTALL = "/opt/mwan-hook/install.sh"
UNITS = ("mwan-hook-check.timer", "mwan-hook-event.path", "mwan-hook-netlink.socket", "mwan-hook-boot.service")
MASKED = "systemd-networkd.service systemd-networkd.socket networkd-dispatcher.service"
STARTED = ("systemd-networkd", "networkd-dispatcher", "systemd-udevd", *UNITS)
FOREIGN = (
    "ip rule add priority 77 from 10.7.7.7 lookup 77 protocol 99",
    "ip route add 10.9.0.0/16 via {gateway} dev wan1 protocol 99",
    "ip route add default via {gateway} dev wan1 table 77 protocol 99",
)
# all but what runs by itself, and what others keep of a run: logs, Python's compiled modules, systemd's own state
PASSED = "/proc /sys /run /dev /tmp /var/tmp /opt /var/log /var/lib/systemd /usr/lib/python3"
PRUNE = " ".join(f"-path {name} -prune -o" for name in PASSED.split())
LOOK = f"find / -xdev {PRUNE} -printf '%p %i %m %C@ %l\\n' | sort"


# what tests leave: an installation, and what each does to the machine besides
CLEAN = f"""
{INSTALL} uninstall --purge
systemctl unmask mwan-hook-netlink.socket {MASKED}
systemctl start systemd-networkd networkd-dispatcher
ip addr del 192.168.1.77/24 dev wan1
ip rule del priority 77
ip route flush table all protocol 99
rm -rf /root/source
systemctl reset-failed
"""


def install(bed: Container, *words: str) -> str:
    return bed.run(INSTALL, *words, timeout=120).stdout


def still(bed: Container) -> list[str]:
    """The tree without what runs write."""
    return [line for line in bed.sh(LOOK).splitlines() if not line.startswith("/var/lib/mwan-hook")]


def names(tree: str) -> set[str]:
    return {line.split()[0] for line in tree.splitlines()}


def online(bed: Container) -> list[str]:
    lines = bed.sh("mwan-hook status -H", check=False).splitlines()
    return [line.split()[0] for line in lines if " online " in line]


def in_kernel(bed: Container) -> str:
    """Our rules and routes."""
    look = "ip -N -$f rule show | grep 'proto 172'; ip -$f route show table all protocol 172"
    return bed.sh(f"for f in 4 6; do {look}; done", check=False)


def ours(bed: Container) -> str:
    """What of ours is in the kernel and in systemd."""
    look = "systemctl --no-legend --plain --all list-units 'mwan*'; systemctl --no-legend list-unit-files 'mwan*'"
    return in_kernel(bed) + bed.sh(look, check=False)


def starts(bed: Container) -> dict[str, str]:
    """When everything that a run might start over was started."""
    return {unit: bed.run("systemctl", "show", "-P", "ActiveEnterTimestampMonotonic", unit).stdout for unit in STARTED}


def foreign(bed: Container) -> str:
    return bed.sh("ip -N rule show | grep 'proto 99'; ip route show table all protocol 99")


def test_an_installed_machine_looks_after_its_uplinks_and_a_second_run_changes_nothing(bed: Container) -> None:
    out = install(bed)
    assert "restarting systemd-networkd" in out
    for unit in UNITS:
        assert bed.run("systemctl", "is-active", unit).stdout == "active\n"
        assert bed.run("systemctl", "is-enabled", unit).stdout == "enabled\n"
    assert bed.run("systemctl", "is-active", "networkd-dispatcher").stdout == "active\n"
    assert any(line.startswith(("wan1 ", "wan2 ")) and " online " in line for line in out.splitlines())
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 20)
    tree, since = still(bed), starts(bed)
    assert "nothing was changed" in install(bed)
    assert set(still(bed)) ^ set(tree) == set()
    assert starts(bed) == since


def test_uninstall_takes_all_of_ours_and_nothing_else(bed: Container) -> None:
    before = bed.sh(LOOK)
    gateway = bed.provider[1].gateway
    install(bed)
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 20)
    for line in FOREIGN:
        bed.sh(line.format(gateway=gateway))
    kept, networkd = foreign(bed), starts(bed)["systemd-networkd"]
    assert len(kept.splitlines()) == 3
    assert ours(bed)
    out = install(bed, "uninstall")
    assert "networkd was not restarted" in out
    assert ours(bed) == ""
    assert foreign(bed) == kept
    assert starts(bed)["systemd-networkd"] == networkd
    assert not bed.sh("ls -d /run/mwan-hook*", check=False)
    left = names(bed.sh(LOOK)) - names(before)
    assert left >= {"/etc/mwan-hook/mwan-hook.conf", "/var/lib/mwan-hook"}
    assert all(name.startswith(("/etc/mwan-hook", "/var/lib/mwan-hook")) for name in left)
    install(bed, "uninstall", "--purge")
    assert names(bed.sh(LOOK)) == names(before)
    assert bed.run("curl", "-s", "-m5", "http://9.9.9.9/isp").stdout.startswith("isp")


def test_an_upgrade_restarts_what_changed_and_leaves_networkd_and_the_configuration_alone(bed: Container) -> None:
    bed.sh("cp -r /opt/mwan-hook/. /root/source")
    bed.run("/root/source/install.sh")
    bed.sh("echo '[probe]' >/etc/mwan-hook/mwan-hook.conf")
    bed.sh("sed -i 's/OnUnitActiveSec=10s/OnUnitActiveSec=7s/' /root/source/systemd/mwan-hook-check.timer")
    bed.sh("rm /root/source/docs/decisions.md; echo 'NEW = 1' >>/root/source/lib/mwan_hook/say.py")
    networkd = starts(bed)["systemd-networkd"]
    bed.run("/root/source/install.sh")
    assert "OnUnitActiveUSec=7s" in bed.run("systemctl", "show", "-P", "TimersMonotonic", UNITS[0]).stdout
    assert starts(bed)["systemd-networkd"] == networkd
    assert bed.sh("cat /etc/mwan-hook/mwan-hook.conf") == "[probe]\n"
    assert bed.run("test", "-e", "/usr/share/doc/mwan-hook/docs/decisions.md", check=False).returncode == 1
    for unit in UNITS:
        assert bed.run("systemctl", "is-active", unit).stdout == "active\n"
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 20)


def test_an_installation_killed_before_it_told_is_finished_by_the_next_run(bed: Container) -> None:
    """The files are all there then; who has to be told is remembered until the boot."""
    bed.sh(f"{INSTALL} --no-start; printf '%s\\n' /usr/lib/systemd/networkd.conf.d/x.conf >/run/mwan-hook-install")
    assert "restarting systemd-networkd" in install(bed)
    bed.wait("both uplinks to be online", lambda: online(bed) == ["wan1", "wan2"], 20)
    assert "restarting" not in install(bed)


def test_without_networkd_it_installs_and_says_what_is_missing(bed: Container) -> None:
    bed.sh(f"systemctl mask --now {MASKED}")
    bed.sh("ip addr replace 192.168.1.77/24 dev wan1; ip route replace default via 192.168.1.1 dev wan1")
    assert "nothing tells it about leases" in install(bed)
    bed.wait("the uplink to be online", lambda: "wan1" in online(bed), 20)
    assert bed.run("systemctl", "is-active", "systemd-networkd", check=False).returncode != 0


def test_a_masked_unit_stays_masked_and_another_prefix_works(bed: Container) -> None:
    bed.run("systemctl", "mask", "mwan-hook-netlink.socket")
    since = bed.sh("date +@%s.%N").strip()
    out = install(bed, "--prefix", "/opt/elsewhere")
    assert "masked" in out
    assert bed.run("systemctl", "is-active", "mwan-hook-netlink.socket", check=False).stdout == "inactive\n"
    assert bed.run("systemctl", "show", "-P", "FragmentPath", UNITS[0]).stdout == f"/etc/systemd/system/{UNITS[0]}\n"
    status = "/opt/elsewhere/sbin/mwan-hook status -H"
    bed.wait("both to be online", lambda: bed.sh(status, check=False).count(" online ") >= 2, 20)
    bed.sh("ip link add name test0 type veth peer name test1; ip link del test0")
    bed.wait("the events to be taken", lambda: not bed.sh("ls /run/mwan-hook/events"), 20)
    journal = bed.sh(
        f"journalctl -b --no-pager --since={since} -u 'mwan-hook*' -u systemd-udevd -u networkd-dispatcher"
    )
    assert "spool-event" not in journal.replace("Invoking", "")
    install(bed, "uninstall", "--purge")
    assert ours(bed).split() in ([], ["mwan-hook-netlink.socket", "masked", "enabled"])
    assert bed.run("test", "-e", "/opt/elsewhere", check=False).returncode == 1
