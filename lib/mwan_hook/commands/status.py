"""``mwan-hook status``: how the uplinks stand, for people and for programs.  Needs no root and no lock."""

from __future__ import annotations

import gc
import sys
import time

from mwan_hook.commands import screen
from mwan_hook.commands.looking import Look, Looker, without_configuration
from mwan_hook.commands.status_json import document
from mwan_hook.commands.status_table import View, picture
from mwan_hook.say import complain

REFRESH = 2.0  # seconds between two pictures of --watch


def run(root: str, as_json: bool, watch: bool, header: bool, numbers: bool) -> int:
    """Print it once, or again and again until interrupted; on a terminal that can, as a screen."""
    looker = Looker(root)
    if watch:
        gc.enable()  # which a short run does without
    if watch and header and not as_json and screen.is_interactive():
        from mwan_hook.commands import watch as watching

        return watching.run(root, looker)
    room = screen.width() if header else screen.terminal_width()  # without a header a program reads: a line an uplink
    return _printed(looker, as_json, watch, View(room, header, numbers))


def _printed(looker: Looker, as_json: bool, watch: bool, view: View) -> int:
    """Pictures below each other; a terminal is cleared before each."""
    clear = watch and not as_json and screen.is_terminal()
    while True:
        found = looker.look()
        if clear:
            screen.clear()
        _print(found, as_json, view)
        if sys.stdout:
            sys.stdout.flush()
        if not watch:
            break
        complain(found.mistakes)  # a picture of what is not in force any more says so
        time.sleep(REFRESH)
    told = found.seen.bound.told if found.known and (found.seen.uplinks or as_json or not view.header) else ()
    complain((*told, *found.notes))  # else the table says it
    return 0


def _print(found: Look, as_json: bool, view: View) -> None:
    if as_json:
        whole = document(found.judged)
        known = whole if found.known else without_configuration(whole)
        screen.document(known)
    else:
        screen.put(picture(found.judged, view._replace(known=found.known)))
