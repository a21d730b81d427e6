"""Whether an uplink is on or drained: the configuration says so, or a command given since.  The last word wins."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mwan_hook.model import Allotment, Drain, Uplink, UplinkConfig

COMMANDS = {True: "`mwan-hook enable`", False: "`mwan-hook disable`"}
DRAIN = "`mwan-hook drain`"


def standing(allotment: Allotment, entries: Sequence[UplinkConfig]) -> Allotment:
    """The allotment with the commands' words that still count.

    A word is dropped when the configuration has changed since it was said, or when it changes nothing.  Those about
    uplinks that the configuration does not know now stay.
    """
    configured = {entry.name: entry.enabled for entry in entries}
    enabled: dict[str, bool] = {}
    draining: dict[str, Drain] = {}
    then: dict[str, bool] = {}
    # Templates come before their uplinks.
    for name in sorted({**allotment.enabled, **allotment.draining}, key=lambda name: "@" in name):
        now = _configured(configured, name)
        said = allotment.configured.get(name, now)  # files of earlier versions do not tell
        if said is not now and now is not None:
            continue
        template = name.partition("@")[0]
        word = allotment.enabled.get(name)
        known = now if name == template else enabled.get(template, now)
        if word is not None and (word is not known or now is None or template in draining):
            enabled[name] = word
        if name in allotment.draining:
            draining[name] = allotment.draining[name]
        if said is not None and (name in enabled or name in draining):
            then[name] = said
    return allotment._replace(enabled=enabled, configured=then, draining=draining)


def _configured(configured: dict[str, bool], name: str) -> bool | None:
    """What the configuration says of an uplink or a template."""
    return configured.get(name, configured.get(name.partition("@")[0]))


def said(allotment: Allotment, entries: Sequence[UplinkConfig], names: Collection[str], word: bool) -> Allotment:
    """The allotment after a command's word about uplinks, or about a template and so about all of its uplinks."""
    kept = {name: old for name, old in allotment.enabled.items() if not _are_meant(names, name)}
    draining = {name: old for name, old in allotment.draining.items() if not _are_meant(names, name)}
    words = {**kept, **dict.fromkeys(names, word)}
    then = _then(allotment, entries, names, {*kept, *draining})
    return standing(allotment._replace(enabled=words, configured=then, draining=draining), entries)


def drained(allotment: Allotment, entries: Sequence[UplinkConfig], names: Collection[str], what: Drain) -> Allotment:
    """The allotment after uplinks that are on were drained, or a template and so all of its uplinks that are on."""
    own = {name for name, on in allotment.enabled.items() if on and _are_meant(names, name)}
    meant = {*names, *own}
    draining = {**allotment.draining, **dict.fromkeys(meant, what)}
    then = _then(allotment, entries, meant, {*allotment.enabled, *allotment.draining})
    return standing(allotment._replace(configured=then, draining=draining), entries)


def ended(allotment: Allotment, entries: Sequence[UplinkConfig], over: Collection[Drain]) -> Allotment:
    """The allotment after the time of these drains: what was drained is disabled, and other words stay."""
    names = [name for name, one in allotment.draining.items() if one in over]
    draining = {name: one for name, one in allotment.draining.items() if one not in over}
    words = {**allotment.enabled, **dict.fromkeys(names, False)}
    then = _then(allotment, entries, names, {*allotment.enabled, *draining})
    return standing(allotment._replace(enabled=words, configured=then, draining=draining), entries)


def _are_meant(names: Collection[str], name: str) -> bool:
    return name in names or name.partition("@")[0] in names


def _then(
    allotment: Allotment, entries: Sequence[UplinkConfig], names: Collection[str], kept: Collection[str]
) -> dict[str, bool]:
    """What the configuration said when each word was given."""
    configured = {entry.name: entry.enabled for entry in entries}
    before = {name: old for name, old in allotment.configured.items() if name in kept}
    found = {name: _configured(configured, name) for name in names}
    return before | {name: True if now is None else now for name, now in found.items()}


def word(allotment: Allotment, name: str) -> bool | None:
    """What a command says of an uplink, or of its template; None where the configuration speaks."""
    return allotment.enabled.get(name, allotment.enabled.get(name.partition("@")[0]))


def drain(allotment: Allotment, name: str) -> Drain | None:
    """What a command says of draining an uplink, or its template; a word about the uplink alone comes first."""
    own = allotment.draining.get(name)
    return own if own or name in allotment.enabled else allotment.draining.get(name.partition("@")[0])


def overruled(before: Allotment, uplinks: Iterable[Uplink]) -> Iterator[str]:
    """A line for each uplink whose remembered word has lost to a change of the configuration."""
    for uplink in uplinks:
        old = word(before, uplink.name)
        lost = COMMANDS[old] if old is not None and old is not uplink.enabled else ""
        if drain(before, uplink.name) and not uplink.draining:
            lost = DRAIN
        if lost and uplink.switched is None:
            now = "yes" if uplink.enabled else "no"
            yield f"uplink {uplink.name}: enabled = {now} in the configuration is newer than {lost} and counts"
