"""NixOS: nix/ is evaluated and built by nix itself, in a store of its own, with a stand-in for nixpkgs (tests/nix).

The stand-in merges modules as NixOS' manual says and builds with this machine's shell and Python; what only NixOS does
(its own unit files, activation) is laid out by tests/nix/system.nix.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterable
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
from configobj import ConfigObj

from mwan_hook import config
from mwan_hook.doctor.checks import units as doctorunits
from mwan_hook.doctor.checks.units import UNITS
from mwan_hook.machine import names, units
from mwan_hook.machine.unitfile import parse_file
from mwan_hook.machine.values import STATES
from mwan_hook.model import Config, Family
from mwan_hook.notify import hooks
from mwan_hook.notify.bus import files as busfiles

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = PROJECT / "docs/examples/nixos/configuration.nix"
SYSTEMD = PROJECT / "systemd"
KINDS = {"service": "services", "timer": "timers", "path": "paths", "socket": "sockets"}
MADE_BY_NIXOS = {"mwan-hook-user.service"}  # the services' user
ENABLED = "services.mwan-hook.enable = true;"
NETWORKD = "systemd.network.enable = true;"


class Nix:
    """nix with a store below a directory, which needs neither root nor a daemon."""

    def __init__(self, top: Path) -> None:
        (top / "nix.conf").write_text("build-users-group =\nsandbox = false\nsubstituters =\nfilter-syscalls = false\n")
        places = {"NIX_STORE_DIR": "store", "NIX_STATE_DIR": "state", "NIX_LOG_DIR": "log", "HOME": "home"}
        self.environment = {**os.environ, "NIX_CONF_DIR": str(top), "NIX_REMOTE": ""}
        self.environment |= {key: str(top / name) for key, name in places.items()}

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """One of nix's programs; fails unless it exits with `code`."""
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert (done.returncode != 0) == (code != 0), done.stdout + done.stderr
        return done

    def value(self, expression: str) -> Any:
        """What an expression is."""
        return json.loads(self.run("nix-instantiate", "--eval", "--strict", "--json", "--expr", expression).stdout)

    def refused(self, expression: str) -> str:
        """What is said against an expression."""
        return self.run("nix-instantiate", "--eval", "--strict", "--json", "--expr", expression, code=1).stderr

    def built(self, expression: str, code: int = 0) -> tuple[Path, str]:
        """Where something was built, and what was said."""
        done = self.run("nix-build", "--no-out-link", "--expr", expression, code=code)
        return Path(done.stdout.strip()), done.stderr


def system(configuration: str) -> str:
    """The expression for a system with a configuration."""
    return f"(import {PROJECT}/tests/nix/system.nix {{ configuration = {configuration}; }})"


def lines(configuration: str) -> str:
    """The same for one that is only evaluated: what NixOS is given."""
    return system(f"{{ {ENABLED} {configuration} }}") + ".config"


@pytest.fixture(scope="module")
def nix(tmp_path_factory: pytest.TempPathFactory) -> Nix:
    return Nix(tmp_path_factory.mktemp("nix"))


@pytest.fixture(scope="module")
def example(nix: Nix) -> Any:
    """The example's values."""
    wanted = ("systemd.services", "systemd.timers", "systemd.paths", "systemd.sockets", "users", "networking.firewall")
    named = " ".join(f'"{one}" = it.{one};' for one in (*wanted, "systemd.network.wait-online"))
    return nix.value(f"let it = {system(str(EXAMPLE))}.config; in {{ {named} }}")


@pytest.fixture(scope="module")
def root(nix: Nix) -> Path:
    """The example's tree."""
    return nix.built(system(str(EXAMPLE)) + ".system")[0]


# ---------------------------------------------------------------- settings


def text(nix: Nix, settings: str) -> list[str]:
    """Lines of the file that settings become."""
    return str(nix.value(f"(import {PROJECT}/nix/settings.nix).text {settings}")).splitlines()


def test_keys_come_before_sections_and_a_list_of_sections_keeps_its_order(nix: Nix) -> None:
    settings = """{
      uplinks.b = { metrics.full = 5; weight = 3; gateway = null; };
      uplinks.a = { };
      policies = [ { name = "z"; iif = [ "br0" "lo" ]; } { name = "a"; to = "10.0.0.0/8"; } ];
    }"""
    assert [line.strip() for line in text(nix, settings)] == [
        *("[policies]", "[[z]]", "iif = br0, lo", "[[a]]", "to = 10.0.0.0/8"),
        *("[uplinks]", "[[a]]", "[[b]]", "weight = 3", "[[[metrics]]]", "full = 5"),
    ]


