"""Why an uplink is used or not, and why the default of a family goes where it goes."""

from __future__ import annotations

from mwan_hook.explain import dialled, families, notes, offline, online, words
from mwan_hook.explain.carriage import carriages
from mwan_hook.explain.frame import Frame
from mwan_hook.explain.reasons import CARRIES
from mwan_hook.explain.values import Carriage, Reason, Situation
from mwan_hook.model import Family, Status, Uplink
from mwan_hook.verdict.standing import carries, uses

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mwan_hook.explain.packets import Packet
    from mwan_hook.run.scene import Judged

    Stories = Sequence[tuple[Family, Sequence[Reason]]]
    Telling = Callable[[Situation, Uplink, Carriage], list[Reason]]


def story_lines(view: Situation, uplinks: Sequence[Uplink], width: int) -> list[str]:
    """The whole stories of uplinks, for so many columns."""
    paragraphs = [text for uplink in uplinks for text in story(view, uplink)]
    return words.wrapped(paragraphs, width)


def view_of(seen: Judged | Frame, readable: bool) -> Situation:
    """What is explained: how things stand, or stood.  ``readable``: whether the configuration is known."""
    if isinstance(seen, Frame):
        return Situation(seen.config, seen.uplinks, seen.state, seen.now, seen.wall, families=seen.seen.families)
    scene = seen.scene
    due = {}
    if any(uplink.config.repair for uplink in scene.uplinks):
        from mwan_hook.run import ladders

        due = {one.uplink.name: one.due for one in ladders.standing(scene.root, seen) if one.due}
    return Situation(
        scene.config,
        scene.uplinks,
        seen.state,
        scene.now,
        scene.wall,
        scene.bound.policies,
        due,
        scene.snapshot.families,
        readable,
    )


def named(view: Situation, name: str) -> list[Uplink]:
    """Uplinks by name, by interface, or all of a template by its name; none where the word is another."""
    return [uplink for uplink in view.uplinks if name in (uplink.name, uplink.interface, uplink.config.name)]


def headline(view: Situation, uplink: Uplink, found: Carriage) -> Reason:
    """The one reason that decides whether an uplink is used in a family."""
    family = found.family
    if uplink.name in found.names:
        return online.carrying(view, uplink, found)
    if any(one.name == uplink.name for one in found.kept):
        return Reason("kept", uplink.name, family)
    if not view.readable:
        return _stored(view, uplink, found)
    reason = None if not uplink.enabled else dialled.not_up(view, uplink)
    reason = reason or offline.by_facts(view, uplink, family)
    if reason:
        return reason
    memory = view.state.uplinks.get(uplink.name)
    if memory and carries(uplink, family, memory):
        return online.standing_by(view, uplink, found)
    return offline.by_verdict(view, uplink, family)


def _stored(view: Situation, uplink: Uplink, found: Carriage) -> Reason:
    """What the last run has left of one that is not the best way out."""
    state = view.memory(uplink, found.family)
    if state.status is Status.ONLINE:
        return Reason("unranked", uplink.name, found.family)
    if state.status is Status.DISABLED or not state.way:
        return Reason("lacks", uplink.name, found.family, {"reason": state.reason or "nothing is known of it"})
    return offline.by_verdict(view, uplink, found.family)


def short(view: Situation, uplink: Uplink, found: Carriage) -> list[Reason]:
    """What decides, and what weighs on it."""
    return [headline(view, uplink, found), *notes.concerns(view, uplink, found)]


def whole(view: Situation, uplink: Uplink, found: Carriage) -> list[Reason]:
    """All that there is to say of an uplink in a family."""
    return [*short(view, uplink, found), *notes.of_family(view, uplink, found)]


def told(view: Situation, uplink: Uplink, found: Mapping[Family, Carriage], tell: Telling) -> Stories:
    """The reasons of each family, those that the uplink is used for first; shortly: of those that it is there for."""
    own = view.families if tell is whole else _mattering(view, uplink)
    stories = [(family, tell(view, uplink, found[family])) for family in own]
    return sorted(stories, key=lambda one: one[1][0].kind not in CARRIES)


