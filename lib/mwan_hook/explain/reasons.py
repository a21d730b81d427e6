"""Every kind of reason, a row each: its sentence, and what would change it.

``{It}`` is the uplink; ``{family}`` is ``IPv4`` or ``IPv6``, ``{either}`` the same with "or", and ``{for}`` is
`` for IPv4``, or nothing where it is of both; all else is what the reason brings along.  A sentence
about what would change it has no full stop: where a clock tells, the time follows.
"""

from __future__ import annotations

from mwan_hook.explain.values import EARLIEST, LATEST, WHEN, ReasonRow
from mwan_hook.explain.widereasons import FAMILIES, PACKETS

BETTER = "when its round trip is shorter by 20 % and at least 5 ms"
WINDOW = "It is good again after a window of {window} s in which at least 100 probes keep to the low limits"

_CARRIES = {
    "only": ReasonRow("{It} carries the {family} default: no other uplink is online.", "If it fails, {else}"),
    "best": ReasonRow(
        "{It} carries the {family} default: of all that are online its metric is the lowest ({metric}).",
        "If it fails, {next} takes over",
    ),
    "preferred": ReasonRow("{It} carries the {family} default: {why}.", "If it fails, {next} takes over"),
    "shares": ReasonRow(
        "{It} shares the {family} default with {others}: of all that are online their metric is the lowest ({metric})."
        " By its weight of {weight} it gets {percent} % of the new connections.",
    ),
    "shared": ReasonRow(
        "{uplinks} share the {family} default: of all that are online their metric is the lowest ({metric})."
        " New connections are spread by weight: {parts}.",
    ),
    "leads": ReasonRow(
        "{It} carries the {family} default: {others} {has} the same metric ({metric}), and prefer = latency takes"
        " the quickest one.",
        f"Another one takes the lead {BETTER}",
    ),
    "kept": ReasonRow(
        "{It} carries the {family} default, although no uplink is online: last_resort = keep leaves it where it was.",
        "The first uplink that is online takes over",
    ),
    "carries": ReasonRow("{It} carries the {family} default, and has been {status} since {since}."),
}

_STANDS_BY = {
    "behind": ReasonRow(
        "{It} is online{for} and stands by: {better} {carries} the {family} default, because a metric of"
        " {better_metric} is better than {metric}.",
        "It takes over when {gone}",
    ),
    "follows": ReasonRow(
        "{It} is online and waits: {leader} has the same metric ({metric}) and carries the {family} default, because"
        " prefer = latency takes the quickest one.",
        f"It takes the lead {BETTER}",
    ),
    "degraded": ReasonRow(
        "{It} is online{for} but degraded, and so comes after all that are not: {reason}. {better} {carries} the"
        " {family} default.",
        WINDOW,
    ),
    "over_quota": ReasonRow(
        "{It} is online{for}, and comes after all others because its quota is used up: {used}. {better} {carries} the"
        " {family} default.",
        "It has its place again when a new period begins",
        WHEN,
    ),
    "drained": ReasonRow(
        "{It} is drained (`mwan-hook drain`): it keeps {connections}, and new ones go by {better}.",
        "It is disabled as soon as it has no connection left",
        LATEST,
    ),
    "unshared": ReasonRow(
        "{It} is online and cannot share the {family} default with {better}: the kernel shares only among ways with a"
        " gateway of their own.",
        "It takes over when {gone}",
    ),
    "unranked": ReasonRow(
        "{It} is online{for}. Whether it shares the default or stands by, only the configuration tells."
    ),
    "online": ReasonRow("{It} is online{for}, and is not part of the default that the last run left."),
}

_FACTS = {
    "gone": ReasonRow(
        "{It} is not used: its interface {interface} is not there.", "It is used when that is plugged in or comes up"
    ),
    "down": ReasonRow(
        "{It} is not used: {interface} is administratively down.", "`ip link set {interface} up` brings it up"
    ),
    "no_carrier": ReasonRow(
        "{It} is not used: {interface} has no carrier. Its cable is out, or what is at the other end is off.",
        "It is used again when the carrier is back and probes get through",
    ),
    "no_address": ReasonRow(
        "{It} is not used{for}: {interface} has no usable {either} address.",
        "A lease, an advertisement or a configured address brings one",
    ),
    "tentative": ReasonRow(
        "{It} is not used{for} yet: the kernel still checks that no other machine has its address.",
        "That takes a second or two",
    ),
    "no_gateway": ReasonRow(
        "{It} is not used{for}: {interface} has an address, and no gateway is known.",
        "A default route by {interface}, a lease, or `gateway =` in the configuration tells one",
    ),
    "not_meant": ReasonRow(
        "{It} is not used for {family}: `families` does not name it.", "`families` in the configuration decides that"
    ),
    "no_family": ReasonRow("{It} is not used for {family}: this machine has it switched off."),
    "lacks": ReasonRow("{It} is not used{for}: {reason}."),
    "disabled": ReasonRow(
        "{It} is disabled: `enabled = no` in the configuration.", "`mwan-hook enable {uplink}` takes it in"
    ),
    "switched_off": ReasonRow(
        "{It} is disabled: `mwan-hook disable` or the end of a drain said so.",
        "`mwan-hook enable {uplink}` takes it in",
    ),
}

