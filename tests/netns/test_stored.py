"""With anything stored no run shows a traceback, none touches what is not ours, and the state is begun anew."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mwan_hook.model import Notice
from mwan_hook.store import codec, outbox
from tests.lab import Lab, Network, topologies
from tests.lab.router import PROJECT, with_mounts
from tests.netns.layout import layout, ours

CONFIG = """
[probe]
portal_interval = 0
timeout = 0.3
burst_interval = 0.05
hysteresis_delay = 0
targets = icmp://9.9.9.9
[uplinks]
[[fiber]]
match = eth1
metric = 100
[[[metrics]]]
full = 50
[[lte]]
match = eth2
metric = 200
"""
OTHERS = (
    "link add other type veth peer name end",
    "link set end up",
    "link set other up",
    "addr add 198.18.0.1/24 dev other",
    "addr add 2001:db8:99::1/64 dev other nodad",
    "route add 203.0.113.0/24 via 198.18.0.2 proto static",
    "route add default via 198.18.0.2 proto boot table 500",
    "route add blackhole 198.51.100.0/24 proto kernel table 500",
    "rule add from 198.18.0.0/24 lookup 500 priority 500 protocol boot",
)
OTHERS6 = (
    "-6 route add 2001:db8:77::/48 via 2001:db8:99::2 proto static",
    "-6 rule add from 2001:db8:99::/64 lookup 500 priority 500 protocol static",
)


@pytest.fixture
def net(lab: Lab) -> Network:
    """Two uplinks, one with a default that ours stands for, and routing of others."""
    made = topologies.probed(lab, 2)
    made.router.ns.batch(*OTHERS)
    for line in OTHERS6:
        made.router.ns.ip(line)
    made.router.configure(CONFIG)
    made.router.check()
    return made


def stored(net: Network) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(net.router.state_file.read_text())
    return found


def of_others(net: Network) -> set[str]:
    return set(layout(net.router.ns)) - set(ours(net.router.ns))


@pytest.mark.parametrize("number", [0, 2, 3, 4, 16, 256, 999])
def test_a_stored_protocol_number_of_others_deletes_nothing_of_theirs(net: Network, number: int) -> None:
    before = of_others(net)
    net.router.write_state(json.dumps(stored(net) | {"protocols": [number]}))
    done = net.router.mwan("check")
    assert f"({number} is no protocol number of ours); set aside as " in done.stderr
    assert before <= of_others(net)
    assert net.router.mwan("check").stderr == ""


@pytest.mark.parametrize("command", ["check", "flush"])
def test_a_stored_sysctl_of_others_is_not_written(net: Network, command: str) -> None:
    other = {"key": "net/ipv4/conf/other/forwarding", "value": "1"}
    net.router.ns.sysctl({"ipv4/conf/other/forwarding": 0})
    net.router.write_state(json.dumps(stored(net) | {"sysctls": [other]}))
    assert "set aside" in net.router.mwan(command).stderr
    assert net.router.ns.read_sysctl("ipv4/conf/other/forwarding") == "0"


def test_notify_ends_and_says_so_where_something_can_neither_be_removed_nor_moved(net: Network) -> None:
    spool = net.router.root / "run/mwan-hook/notify"
    outbox.hand_over(str(net.router.root), (Notice("00000000000000000001-0000", "online", "fiber", "eth1"),))
    (spool / "d").mkdir()
    done = net.router.mwan("notify", code=1, timeout=20, wrap=with_mounts(f'mount -t tmpfs none "{spool}/d"'))
    assert done.stderr.count("nor can it be removed: Device or resource busy") == 1
    assert os.listdir(spool) == ["d"]


def test_the_configuration_that_a_watcher_shows_is_that_of_now(net: Network) -> None:
    watching = net.router.start("status", "--watch", "-H")
    assert watching.stdout and watching.stderr
    try:
        assert watching.stdout.readline().startswith("fiber")
        net.router.configure(CONFIG.replace("[[lte]]", "[[mobile]]"))
        assert any(line.startswith("mobile") for line in islice(watching.stdout, 6))
        net.router.configure(CONFIG.replace("match = eth2", "match ="))
        assert "[uplinks] [[lte]] match" in watching.stderr.readline()
        net.router.configure(CONFIG)
        assert any(line.startswith("lte") for line in islice(watching.stdout, 8))
    finally:
        watching.kill()
        watching.communicate()


def test_who_waits_for_a_way_out_hears_of_a_configuration_that_was_mended(net: Network) -> None:
    net.router.configure("[uplinks]\n[[nowhere]]\nmatch = eth9\n")
    waiting = net.router.start("wait-online", "--timeout", "30")
    time.sleep(1)
    assert waiting.poll() is None
    net.router.configure("[uplinks]\n[[fiber]]\nmatch =\n")
    time.sleep(1)
    assert waiting.poll() is None
    net.router.configure(CONFIG)
    said, complained = waiting.communicate(timeout=20)
    assert (waiting.returncode, said) == (0, "fiber eth1 ipv4 online\n")
    assert len(complained.splitlines()) == 1


def test_names_that_the_output_has_no_letters_for_are_printed_all_the_same(net: Network) -> None:
    net.router.configure(CONFIG.replace("[[fiber]]", "[[fibr\u00e9]]"))
    for words in (["check", "--now"], ["status"], ["history"], ["plan"], ["connectivity-state"], ["config"]):
        done = net.router.mwan(*words, env={"PYTHONIOENCODING": "ascii"})
        assert done.stdout.isascii()
        assert words[0] in ("plan", "connectivity-state") or "fibr\\xe9" in done.stdout, words


# ---------------------------------------------------------------- anything

NOTICE = Notice("00000000000000000001-0000", "online", "fiber", "eth1")
COMMANDS = (["check"], ["check", "--now"], ["event"], ["status"], ["status", "--json"], ["plan"], ["flush"])
NUMBERS = (-1, 0, 1, 2, 4, 16, 253, 254, 255, 256, 999, 1 << 31, 1 << 32, (1 << 63) - 1, 1 << 63, -9e9, 9e9, 1e300)
TEXTS = ("", "..", "../../x", "a b", "a\0b", "all", "net/ipv4/conf/all/forwarding", "192.0.2.9", "fe80::1", "online")
VALUES = st.one_of(
    st.sampled_from((None, True, *NUMBERS, *TEXTS, [], [0], [2, 172], {}, {"other": 1})),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a document."""
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*path, key))


