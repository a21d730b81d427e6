"""Each way to start Python finds the package's modules, and so does a Python without what the own finder is made of."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import mwan_hook

USES = """
import sys, types
own = {module: sys.modules[module] for module in ("_frozen_importlib", "_frozen_importlib_external")}
for name, module in own.items():
    there = {key: value for key, value in vars(module).items() if key != LACKS}
    sys.modules[name] = types.SimpleNamespace(**there) if LACKS != "both" else None
tag = sys.implementation.cache_tag
sys.implementation.cache_tag = None if LACKS == "cache_tag" else tag
import mwan_hook
sys.modules.update(own)
import importlib, inspect, pickle, runpy, traceback
from importlib.resources import files
from mwan_hook.run import wish
from mwan_hook.model import Family
assert (mwan_hook.Finder in sys.meta_path) is (LACKS == "")
assert pickle.loads(pickle.dumps(Family.IPV4)) is Family.IPV4
assert "class Request" in inspect.getsource(wish) and importlib.reload(wish) is wish
assert "wish.py" in [one.name for one in files("mwan_hook.run").iterdir()]
assert (wish.__package__, mwan_hook.run.__package__) == ("mwan_hook.run", "mwan_hook.run")
assert wish.__spec__.parent == "mwan_hook.run" and wish.__spec__.loader is wish.__loader__
assert wish.__file__ in str(wish.__spec__) and mwan_hook.run.__path__ == [wish.__file__.rpartition("/")[0]]
try:
    wish.keys(None)
except AttributeError:
    assert "judged.scene" in traceback.format_exc()
runpy.run_module("mwan_hook", {}, "__main__")
"""
OPTIONS: dict[str, list[str]] = {
    "as it is": [],
    "with its bytecode": [],
    "-OO": ["-OO"],
    "-B": ["-B"],
    "-S": ["-S"],
    "content": ["--check-hash-based-pycs", "always"],
    "elsewhere": ["-X", "pycache_prefix={place}/kept"],
}
PARTS = [
    "_compile_bytecode",
    "MAGIC_NUMBER",
    "cache_from_source",
    "SourceFileLoader",
    "ModuleSpec",
    "both",
    "cache_tag",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the program, at first without bytecode."""
    copy = tmp_path_factory.mktemp("place")
    shutil.copytree(mwan_hook.__path__[0], copy / "mwan_hook", ignore=shutil.ignore_patterns("__pycache__"))
    yield copy


def ran(place: Path, options: list[str], code: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, *options, "-c", code, "--version"]
    env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(place)}
    return subprocess.run(argv, env=env, capture_output=True, text=True, check=False)


def used(place: Path, options: list[str], lacks: str) -> None:
    done = ran(place, options, f"LACKS = {lacks!r}{USES}")
    assert (done.returncode, done.stderr) == (0, "")
    assert mwan_hook.__version__ in done.stdout


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_the_program_starts_in_every_way(place: Path, options: list[str]) -> None:
    used(place, [one.format(place=place) for one in options], "")


@pytest.mark.parametrize("part", PARTS)
def test_the_program_starts_without_what_a_later_python_may_lack(place: Path, part: str) -> None:
    used(place, [], part)


def test_bytecode_is_where_python_wants_it(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "mwan_hook", tmp_path / "mwan_hook", ignore=shutil.ignore_patterns("__pycache__"))
    for options in (["-B"], [], ["-OO"], ["-X", f"pycache_prefix={tmp_path}/kept"]):
        assert ran(tmp_path, options, "import mwan_hook.light").returncode == 0
        kept = sorted(str(one.relative_to(tmp_path)) for one in tmp_path.rglob("light.*.pyc"))
        assert bool(kept) is (options != ["-B"])
    tag, inside = sys.implementation.cache_tag, f"mwan_hook/__pycache__/light.{sys.implementation.cache_tag}"
    assert kept == sorted([f"kept{tmp_path}/mwan_hook/light.{tag}.pyc", f"{inside}.opt-2.pyc", f"{inside}.pyc"])


def test_the_program_starts_from_an_archive(tmp_path: Path) -> None:
    archive = tmp_path / "program.zip"
    with zipfile.PyZipFile(str(archive), "w") as file:
        file.writepy(mwan_hook.__path__[0])
    done = ran(archive, [], "import mwan_hook.model.base as found; print(found.__file__)")
    assert done.stdout.startswith(f"{archive}/mwan_hook/model/base.py"), done.stderr
