"""The package's own finder and loader: they find and load what Python's own would, and nothing else."""

from __future__ import annotations

import importlib
import marshal
import os
import pkgutil
import py_compile
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder, SourceFileLoader
from importlib.util import module_from_spec
from pathlib import Path
from types import ModuleType

import pytest

import mwan_hook
from mwan_hook import AT_ONCE, Finder, Loader

NAMES = [module.name for module in pkgutil.walk_packages(mwan_hook.__path__, "mwan_hook.")]


def test_it_is_asked_first() -> None:
    assert Finder in sys.meta_path[: sys.meta_path.index(PathFinder)]


def test_a_module_is_the_one_that_python_would_find() -> None:
    assert len(NAMES) > 400
    for name in NAMES:
        parent = importlib.import_module(name.rpartition(".")[0])
        mine, pythons = Finder.find_spec(name, list(parent.__path__)), PathFinder.find_spec(name, parent.__path__)
        assert mine is not None and pythons is not None, name
        assert (mine.origin, mine.cached, mine.submodule_search_locations) == (
            *(pythons.origin, pythons.cached, pythons.submodule_search_locations),
        )
        assert (type(mine.loader), type(pythons.loader)) == (Loader, SourceFileLoader)
        begun, expected = (vars(module_from_spec(spec)) for spec in (mine, pythons))
        assert {**begun, "__loader__": 0, "__spec__": 0} == {**expected, "__loader__": 0, "__spec__": 0}


@pytest.mark.parametrize("name", ["mwan_hook.frobnicate", "mwan_hook.run.frobnicate", "mwan_hook.say.frobnicate"])
def test_what_is_not_there_is_missed_in_pythons_words(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="frobnicate"):
        importlib.import_module(name)


@pytest.mark.parametrize(("name", "path"), [("json.tool", ["/usr"]), ("mwan_hook", None), ("mwan_hook.say", None)])
def test_other_names_are_left_to_python(name: str, path: list[str] | None) -> None:
    assert Finder.find_spec(name, path) is None


def loaded(directory: Path) -> ModuleType:
    """The module `thing` of a directory, by the package's own finder."""
    spec = Finder.find_spec("mwan_hook.thing", [str(directory)])
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def written(directory: Path, source: str) -> tuple[Path, Path]:
    """A source of always the same time, and where its bytecode belongs."""
    path = directory / "thing.py"
    path.write_text(source)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    spec = Finder.find_spec("mwan_hook.thing", [str(directory)])
    assert spec is not None and spec.cached is not None
    return path, Path(spec.cached)


def test_bytecode_of_the_source_is_taken_without_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, "SAID = 1\n")
    assert loaded(tmp_path).SAID == 1  # by Python's own, which leaves bytecode
    monkeypatch.setattr(SourceFileLoader, "get_data", None)
    assert loaded(tmp_path).SAID == 1


def test_a_source_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path, _ = written(tmp_path, "SAID = 1\n")
    loaded(tmp_path)
    written(tmp_path, "SAID = 22\n")
    assert loaded(tmp_path).SAID == 22, "another size"
    path.write_text("SAID = 33\n")
    assert loaded(tmp_path).SAID == 33, "another time"


@pytest.mark.parametrize("content", [b"", b"x", b"x" * 40], ids=["empty", "short", "of another Python"])
def test_bytecode_that_is_none_is_made_anew(tmp_path: Path, content: bytes) -> None:
    _, bytecode = written(tmp_path, "SAID = 1\n")
    loaded(tmp_path)
    right = bytecode.read_bytes()
    bytecode.write_bytes(content)
    assert loaded(tmp_path).SAID == 1
    assert bytecode.read_bytes() == right


TORN: dict[str, Callable[[bytes], bytes]] = {
    "header": lambda right: right[:16],
    "first byte": lambda right: right[:17],
    "half": lambda right: right[: len(right) // 2],
    "all but one": lambda right: right[:-1],
    "zeros": lambda right: right[:16] + bytes(len(right) - 16),
    "noise": lambda right: right[:16] + b"\xff" * 64,
    "another object": lambda right: right[:16] + marshal.dumps("SAID"),
}


@pytest.mark.parametrize("torn", TORN)
def test_bytecode_that_is_torn_behind_its_header_is_made_anew(tmp_path: Path, torn: str) -> None:
    """As a power cut leaves it.  Python's own would raise, at each start."""
    _, bytecode = written(tmp_path, "SAID = 1\n")
    loaded(tmp_path)
    right = bytecode.read_bytes()
    bytecode.write_bytes(TORN[torn](right))
    assert loaded(tmp_path).SAID == 1
    assert bytecode.read_bytes() == right


def test_torn_bytecode_that_cannot_be_replaced_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, bytecode = written(tmp_path, "SAID = 1\n")
    loaded(tmp_path)
    bytecode.write_bytes(torn := bytecode.read_bytes()[:-1])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert loaded(tmp_path).SAID == 1
    assert bytecode.read_bytes() == torn


def test_torn_bytecode_that_names_its_source_by_content_is_made_anew(tmp_path: Path) -> None:
    path, bytecode = written(tmp_path, "SAID = 1\n")
    py_compile.compile(str(path), str(bytecode), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    bytecode.write_bytes(bytecode.read_bytes()[:-1])
    assert loaded(tmp_path).SAID == 1


def test_a_mistake_in_a_source_is_said_in_pythons_words(tmp_path: Path) -> None:
    written(tmp_path, "SAID = \n")
    with pytest.raises(SyntaxError, match="invalid syntax"):
        loaded(tmp_path)
    written(tmp_path, "raise ValueError('mine')\n")
    with pytest.raises(ValueError, match="mine"):
        loaded(tmp_path)


def test_what_cannot_be_read_is_left_to_python(tmp_path: Path) -> None:
    _, bytecode = written(tmp_path, "SAID = 1\n")
    bytecode.mkdir(parents=True)
    assert loaded(tmp_path).SAID == 1


def test_bytecode_that_is_larger_than_what_is_read_at_once_is_left_to_python(tmp_path: Path) -> None:
    _, bytecode = written(tmp_path, f"SAID = {'x' * AT_ONCE!r}\n")
    assert loaded(tmp_path).SAID == loaded(tmp_path).SAID == "x" * AT_ONCE
    assert bytecode.stat().st_size > AT_ONCE


def test_bytecode_that_names_its_source_by_content_is_pythons_to_judge(tmp_path: Path) -> None:
    """As Nix and a build with SOURCE_DATE_EPOCH make it."""
    path, bytecode = written(tmp_path, "SAID = 1\n")
    mode = py_compile.PycInvalidationMode
    py_compile.compile(str(path), str(bytecode), invalidation_mode=mode.UNCHECKED_HASH)
    written(tmp_path, "SAID = 22\n")
    assert loaded(tmp_path).SAID == 1
    py_compile.compile(str(path), str(bytecode), invalidation_mode=mode.CHECKED_HASH)
    written(tmp_path, "SAID = 333\n")
    assert loaded(tmp_path).SAID == 333


def test_code_says_where_it_lies_now(tmp_path: Path) -> None:
    """As after an installation below another directory, with the bytecode that was made there."""
    _, bytecode = written(tmp_path, "def act():\n    pass\n")
    loaded(tmp_path)
    there = tmp_path / "there"
    there.mkdir()
    path, moved = written(there, "def act():\n    pass\n")
    moved.parent.mkdir(parents=True, exist_ok=True)
    moved.write_bytes(bytecode.read_bytes())
    assert loaded(there).act.__code__.co_filename == str(path)
