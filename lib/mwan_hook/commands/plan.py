"""``mwan-hook plan``: the changes that a run would make now; nothing is changed and nothing saved."""

from __future__ import annotations

import json

from mwan_hook import config
from mwan_hook.kernel import nft
from mwan_hook.kernel.lines import spelled
from mwan_hook.run import judge, look, ruleset
from mwan_hook.say import say


def run(root: str, as_json: bool) -> int:
    """Print one ip(8) line a change; as JSON, ``{"version": 1, "changes": [...], "warnings": [...]}``."""
    loaded = config.look(root)
    seen = look.to_read(root, loaded)
    if seen.snapshot.firewall is not None:
        seen = ruleset.read(seen, nft.deadline(nft.TIMEOUT))
    judged = judge.judge(seen)
    lines = list(spelled(judged.scene.snapshot.links, judged.changes))
    warnings = [*loaded.warnings, *judged.scene.bound.told, *judged.desired.notes]
    if as_json:
        say(json.dumps({"version": 1, "changes": lines, "warnings": warnings}, indent=1).split("\n"))
        return 0
    say(lines)
    say(f"# {warning}" for warning in warnings)
    return 0
