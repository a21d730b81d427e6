"""Kinds of reasons of a family's default, and of a packet; the sentences are read as in :mod:`reasons`."""

from __future__ import annotations

from mwan_hook.explain.values import ReasonRow

FAMILIES = {
    "none": ReasonRow("No uplink is online for {either}."),
    "unjudged": ReasonRow("No uplink has a verdict for {either} yet: its default stays as it was found."),
    "unused": ReasonRow("No uplink has {either}."),
    "no_uplinks": ReasonRow("There are no uplinks: none is configured, and no interface has a default route."),
    "resort_main": ReasonRow(
        "Packets take what the main table has, if anything (last_resort = main).",
        "The first uplink that is online takes over",
    ),
    "resort_refused": ReasonRow(
        "Packets are {refused} (last_resort = {resort}).", "The first uplink that is online takes over"
    ),
    "in_main": ReasonRow("It stands in the main table (default_table = main)."),
    "dark": ReasonRow(
        "All uplinks went dead at once ({uplinks}), since {since}: what has failed is upstream of them all, the power,"
        " or this machine."
    ),
    "rests": ReasonRow("No line is repaired meanwhile.", "If it lasts, repair begins all the same"),
    "ignored": ReasonRow(
        "{target} has been dead behind every uplink since {since}: no {family} verdict follows from it.",
        "It counts when it answers again",
    ),
}

PACKETS = {
    "foreign_rule": ReasonRow(
        "A rule of another program comes first and takes it: {rule}.",
        "`mwan-hook trace {destination}` shows each step, `mwan-hook doctor` what to do about such rules",
    ),
    "foreign_refusal": ReasonRow(
        "A rule of another program refuses it: {rule}.",
        "`mwan-hook trace {destination}` shows each step, `mwan-hook doctor` what to do about such rules",
    ),
    "ahead": ReasonRow(
        "A rule of another program takes {family} packets of this machine before that: {rule}. They leave by {ways}."
    ),
    "ahead_refused": ReasonRow(
        "{family} packets of this machine do not get that far: {why}.",
        "`mwan-hook trace {destination}` shows each step",
    ),
    "vrf": ReasonRow("It belongs to a VRF, whose table {table} answers."),
    "specific": ReasonRow("The main table has a route that is narrower than a default: {route}."),
    "pieces": ReasonRow("The main table has a default in pieces, as VPNs lay it, and that comes first: {route}."),
    "ahead_in_pieces": ReasonRow(
        "A default in pieces in the main table, as VPNs lay it, takes {family} packets before that: {route}. They leave"
        " by {ways}."
    ),
    "main_default": ReasonRow("No rule of mwan-hook takes it: the main table answers with {route}."),
    "refused_by_resort": ReasonRow(
        "It is {refused}: no uplink is online for {family}, and last_resort = {resort}.",
        "The first uplink that is online takes it",
    ),
    "by_policy": ReasonRow("Policy {policy} takes it: {rule}."),
    "first_of_policy": ReasonRow("Of the uplinks in its order ({order}) this is the first that is online."),
    "refused_by_policy": ReasonRow("Policy {policy} takes it and refuses it: none of its uplinks is online ({rule})."),
    "by_default": ReasonRow("No rule or route takes it before: it goes with the {family} default."),
    "policy_passed": ReasonRow(
        "Policy {policy} would take it, and none of its uplinks ({order}) takes packets now: so it goes on."
    ),
    "by_rule": ReasonRow("A rule of mwan-hook takes it: {rule}."),
    "here": ReasonRow("It is an address of this machine: nothing leaves."),
    "no_way": ReasonRow("It has no way: {why}.", "`mwan-hook trace {destination}` shows each step"),
    "leaves": ReasonRow("A packet of this machine to {destination} leaves by {ways}."),
    "outside": ReasonRow("{interface} is no uplink, so no verdict of mwan-hook counts there."),
    "marked": ReasonRow("{note}."),
    "differs": ReasonRow("The kernel says otherwise ({kernel}).", "`mwan-hook trace {destination}` shows each step"),
    "unrecorded": ReasonRow("Rules and routes are not recorded: what follows is the {family} default of that time."),
}
