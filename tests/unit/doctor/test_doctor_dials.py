"""Links that are dialled: what else would dial them, keep them up or take their address."""

from __future__ import annotations

from pathlib import Path

import pytest

from mwan_hook.dial import requests
from mwan_hook.doctor.checks.dials import DialSetup, check
from mwan_hook.machine import dialling
from mwan_hook.machine.values import DialUnit, LinkSetup

GOOD_LINK = LinkSetup("/etc/systemd/network/20-dsl.network", "manual", "yes")
GOOD_UNIT = DialUnit("pppd@dsl.service", "/etc/systemd/system/pppd@.service", False, "no", 45.0)
GOOD = DialSetup("dsl", "ppp-dsl", True, 60.0, True, GOOD_LINK, GOOD_UNIT)


def link(**other: object) -> DialSetup:
    return GOOD._replace(link=GOOD_LINK._replace(**other))  # type: ignore[arg-type]


def unit(**other: object) -> DialSetup:
    return GOOD._replace(unit=GOOD_UNIT._replace(**other))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setup", "codes"),
    [
        (GOOD, []),
        (GOOD._replace(link=None, unit=None), []),
        (link(policy="up"), ["dial-policy"]),
        (link(policy="up")._replace(on_demand=False), []),  # kept up
        (link(path="/usr/lib/systemd/network/89-mwan-hook-usb.network"), ["dial-policy"]),
        (link(apn="/etc/systemd/network/20-lte.network:9"), ["dial-twice"]),
        (link(keep="no"), ["dial-address"]),
        (link(keep="no")._replace(point_to_point=False), []),
        (unit(path=""), ["dial-unit"]),
        (unit(enabled=True), ["dial-boot"]),
        (unit(enabled=True)._replace(on_demand=False), []),
        (unit(restart="always"), ["dial-twice"]),
        (unit(holds_on="/etc/ppp/peers/dsl:12"), ["dial-twice"]),
        (unit(timeout=60.0), []),
        (unit(timeout=61.0), ["dial-patience"]),
        (unit(timeout=0.0), ["dial-patience"]),
        (GOOD._replace(others=("Mobile data",)), ["dial-twice"]),
        (GOOD._replace(lacks=("ModemManager", "libmbim-proxy")), ["dial-program", "dial-program"]),
    ],
)
def test_what_stands_against_dialling_is_told(setup: DialSetup, codes: list[str]) -> None:
    assert [one.code for one in check([setup])] == codes


def put(root: Path, path: str, text: str) -> None:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_networkds_file_for_a_link_is_read_with_its_drop_ins(tmp_path: Path) -> None:
    assert dialling.link(str(tmp_path), 9) is None
    facts = "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/30-w.network\nACTIVATION_POLICY=manual\n"
    put(tmp_path, "run/systemd/netif/links/9", facts)
    put(tmp_path, "etc/systemd/network/30-w.network", "[Network]\nKeepConfiguration=no\n[MobileNetwork]\nAPN=x\n")
    found = dialling.link(str(tmp_path), 9)
    assert found and (found.policy, found.keep) == ("manual", "no")
    assert found.apn.endswith("30-w.network:4")
    put(
        tmp_path,
        "run/systemd/network/30-w.network.d/a.conf",
        "[Network]\nKeepConfiguration=yes\n[MobileNetwork]\nAPN=\n",
    )
    found = dialling.link(str(tmp_path), 9)
    assert found and (found.keep, found.apn) == ("yes", "")


def test_an_instance_of_a_template_is_read_with_the_drop_ins_of_both(tmp_path: Path) -> None:
    assert dialling.unit(str(tmp_path), "pppd@dsl") == DialUnit("pppd@dsl.service", "", False, "no", 90.0)
    command = "[Service]\nExecStart=/usr/sbin/pppd call %i nodetach\nTimeoutStartSec=2min\n"
    put(tmp_path, "usr/lib/systemd/system/pppd@.service", command)
    put(tmp_path, "etc/ppp/peers/dsl", "noauth\n#persist\n demand \n")
    found = dialling.unit(str(tmp_path), "pppd@dsl.service")
    assert (found.enabled, found.restart, found.timeout) == (False, "no", 120.0)
    assert found.holds_on.endswith("peers/dsl:3")
    put(
        tmp_path,
        "etc/systemd/system/pppd@dsl.service.d/b.conf",
        "[Service]\nRestart=always\nTimeoutStartSec=infinity\n",
    )
    put(tmp_path, "etc/systemd/system/multi-user.target.wants/pppd@dsl.service", "")
    put(tmp_path, "etc/ppp/peers/dsl", "maxfail 1\n")
    found = dialling.unit(str(tmp_path), "pppd@dsl.service")
    assert (found.enabled, found.restart, found.timeout, found.holds_on) == (True, "always", 0.0, "")


