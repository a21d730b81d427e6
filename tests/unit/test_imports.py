"""Which room may import which: the table of docs/architecture.md as data, and what the program must obey besides."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from mwan_hook import model

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "lib/mwan_hook"
MODULES = {
    ".".join(path.relative_to(PROGRAM).with_suffix("").parts).removesuffix("__init__").rstrip("."): path
    for path in sorted(PROGRAM.rglob("*.py"))
}

GROUND = (
    *("model", "light", "plainjson", "plainos", "addresses", "columns", "credible", "dates", "durations"),
    *("markup", "phrases", "redact", "say", "wrapping"),
)
PURE = ("verdict", "quota", "routing", "others", "policy", "firewall", "dial", "repair", "connections")
ABOVE = ("cli", "__main__")
# Each room from the top down, and the rooms that it may import besides itself and the ground.
ROOMS: dict[str, tuple[str, ...]] = {
    "commands": (
        *(
            "doctor",
            "explain",
            "trace",
            "imports",
            "run",
            "notify",
            "probes",
            "modem",
            "kernel",
            "config",
            "machine",
            "store",
        ),
        *PURE,
    ),
    "doctor": ("trace", "run", "probes", "kernel", "config", "machine", "store", *PURE),
    "explain": ("trace", "run", "config", "store", *PURE),
    "trace": ("kernel", "policy", "routing"),
    "imports": ("config", "machine", "routing"),
    "run": ("notify", "probes", "kernel", "config", "machine", "store", *PURE),
    "notify": ("store", "verdict"),
    "probes": ("machine", "verdict"),
    "modem": ("kernel", "store", "dial"),
    "kernel": ("routing",),
    "config": ("machine", "store", "repair", "dial", "policy", "routing", "quota", "verdict"),
    "machine": ("store", "dial"),
    "store": ("quota", "repair"),
    "dial": ("verdict",),
    "repair": (),
    "connections": ("verdict",),
    "firewall": ("policy", "others", "routing", "verdict"),
    "policy": ("routing", "verdict"),
    "others": ("routing",),
    "routing": ("verdict",),
    "quota": (),
    "verdict": (),
}
PRINTING = ("commands", "run", "notify")
# Modules of other rooms that decide nothing outside either: no input, no output, no clock.
ALSO_PURE = (
    *("model", "addresses", "credible", "durations", "phrases", "redact"),
    *("config.build", "config.targets", "config.consistency"),
    "config.probechecks",
    *(
        "config.policychecks",
        *("machine.values", "machine.leasefiles"),
        "notify.exposition",
        "notify.metrics",
        "notify.oids",
        "notify.queueing",
        "notify.mail.book",
        "notify.mail.pacing",
        "notify.webhook.book",
    ),
    "kernel.question",
    *("explain.values", "explain.reasons", "explain.widereasons"),
    *("explain.carriage", "explain.earliest", "explain.offline"),
    *("explain.summary", "explain.standings", "explain.causes", "explain.histogram", "explain.outages"),
    *("trace.values", "trace.walk", "trace.match", "trace.table", "trace.compare", "trace.marks", "trace.words"),
    *("modem.values", "modem.decide", "modem.place"),
    *("doctor.finding", "doctor.fix", "doctor.known", "doctor.checks"),
)
STANDARD = {"__future__", "collections", "enum", "errno", "fnmatch", "functools", "itertools", "math", "operator", "re"}
# What reading a text of another program takes besides.
TEXTS = {"fractions", "importlib", "ipaddress", "typing", "xml", "yaml"}
STANDARD_NAMES = {"_socket.AF_INET", "_socket.AF_INET6", "_socket.inet_ntop", "_socket.inet_pton", "hashlib.blake2s"}
# A library, and the only modules that import it.
LIBRARIES = {
    "pyroute2": ("kernel.conntrack",),
    "requests": ("probes.http", "notify.webhook.send"),
    "dns": ("probes.dns", "probes.resolve"),
    "configobj": ("config.read",),
    "validate": ("config.read",),
    "filelock": ("store.filelocked",),
    "jeepney": ("notify.bus.link", "modem.bus"),
    "yaml": ("imports.yamltree",),
    "argparse": ("commands.english",),
}
# Where flock(2) is called; docs/decisions.md says why it is not filelock that does.
LOCKING = {"store.lock", "store.history", "run.quiet", "machine.detached"}
# Private modules of CPython, which cost less than the public ones that import them, and where they are named.
PRIVATE = {
    "_bisect": ("kernel.bulk",),
    "_collections": ("light",),
    "_frozen_importlib": ("",),
    "_frozen_importlib_external": ("",),
    "_json": ("plainjson",),
    "_stat": ("plainos",),
    "_struct": ("kernel", "run.alike", "probes"),
    "_signal": ("store.lock", "run.quiet"),
    "_socket": (
        *("kernel", "probes", *PURE, "trace", "doctor.checks", "addresses", "credible", "commands", "config"),
        *("run.quick_round", "run.listening", "machine.leasefiles"),
    ),
}


def room_of(module: str) -> str:
    room = module.partition(".")[0]
    return "ground" if room in ("", *GROUND) else "top" if module in ABOVE else room


def within(module: str, places: tuple[str, ...]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@cache
def imported(module: str) -> tuple[str, ...]:
    """Full names of all that a module imports when it runs, inside functions too."""
    path = MODULES[module]
    return tuple(dict.fromkeys(_imports(ast.parse(path.read_text()))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in _running(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports say the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`, which no run sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


def ours(module: str) -> list[str]:
    """Modules of the program that one imports when it runs, itself and the version left out."""
    found: dict[str, None] = {}
    for name in imported(module):
        if name.partition(".")[0] == "mwan_hook":
            inner = name.removeprefix("mwan_hook").lstrip(".")
            while inner not in MODULES:
                inner = inner.rpartition(".")[0]
            found[inner] = None
    return [name for name in found if name not in ("", module)]


def test_every_module_is_in_a_room_that_the_table_knows() -> None:
    known = {*ROOMS, "ground", "top"}
    assert {room_of(module) for module in MODULES} == known


def test_a_module_imports_only_what_its_room_may() -> None:
    for module in MODULES:
        room = room_of(module)
        allowed = (room, "ground", *ROOMS.get(room, ()))
        for name in ours(module) if room != "top" else ():
            assert room_of(name) in allowed, f"{module} imports {name}"


def test_arrows_go_down_the_table() -> None:
    order = list(ROOMS)
    for room, allowed in ROOMS.items():
        for one in allowed:
            assert order.index(one) > order.index(room), f"{room} is not above {one}"


def test_no_row_allows_what_its_room_does_not_use() -> None:
    used = {
        room: {room_of(name) for module in MODULES if room_of(module) == room for name in ours(module)}
        for room in ROOMS
    }
    rows = {room: {*allowed} - ({*PURE} if {*PURE} <= {*allowed} else set()) for room, allowed in ROOMS.items()}
    assert {room: row - used[room] for room, row in rows.items() if row - used[room]} == {}


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {module: set(ours(module)) for module in MODULES}
    while free := [module for module, needs in left.items() if not needs & left.keys()]:
        for module in free:
            del left[module]
    assert not left


def test_the_architecture_has_the_same_table() -> None:
    """Rows of rooms in docs/architecture.md: name, what it holds, what it may import."""
    text = (PROJECT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| `(\w+)/` \|.*\|([^|]*)\|$", text, re.MULTILINE)
    table = {room: tuple(re.findall(r"`(\w+)/`", words)) for room, words in rows}
    pure = ", ".join(f"`{room}/`" for room in PURE)
    assert f"Pure: {pure}" in text
    expected = {room: tuple(one for one in allowed if one not in PURE) for room, allowed in ROOMS.items()}
    whole = {room: set(PURE) <= {*allowed} for room, allowed in ROOMS.items()}
    for room, words in rows:
        if whole[room]:
            assert "all that is pure" in words, room
            assert table[room] == expected[room], room
        else:
            assert table[room] == ROOMS[room], room
    assert list(table) == list(ROOMS)


def test_a_rooms_row_names_its_modules() -> None:
    """By name, by how names begin (`values*`), or by folder; the story of a run stands in the drawing above."""
    text = (PROJECT / "docs/architecture.md").read_text()
    elsewhere = {"__init__", "doctor", "complete", "mss"}  # of other rooms, keys and options
    for room in [room for room in ROOMS if room != "commands"]:
        (row,) = re.findall(rf"^\| `{room}/` \|(.*)\|[^|]*\|$", text, re.MULTILINE)
        names = re.findall(r"`([\w/*]+)`", row)
        story = {*text.split("```")[1].split()} if room == "run" else set()
        known = {name.removesuffix("/") for name in names if not name.endswith("*")}
        begin = tuple(name.removesuffix("*") for name in names if name.endswith("*"))
        inside = [module.split(".")[1:] for module in MODULES if room_of(module) == room and "." in module]
        missing = [parts for parts in inside if not {*parts} & (known | story)]
        assert [parts for parts in missing if not (begin and parts[-1].startswith(begin))] == [], room
        assert known - {part for parts in inside for part in parts} - elsewhere == set(), room


def test_a_library_is_imported_only_where_it_belongs() -> None:
    for module, name in [(one, name) for one in MODULES for name in imported(one)]:
        top = name.partition(".")[0]
        if top in LIBRARIES:
            assert module in LIBRARIES[top], f"{module} imports {name}"
        elif top.startswith("_") and top != "__future__":
            assert within(module, PRIVATE[top]), f"{module} imports {name}"


def test_what_decides_is_pure() -> None:
    pure = (*GROUND, *PURE, *ALSO_PURE)
    deciding = [module for module in MODULES if within(module, (*PURE, *ALSO_PURE))]
    for module, name in [(one, name) for one in deciding for name in imported(one)]:
        if name.startswith("mwan_hook."):
            continue
        top = name.partition(".")[0]
        assert top in STANDARD or name in STANDARD_NAMES, f"{module} imports {name}"
    for module, name in [(one, name) for one in deciding for name in ours(one)]:
        assert name != "say" and (within(name, pure) or name in ("light",)), f"{module} imports {name}"


def test_an_import_reads_text_only() -> None:
    for module in (module for module in MODULES if within(module, ("imports",))):
        tops = {name.partition(".")[0] for name in imported(module)}
        assert tops <= {*STANDARD, *TEXTS, "mwan_hook"}, module
        assert not re.search(r"\bopen\(", MODULES[module].read_text()), module


def test_no_run_imports_what_reads_other_programs_files() -> None:
    assert {module for module in MODULES if any(within(name, ("imports",)) for name in ours(module))} <= {
        *("commands.import_", "commands.complete", *(module for module in MODULES if within(module, ("imports",))))
    }


def test_only_commands_that_explain_import_what_explains() -> None:
    explaining = {f"explain.{name}" for name in ("why", "reasons", "packets", "document")}
    importers = {module for module in MODULES if explaining & {*ours(module)} and room_of(module) != "explain"}
    assert importers == {"commands.why", "commands.watch"}


def test_below_a_run_nothing_prints_but_what_tells() -> None:
    silent = [module for module in MODULES if room_of(module) not in ("top", *PRINTING)]
    printing = {"mwan_hook.say.say", "mwan_hook.say.complain"}
    assert [module for module in silent if printing & {*imported(module)}] == []


def test_a_lock_is_filelocks_where_no_run_on_an_event_pays_for_it() -> None:
    callers = {module for module, path in MODULES.items() if "fcntl.flock(" in path.read_text()}
    assert callers == LOCKING
    makers = {module for module, path in MODULES.items() if re.search(r"\bFlock\(", path.read_text())}
    assert makers == {"store.lock", "store.filelocked", "run.prometheus", "machine.dialler"}


def test_the_nouns_import_nothing_of_ours_but_the_tuple() -> None:
    nouns = [module for module in MODULES if within(module, ("model",))]
    assert {name for module in nouns for name in ours(module) if name not in nouns} == {"light"}


def test_every_noun_is_found_and_those_that_few_runs_need_are_not_made_before() -> None:
    few = [f"model.{name}" for name in model.SELDOM]
    assert set(few) == {module for module in MODULES if within(module, ("model",))} - {"model", *ours("model")}
    for module, names in model.SELDOM.items():
        inside = ast.parse(MODULES[f"model.{module}"].read_text()).body
        made = [node.name for node in inside if isinstance(node, ast.ClassDef)]
        assert {*made} == {name for name in names if not name.isupper()}
        assert all(getattr(model, name) for name in names)
    assert not {f"mwan_hook.{module}" for module in few} & {*begun()}


def test_modules_that_start_a_run_load_nothing_heavy() -> None:
    assert heavy(begun()) == set()


@cache
def begun() -> list[str]:
    """What is imported once a run begins."""
    code = "import sys, mwan_hook.run.tick; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


HEAVY = {
    "argparse",
    "asyncio",
    "collections",
    "configobj",
    "contextlib",
    "dataclasses",
    "dns",
    "enum",
    "filelock",
    "functools",
    "ipaddress",
    "jeepney",
    "json",
    "logging",
    "os",
    "pathlib",
    "pyroute2",
    "re",
    "requests",
    "signal",
    "socket",
    "subprocess",
    "tempfile",
    "threading",
    "typing",
    "urllib",
}


def heavy(modules: list[str]) -> set[str]:
    """What of these a common run must not have."""
    return {name.partition(".")[0] for name in modules} & HEAVY