def changed(document: dict[str, Any], path: tuple[Any, ...], value: Any, how: str) -> None:
    """Put another value there, or under another name, or a second time; where there is nothing any more, do nothing."""
    try:
        holder: Any = document
        for key in path[:-1]:
            holder = holder[key]
        if how == "again" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[path[-1]]))
        elif how == "name" and isinstance(holder, dict) and isinstance(value, str):
            holder[value] = holder.pop(path[-1])
        elif how == "gone":
            del holder[path[-1]]
        else:
            holder[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


class Worker:
    """Commands on states, in the router's namespace."""

    def __init__(self, net: Network) -> None:
        words = net.router.ns.argv(net.router.python, "-m", "tests.netns.stored_worker", str(net.router.root))
        environment = {**os.environ, "PYTHONPATH": f"{PROJECT / 'lib'}:{PROJECT}"}
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=PROJECT
        )
        net.router.register(self.process.pid)

    def run(self, content: str, words: list[str]) -> dict[str, Any]:
        """What came of it."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({"content": content, "words": words}) + "\n")
        self.process.stdin.flush()
        found: dict[str, Any] = json.loads(self.process.stdout.readline())
        return found


def files_of(root: Path) -> set[str]:
    """All but those that a run may make."""
    made = (root / "run/mwan-hook", root / "var/lib/mwan-hook/history.jsonl.1", root / "said")
    return {str(path) for path in root.parent.rglob("*") if not any(path.is_relative_to(one) for one in made)}


def test_no_stored_value_crashes_a_run_or_leads_it_to_what_is_not_ours(net: Network) -> None:
    state = stored(net) | {"outbox": [codec.plain(NOTICE)]}
    assert {"protocols", "tables", "sysctls", "foreign", "uplinks"} <= set(state)
    worker, root = Worker(net), net.router.root
    first = worker.run(json.dumps(state), ["check"])
    assert (first["code"], first["said"]) == (0, "fiber:  ->  ()\n")  # the notice, into the history
    before, known = of_others(net), files_of(root)
    hows = st.sampled_from(["value"] * 4 + ["again", "name", "gone"])
    mutation = st.tuples(st.sampled_from(list(places(state))), VALUES, hows)

    @settings(max_examples=30, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.lists(mutation, min_size=1, max_size=3), st.sampled_from(COMMANDS))
    def one(mutations: list[tuple[tuple[Any, ...], Any, str]], words: list[str]) -> None:
        document = copy.deepcopy(state)
        for path, value, how in mutations:
            changed(document, path, value, how)
        done = worker.run(json.dumps(document), words)
        assert "Traceback" not in done["said"]
        assert done["code"] in (0, 1), done["said"]
        assert before <= of_others(net), done["said"]
        assert done["sysctls"] == first["sysctls"]
        assert files_of(root) <= known, done["said"]

    one()
