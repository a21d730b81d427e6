"""argparse, whose own words stay English as ours are: it is imported from here alone.

It asks gettext for them while a parser is built.  Where the locale is another than C that imports ``locale``, looks for
catalogues (5 ms), and puts the words of one that is found amid ours.  So argparse gets functions that leave words as
they are; gettext itself, and the environment, which hooks inherit, stay what they were.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType


def _import_argparse() -> ModuleType:
    """Debian's would do without gettext, CPython's own would not."""
    known, stand_in = sys.modules.get("gettext"), type(sys)("gettext")
    vars(stand_in).update(
        gettext=lambda words: words, ngettext=lambda one, several, count: one if count == 1 else several
    )
    sys.modules["gettext"] = stand_in
    try:
        import argparse as found
    finally:
        del sys.modules["gettext"]
        if known:
            sys.modules["gettext"] = known
    return found


if TYPE_CHECKING:
    import argparse
else:
    argparse = _import_argparse()

__all__ = ["argparse"]