def test_a_unit_has_the_name_by_which_it_is_started(tmp_path: Path) -> None:
    put(tmp_path, "etc/systemd/system/dial@.service", "[Service]\n")
    put(tmp_path, "etc/systemd/system/multi-user.target.wants/dial@lte0.7.service", "")
    put(tmp_path, "etc/systemd/system/dial@lte0.7.service.d/a.conf", "[Service]\nRestart=always\n")
    assert requests.unit("unit:dial@lte0.7", "lte0.7") == "dial@lte0.7.service"
    found = dialling.unit(str(tmp_path), "dial@lte0.7")
    assert (found.name, found.enabled, found.restart) == ("dial@lte0.7.service", True, "always")


@pytest.mark.parametrize(
    ("options", "peer", "more", "where"),
    [
        ("", "noauth persist maxfail 0  # for ever\n", "", "peers/dsl:1"),
        ("lock\npersist\n", "noauth\n", "", "ppp/options:2"),  # which pppd reads before anything else
        ("persist\n", "nopersist\n", "", ""),
        ("", "persist\n", "nopersist", ""),
        ("", "persist\nnopersist\n", "demand", "ExecStart="),
        ("#persist\n", "linkname persistent\n", "", ""),
    ],
)
def test_what_pppd_is_told_last_about_dialling_again_counts(
    tmp_path: Path, options: str, peer: str, more: str, where: str
) -> None:
    put(tmp_path, "etc/systemd/system/dsl.service", f"[Service]\nExecStart=/usr/sbin/pppd call dsl {more}\n")
    put(tmp_path, "etc/ppp/options", options)
    put(tmp_path, "etc/ppp/peers/dsl", peer)
    assert dialling.unit(str(tmp_path), "dsl").holds_on.endswith(where)
    assert bool(where) == bool(dialling.unit(str(tmp_path), "dsl").holds_on)


def test_what_a_session_by_modemmanager_wants_is_looked_for(tmp_path: Path) -> None:
    assert dialling.lacks(str(tmp_path)) == ("ModemManager", "libmbim-proxy")
    put(tmp_path, "usr/lib/systemd/system/ModemManager.service", "[Service]\n")
    put(tmp_path, "usr/libexec/mbim-proxy", "")
    assert dialling.lacks(str(tmp_path)) == ()


def test_what_networkmanager_connects_by_itself_is_found(tmp_path: Path) -> None:
    place = "etc/NetworkManager/system-connections"
    for name, more in (
        ("data", "type=gsm"),
        ("roam", "type=gsm\nautoconnect=false"),
        ("fibre", "type=ethernet\ninterface-name=eth1"),
        ("lan", "type=ethernet\ninterface-name=eth2"),
    ):
        put(tmp_path, f"{place}/{name}.nmconnection", f"[connection]\nid=my {name}\n{more}\n[ipv4]\nmethod=auto\n")
    put(tmp_path, "run/NetworkManager/system-connections/roam.nmconnection", "[connection]\nid=roam\ntype=gsm\n")
    assert dialling.network_manager(str(tmp_path), "eth1", True) == (), "it is not installed"
    put(tmp_path, "lib/systemd/system/NetworkManager.service", "[Service]\n")
    assert dialling.network_manager(str(tmp_path), "eth1", False) == ("my fibre",)
    assert dialling.network_manager(str(tmp_path), "wwan0", True) == ("my data",)
    (finding,) = check([GOOD._replace(others=("my data",))])
    assert finding.fix.commands == ("nmcli connection modify 'my data' connection.autoconnect no",)
