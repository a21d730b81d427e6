"""``mwan-hook plan``: the changes that a run would make now; nothing is changed and nothing saved."""

from __future__ import annotations

from collections.abc import Iterator

from mwan_hook import config
from mwan_hook.commands import screen
from mwan_hook.kernel import nft
from mwan_hook.kernel.lines import spelled
from mwan_hook.run import judge, look, ruleset
from mwan_hook.run.scene import Judged
from mwan_hook.say import say


def _repairs(judged: Judged) -> list[str]:
    """The next step of each line that is out and has a ladder."""
    seen = judged.scene
    if not any(uplink.config.repair for uplink in seen.uplinks):
        return []
    from mwan_hook.repair.words import planned
    from mwan_hook.run.ladders import standing

    return [words for one in standing(seen.root, judged) if (words := planned(one.uplink, one.due, seen.now))]


def _besides(judged: Judged) -> Iterator[str]:
    """What follows the routes: connections that end or go on, and drains that are over."""
    if judged.state.follow_at is not None:
        from mwan_hook.run import follow

        yield from follow.planned(judged)
    if judged.state.drains:
        from mwan_hook.run import draining

        yield from draining.planned(judged)


def run(root: str, as_json: bool) -> int:
    """Print one ip(8) line a change; as JSON, ``{"version": 1, "changes": [...], "warnings": [...]}``."""
    loaded = config.look(root)
    seen = look.to_read(root, loaded)
    if seen.snapshot.firewall is not None:
        seen = ruleset.read(seen, nft.deadline(nft.TIMEOUT))
    judged = judge.judge(seen)
    lines = list(spelled(judged.scene.snapshot.links, judged.changes))
    if loaded.config.dials or judged.state.dials:
        from mwan_hook.run import activation

        judged, request = activation.judged(judged, free=True, writes=False)
        lines += [activation.line(judged, request)] if request else []
    lines += _besides(judged)
    warnings = [*loaded.warnings, *judged.scene.bound.told, *judged.desired.notes]
    repairs = _repairs(judged)
    if as_json:
        told = {"version": 1, "changes": lines, "warnings": warnings, **({"repairs": repairs} if repairs else {})}
        screen.document(told)
        return 0
    say(lines)  # whole: they are there to be copied
    screen.remark((*repairs, *warnings))
    return 0