def test_values_are_read_again_as_they_were_meant(nix: Nix) -> None:
    odd = ["a, b", "a # b", " a ", "it's", 'say "x"', "[x]", "a=b=c", "http://h/p?q=1&r=%20", "", "@", "é", "$HOME"]
    given = json.dumps(json.dumps({"x": {"one": {f"k{number}": word for number, word in enumerate(odd)}, "all": odd}}))
    found = ConfigObj(text(nix, f"(builtins.fromJSON {given})"), interpolation=False)
    assert found["x"]["one"] == {f"k{number}": word for number, word in enumerate(odd)}
    assert found["x"]["all"] == odd


def test_numbers_and_booleans_are_spelled_as_the_files_do(nix: Nix) -> None:
    assert text(nix, "{ a = true; b = false; c = 7; d = 0.5; e = 1.0; f = [ 80 443 ]; }") == [
        *("a = yes", "b = no", "c = 7", "d = 0.5", "e = 1"),
        "f = 80, 443",
    ]


@pytest.mark.parametrize(
    ("value", "why"),
    [('"a\\nb"', "line breaks"), ('"\'\\""', "not both"), ("(x: x)", "a string,"), ("[ [ 1 ] ]", "a string,")],
)
def test_what_the_file_cannot_hold_is_refused(nix: Nix, value: str, why: str) -> None:
    assert why in nix.refused(f"(import {PROJECT}/nix/settings.nix).text {{ routing.x = {value}; }}")


def test_the_examples_settings_are_a_configuration_and_say_what_they_seem_to(root: Path) -> None:
    found = config.look(str(root))
    assert found.warnings == ()
    settings: Config = found.config
    fiber, lte = settings.uplinks
    assert (fiber.literal, fiber.table, fiber.weight, lte.metric, lte.weight) == ("enp1s0", 2000, 4, 100, 1)
    assert {match.kind for match in lte.match} == {"driver"}
    assert [policy.name for policy in settings.policies] == ["voip", "mail", "guests"]
    assert (settings.router.pin, settings.router.masquerade) == (True, (Family.IPV4,))
    assert not settings.routing.write_etc, "NixOS makes /etc"


def test_the_page_shows_the_example_and_what_becomes_of_it(root: Path) -> None:
    page = (PROJECT / "docs/nixos.md").read_text()
    blocks = dict(re.findall(r"```(nix|ini)\n(.*?)```", page, re.DOTALL))
    assert blocks["nix"] == EXAMPLE.read_text()
    assert blocks["ini"] == (root / "etc/mwan-hook/mwan-hook.conf").read_text()


# ---------------------------------------------------------------- the module


def test_nixos_enables_what_the_units_say_of_themselves(example: Any) -> None:
    for suffix, kind in KINDS.items():
        wanted = {
            path.stem: [
                word for entry in parse_file(str(path))[0] if entry.key == "WantedBy" for word in entry.value.split()
            ]
            for path in SYSTEMD.glob(f"mwan-hook-*.{suffix}")
            if path.name not in MADE_BY_NIXOS
        }
        found = {name: one["wantedBy"] for name, one in example[f"systemd.{kind}"].items() if "wantedBy" in one}
        assert found == wanted


def test_services_find_nft_and_a_change_of_its_files_restarts_networkd(example: Any) -> None:
    services = example["systemd.services"]
    networkds = {"systemd-networkd", "systemd-networkd-wait-online"}
    assert {name for name, one in services.items() if one.get("path") != ["/usr"]} == networkds
    assert [Path(one).name.split("-", 1)[1] for one in services["systemd-networkd"]["restartTriggers"]] == [
        path.name for path in sorted(SYSTEMD.glob("networkd*.conf.d/*.conf"), key=lambda path: path.name)
    ]


def test_the_user_is_that_of_the_sysusers_file(example: Any) -> None:
    rows = [line.split() for line in (SYSTEMD / "sysusers.d/mwan-hook.conf").read_text().splitlines() if line[0] != "#"]
    [user] = [row for row in rows if row[0] == "u"]
    found = example["users"]["users"][user[1]]
    assert (found["home"], found["isSystemUser"], found["group"]) == (user[4], True, user[1])
    assert found["extraGroups"] == [row[2] for row in rows if row[0] == "m"]
    assert example["users"]["groups"] == {user[1]: {}}


def test_replies_by_another_uplink_pass_the_firewall(example: Any) -> None:
    assert example["networking.firewall"]["checkReversePath"] == "loose"


