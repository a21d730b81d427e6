"""``mwan-hook status``: how the uplinks stand, for people and for programs.  Needs no root and no lock."""

from __future__ import annotations

import json
import sys
import time

from mwan_hook.commands import screen
from mwan_hook.commands.following import ReloadingConfig
from mwan_hook.commands.status_json import document
from mwan_hook.commands.status_table import View, picture
from mwan_hook.model import ConfigError
from mwan_hook.run import judge, look
from mwan_hook.say import complain, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.run.scene import Judged, Scene

CLEAR = "\x1b[H\x1b[2J"
REFRESH = 2.0  # seconds between two pictures of --watch


def run(root: str, as_json: bool, watch: bool, header: bool, numbers: bool) -> int:
    """Print it once, or again and again until interrupted."""
    try:
        configuration = ReloadingConfig(root)
    except ConfigError as error:
        return _stored(root, error, as_json, header, numbers)
    clear = watch and not as_json and screen.is_terminal()
    while True:
        seen = look.to_read(root, configuration.loaded)
        judged = judge.judge(seen)
        seen = judged.scene
        if clear:
            sys.stdout.write(CLEAR)
        _print(seen, judged, as_json, View(_room(header), header, numbers))
        if sys.stdout:
            sys.stdout.flush()
        if not watch:
            break
        complain(configuration.mistakes)  # a picture of what is not in force any more says so
        time.sleep(REFRESH)
        configuration.again()
    failed = (seen.state.firewall.failed,) if seen.state.firewall.failed else ()
    told = seen.bound.told if seen.uplinks or as_json or not header else ()  # else the table says it
    complain((*told, *seen.messages, *configuration.loaded.warnings, *seen.state.errors, *failed))
    return 0


def _stored(root: str, error: ConfigError, as_json: bool, header: bool, numbers: bool) -> int:
    """What the state says, for a user who may not read the configuration.  Raises ``error`` for others."""
    from mwan_hook.commands import from_state

    seen = look.to_read(root, from_state.loaded(root, error))
    judged = from_state.judged(seen)
    if as_json:
        say(json.dumps(from_state.without_configuration(document(seen, judged)), indent=1).split("\n"))
    else:
        _print(seen, judged, as_json, View(_room(header), header, numbers, known=False))
    complain((from_state.MISSING, *seen.messages, *seen.state.errors))
    return 0


def _print(seen: Scene, judged: Judged, as_json: bool, view: View) -> None:
    if as_json:
        say(json.dumps(document(seen, judged), indent=1).split("\n"))
    else:
        screen.put(picture(seen, judged, view))


def _room(header: bool) -> int | None:
    """Columns; without a header a program reads: it gets a line an uplink."""
    return screen.width() if header else screen.terminal_width()