def _mattering(view: Situation, uplink: Uplink) -> Sequence[Family]:
    """Families that the uplink has anything to do with; where there are none, those that it is meant for."""
    own = [family for family in uplink.config.families if family in view.families]
    if not view.readable:
        return [family for family in own if view.memory(uplink, family).way] or own
    return [family for family in own if uses(uplink, family, view.state)] or own or view.families


def story(view: Situation, uplink: Uplink) -> list[str]:
    """All that there is to say of an uplink, a paragraph for each family, or for both, and one of what is common."""
    subject, paragraphs = words.called(view, uplink.name), list[str]()
    found = carriages(view)
    for family, reasons in words.merged(told(view, uplink, found, whole)):
        paragraphs.append(words.sentences(reasons, view, subject if not paragraphs else "It", family))
    rest = besides(view, uplink, view.families)
    return [*paragraphs, rest] if rest else paragraphs


def besides(view: Situation, uplink: Uplink, own: Sequence[Family]) -> str:
    """The last rounds, policies, and what is no family's alone."""
    kinds = (notes.last_round, notes.policies)
    stories = [words.merged([(family, tell(view, uplink, family)) for family in own]) for tell in kinds]
    found = [words.sentences(reasons, view, "It", family) for merged in stories for family, reasons in merged]
    return " ".join(filter(None, [*found, words.sentences(notes.of_both(view, uplink), view, "It")]))


def brief(view: Situation, uplink: Uplink, found: Mapping[Family, Carriage]) -> str:
    """One or two sentences on an uplink."""
    parts = list[str]()
    for family, reasons in words.merged(_shortened(view, uplink, told(view, uplink, found, short))):
        subject = words.called(view, uplink.name) if not parts else "It"
        parts.append(words.sentences(reasons, view, subject, family))
    return " ".join(parts)


def _shortened(view: Situation, uplink: Uplink, stories: Stories) -> Stories:
    """The same where the default's own lines have said why it carries."""
    return [
        (family, [online.carries(view, uplink, family) if first.kind in CARRIES else first, *rest])
        for family, (first, *rest) in stories
    ]


def defaults(view: Situation, found: Mapping[Family, Carriage]) -> Stories:
    """Why the default of each family goes where it goes."""
    if not view.uplinks:
        return [(Family.IPV4, [Reason("no_uplinks")])]
    return [(family, families.default(view, found[family])) for family in view.families]


def overview(view: Situation, ahead: Mapping[Family, Sequence[Reason]] | None = None) -> list[str]:
    """Each family's default, and each uplink shortly, no sentence twice.  ``ahead``: what goes before the default."""
    found = carriages(view)
    stories = [(family, [*reasons, *(ahead or {}).get(family, ())]) for family, reasons in defaults(view, found)]
    paragraphs = [_default(view, family, reasons) for family, reasons in words.merged(stories)]
    common = families.in_common(view)
    if common:
        paragraphs.append(words.sentences(common, view, "It"))
    return list(dict.fromkeys([*paragraphs, *(brief(view, uplink, found) for uplink in view.uplinks)]))


def _default(view: Situation, family: str, reasons: Sequence[Reason]) -> str:
    subject = next((words.called(view, reason.uplink) for reason in reasons if reason.uplink), "It")
    return words.sentences(reasons, view, subject, family)


def packet(view: Situation, seen: Packet) -> list[str]:
    """Which way a packet takes and by whose order, then why of those uplinks."""
    family, found = seen.family, carriages(view)
    reasons = [*seen.reasons]
    if any(reason.kind == "main_default" for reason in reasons):
        reasons += families.default(view, found[family])
    paragraphs = [words.sentences(reasons, view, "It")]
    for uplink in [one for one in view.uplinks if one.name in seen.uplinks]:
        subject = words.called(view, uplink.name)
        paragraphs.append(words.sentences(whole(view, uplink, found[family]), view, subject))
        paragraphs[-1] += f" {besides(view, uplink, (family,))}"
    return paragraphs
