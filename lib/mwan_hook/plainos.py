"""What a run needs of ``os`` and ``stat``, by their C halves: the other ones bring abstract classes, dear for a run.

What is not here comes from :mod:`os` itself when it is asked for.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from os import *  # noqa: F403
    from stat import S_IMODE as S_IMODE  # noqa: PLC0414 - re-exports
    from stat import S_ISDIR as S_ISDIR  # noqa: PLC0414
    from stat import S_ISREG as S_ISREG  # noqa: PLC0414
else:
    from _stat import S_IMODE, S_ISDIR, S_ISLNK, S_ISREG  # noqa: F401
    from posix import *  # noqa: F403
    from posix import lstat, stat

    del environ  # that of `os` is text, and can be changed  # noqa: F821
    devnull = "/dev/null"

    class _Path:
        """What a run needs of ``os.path``."""

        @staticmethod
        def join(directory, name):
            """One path of both; ``name`` alone where that is absolute."""
            if name[:1] == "/" or not directory:
                return name
            return directory + name if directory[-1:] == "/" else f"{directory}/{name}"

        @staticmethod
        def split(path):
            """What is before the last slash, and what is after it."""
            head, slash, tail = path.rpartition("/")
            return head.rstrip("/") or head + slash, tail

        def dirname(self, path):
            """The first half of both."""
            return self.split(path)[0]

        def basename(self, path):
            """The second half."""
            return path.rpartition("/")[2]

        def exists(self, path):
            """Whether it is there, a link's target for a link."""
            return _mode(stat, path) != 0

        def isdir(self, path):
            """Whether it is a directory, or a link to one."""
            return S_ISDIR(_mode(stat, path))

        def islink(self, path):
            """Whether it is a symbolic link."""
            return S_ISLNK(_mode(lstat, path))

        @staticmethod
        def abspath(path):
            """The path itself where it is one from the root without dots."""
            if path[:1] == "/" and "/." not in path and "//" not in path and path[-1:] != "/":
                return path
            return __getattr__("path").abspath(path)

        @staticmethod
        def samestat(one, other):
            """Whether both are of one file."""
            return one.st_ino == other.st_ino and one.st_dev == other.st_dev

        def __getattr__(self, name):
            return getattr(__getattr__("path"), name)

    path = _Path()

    def _mode(ask, place):
        try:
            return ask(place).st_mode
        except (OSError, ValueError):
            return 0

    def __getattr__(name):
        import os

        return getattr(os, name)


def variable(name: str) -> str:
    """A variable of the environment; "" if it is not set."""
    import sys

    if "os" in sys.modules:
        import os

        return os.environ.get(name, "")
    from posix import environ as raw

    return raw.get(name.encode(), b"").decode("utf-8", "surrogateescape")
