"""networkd-connectivity: its two sections in a ``.network`` file (russdill/networkd-connectivity at e7abd69).

mwan-hook reads them where they stand, too (:mod:`mwan_hook.config.networkfiles`); what is made here is the same as an
uplink of its own, with the defaults of connectivity-monitord and of its metric hook.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mwan_hook.imports import guard
from mwan_hook.imports.draft import Draft, DraftSection
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.machine.unitfile import Assignment, parse_text, timespan

MONITOR, METRIC = "ConnectivityMonitord", "ConnectivityMetric"
URLS = (
    "http://nmcheck.gnome.org/check_network_status.txt=NetworkManager%20is%20online",
    "http://gstatic.com/generate_204",
    "http://example.com/=...Example%20Domain...",
)
TIMES = {"interval": 15.0, "timeout": 5.0}
HOLD = {"hysteresisdelay": ("hysteresis_delay", 180.0), "hysteresisbackoff": ("hysteresis_backoff", 600.0)}
STATES = ("full", "portal", "limited", "none")
MATCHES = {"Name": "", "MACAddress": "mac:", "PermanentMACAddress": "mac:", "Path": "path:", "Driver": "driver:"}
MATCHES |= {"Property": "property:"}
NOTES = (
    "mwan-hook reads these sections from the .network file, too; this file wins where both say something",
    "with [uplinks], an interface without a section there is no uplink: import each .network file, and join them",
    "hooks: /etc/connectivity-dispatcher/STATE.d belongs into /etc/mwan-hook/STATE.d, "
    "/etc/routemon-dispatcher.d into /etc/mwan-hook/default-route.d; the same under /usr/lib",
    "stop connectivity-monitord@INTERFACE, connectivity-dispatcher and routemon-dispatcher first: "
    "their metric hook moves the same routes",
)


def read(text: str, draft: Draft) -> None:
    """One uplink by ``[Match]``, with its probes, its hold and its metrics."""
    guard.lines(text)
    entries, odd = parse_text(text, "line")
    own = [entry for entry in entries if entry.section in (MONITOR, METRIC)]
    if not own and not any(f"[{section}]" in text for section in (MONITOR, METRIC)):
        raise NotUnderstood(f"expected a .network file with [{MONITOR}] or [{METRIC}]")
    for note in NOTES:
        draft.top.note(note)
    for entry in odd:
        if entry.section in (MONITOR, METRIC):
            draft.top.lost(f"{_place(entry)}, {entry.value}", "it is no KEY=VALUE")
    uplink = _uplink(draft, [entry for entry in entries if entry.section == "Match"])
    known = {MONITOR: {"probeurl", *TIMES}, METRIC: {*HOLD, *STATES}}
    for entry in own:
        if entry.key.lower() not in known[entry.section]:
            uplink.lost(f"{_place(entry)}, {entry.key}={entry.value}", f"[{entry.section}] knows no such key")
    _probes(uplink, [entry for entry in own if entry.section == MONITOR])
    _metrics(uplink, {entry.key.lower(): entry for entry in own if entry.section == METRIC and entry.value})


def _place(entry: Assignment) -> str:
    return entry.place.replace(":", " ")


def _uplink(draft: Draft, entries: Sequence[Assignment]) -> DraftSection:
    """The uplink of ``[Match]``: its words are alternatives, several keys must all match there."""
    match: dict[str, list[str]] = {}
    for entry in entries:
        words = entry.value.split()
        match[entry.key] = [*match.get(entry.key, ()), *words] if words else []
    keys = [key for key in MATCHES if match.get(key)]
    if not keys:
        raise NotUnderstood(f"expected [Match] with one of {', '.join(MATCHES)}")
    first = keys[0]
    if any(word.startswith("!") for word in match[first]):
        raise NotUnderstood(f"[Match] {first}={' '.join(match[first])}: an uplink cannot match what is not")
    words = [draft.renamed(word) if first == "Name" else f"{MATCHES[first]}{word}" for word in match[first]]
    literal = first == "Name" and len(words) == 1 and not set(words[0]) & set("*?[!")
    stem = re.sub(r"^\d+-|\.network.*$", "", draft.source)
    part = draft.uplink(words[0] if literal else stem)
    part.set("match", words)
    for key, values in match.items():
        if key != first and values:
            part.lost(f"[Match] {key}={' '.join(values)}", f"{first} chooses the interfaces alone")
    return part


def _probes(uplink: DraftSection, entries: Sequence[Assignment]) -> None:
    urls = [*URLS]
    times = {**TIMES}
    for entry in entries:
        key = entry.key.lower()
        if key == "probeurl":
            urls = [*urls, entry.value] if entry.value else []
            before = entry.value.partition("=")[0]
            if "?" in before and "=" in entry.value:
                uplink.differs(
                    f"{entry.value}: networkd-connectivity cuts it at the first =, mwan-hook behind the query"
                )
        elif key in times:
            times[key] = _seconds(uplink, entry, times[key])
    uplink.set("targets", urls)
    if not urls:
        uplink.differs("no ProbeURL is left: networkd-connectivity says none for ever; here the link alone counts")
    for key, value in times.items():
        uplink.set(key, value)
    for key in ("fall", "rise"):
        uplink.set(key, 1)  # every round counts there


def _seconds(uplink: DraftSection, entry: Assignment, default: float) -> float:
    try:
        return timespan(entry.value)
    except ValueError as error:
        uplink.lost(f"{_place(entry)}, {entry.key}={entry.value}", str(error))
        return default


def _metrics(uplink: DraftSection, own: dict[str, Assignment]) -> None:
    """Metrics by state, and the hold before ``full`` has its metric again."""
    said = [state for state in STATES if state in own]
    missing = ", ".join(state for state in STATES if state not in own)
    if not said:
        uplink.note("networkd-connectivity moves no traffic without metrics; mwan-hook leaves what is offline")
        return
    if missing:
        uplink.differs(
            f"networkd-connectivity moves nothing when a line becomes {missing}; mwan-hook leaves what is offline"
        )
    if "full" in own:
        uplink.set("metric", own["full"].value)
        for key, (ours, default) in HOLD.items():
            uplink.set(ours, _seconds(uplink, own[key], default) if key in own else default)
    metrics = uplink.inside("metrics")
    for state in said:
        metrics.set(state, own[state].value)
