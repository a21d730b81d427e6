"""Whether an uplink is on: the configuration says so, or a command given since.  The last word wins."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from mwan_hook.model import Allotment, Uplink, UplinkConfig

COMMANDS = {True: "`mwan-hook enable`", False: "`mwan-hook disable`"}


def standing(allotment: Allotment, entries: Sequence[UplinkConfig]) -> Allotment:
    """The allotment with the commands' words that still count.

    A word is dropped when the configuration has changed since it was said, or when it changes nothing.  Those about
    uplinks that the configuration does not know now stay.
    """
    configured = {entry.name: entry.enabled for entry in entries}
    enabled: dict[str, bool] = {}
    then: dict[str, bool] = {}
    for name in sorted(allotment.enabled, key=lambda name: "@" in name):  # templates before their uplinks
        word, template = allotment.enabled[name], name.partition("@")[0]
        now = configured.get(name, configured.get(template))
        said = allotment.configured.get(name, now)  # files of earlier versions do not tell
        if said is not now and now is not None:
            continue
        if now is None or word is not enabled.get(template, now):
            enabled[name] = word
            if said is not None:
                then[name] = said
    return allotment._replace(enabled=enabled, configured=then)


def said(allotment: Allotment, entries: Sequence[UplinkConfig], names: Collection[str], word: bool) -> Allotment:
    """The allotment after a command's word about uplinks, or about a template and so about all of its uplinks."""
    kept = {name: old for name, old in allotment.enabled.items() if name.partition("@")[0] not in names}
    configured = {entry.name: entry.enabled for entry in entries}
    now = {name: configured.get(name, configured.get(name.partition("@")[0], True)) for name in names}
    then = {name: old for name, old in allotment.configured.items() if name in kept} | now
    return standing(allotment._replace(enabled={**kept, **dict.fromkeys(names, word)}, configured=then), entries)


def word(allotment: Allotment, name: str) -> bool | None:
    """What a command says of an uplink, or of its template; None where the configuration speaks."""
    return allotment.enabled.get(name, allotment.enabled.get(name.partition("@")[0]))


def overruled(before: Allotment, uplinks: Iterable[Uplink]) -> Iterator[str]:
    """A line for each uplink whose remembered word has lost to a change of the configuration."""
    for uplink in uplinks:
        old = word(before, uplink.name)
        if old is not None and uplink.switched is None and old is not uplink.enabled:
            now = "yes" if uplink.enabled else "no"
            yield f"uplink {uplink.name}: enabled = {now} in the configuration is newer than {COMMANDS[old]} and counts"
