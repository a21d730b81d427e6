"""Commands that look change nothing: no file below the root directory, however broken, and nothing in the kernel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Lab
from tests.lab.router import Router
from tests.netns.layout import layout

BROKEN = {
    "run/mwan-hook/state.json": "{torn",
    "run/mwan-hook/config.cache": "neither JSON nor ours",
    "var/lib/mwan-hook/allotment.json": '{"version": 99}',
    "var/lib/mwan-hook/usage.json": "[]",
    "var/lib/mwan-hook/mail.json": "\0\0",
    "var/lib/mwan-hook/history.jsonl": '{"torn": ',
}
CONFIGURATION = """
[probe]
timeout = 0.2
targets = icmp://192.0.2.77
portal_interval = 0
[mail]
to = root@example.org
smtp_host = 127.0.0.1
[router]
masquerade = yes
[uplinks]
[[dsl]]
match = dsl1
gateway = 192.0.2.1
quota = 10G
"""
LOOKS = (
    "status",
    "status --json",
    "plan",
    "plan --json",
    "config",
    "config --check",
    "config --effective",
    "history",
    "usage",
    "mail",
    "trace 192.0.2.9",
    "probe dsl",
    "track",
    "snmp -g .1.3.6.1.4.1.99999.1.0",
    "connectivity-state",
    "wait-online --timeout 0",
    "doctor",
)


@pytest.fixture(scope="module")
def router() -> Iterator[Router]:
    """A machine with one uplink on which no run was made yet."""
    with Lab() as lab:
        made = lab.router()
        made.ns.batch("link add dsl1 type veth peer name far", "link set far up", "link set dsl1 up")
        made.ns.ip("addr add 192.0.2.2/24 dev dsl1")
        made.configure(CONFIGURATION)
        yield made


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file and directory: identity, time of change, content."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(root))] = (stat.st_ino, stat.st_mtime_ns, content)
    return found


@pytest.mark.parametrize("broken", [False, True], ids=["absent", "broken"])
def test_a_command_that_looks_changes_nothing(router: Router, broken: bool) -> None:
    for path, text in BROKEN.items():
        router.write(path, text) if broken else (router.root / path).unlink(missing_ok=True)
    files, kernel = tree(router.root), layout(router.ns)
    for words in LOOKS:
        said = router.mwan(*words.split(), code=None).stderr
        assert tree(router.root) == files, words
        assert not words.startswith("status") or ("state.json cannot be used" in said) is broken
    assert layout(router.ns) == kernel


def test_a_run_sets_aside_what_cannot_be_used(router: Router) -> None:
    for path, text in BROKEN.items():
        router.write(path, text)
    router.mwan("check", code=None)
    for name in ("run/mwan-hook/state.json", "var/lib/mwan-hook/allotment.json", "var/lib/mwan-hook/usage.json"):
        assert (router.root / f"{name}.bad").read_text() == BROKEN[name]


def test_status_says_who_switched_an_uplink_and_the_last_word_counts(router: Router) -> None:
    def told() -> tuple[bool, str, str]:
        uplink = router.status()["uplinks"]["dsl"]
        return uplink["enabled"], uplink["enabled_by"], router.mwan("status", "-H").stdout.splitlines()[0]

    router.mwan("disable", "dsl", code=None)
    enabled, by, line = told()
    assert (enabled, by) == (False, "command")
    assert "disabled by `mwan-hook disable`" in line
    router.mwan("enable", "dsl", code=None)
    assert told()[:2] == (True, "configuration")
    router.configure(CONFIGURATION + "enabled = no\n")
    router.mwan("check", code=None)
    enabled, by, line = told()
    assert (enabled, by) == (False, "configuration")
    assert "`enabled = no` in the configuration" in line
    router.mwan("enable", "dsl", code=None)
    enabled, by, line = told()
    assert (enabled, by) == (True, "command")
    assert "enabled by `mwan-hook enable`" in line
    router.configure(CONFIGURATION)
    router.mwan("check", code=None)
    router.configure(CONFIGURATION + "enabled = no\n")
    assert told()[:2] == (False, "configuration"), "before any run"
    router.mwan("check", code=None)
    assert told()[:2] == (False, "configuration")


def test_a_machine_without_uplinks_hears_it_from_plan_and_from_each_check_but_the_journal_s(router: Router) -> None:
    router.configure("")
    words = "no uplinks: no interface has a default route in main"
    assert f"# {words}" in router.mwan("plan").stdout
    journal = {"JOURNAL_STREAM": "8:1234"}
    said = [words in router.mwan("check", env=env).stderr for env in (journal, journal, None, None)]
    assert said == [True, False, True, True]
