"""The package's own finder: it finds what Python's own would, and nothing else."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.machinery import PathFinder

import pytest

import mwan_hook
from mwan_hook import Finder

NAMES = [module.name for module in pkgutil.walk_packages(mwan_hook.__path__, "mwan_hook.")]


def test_it_is_asked_first() -> None:
    assert Finder in sys.meta_path[: sys.meta_path.index(PathFinder)]


def test_a_module_is_the_one_that_python_would_find() -> None:
    assert len(NAMES) > 400
    for name in NAMES:
        parent = importlib.import_module(name.rpartition(".")[0])
        mine, pythons = Finder.find_spec(name, list(parent.__path__)), PathFinder.find_spec(name, parent.__path__)
        assert mine is not None and pythons is not None, name
        assert (mine.origin, mine.cached, mine.submodule_search_locations, type(mine.loader)) == (
            *(pythons.origin, pythons.cached, pythons.submodule_search_locations, type(pythons.loader)),
        )


@pytest.mark.parametrize("name", ["mwan_hook.frobnicate", "mwan_hook.run.frobnicate", "mwan_hook.say.frobnicate"])
def test_what_is_not_there_is_missed_in_pythons_words(name: str) -> None:
    with pytest.raises(ModuleNotFoundError, match="frobnicate"):
        importlib.import_module(name)


@pytest.mark.parametrize(("name", "path"), [("json.tool", ["/usr"]), ("mwan_hook", None), ("mwan_hook.say", None)])
def test_other_names_are_left_to_python(name: str, path: list[str] | None) -> None:
    assert Finder.find_spec(name, path) is None
