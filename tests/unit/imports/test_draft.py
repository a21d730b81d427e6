"""What every kind has in common: files that are no text, remarks at their place, output that every run takes."""

from __future__ import annotations

import time
from importlib import import_module
from pathlib import Path

import pytest

from mwan_hook import cli
from mwan_hook.config import read
from mwan_hook.imports import guard, kinds, order
from mwan_hook.imports.draft import MOST, MOST_REMARKS, Draft
from mwan_hook.imports.guard import NotUnderstood
from mwan_hook.imports.kinds import KINDS
from mwan_hook.model import UsageError
from tests.unit.imports.made import made, plain


def draft(**devices: str) -> Draft:
    """An empty one."""
    return Draft("mwan3", "example", devices)


def good(one: Draft) -> str:
    """Its text, which every run takes."""
    one.finish()
    text = kinds.settled(one)
    assert read.mistakes(text) == []
    return text


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_a_module_that_reads_text(kind: str) -> None:
    assert callable(import_module(f"mwan_hook.imports.{KINDS[kind]}").read)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"\xff\xfe\x00",
        b"a\0b",
        b"x" * 70_000,
        b"x" * (guard.LARGEST + 1),
        b"\x7fELF\x02\x01",
        b"[[[",
        b"<a>",
        b"{" * 5000,
        b"'" * 5000,
        b"- " * 5000,
        "\u202e\u2028 = \x1b[2J".encode(),
    ],
    ids=lambda content: repr(content[:6]),
)
def test_what_is_no_such_file_is_refused_soon(kind: str, content: bytes) -> None:
    began = time.process_time()
    with pytest.raises(UsageError, match="not understood"):
        made(kind, content)
    assert time.process_time() - began < 5


def test_an_unknown_kind_is_told_the_others() -> None:
    with pytest.raises(UsageError, match="dynmhs"):
        made("shorewall", "x")


@pytest.mark.parametrize("end", ["\r\n", "\r", "\n"])
def test_lines_end_as_they_like(end: str) -> None:
    assert made("dynmhs", f"# x{end}NETWORK=eth0:1500{end}NETWORK=eth1:1600").uplink("eth1").table == 1600


def test_a_byte_order_mark_is_no_text() -> None:
    assert made("dynmhs", b"\xef\xbb\xbfNETWORK=eth0:1500\n").uplink("eth0")


def test_a_long_line_is_refused_and_the_longest_is_not() -> None:
    assert guard.lines("x" * (guard.LONGEST_LINE - 1))
    with pytest.raises(NotUnderstood, match="line 2"):
        guard.lines("\n" + "x" * guard.LONGEST_LINE)


def test_remarks_stand_between_the_keys_where_they_were_said() -> None:
    one = draft()
    part = one.uplink("wan")
    part.set("match", "eth0")
    part.lost("size = 1400", "echoes are short")
    part.set("metric", 7)
    lines = good(one).splitlines()
    at = lines.index("  [[wan]]")
    assert lines[at + 1 : at + 4] == [
        "  match = eth0",
        "  # lost: size = 1400, because echoes are short",
        "  metric = 7",
    ]
    assert list(one.remarks()) == ["[uplinks] [[wan]]: lost: size = 1400, because echoes are short"]


@pytest.mark.parametrize(("say", "loses"), [("lost", True), ("differs", True), ("note", False)])
def test_what_loses_is_told_from_what_does_not(say: str, loses: bool) -> None:
    one = draft()
    getattr(one.top, say)(*(["it", "why"] if say == "lost" else ["words"]))
    assert one.loses is loses