_OFFLINE = {
    "unprobed": ReasonRow("{It} is not used{for} yet: it was not probed since it came.", "{rounds} it online"),
    "bad": ReasonRow("{It} is offline{for}: {reason}.", "{rounds} it online"),
    "slow": ReasonRow(
        "{It} is offline{for}: a round trip of {latency} ms is above latency_low ({low} ms), below which it has"
        " to come once it was too slow.",
        "{rounds} it online",
    ),
    "portal": ReasonRow(
        "{It} is offline{for}: a portal stands between it and the internet.",
        "Log in on a page that a browser opens through {interface}; then {then} it online",
    ),
    "held": ReasonRow(
        "{It} answers again{for} and is held back: it came back twice within {backoff}, so it has to stay good"
        " for {delay}.",
        "If it does, it is online",
    ),
    "held_back": ReasonRow("{It} answers again{for} and is held back.", "If it stays good, it is online"),
    "rising": ReasonRow(
        "{It} answers again{for}, and is not trusted yet: {good} of {rise} good rounds in a row.",
        "{rounds} it online",
    ),
    "aside": ReasonRow(
        "{It} is put aside{for}, because it is degraded (degraded = offline): {reason}.",
        WINDOW,
    ),
    "offline": ReasonRow("{It} is offline{for}: {reason}.", "{rounds} it online"),
}

_DIALLED = {
    "idle": ReasonRow("{It} stands by and is not dialled: {reason}.", "It is dialled when no better uplink is online"),
    "soon": ReasonRow("{It} stands by: {reason}.", "It is dialled if that stays so", EARLIEST),
    "refused": ReasonRow(
        "{It} stands by and is not dialled, because its quota is used up (dial_over_quota = no): {used}.",
        "A new period begins",
        WHEN,
    ),
    "hung": ReasonRow(
        "{It} is hung up: `mwan-hook hangup` said so.",
        "`mwan-hook dial {uplink}` dials it, or the next outage after a better uplink was online",
    ),
    "dialling": ReasonRow(
        "{It} is being dialled, since {since}{tries}.",
        "It is used when it has an address and a way and a probe gets through; else this dial has failed",
        LATEST,
    ),
    "waiting": ReasonRow("{It} is not up: {tries} ({reason}).", "It is dialled again"),
    "given_up": ReasonRow(
        "{It} is not up and not dialled again: {reason}.", "Mend that; then `mwan-hook dial {uplink}` dials it"
    ),
    "stopping": ReasonRow("{It} is being hung up: {reason}."),
    "exercising": ReasonRow("{It} is being dialled for an exercise, and hung up after it."),
}

_NOTES = {
    "since": ReasonRow("It has been {status}{for} since {since}."),
    "last_round": ReasonRow("Its last round{for}, {ago}: {reason}."),
    "doubt": ReasonRow(
        "Its last round{for} was bad, {bad} of {fall} in a row: {reason}.", "With {left} more it is offline"
    ),
    "will_hold": ReasonRow(
        "It takes that long because it then has come back twice within {backoff}, and is held back for {delay}."
    ),
    "only_degraded": ReasonRow("It is degraded, and there is no better uplink now: {reason}.", WINDOW),
    "kept_degraded": ReasonRow("It is degraded, and carries as before (degraded = keep): {reason}.", WINDOW),
    "only_over_quota": ReasonRow(
        "Its quota is used up, and there is no better uplink now: {used}.", "A new period begins", WHEN
    ),
    "quota": ReasonRow("Of its quota {used}."),
    "only_drained": ReasonRow(
        "It is drained (`mwan-hook drain`), and carries because no other one is online.", "It stays until one is"
    ),
    "stood_in": ReasonRow("It is online before its time, because nothing else was."),
    "by_facts": ReasonRow("No target applies to its {family}, so link, address and gateway alone decide."),
    "portal_counts": ReasonRow("A portal stands before it in {family}, and counts as online (portal_is_online = yes)."),
    "switched_on": ReasonRow("`mwan-hook enable` has switched it on; the configuration says enabled = no."),
    "turn": ReasonRow(
        "Its {family} gateway is {gateway}, because {others} did not answer.", "It goes back when {either_of} answers"
    ),
    "failed_turn": ReasonRow(
        "Its {family} gateway is {gateway}, because probes got nothing behind {others}.",
        "It goes back when the others have failed, too",
    ),
    "sparing": ReasonRow("It is metered, and is probed only every {every} while another one is online."),
    "silent": ReasonRow("New connections by it get no answer, so only an answer over TCP counts as a good round."),
    "policy": ReasonRow("Policy {policy} sends its {family} packets by it."),
    "policy_behind": ReasonRow("Policy {policy} lists it, and sends its {family} packets by {better}."),
    "policy_out": ReasonRow(
        "Policy {policy} lists it, and none of its uplinks takes its {family} packets now: {fallback}."
    ),
    "repair": ReasonRow("The next step of its repair is {step}{held}.", "It is done", EARLIEST),
    "lingers": ReasonRow("It is kept up for a while, though {reason}.", "It is hung up", EARLIEST),
    "dialled": ReasonRow("mwan-hook has dialled it: {reason}."),
    "not_ours": ReasonRow("It is up, and mwan-hook has not dialled it: it is left alone."),
    "by_hand": ReasonRow("`mwan-hook dial` keeps it up.", "That ends", WHEN),
    "standby": ReasonRow("When it is online it stands by: {better} {has} a better metric ({better_metric})."),
}

ROWS: dict[str, ReasonRow] = {
    **_CARRIES,
    **_STANDS_BY,
    **_FACTS,
    **_OFFLINE,
    **_DIALLED,
    **FAMILIES,
    **PACKETS,
    **_NOTES,
}
"""All of them, by kind."""

CARRIES = frozenset(_CARRIES)
"""What says that an uplink is used."""
