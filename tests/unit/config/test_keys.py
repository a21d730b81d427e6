"""The table of keys and all that has to agree with it: the model, the checks, `config --effective`, the documents."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mwan_hook import config, model
from mwan_hook.commands import config as command
from mwan_hook.config import build, problems, read, spec
from mwan_hook.config.keys import KEYS, MANY, METRICS, POLICY, UPLINK, Row
from tests.keys import PAGE, written

Place = tuple[str, ...]
ALL = [(place, row) for place, rows in KEYS.items() for row in rows]


def text_of(place: Place, *lines: str) -> str:
    """A file with some lines in a section, what a policy must have in front of them."""
    headings = ["[" * depth + ("x" if name == MANY else name) + "]" * depth for depth, name in enumerate(place, 1)]
    return "\n".join([*headings, *(["uplinks = x"] if place == POLICY else []), *lines, ""])


def loaded(root: Path, text: str) -> model.Config:
    """The configuration that a file gives, but for which keys it has set."""
    path = root / "etc/mwan-hook/mwan-hook.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return unmarked(config.look(str(root)).config)


def unmarked(found: model.Config) -> model.Config:
    uplinks = tuple(uplink._replace(explicit=frozenset()) for uplink in found.uplinks)
    return found._replace(uplinks=uplinks, explicit_probe=frozenset())


def holder(place: Place) -> Any:
    """The noun of the model that has the keys of a section."""
    nouns = {
        UPLINK: SimpleNamespace(
            **model.Probe()._asdict(), **model.Dial()._asdict(), **model.UplinkConfig("x")._asdict()
        ),
        METRICS: model.Metrics(),
    }
    return nouns[place] if place in nouns else getattr(model.Config(), place[0])


@pytest.mark.parametrize("place", KEYS, ids=".".join)
def test_defaults_that_are_written_out_change_nothing(tmp_path: Path, place: Place) -> None:
    lines = [f"{row.name} = {row.default}" for row in KEYS[place] if row.default]
    assert loaded(tmp_path, text_of(place, *lines)) == loaded(tmp_path, text_of(place))


NUMBERS = (
    "whole",
    "seconds",
    "some_seconds",
    "milliseconds",
    "percent",
    "metric",
    "table",
    "default_table",
    "protocol",
)
SAMPLES = {
    **dict.fromkeys((*NUMBERS, "amount", "segment", "sticky", "ports", "uids"), "700"),
    **dict.fromkeys(("whole", "percent", "protocol"), "7"),
    **dict.fromkeys(("mask", "mark", "marks"), "0x700"),
    **dict.fromkeys(("recipients", "sender"), "a@example.org"),
    "targets": "icmp://192.0.2.1",
    "portal_targets": "http://example.org/",
    "degraded": "keep",
    "keep": "7d",
    "nat_families": "ipv6",
    "host": "mail",
    "text": "me",
    "path": "/x",
    "url": "https://example.org/",
    "events": "online",
    "textfile": "/x.prom",
    "oid": ".1.3.6.7",
    "page": "/x.html",
    "prefixes": "192.0.2.0/24",
    "protos": "udp",
    "interfaces": "br0",
    "macs": "02:00:00:00:00:01",
    "dscps": "ef",
    "uplinks": "y",
    "match": "eth7",
    "gateway": "192.0.2.1",
    "families": "ipv6",
    "prefix6": "2001:db8::/56",
    "delegations": "no",
    "start": "unit:x",
    "stop": "command:x",
    "window": "01:00-02:00",
    "ladder": "renew@7",
}
"""Another value than any default, by the check."""


def other(row: Row) -> str:
    check, _, words = row.check.partition("(")
    if check == "choice":
        return next(word for word in words.rstrip(")").split(", ") if word != (row.default or "yes"))
    return {"yes": "no", "no": "yes"}[row.default] if check == "boolean" else SAMPLES[check]


@pytest.mark.parametrize(("place", "row"), ALL, ids=lambda one: one.name if isinstance(one, Row) else ".".join(one))
def test_another_value_of_a_key_makes_another_configuration(place: Place, row: Row) -> None:
    """One that is in the table and in the model may be left behind on the way from the one to the other."""
    before = ["start = networkd"] if place == UPLINK and row.name != "start" else []
    plain = text_of(place, *before)
    named = (place, row.name) == (POLICY, "uplinks")
    text = plain.replace("= x", f"= {other(row)}") if named else text_of(place, *before, f"{row.name} = {other(row)}")
    assert built(text) != built(plain)


def built(text: str) -> model.Config:
    """What a text makes, each key by itself, but for which of them it has."""
    plain, wrong = read.piece(text)
    assert wrong == []
    return unmarked(build.build(plain))


@pytest.mark.parametrize("place", KEYS, ids=".".join)
def test_a_key_has_a_default_or_words_for_having_none(place: Place) -> None:
    assert [row for row in KEYS[place] if bool(row.default) == bool(row.unset)] == []
    unset = [row for row in KEYS[place] if row.unset and place != POLICY]
    values = {row.name: getattr(holder(place), build.FIELDS.get(row.name, row.name)) for row in unset}
    assert [name for name, value in values.items() if value not in (None, (), "")] == []


@pytest.mark.parametrize("place", KEYS, ids=".".join)
def test_a_row_has_a_check_and_a_line_of_help(place: Place) -> None:
    known = spec.checks()
    assert [row for row in KEYS[place] if row.check.partition("(")[0] not in known] == []
    assert [row for row in KEYS[place] if not row.help or row.help[-1] in ".;" or "\n" in row.help] == []


def fields() -> Iterator[tuple[str, str]]:
    """Every field of the model that a file can set, by the name of its key."""
    names = {field: key for key, field in build.FIELDS.items()}
    for section, noun in model.Config()._asdict().items():
        if section not in ("uplinks", "policies", "explicit_probe"):
            yield from ((section, names.get(field, field)) for field in noun._fields)
    own = set(model.UplinkConfig._fields) - {"name", "mask", "metrics", "probe", "explicit", "dial"}
    own |= set(model.Dial._fields) - {"behind"}
    yield from (("uplinks", names.get(field, field)) for field in own)
    yield from (("metrics", field) for field in model.Metrics._fields)


def test_every_field_of_the_model_has_a_key_and_every_key_a_field() -> None:
    rows = {(place[-1] if place != UPLINK else "uplinks", row.name) for place, row in ALL if place != POLICY}
    assert rows - {("uplinks", row.name) for row in KEYS["probe",]} == set(fields())
    assert len(KEYS[POLICY]) == len(model.Policy._fields) - len({"name"})


def test_every_key_is_printed_with_its_default_in_the_order_of_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loaded(tmp_path, "[policies]\n[[x]]\nuplinks = x\n[uplinks]\n[[x]]\n[[[metrics]]]\nfull = 1\n")
    command.run(str(tmp_path), check=False, effective=True)
    printed = [line.strip().removeprefix("# ") for line in capsys.readouterr().out.splitlines()]
    shown = [line.partition("  # ")[0].strip() for line in printed if line and line[0] != "["]
    shown.remove("uplinks = x")
    assert shown == list(expected())


def expected() -> Iterator[str]:
    """All keys but those of policies that have no default; the file sets two that are shown here."""
    said = {(METRICS, "full"): "full = 1", (UPLINK, "match"): "match = x"}
    for place, row in ALL:
        if row.default or place in (UPLINK, METRICS):
            line = f"{row.name} = {row.default}" if row.default else f"{row.name}: {row.unset}"
            yield said.get((place, row.name), line)
        elif place != POLICY:
            yield f"{row.name} = {',' * (row.check in ('recipients', 'events'))}".rstrip()


def test_keys_that_follow_from_one_another_are_keys() -> None:
    names = {row.name for _, row in ALL}
    assert set().union(*problems._RELATED) <= names


def test_the_page_of_keys_is_that_of_the_table() -> None:
    assert PAGE.read_text() == written(PAGE.read_text()), f"run {Path(sys.executable).name} -m tests.keys"
