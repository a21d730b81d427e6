"""Who may import what: the folders of the program say what a module may do, and this holds it."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PROGRAM = PROJECT / "lib/mwan_hook"
MODULES = sorted(str(path.relative_to(PROGRAM)) for path in PROGRAM.rglob("*.py"))

# a package, and the only places that may import it
RESERVED = {
    "pyroute2": ("kernel/conntrack.py",),
    "requests": ("probes/http.py", "notify/webhook/send.py"),
    "configobj": ("config/read.py",),
    "validate": ("config/read.py",),
    "filelock": ("store/filelocked.py",),
    "jeepney": ("notify/bus/link.py",),
}
# what core/ may use: no input, no output, no clock
PURE = {"__future__", "collections", "enum", "fnmatch", "functools", "itertools", "math", "operator", "re"}
PURE_NAMES = {"_socket.AF_INET", "_socket.AF_INET6", "_socket.inet_ntop", "_socket.inet_pton"}


def imported(module: str) -> Iterator[str]:
    """Full names of all that a module imports when it runs, inside functions too."""
    package = ["mwan_hook", *Path(module).parts[:-1]]
    for node in _running(ast.parse((PROGRAM / module).read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            if origin in {"mwan_hook", "_socket"}:
                yield from (f"{origin}.{alias.name}" for alias in node.names)
            else:
                yield origin


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`, which no run sees."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


@pytest.mark.parametrize("module", MODULES)
def test_a_package_is_imported_only_where_it_belongs(module: str) -> None:
    for name in imported(module):
        places = RESERVED.get(name.partition(".")[0])
        assert places is None or module.startswith(places), f"{module} imports {name}"


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("core/")])
def test_core_imports_nouns_and_itself_only(module: str) -> None:
    ours = ("mwan_hook.model", "mwan_hook.light", "mwan_hook.core")
    for name in imported(module):
        if name.startswith("mwan_hook"):
            assert name.startswith(ours), f"{module} imports {name}"
        else:
            assert name.partition(".")[0] in PURE or name in PURE_NAMES, f"{module} imports {name}"


def test_the_nouns_import_nothing_of_ours_but_the_tuple() -> None:
    assert {name for name in imported("model.py") if name.startswith("mwan_hook")} <= {"mwan_hook.light"}


def test_modules_that_start_a_run_load_nothing_heavy() -> None:
    code = "import sys, mwan_hook.run.tick; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(PROGRAM.parent)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert heavy(done.stdout.split()) == set()


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
