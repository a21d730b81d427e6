"""``mwan-hook config``: what it prints can be read again, and says where each value came from."""

from pathlib import Path

import pytest

from mwan_hook import config
from mwan_hook.commands import config as command
from mwan_hook.config.keys import KEYS, METRICS, POLICY
from mwan_hook.model import ConfigError

FILE = """# mine
[routing]
default_table = main
main_first = no
[probe]
targets = "http://h/a,b=c#d", icmp://1.1.1.1
interval = 2.5
portal_targets =
[hooks]
timeout = 9.5
[router]
masquerade = ipv4, ipv6
nat6 = masquerade
[mail]
to = root, "Ada, L. <ada@example.org>"
from = "Router #1 <r@example.org>"
smtp_host = 2001:db8::25
user = me
password_file = /etc/mwan-hook/password
[webhook]
url = "https://hooks.example.org/a?b=c#d"
events = online, offline
verify = no
[uplinks]
[[fiber]]
masquerade = no
nat6 = prefix
nat6_prefix = 2001:db8:7::/48
failback = hard
match = eth0
table = 300
mark = 0x10/0xf0
gateway = 192.0.2.1, fe80::1
weight = 3
[[[metrics]]]
full = 100
[[lte]]
match = driver:cdc_*, "property:ID_SERIAL=a,b"
families = ipv6
enabled = no
metered = yes
metered_interval = 60
fall = 9
"""
POLICIES = """[policies]
[[banks]]
proto = tcp
dport = 443, 5000-5100
uplinks = fiber + lte
sticky = yes
[[voice]]
iif = lan0
mark = 0x10000/0xff0000
dscp = ef, 0xa
mac = 02-00-5e-10-00-01
uplinks = fiber
"""

PREFIXES = """[router]
deprecate_prefixes = yes
mss = no
[uplinks]
[[fiber]]
prefixes = 2001:db8:1::/56, 2001:db8:2::/64
[[lte]]
prefixes = no
"""


def put(root: Path, text: str, name: str = "mwan-hook.conf") -> None:
    """Write a configuration file."""
    path = root / "etc/mwan-hook" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_the_files_are_shown_as_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, FILE)
    put(tmp_path, "[probe]\nrise = 7  # seven\n", "conf.d/a.conf")
    assert command.run(str(tmp_path), check=False, effective=False) == 0
    shown = capsys.readouterr().out
    directory = tmp_path / "etc/mwan-hook"
    more = f"\n# {directory}/conf.d/a.conf\n[probe]\nrise = 7  # seven\n"
    assert shown == f"# {directory}/mwan-hook.conf\n{FILE}{more}"


@pytest.mark.parametrize("text", ["", FILE, FILE + POLICIES, PREFIXES, "[router]\nmss = 1360\n"])
def test_what_is_in_force_reads_back_as_the_same_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    put(tmp_path, text)
    assert command.run(str(tmp_path), check=False, effective=True) == 0
    put(tmp_path / "again", capsys.readouterr().out)
    first, second = config.load(str(tmp_path)).config, config.load(str(tmp_path / "again")).config
    assert second.routing == first.routing
    assert second.probe == first.probe
    assert second[4:] == first[4:]  # hooks, mail, prometheus, snmp, router, policies
    assert [one._replace(explicit=frozenset()) for one in second.uplinks] == [
        one._replace(explicit=frozenset()) for one in first.uplinks
    ]


def test_every_key_that_may_be_set_is_shown_in_its_section(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "[uplinks]\n[[fiber]]\n[[[metrics]]]\nfull = 1\n")
    command.run(str(tmp_path), check=False, effective=True)
    shown, section = set(), ""
    for line in capsys.readouterr().out.splitlines():
        text = line.strip().removeprefix("# ")
        if text.startswith("["):
            section = "metrics" if text == "[[[metrics]]]" else "uplinks" if text.startswith("[[") else text.strip("[]")
        elif words := text.replace(":", " ").split():
            shown.add((section, words[0]))
    known = {("metrics" if path == METRICS else path[0], row.name) for path, rows in KEYS.items() for row in rows}
    assert known - shown == {("policies", row.name) for row in KEYS[POLICY]}


