"""``mwan-hook replay``: the record judged again, with the same configuration or with another one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from mwan_hook.commands import screen
from mwan_hook.commands.asked import span
from mwan_hook.explain import changes, sidebyside
from mwan_hook.explain.changes import Option
from mwan_hook.explain.figures import Comparison
from mwan_hook.explain.frames import frames
from mwan_hook.explain.recorded import config_of
from mwan_hook.explain.replay import played
from mwan_hook.model import MwanError
from mwan_hook.say import say
from mwan_hook.store import files, recording


def run(root: str, since: str, until: str | None, options: Sequence[str], as_json: bool) -> int:
    """Play what is on record, and show both histories; 1 if the same configuration made another one.

    Raises MwanError.
    """
    now = time.time()
    begin, end = span(since, until, now)
    wanted = (
        changes.parsed(options, {name for one in recording.configs(root) for name in one.uplinks}) if options else ()
    )
    both, told = Comparison(), sidebyside.Told(exact=not wanted)
    for one in played(frames(root, begin, now if end is None else end), wanted, hurry=True):
        both.add(one)
        told.add(one)
    if not both.runs:
        raise MwanError(_nothing(root))
    notes = [*_notes(root, wanted)]
    texts = [option.text for option in wanted]
    if as_json:
        screen.document(sidebyside.document(both, told, texts, notes))
    else:
        say(sidebyside.lines(both, told, texts, notes))
    return 0 if wanted or told.same else 1


def _notes(root: str, wanted: Sequence[Option]) -> Iterator[str]:
    """What a reader should know of these options."""
    known = [config_of(one) for one in recording.configs(root)] if wanted else []
    for option in changes.idle(wanted, known):
        yield f"--with {option} changes nothing: it is what was recorded, or every uplink has a value of its own."
    for name in changes.unmeasured(wanted, known):
        yield f"{name}: its limits ask for samples of loss and jitter, and none were taken while it had no limit."


def _nothing(root: str) -> str:
    places = f"in {files.under(root, files.RECORD)} and below {files.under(root, files.LIB)}"
    return f"no run of that time is on record ({places}); `[record] keep` says whether runs are recorded, and how long"
