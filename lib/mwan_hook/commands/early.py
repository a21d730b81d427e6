"""``mwan-hook event --early``: the sources that uplinks translate, before the network is there."""

from __future__ import annotations

from mwan_hook import config
from mwan_hook.firewall import table
from mwan_hook.kernel import nft
from mwan_hook.kernel.lines import spelled
from mwan_hook.model import Change, Op, Ruleset
from mwan_hook.run import look
from mwan_hook.say import complain, say
from mwan_hook.store import lock


def run(root: str) -> int:
    """Make our nft table with its translations alone, unless it stands; the first run after it makes the whole of it.

    Uplinks that match one literal name are translated before they are there.  Raises MwanError.
    """
    loaded = config.look(root)  # the network waits: not for root to open files of it
    if not loaded.config.firewall:
        return 0
    with lock.look(root):
        seen = look.to_write(root, loaded)
        commands = table.translations(loaded.config, seen.uplinks, seen.snapshot)
        if not commands or nft.exists():
            return 0
        change = Change(Op.REPLACE, Ruleset(commands))
        say(f"[#] {line}" for line in spelled(seen.snapshot.links, (change,)))
        failed = nft.apply(change, nft.deadline(nft.TIMEOUT)).failed
    complain((failed,) if failed else ())
    return 1 if failed else 0