def test_no_hold_and_no_portal_check_that_the_source_does_not_have() -> None:
    one = draft()
    one.uplink("wan")
    probe = plain(good(one))["probe"]
    assert probe == {"hysteresis_delay": 0, "portal_interval": 0}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("table", 254),
        ("weight", 0),
        ("interval", "soon"),
        ("gateway", "192.0.2.300"),
        ("no_such_key", "x"),
        ("table", "a\nb"),
        ("start", "\x1b[2J"),
        ("start", "a\u2028b"),
        ("start", "''\"x"),
    ],
)
def test_a_value_that_no_run_takes_is_lost_and_the_rest_is_kept(key: str, value: str) -> None:
    one = draft()
    part = one.uplink("wan")
    part.set("metric", 5)
    part.set(key, value)
    text = good(one)
    assert plain(text)["uplinks"] == {"wan": {"metric": 5}}
    assert one.loses
    assert [remark for remark in one.remarks() if f"lost: {key}" in remark]
    assert "\x1b" not in text


def test_of_targets_the_good_ones_are_kept() -> None:
    one = draft()
    one.uplink("wan").set("targets", ["icmp://192.0.2.1", "icmp://x", "icmp://192.0.2.1", "gateway:"])
    assert plain(good(one))["uplinks"] == {"wan": {"targets": ["icmp://192.0.2.1", "gateway:"]}}
    assert [remark for remark in one.remarks() if "lost: target icmp://x" in remark]


def test_none_of_the_targets_is_no_target_and_not_the_default() -> None:
    one = draft()
    one.uplink("wan").set("targets", ["icmp://x"])
    assert plain(good(one))["uplinks"] == {"wan": {"targets": []}}


@pytest.mark.parametrize("key", ["from", "to", "proto", "sport", "dport", "iif", "mark", "uid", "mac", "dscp"])
def test_a_policy_without_one_of_its_selectors_would_choose_more_so_it_goes(key: str) -> None:
    one = draft()
    one.uplink("wan")
    part = one.policy("voice")
    part.set("proto", ["udp"])
    part.set(key, ["!/"])
    part.set("uplinks", ["wan"])
    assert "policies" not in plain(good(one))
    assert [remark for remark in one.remarks() if "lost: policy voice" in remark]


def test_an_uplink_without_its_device_goes() -> None:
    one = draft()
    for name, match in (("a", "driver:"), ("b", "eth0"), ("c", "a\nb")):
        one.uplink(name).set("match", match)
    assert list(plain(good(one))["uplinks"]) == ["b"]


def test_an_uplink_that_cannot_have_other_keys_either_goes_with_its_device() -> None:
    one = draft()
    one.uplink("good")
    part = one.uplink("bad")
    for key in ("match", "gateway", "start"):
        part.set(key, "a\nb")
    assert list(plain(good(one))["uplinks"]) == ["good"]


@pytest.mark.parametrize("words", [[""], "", ["eth0", ""]])
def test_an_empty_selector_would_choose_everything_so_the_policy_goes(words: str | list[str]) -> None:
    one = draft()
    one.uplink("wan")
    part = one.policy("voice")
    part.set("iif", words)
    part.set("uplinks", ["wan"])
    assert "policies" not in plain(good(one))


NAMED = {
    "dynmhs": "NETWORK={}:1500\nNETWORK=eth9:1600\n",
    "mwan3": "config interface '{}'\n option enabled 1\nconfig interface eth9\n option enabled 1\n",
    "netplan": "network: {{ethernets: {{'{}': {{dhcp4: true}}, eth9: {{dhcp4: true}}}}}}",
    "opnsense": "<opnsense><interfaces><wan><if>{}</if><ipaddr>dhcp</ipaddr><enable>1</enable></wan><lan><if>eth9</if>"
    "<ipaddr>dhcp</ipaddr><enable>1</enable></lan></interfaces></opnsense>",
    "pfsense": "<pfsense><interfaces><wan><if>{}</if><ipaddr>dhcp</ipaddr><enable/></wan><lan><if>eth9</if>"
    "<ipaddr>dhcp</ipaddr><enable/></lan></interfaces></pfsense>",
    "vyos": "set load-balancing wan interface-health '{}' nexthop dhcp\n"
    "set load-balancing wan interface-health eth9 nexthop dhcp\n",
}


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("name", ["e*", "eth[0-8]", "eth?", "driver:veth"])
def test_a_device_of_the_source_is_a_name_and_never_a_pattern(kind: str, name: str) -> None:
    """Else an uplink would take interfaces that the source does not speak of."""
    text = NAMED[kind].format(name)
    assert [uplink.match[0].glob for uplink in made(kind, text).config.uplinks] == ["eth9"]
    both = made(kind, text, **{name: "usb0"}).config.uplinks
    assert [uplink.match[0].glob for uplink in both] == ["usb0", "eth9"]


