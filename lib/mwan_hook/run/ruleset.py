"""Our nft table in one run: read if another program has changed any, made if it differs, and what follows from that."""

from __future__ import annotations

from mwan_hook.firewall import table
from mwan_hook.kernel import nft
from mwan_hook.kernel.lines import spelled
from mwan_hook.model import UNREAD, Op, Ruleset
from mwan_hook.say import brief, say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mwan_hook.firewall.translation import Translation
    from mwan_hook.model import Change, Firewall
    from mwan_hook.run.scene import Judged, Scene


def settle(judged: Judged, judge: Callable[[Scene], Judged], patience: float) -> tuple[Firewall, list[str]]:
    """Make the table as it should be; what to remember of it, and complaints.

    nft(8) has ``patience`` seconds for all that it is asked here.  ``judge``: again, when the table was read.
    """
    until = nft.deadline(patience)
    change = _change(judged)
    if change is None:
        judged = judge(read(judged.scene, until))
        change = _change(judged)
        if change is None:
            return judged.state.firewall, []
    known = judged.scene.state.firewall
    made = nft.apply(change, until)
    if made.failed != known.failed or not made.failed:  # the same failure's commands are not said in every run
        say(brief(f"[#] {line}" for line in spelled((), (change,))))
    if made.failed:
        return made, [made.failed]
    return made, _forget(judged, _added(judged, change))


def read(seen: Scene, until: float) -> Scene:
    """The same with what nft(8) says of the table, as far as that is UNREAD."""
    there = seen.snapshot.firewall
    if there is None or there.listing != UNREAD:
        return seen
    there = there._replace(listing=nft.listing(until))
    return seen._replace(snapshot=seen.snapshot._replace(firewall=there))


def _change(judged: Judged) -> Change | None:
    return next((one for one in judged.changes if isinstance(one.what, Ruleset)), None)


def _added(judged: Judged, change: Change) -> Sequence[Translation]:
    """What becomes translated by a change of the table."""
    seen, there = judged.scene, judged.scene.snapshot.firewall
    if there is None or change.op is Op.DELETE:
        return ()
    return table.added(seen.config, seen.uplinks, seen.snapshot, there, seen.state.firewall)


def _forget(judged: Judged, added: Sequence[Translation]) -> list[str]:
    """Connections that are older than their translation begin anew."""
    if not added:
        return []
    from mwan_hook.kernel import conntrack

    config, addresses = judged.scene.config, judged.scene.snapshot.addresses
    local = frozenset(address.address for address in addresses)
    lines, failed = conntrack.forget(added, local, config.routing.mark_mask if config.router.pin else 0)
    say(f"[#] {line}" for line in lines)
    return failed