def test_the_boot_waits_for_an_uplink_as_it_does_elsewhere(nix: Nix, example: Any) -> None:
    generator = (SYSTEMD / "system-generators/mwan-hook-wait-online").read_text()
    [elsewhere] = re.findall(r"^ExecStart=-/usr/(sbin/mwan-hook .*)", generator, re.MULTILINE)
    assert example["systemd.network.wait-online"]["anyInterface"]
    unit = example["systemd.services"]["systemd-networkd-wait-online"]
    [[command]] = unit["serviceConfig"].values()
    assert (command[0], command.partition("-mwan-hook-")[2].partition("/")[2]) == ("-", elsewhere)
    unwanted = lines(f"{NETWORKD} systemd.network.wait-online.enable = false;")
    assert "systemd-networkd-wait-online" not in nix.value(f"builtins.attrNames {unwanted}.systemd.services")


OLD = 'systemd.package = { type = "derivation"; outPath = "/x"; version = "255.1"; };'


@pytest.mark.parametrize(
    ("configuration", "wanted"),
    [
        ("", set()),
        (NETWORKD, {"50-mwan-hook.conf", "51-mwan-hook-nexthops.conf", "89-mwan-hook-usb.network"}),
        (NETWORKD + OLD, {"50-mwan-hook.conf", "89-mwan-hook-usb.network"}),
        (NETWORKD + OLD + "services.mwan-hook.usbNetwork = false;", {"50-mwan-hook.conf"}),
    ],
)
def test_networkd_gets_files_where_it_runs_and_knows_their_keys(nix: Nix, configuration: str, wanted: set[str]) -> None:
    places = nix.value(f"builtins.attrNames {lines(configuration)}.environment.etc")
    assert {place.rpartition("/")[2] for place in places if place.startswith("systemd/")} == wanted


@pytest.mark.parametrize(
    ("settings", "tables", "protocol"),
    [
        ("{ }", "1000\tmwan\n", 172),
        ('{ routing.default_table = "main"; routing.protocol = 99; }', "", 99),
        ("{ uplinks.b.table = 7; uplinks.a.table = 2000; uplinks.c = { }; }", "1000\tmwan\n2000\ta\n7\tb\n", 172),
        ('{ routing.default_table = 5; uplinks = [ { name = "x"; table = 6; } ]; }', "5\tmwan\n6\tx\n", 172),
    ],
)
def test_names_for_ip_are_those_of_the_settings(nix: Nix, settings: str, tables: str, protocol: int) -> None:
    etc = f"{lines(f'services.mwan-hook.settings = {settings};')}.environment.etc"
    places = [path.removeprefix("etc/") for path in (names.TABLES, names.PROTOCOLS)]
    found = nix.value(f"let it = {etc}; in map (place: it.${{place}}.text) {json.dumps(places).replace(',', ' ')}")
    assert found == [tables, f"{protocol}\tmwan\n"]


def test_what_is_not_enabled_changes_nothing(nix: Nix) -> None:
    off = system("{ services.mwan-hook.settings.uplinks.fiber.metric = 1; }") + ".config"
    found = nix.value(f"let it = {off}; in [ it.environment it.systemd.services it.systemd.packages it.users ]")
    assert found == [{"etc": {}, "systemPackages": []}, {}, [], {"groups": {}, "users": {}}]


@pytest.mark.parametrize(
    ("configuration", "why"),
    [
        ("services.mwan-hook.colour = 3;", "no option config.services.mwan-hook.colour"),
        ("services.mwan-hook.hooks.online.x = 3;", "config.services.mwan-hook.hooks is no set of set of path"),
    ],
)
def test_the_module_refuses_what_is_no_option_or_of_another_kind(nix: Nix, configuration: str, why: str) -> None:
    assert why in nix.refused(f"{lines(configuration)}.services.mwan-hook.hooks")


def test_the_operators_word_wins(nix: Nix) -> None:
    settings = "services.mwan-hook.settings.routing.write_etc = true;"
    assert nix.value(f"{lines(settings)}.services.mwan-hook.settings") == {"routing": {"write_etc": True}}


# ---------------------------------------------------------------- what is built


def store(root: Path) -> Path:
    """The package that the tree is made of."""
    return (root / "run/current-system/sw/bin/mwan-hook").resolve().parents[1]


def unit_files(top: Path) -> dict[str, str]:
    """Units and drop-ins of ours by their place."""
    made = {path for path in top.glob("mwan-hook-*") if path.is_file()} | set(top.glob("mwan-hook-*.d/*.conf"))
    return {str(path.relative_to(top)): path.read_text() for path in made if path.name != "overrides.conf"}