def test_many_sections_cost_what_they_are() -> None:
    began = time.process_time()
    one = draft()
    names = [one.uplink(name).name for name in ["wan"] * 100 + ["lte"] * 100]
    assert len({*names}) == 200 and names[:3] == ["wan", "wan-2", "wan-3"]
    assert time.process_time() - began < 1


def test_what_contradicts_itself_goes_with_what_needs_it() -> None:
    one = draft()
    for name, table in (("a", 7), ("b", 7), ("c", 8)):
        one.uplink(name).set("table", table)
    for name in ("voice", "voice"):
        policy = one.policy(name)
        policy.note(f"of {name}")
        policy.set("uplinks", ["gone"] if name == "voice" else ["a"])
    found = plain(good(one))
    assert {name: own.get("table") for name, own in found["uplinks"].items()} == {"a": 7, "b": None, "c": 8}
    assert "policies" not in found
    assert [remark for remark in one.remarks() if "voice-2: note: it was called voice" in remark]


def test_nothing_but_an_uplink_makes_a_configuration() -> None:
    one = draft()
    one.part("router").set("pin", True)
    with pytest.raises(NotUnderstood):
        good(one)


@pytest.mark.parametrize(
    ("given", "ours"),
    [
        ("wan", "wan"),
        ("WAN_1", "WAN_1"),
        ("main", "uplink-main"),
        ("7", "uplink-7"),
        ("0x1", "uplink-0x1"),
        ("_x", "x_x"),
        ("a b", "a-b"),
        ("", "x"),
        ("x" * 99, "x" * 64),
        ("[]=#'\"", "x------"),
    ],
)
def test_names_become_such_that_can_be_written(given: str, ours: str) -> None:
    one = draft()
    assert one.uplink(given).name == ours
    assert one.uplink(given).name != ours
    assert len(plain(good(one))["uplinks"]) == 2


def test_a_device_is_asked_for_once_and_taken_as_it_is() -> None:
    one = draft(wan="enp1s0", guest="x")
    part = one.uplink("wan")
    assert one.device("wan", part) == "enp1s0"
    assert not one.loses
    assert [one.device("lan", part), one.device("lan", part)] == ["lan", "lan"]
    good(one)
    asked = [remark for remark in one.remarks() if "--map" in remark]
    assert len(asked) == 2
    assert "--map lan=DEVICE" in asked[1]
    assert "guest" in asked[0]


@pytest.mark.parametrize("section", MOST)
def test_there_is_room_for_so_many_sections(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MOST, section, 7)
    one = draft()
    one.uplink("wan")
    for number in range(10):
        part = getattr(one, {"uplinks": "uplink", "policies": "policy"}[section])(f"n{number}")
        if section == "policies":
            part.set("proto", number % 255 + 1)
            part.set("uplinks", ["wan"])
    assert len(plain(good(one))[section]) == 7
    assert one.loses


def test_remarks_end_somewhere() -> None:
    one = draft()
    part = one.uplink("wan")
    for number in range(MOST_REMARKS + 30):
        part.lost(f"line {number} " + "x" * 5000, "it is not known")
    text = good(one)
    assert len(text) < 1 << 19
    assert "30 more remarks" in text


def test_tiers_are_shares_in_an_order() -> None:
    one = draft()
    first, second, third = (one.uplink(name) for name in ("a", "b", "c"))
    tiers = [[(first, 3), (second, 1)], [], [(third, 1)]]
    assert order.spelled(tiers) == ["a + b", "c"]
    order.default(tiers)
    found = plain(good(one))["uplinks"]
    assert [(own["metric"], own["weight"]) for own in found.values()] == [(100, 3), (100, 1), (200, 1)]