def test_every_value_in_force_says_where_it_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, FILE)
    put(tmp_path, "[uplinks]\n[[fiber]]\nweight = 4\n", "conf.d/a.conf")
    command.run(str(tmp_path), check=False, effective=True)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.split("\n")]
    directory = f"{tmp_path}/etc/mwan-hook"
    assert f"default_table = main # {directory}/mwan-hook.conf:3" in lines
    assert "first_table = 1001 # default" in lines
    assert f"weight = 4 # {directory}/conf.d/a.conf:3" in lines
    assert f"interval = 2.5 # {directory}/mwan-hook.conf:7" in lines
    assert f"fall = 9 # {directory}/mwan-hook.conf:43" in lines
    assert f"mark = 0x10/0xf0 # {directory}/mwan-hook.conf:32" in lines
    assert "# table: the next free one" in lines
    assert f"timeout = 9.5 # {directory}/mwan-hook.conf:10" in lines
    assert f'from = "Router #1 <r@example.org>" # {directory}/mwan-hook.conf:16' in lines
    assert "security = starttls # default" in lines
    assert "oid = .1.3.6.1.4.1.99999 # default" in lines


def test_values_of_a_network_file_are_shown_with_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "[probe]\ntimeout = 4\n[uplinks]\n[[here]]\nmatch = lo\n")
    path = tmp_path / "etc/systemd/network/10-lo.network"
    path.parent.mkdir(parents=True)
    monitor = "[ConnectivityMonitord]\nProbeURL=http://h/\nInterval=33\nTimeout=9\n"
    path.write_text(f"[Match]\nName=lo\n{monitor}[ConnectivityMetric]\nfull=5\n")
    command.run(str(tmp_path), check=False, effective=True)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.split("\n")]
    assert f"targets = http://h/ # {path}:4" in lines
    assert f"portal_targets = , # {path}:4" in lines
    assert f"interval = 33 # {path}:5" in lines
    assert f"timeout = 4 # {tmp_path}/etc/mwan-hook/mwan-hook.conf:2" in lines
    assert f"full = 5 # {path}:8" in lines


def test_a_check_says_which_files_are_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.run(str(tmp_path), check=True, effective=False) == 0
    assert capsys.readouterr().out == "no configuration file: zero configuration\n"
    put(tmp_path, FILE)
    command.run(str(tmp_path), check=True, effective=False)
    assert capsys.readouterr().out == f"{tmp_path}/etc/mwan-hook/mwan-hook.conf: good\n"


def test_keys_of_policies_say_where_they_came_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, POLICIES)
    command.run(str(tmp_path), check=False, effective=True)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.split("\n")]
    path = f"{tmp_path}/etc/mwan-hook/mwan-hook.conf"
    assert f"sticky = 600 # {path}:6" in lines
    assert "sticky = no # default" in lines
    assert f"dscp = 46, 10 # {path}:10" in lines


def test_a_check_says_that_nft_is_missing_where_something_needs_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mwan_hook.kernel.nft.program", lambda: "")
    put(tmp_path, POLICIES)
    assert command.run(str(tmp_path), check=True, effective=False) == 0
    assert "nft(8) is not installed (package nftables)" in capsys.readouterr().err
    put(tmp_path, POLICIES.partition("[[voice]]")[0].replace("sticky = yes", "sticky = no"))
    assert command.run(str(tmp_path), check=True, effective=False) == 0
    assert capsys.readouterr().err == ""


def test_warnings_go_to_stderr_and_are_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put(tmp_path, "[probe]\ntargets = http://h/=a#b\n")
    assert command.run(str(tmp_path), check=True, effective=False) == 0
    assert "'#b' is read as a comment" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("uplinks", "noted"),
    [("fiber, cable", True), ("fiber + cable", False), ("fiber, lte", False), ("lte@usb0, lte@usb1", True)],
)
def test_a_check_notes_what_shared_by_its_metric_alone_before_there_was_a_plus(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], uplinks: str, noted: bool
) -> None:
    each = "".join(f"[[{name}]]\nmatch = {name}*\nmetric = 100\n" for name in ("fiber", "cable"))
    put(tmp_path, f"[uplinks]\n{each}[[lte]]\nmatch = usb*\nmetric = 200\n[policies]\n[[web]]\nuplinks = {uplinks}\n")
    assert command.run(str(tmp_path), check=True, effective=False) == 0
    said = capsys.readouterr().err
    assert ("note: [policies] [[web]] uplinks: " in said) is noted
    assert (f"to share it: {uplinks.replace(',', ' +')}" in said) is noted


def test_a_bad_file_is_an_error_of_configuration(tmp_path: Path) -> None:
    put(tmp_path, "[probe]\nfall = 0\n")
    with pytest.raises(ConfigError) as caught:
        command.run(str(tmp_path), check=True, effective=False)
    assert caught.value.code == 2