def test_units_are_the_projects_own_but_for_where_programs_are(root: Path) -> None:
    package = store(root)
    found = {
        place: text.replace(f"{package}/sbin/", "/usr/sbin/").replace(f"{package}/lib/", "/usr/lib/")
        for place, text in unit_files(root / "etc/systemd/system").items()
    }
    wanted = {
        place: re.sub(r"^(Exec\w+=\+?)/bin/sleep", r"\1/usr/bin/sleep", text, flags=re.MULTILINE)
        for place, text in unit_files(SYSTEMD).items()
        if place not in MADE_BY_NIXOS
    }
    assert found == wanted


def programs(entries: Iterable[Path]) -> set[str]:
    """What units start."""
    found = [entry for path in entries for entry in parse_file(str(path))[0] if entry.key.startswith("Exec")]
    return {entry.value.lstrip("-+!:@").split()[0] for entry in found if entry.value}


def test_every_program_that_a_unit_or_a_rule_starts_is_there(root: Path) -> None:
    started = programs((root / "etc/systemd/system").glob("mwan-hook-*.service"))
    rules = (root / "etc/udev/rules.d/90-mwan-hook.rules").read_text()
    started |= set(re.findall(r'RUN\+="([^"]*)"', rules))
    started |= {
        word for path in (root / "scripts").glob("*.d/*") for word in re.findall(r"exec (\S+)", path.read_text())
    }
    assert {path for path in started if not os.access(path, os.X_OK)} == set()
    package = str(store(root))
    assert {path for path in started if not path.startswith(package)} == {"/usr/bin/sleep"}


def test_doctor_finds_an_installation_of_nixos_whole(root: Path) -> None:
    found = units.installed(str(root), frozenset(UNITS), tuple(UNITS))
    assert found.spooler == f"{store(root)}/lib/mwan-hook/spool-event"
    assert list(doctorunits.check(found._replace(networkd=False))) == []
    assert busfiles.installed(str(root))


def test_scripts_of_udev_and_the_dispatcher_drop_an_event(root: Path, tmp_path: Path) -> None:
    assert {path.parent.name.removesuffix(".d") for path in (root / "scripts").glob("*.d/*")} <= set(STATES)
    for script in (store(root) / "lib/mwan-hook/spool-event", root / "scripts/routable.d/50-mwan-hook"):
        environment = {"MWAN_HOOK_ROOT": str(tmp_path), "STATE": "routable", "IFACE": "eth7"}
        subprocess.run([script], env=environment, check=True)
    dropped = [path.read_text() for path in (tmp_path / "run/mwan-hook/events").iterdir()]
    assert dropped == ["routable eth7\n"] * 2


def test_the_program_runs_and_has_no_need_to_compile_or_look_at_times(root: Path) -> None:
    package = store(root)
    done = subprocess.run(
        [root / "run/current-system/sw/bin/mwan-hook", "--root", root, "config", "--check"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "mwan-hook.conf: good" in done.stdout
    sources, compiled = (set((package / "lib/mwan-hook").rglob(f"*.{ending}")) for ending in ("py", "pyc"))
    assert {path.parents[1] / f"{path.name.partition('.')[0]}.py" for path in compiled} == sources
    assert {path.read_bytes()[4:8] for path in compiled} == {b"\1\0\0\0"}, "hashes that are not checked"


def test_hooks_are_found_and_those_of_the_package_stand_beside_the_program(root: Path) -> None:
    link = root / "etc/mwan-hook/offline.d/log"
    assert link.resolve().read_text().endswith('echo "$UPLINK is offline in $FAMILY: $REASON"\n')
    assert [one.name for one in hooks.found(str(root), "offline")] == ["log"]
    assert (store(root) / "lib/mwan-hook/offline.d/50-resolved").exists()


def test_a_mistake_in_the_settings_ends_the_build_and_names_the_key(nix: Nix) -> None:
    wrong = f'{{ {ENABLED} services.mwan-hook.settings.uplinks.fiber.metrik = "100"; }}'
    said = nix.built(f"{system(wrong)}.system", code=1)[1]
    shown = re.search(
        r"^mwan-hook: root/.* metrik: unknown key.*$", (PROJECT / "docs/nixos.md").read_text(), re.MULTILINE
    )
    assert shown and shown[0] in said
    unchecked = f"{{ {ENABLED} services.mwan-hook.checkSettings = false; services.mwan-hook.settings.a.b = 1; }}"
    file = f'{system(unchecked)}.config.environment.etc."mwan-hook/mwan-hook.conf".source'
    assert nix.built(file)[0].read_text().endswith("[a]\nb = 1\n[routing]\nwrite_etc = no\n")


def test_the_package_has_the_modules_that_the_program_needs() -> None:
    setup = ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    wanted = {line.split()[0] for line in setup["options"]["install_requires"].split("\n") if line}
    assert set(re.findall(r"packages\.(\w+)", (PROJECT / "nix/package.nix").read_text())) == wanted