@pytest.mark.parametrize(
    ("given", "ours"),
    [((3, 3), [1, 1]), ((3, 2), [3, 2]), ((1000, 500), [2, 1]), ((1000, 1), [256, 1]), ((0, 2), [1, 2]), ((), [])],
)
def test_weights_keep_their_proportion(given: tuple[int, ...], ours: list[int]) -> None:
    assert order.reduced(given) == ours


# ---------------------------------------------------------------- the command


def run(*words: str) -> int:
    """``mwan-hook import``."""
    return cli.run(["import", *words])


@pytest.fixture(name="file")
def _file(tmp_path: Path) -> str:
    (tmp_path / "d.conf").write_text("NETWORK=eth0:1500\nX=1\n")
    (tmp_path / "good.conf").write_text("NETWORK=eth0:1500\n")
    return str(tmp_path / "d.conf")


def test_the_file_is_printed_and_its_remarks_are_said(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("dynmhs", file, "--map", "eth0=enp3s0") == 3
    out, err = capsys.readouterr()
    assert read.mistakes(out) == []
    assert "match = enp3s0" in out
    assert "# lost: line 2, X=1" in out
    assert "mwan-hook: d.conf: lost: line 2, X=1" in err
    assert run("dynmhs", file.replace("d.conf", "good.conf")) == 0


def test_of_what_is_not_understood_nothing_is_printed(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path(file).write_text("NETWORK\n")
    with pytest.raises(UsageError, match=r"d.conf: not understood as dynmhs: line 1"):
        run("dynmhs", file)
    with pytest.raises(FileNotFoundError):
        run("dynmhs", f"{file}.gone")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("words", ["wan", "=eth0", "wan=", "wan=a/b", "wan=eth*", "wan=sixteen-letters-x", "wan=a b"])
def test_a_map_names_a_device(file: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        run("dynmhs", file, "--map", words)
    assert left.value.code == 2
    assert "expected LOGICAL=DEVICE" in capsys.readouterr().err


def test_a_name_has_one_device(file: str) -> None:
    with pytest.raises(UsageError, match="eth0: given twice"):
        run("dynmhs", file, "--map", "eth0=a", "--map", "eth0=b")
    assert run("dynmhs", file, "--map", "eth0=a", "--map", "eth0=a") == 3


# ---------------------------------------------------------------- weights


def test_shares_that_fit_one_another_give_the_weights_and_others_are_lost() -> None:
    one = draft()
    parts = {name: one.uplink(name) for name in "abcdxy"}
    weights = order.Weights()

    def share(**given: int) -> dict[str, str]:
        weights.share([(parts[name], weight) for name, weight in given.items()], one.top)
        return {name: part.get("weight") for name, part in parts.items() if part.get("weight")}

    assert share(a=30, b=10) == {"a": "3", "b": "1"}
    assert share(b=7) == {"a": "3", "b": "1"}
    assert share(b=2, c=1) == {"a": "6", "b": "2", "c": "1"}
    assert share(x=1, y=1) == {"a": "6", "b": "2", "c": "1", "x": "1", "y": "1"}
    assert share(a=3, y=1) == {"a": "6", "b": "2", "c": "1", "x": "2", "y": "2"}
    assert not one.loses
    before = share(d=1)
    assert share(a=1, b=1, d=1) == before
    assert list(one.remarks()) == [
        "lost: shares a 1, b 1, d 1, because an uplink has one weight, and other shares have given theirs"
    ]


def test_weights_that_our_files_cannot_hold_are_rounded_and_told() -> None:
    one = draft()
    a, b = one.uplink("a"), one.uplink("b")
    order.Weights().share([(a, 1000), (b, 3)], one.top)
    assert (a.get("weight"), b.get("weight")) == ("256", "1")
    assert one.loses
