"""mwan-hook: multi-WAN for systemd-networkd machines, without a daemon.

A run imports up to ninety modules.  Python's own finder looks for each in a listing of its directory, by five endings,
and its loader works out twice where the bytecode is, asks for the source once more and reads through three layers;
here the name says where both are, which saves one in ten of a run's instructions.  What is not there, or is not as it
should be, is left to Python's own (tests/unit/test_finder.py); so is all where that has no such parts any more.
"""

import sys
from posix import O_CLOEXEC, O_RDONLY, close, open, read, stat

try:
    from _frozen_importlib import ModuleSpec
    from _frozen_importlib_external import (  # type: ignore[attr-defined]
        MAGIC_NUMBER,
        SourceFileLoader,
        _compile_bytecode,
        cache_from_source,
    )

    KNOWN = sys.implementation.cache_tag is not None  # else there is no bytecode
except ImportError:
    SourceFileLoader, KNOWN = object, False  # type: ignore[misc,assignment]

__version__ = "0.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from posix import stat_result
    from types import CodeType, ModuleType

AT_ONCE = 1 << 16  # bytes that are read: no module's bytecode has half of it
HEADER = 16  # bytes of it before the code


class Loader(SourceFileLoader):
    """Load a module from its bytecode, if that is of the source that the finder has seen."""

    broken = False  # the bytecode is not there, or is none

    def __init__(self, name: str, file: str, bytecode: str, source: "stat_result") -> None:
        super().__init__(name, file)
        self.bytecode, self.source = bytecode, source

    def create_module(self, spec: "ModuleSpec") -> "ModuleType":
        """Make it with what Python's own would add, after an exception for each that is missing."""
        module = type(sys)(spec.name)
        module.__file__ = self.path
        module.__cached__ = self.bytecode  # type: ignore[attr-defined]
        return module

    def get_code(self, fullname: str) -> "CodeType | None":
        """See importlib.abc.InspectLoader.

        Bytecode that was torn, by a power cut say, is made anew; Python's own would raise, and so would every run.
        """
        try:
            content = _read(self.bytecode)
            if content.startswith(_header(self.source)) and len(content) < AT_ONCE:
                code: CodeType = _compile_bytecode(memoryview(content)[HEADER:], fullname, self.bytecode, self.path)
                return code
            return super().get_code(fullname)
        except Exception:  # noqa: BLE001 - of many kinds; if the source is to blame, that is raised below
            self.broken = True
        return super().get_code(fullname)

    def get_data(self, path: str) -> bytes:
        """See importlib.abc.ResourceLoader."""
        if self.broken and path == self.bytecode:
            raise OSError(path)
        return super().get_data(path)


def _read(path: str) -> bytes:
    descriptor = open(path, O_RDONLY | O_CLOEXEC)
    try:
        return read(descriptor, AT_ONCE)
    finally:
        close(descriptor)


def _header(source: "stat_result") -> bytes:
    """What bytecode of this source begins with; four zero bytes say that its time and size are what tells."""
    time, size = int(source.st_mtime) & 0xFFFFFFFF, source.st_size & 0xFFFFFFFF
    return MAGIC_NUMBER + (time << 32 | size << 64).to_bytes(12, "little")


class Finder:
    """Where the modules of this package are."""

    around: "dict[str, list[str]]" = {}  # what the path of bytecode has before and after a module's name, by directory

    @classmethod
    def find_spec(
        cls, name: str, path: "Sequence[str] | None" = None, target: "ModuleType | None" = None
    ) -> "ModuleSpec | None":
        """See importlib.abc.MetaPathFinder."""
        if not path or not name.startswith("mwan_hook."):
            return None
        last = name.rpartition(".")[2]
        place = f"{path[0]}/{last}"
        for directory, stem, inside in ((path[0], last, None), (place, "__init__", [place])):
            file = f"{directory}/{stem}.py"
            try:
                source = stat(file)
            except OSError:
                continue
            bytecode = cls.bytecode(directory, stem)
            spec = ModuleSpec(name, Loader(name, file, bytecode, source), origin=file)
            spec.submodule_search_locations, spec.cached, spec.has_location = inside, bytecode, True
            return spec
        return None

    @classmethod
    def bytecode(cls, directory: str, stem: str) -> str:
        """Where Python keeps what it has made of a file."""
        if directory not in cls.around:
            cls.around[directory] = cache_from_source(f"{directory}/*.py").rsplit("*", 1)
        before, after = cls.around[directory]
        return f"{before}{stem}{after}"


if KNOWN:
    sys.meta_path.insert(0, Finder)
