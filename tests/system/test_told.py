"""Hooks on a booted system: started by the path unit, and those that come with mwan-hook against the real resolved."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system import running
from tests.system.beds import Container
from tests.system.beds.files import Files

CONFIG = """
[probe]
targets = http://probe.example.org/generate_204
portal_interval = 0
interval = 1
timeout = 1
fall = 2
rise = 1
hysteresis_delay = 0
[uplinks]
[[fiber]]
match = wan1
metric = 100
[[cable]]
match = wan2
metric = 200
[[lte]]
match = enp0s20u*
metric = 300
"""
TELL = '#!/bin/sh\necho "$EVENT $IFACE $IPV4_ADDR $IPV4_GATEWAY" >>/run/told\n'
# no ddclient is in the image: this stands for it
DDCLIENT = '#!/bin/sh\necho "$@" >>/run/ddclient\n'
FILES: Files = {
    "etc/mwan-hook/mwan-hook.conf": CONFIG,
    "etc/mwan-hook/default-route.d/50-tell": TELL,
    "etc/ddclient.conf": "protocol=dyndns2\n",
    "usr/local/bin/ddclient": DDCLIENT,
    # so that sticks are left to our template, which their driver would match on a real machine
    "etc/systemd/network/20-uplink.network": "[Match]\nName=wan*\n\n[Network]\nDHCP=yes\n",
    "etc/systemd/network/89-mwan-hook-usb.network.d/bed.conf": "[Match]\nDriver=veth\n\n[Link]\nActivationPolicy=up\n",
}
STICK = "enp0s20u1"
KEPT = "/run/mwan-hook-root/resolved"


@pytest.fixture(scope="module")
def booted(image: Path) -> Iterator[Container]:
    """A machine with two uplinks and mwan-hook in it."""
    with Container(binds=running.program(), files={**running.units(), **FILES}) as made:
        made.wait_configured("wan1", "wan2")
        made.sh("chmod 755 /etc/mwan-hook/*.d/* /usr/local/bin/ddclient")
        made.wait("both to be online", lambda: running.online(made, "wan1", "wan2"))
        yield made


@pytest.fixture
def bed(booted: Container) -> Iterator[Container]:
    """Both uplinks are online, everything is told."""
    booted.sh("rm -f /run/told /run/ddclient")
    yield booted
    for isp in (1, 2):
        booted.provider[isp].heal()
    booted.wait("both to be online", lambda: running.online(booted, "wan1", "wan2"))
    booted.wait("all to be told", lambda: told(booted))


def told(bed: Container) -> bool:
    """Nothing waits, and no process tells."""
    spools = "find /run/mwan-hook/notify /run/mwan-hook/hooks -type f | grep ."
    spool = f"{spools} || systemctl is-active -q mwan-hook-notify.service mwan-hook-hooks.service"
    return bed.run("sh", "-c", spool, check=False).returncode != 0


def dns(bed: Container) -> dict[str, bool]:
    """Whether an interface is a default route for DNS."""
    lines = [line.split() for line in bed.sh("resolvectl default-route").splitlines() if line.startswith("Link")]
    return {words[2].strip("():"): words[3] == "yes" for words in lines}


def test_names_keep_working_after_failover_and_the_dead_links_servers_are_asked_no_more(bed: Container) -> None:
    assert dns(bed) == {"lan0": False, "wan1": True, "wan2": True}
    bed.provider[1].fault("blackhole")
    bed.wait("failover", lambda: running.online(bed, "wan2"))
    bed.wait("the hook", lambda: not dns(bed)["wan1"])
    assert dns(bed)["wan2"]
    answer = bed.sh("timeout 2 resolvectl query --cache=no after.example.org")
    assert "link: wan2" in answer and "link: wan1" not in answer
    bed.provider[1].heal()
    bed.wait("failback by targets that have names", lambda: running.online(bed, "wan1", "wan2"))
    bed.wait("the hook", lambda: dns(bed)["wan1"])
    assert bed.sh(f"ls {KEPT}") == ""


def test_dns_is_given_back_when_nothing_is_online_and_taken_when_one_returns(bed: Container) -> None:
    for isp in (1, 2):  # with their gateways: else the one target would be what is dead
        bed.provider[isp].fault("gwdead")
    bed.wait("both to be offline", lambda: running.online(bed))
    bed.wait("the hook", lambda: told(bed) and dns(bed) == {"lan0": False, "wan1": True, "wan2": True})
    bed.provider[2].heal()
    bed.wait("one to return", lambda: running.online(bed, "wan2"))
    bed.wait("the hook", lambda: dns(bed) == {"lan0": False, "wan1": False, "wan2": True})


def test_what_the_operator_has_set_is_left_alone(bed: Container) -> None:
    bed.sh("resolvectl default-route wan1 no")
    bed.provider[1].fault("blackhole")
    bed.wait("failover", lambda: running.online(bed, "wan2"))
    bed.provider[1].heal()
    bed.wait("failback", lambda: running.online(bed, "wan1", "wan2") and told(bed))
    assert not dns(bed)["wan1"]
    bed.sh("resolvectl default-route wan1 yes")


def test_a_sticks_servers_answer_for_names_only_while_no_other_uplink_is_online(bed: Container) -> None:
    resolvectl = "/usr/local/bin/resolvectl"  # found first: the real one fails once
    bed.sh(f"printf '#!/bin/sh\\nrm -f $0\\nexit 1\\n' >{resolvectl}; chmod 755 {resolvectl}")
    bed.plug(3, STICK)
    try:
        bed.wait("the stick to be online", lambda: running.online(bed, "wan1", "wan2", STICK))
        bed.wait("the hook", lambda: bed.run("test", "-e", resolvectl, check=False).returncode == 1)  # not our own look
        bed.wait("the hook, again", lambda: dns(bed) == {"lan0": False, "wan1": True, "wan2": True, STICK: False})
        assert "link: wan" in bed.sh("timeout 2 resolvectl query --cache=no before.example.org")
        for isp in (1, 2):
            bed.provider[isp].fault("blackhole")
        bed.wait("failover", lambda: running.online(bed, STICK))
        bed.wait("the hook", lambda: dns(bed) == {"lan0": False, "wan1": False, "wan2": False, STICK: True})
        assert f"link: {STICK}" in bed.sh("timeout 2 resolvectl query --cache=no after.example.org")
        bed.provider[2].heal()
        bed.wait("failback", lambda: dns(bed) == {"lan0": False, "wan1": False, "wan2": True, STICK: False})
    finally:
        bed.unplug(STICK)
    bed.wait("its record to be gone", lambda: told(bed) and STICK not in bed.sh(f"ls {KEPT}"))


def test_flush_gives_dns_back(bed: Container) -> None:
    bed.provider[1].fault("blackhole")
    bed.wait("the hook", lambda: not dns(bed)["wan1"])
    running.stop_ours(bed)
    try:
        bed.run("mwan-hook", "flush")
        bed.wait("the hook", lambda: dns(bed) == {"lan0": False, "wan1": True, "wan2": True})
    finally:
        running.start_ours(bed)


def test_nothing_happens_where_resolved_does_not_run(bed: Container) -> None:
    before = len(bed.journal("-u", "mwan-hook-hooks"))
    bed.sh("systemctl stop systemd-resolved")
    try:
        bed.provider[1].fault("blackhole")
        bed.wait("failover", lambda: running.online(bed, "wan2") and told(bed))
        assert bed.run("systemctl", "is-active", "systemd-resolved", check=False).stdout == "inactive\n"
        assert not [line for line in bed.journal("-u", "mwan-hook-hooks")[before:] if "50-resolved" in line]
    finally:
        bed.sh("systemctl start systemd-resolved")


def test_the_path_unit_starts_hooks_once_for_each_change_of_the_way_out(bed: Container) -> None:
    address, gateway = bed.address("wan2").split("/")[0], "192.168.3.1"
    bed.provider[1].fault("blackhole4")
    bed.wait("the hooks", lambda: "wan2" in bed.sh("cat /run/told", check=False) and told(bed))
    assert bed.sh("cat /run/told") == f"default-route wan2 {address} {gateway}\n"
    assert bed.sh("cat /run/ddclient") == "-daemon=0 -file //etc/ddclient.conf\n"


def test_a_hook_that_hangs_is_killed_with_its_children_and_named_in_the_journal(bed: Container) -> None:
    # A hook that is killed is not run again, and on a busy machine any of them may need these two seconds: only here.
    hangs = "#!/bin/sh\necho begun\nsetsid sleep 7654 &\nsleep 7654\n"
    short = f"{CONFIG}[hooks]\ntimeout = 2\n"
    bed.write({"etc/mwan-hook/offline.d/10-hangs": hangs, "etc/mwan-hook/mwan-hook.conf": short})
    bed.sh("chmod 755 /etc/mwan-hook/offline.d/10-hangs")
    try:
        bed.provider[1].fault("blackhole4")
        bed.wait("failover", lambda: "wan2" in bed.sh("cat /run/told", check=False) and told(bed))
    finally:
        bed.sh("rm /etc/mwan-hook/offline.d/10-hangs")
        bed.write({"etc/mwan-hook/mwan-hook.conf": CONFIG})
    journal = bed.journal("-u", "mwan-hook-hooks")
    assert [line for line in journal if "offline.d/10-hangs: begun" in line]
    killed = "offline.d/10-hangs was killed after 2 s with 2 more that it had started"
    assert [line for line in journal if killed in line]
    assert bed.run("pgrep", "-f", "sleep 7654", check=False).returncode == 1
