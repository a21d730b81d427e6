"""What is asked before a target's failure counts: whether it answers by others, and whether those are alive.  Pure."""

from __future__ import annotations

from mwan_hook.model import Connectivity, Status
from mwan_hook.verdict import common

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from mwan_hook.model import Family, Round, Target, Uplink
    from mwan_hook.verdict.common import Name, Question, Site


def questions(site: Site, judged: Mapping[Name, Round], answered: Collection[str]) -> list[Question]:
    """What is to be asked before these rounds are judged; ``answered``: targets that were alive in this run.

    Nothing where no verdict depends on it, and nothing of an uplink that is dead by all that it asks.
    """
    found: dict[tuple[str, Family, str], Question] = {}
    by_name = {uplink.name: uplink for uplink in site.uplinks}
    for (name, family), one in judged.items():
        for target in dict.fromkeys(common.missed(site.answers.get((name, family), ()))):
            if common.key(family, target) not in (*site.ignored, *answered) and name in by_name:
                for uplink, asked in _needed(site, by_name[name], family, target, one):
                    found[uplink.name, family, asked.name] = (uplink, family, asked)
    return list(found.values())


def _needed(site: Site, accuser: Uplink, family: Family, target: str, one: Round) -> list[tuple[Uplink, Target]]:
    """What is to be asked next of one target: others where it may answer, then gateways, then again."""
    asking = common.asking_now(site, family, target)
    told = {uplink.name: common.testimony(site, uplink, family, target) for uplink in asking}
    silent = sum(found is common.Testimony.SILENT for found in told.values())
    hopeless = (
        len(told) - silent < common.WITNESSES
        or told.get(accuser.name, common.Testimony.SILENT) is common.Testimony.SILENT
    )
    often = _urgency(site, accuser, family, target, one)
    if hopeless or common.Testimony.ANSWERED in told.values() or not often or common.may_move(site, family, target):
        return []
    unasked = [uplink for uplink in asking if told[uplink.name] is common.Testimony.UNASKED]
    cheap = [uplink for uplink in unasked if not uplink.config.metered]
    if unasked:
        return [(uplink, asked) for uplink in cheap or unasked for asked in _with_another(site, uplink, family, target)]
    unproven = [(uplink, common.GATEWAY) for uplink in asking if told[uplink.name] is common.Testimony.UNPROVEN]
    return unproven or [
        (uplink, common.own_targets(uplink, family)[target])
        for uplink in asking
        if told[uplink.name] is common.Testimony.PENDING
        and (often > 1 or not common.results_of(site, uplink, family, target))
    ]


def _with_another(site: Site, uplink: Uplink, family: Family, target: str) -> list[Target]:
    """The target, and another one of the uplink that tells whether it is alive: one that answered last."""
    own = common.own_targets(uplink, family)
    known = [one.target for one in site.memory(uplink, family).targets if one.connectivity is Connectivity.FULL]
    others = [name for name in (*known, *own) if name in own and name != target]
    return [own[name] for name in (target, *others[:1])]


def _urgency(site: Site, uplink: Uplink, family: Family, target: str, one: Round) -> int:
    """0: nothing depends on it yet, 1: ask once, 2: ask until it is clear.

    A verdict depends on a bad round, from the second one on; the last one before the verdict has to be sure, and at
    first sight, while nothing is online, the first one.  Of a target that fails while the round is good, others are
    asked less and less often.
    """
    memory, fall = site.memory(uplink, family), uplink.config.probe.fall
    if one.connectivity in common.BAD and memory.may_pass and common.is_new(site, family, target):
        return 2
    if one.connectivity in common.BAD and (memory.status is Status.ONLINE or memory.may_pass):
        return 2 if memory.bad + 1 >= fall else min(memory.bad, 1)
    number = common.misses(site, uplink, family, target)
    return 2 if number > 0 and not number & (number - 1) else 0
