"""[policies] as it is read, and every mistake in it with its place."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from mwan_hook import config
from mwan_hook.config.values_policies import LAST_PORT
from mwan_hook.model import Config, Fallback, Policy
from tests.unit.config.test_config import mistakes, put, read

UPLINKS = "[uplinks]\n[[fiber]]\nmatch = enp1s0\n[[lte]]\nmatch = usb*\n[[four]]\nmatch = eth4\nfamilies = ipv4\n"
LINES = UPLINKS.count("\n")


def policy(root: Path, text: str) -> Policy:
    return read(root, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\n{text}").policies[0]


def test_the_example_of_the_contract(tmp_path: Path) -> None:
    text = (
        "from = 192.168.99.0/24\nto =\nproto = tcp\nsport =\ndport = 80, 443, 5000-5100\niif = br0\nmark =\nuid =\n"
        "fallback = unreachable\n"
    )
    assert policy(tmp_path, text) == Policy(
        "a",
        sources=("192.168.99.0/24",),
        protocols=(6,),
        dport=((80, 80), (443, 443), (5000, 5100)),
        iif=("br0",),
        order=(("lte",),),
        fallback=Fallback.UNREACHABLE,
    )


def test_spellings_become_those_of_the_kernel(tmp_path: Path) -> None:
    found = policy(tmp_path, "from = 2001:DB8:0::/48, 10.0.0.1/32\nproto = TCP, 132, icmpv6\nmark = 0X4/0xff, 8\n")
    assert found.sources == ("2001:db8::/48", "10.0.0.1")
    assert found.protocols == (6, 132, 58)
    assert found.marks == ((4, 255), (8, None))


def test_users_by_name_number_and_range(tmp_path: Path) -> None:
    name = pwd.getpwuid(os.getuid()).pw_name
    found = policy(tmp_path, f"uid = {name}, 1000-1999, 4242\n")
    assert found.uids == ((os.getuid(), os.getuid()), (1000, 1999), (4242, 4242))


def test_a_second_run_reads_the_same_from_the_cache(tmp_path: Path) -> None:
    put(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte, fiber\nproto = udp\nsport = 53, 60-70\nmark = 4\n")
    first: Config = config.load(str(tmp_path)).config
    (tmp_path / "run").mkdir(exist_ok=True)
    assert config.load(str(tmp_path)).config == first
    assert config.load(str(tmp_path)).config.policies[0].sport == ((53, 53), (60, 70))


BAD = (
    ("from = 192.168.99.1/24", "from = 192.168.99.1/24: expected an address or a prefix", "mean 192.168.99.0/24?"),
    ("to = example.org", "to = example.org: expected an address or a prefix", ""),
    ("proto = tpc", "proto = tpc: expected a protocol by name or number", "sctp"),
    ("proto = 0", "proto = 0: expected a protocol", ""),
    ("proto = tcp\ndport = 0", "dport = 0: expected ports from 1 to", ""),
    ("proto = tcp\ndport = 65535", f"expected ports from 1 to {LAST_PORT}", ""),
    ("proto = tcp\ndport = 90-80", "the lower number first", ""),
    ("proto = tcp\ndport = 80, 80", "expected '80' once", ""),
    ("dport = 80", "expected proto to be of those with ports", "(none given)"),
    ("proto = tcp, icmp\nsport = 80", "expected proto to be of those with ports", "icmp: no ports there"),
    ("iif = br*", "the kernel's rules know no globs", ""),
    ("iif = much-too-long-a-name", "15 characters at most", ""),
    ("mark = 0", "mark = 0: expected a mark of 32 bits", ""),
    ("mark = 0x104", "overlaps [routing] mark_mask (0x3f00)", ""),
    ("mark = 0x4/0xffffffff", "overlaps [routing] mark_mask", ""),
    ("uid = nobody-of-that-name", "there is no user 'nobody-of-that-name'", ""),
    ("uid = 1000\niif = br0", "can never match: only this machine's own packets have a user", ""),
    ("uid = 4294967295", "expected users by name or number", ""),
    ("from = 10.0.0.1\nto = 2001:db8::1", "can never match: nothing is of one family", ""),
    ("proto = icmp\nto = 2001:db8::1", "can never match: nothing is of one family", ""),
    ("fallback = drop", "expected default, unreachable or blackhole", ""),
    ("stiky = yes", "did you mean sticky?", ""),
    ("sticky = long", "sticky = long: expected yes (600 seconds), no, or whole seconds from 1 to 604800", ""),
    ("sticky = 604801", "expected yes (600 seconds), no, or whole seconds", ""),
    ("sticky = 1.5", "expected yes (600 seconds), no, or whole seconds", ""),
    ("mac = 02:00:5e", "mac = 02:00:5e: expected a MAC address, as in 02:00:5e:10:00:01", ""),
    ("mac = 03:00:5e:10:00:01", "expected the MAC address of a sender: 03:00:5e:10:00:01 is a group's", ""),
    ("mac = 02:00:5e:10:00:01, 02-00-5E-10-00-01", "expected '02-00-5E-10-00-01' once", ""),
    ("mac = 02:00:5e:10:00:01\nuid = 1000", "can never match: only forwarded packets have a sender", ""),
    ("mac = 02:00:5e:10:00:01\niif = lo", "can never match: only forwarded packets have a sender", ""),
    ("dscp = 64", "dscp = 64: expected a code point from 0 to 63, or a name as in ef, af41, cs1", ""),
    ("dscp = af51", "expected a code point from 0 to 63", ""),
    ("dscp = ef, 46", "expected '46' once", ""),
    ("dscp = ef\niif = 'br\"0'", "expected a name that nft takes with dscp", ""),
    ("dports = 80", "did you mean dport?", ""),
)


@pytest.mark.parametrize(("text", "said", "more"), BAD)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, said: str, more: str) -> None:
    found = mistakes(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\n{text}\n")
    assert len(found) == 1
    assert found[0].startswith("mwan-hook.conf:")
    assert "[policies] [[a]]" in found[0]
    assert said in found[0]
    assert more in found[0]


@pytest.mark.parametrize(
    ("uplinks", "said"),
    [
        ("", "expected the names of uplinks, at least one"),
        ("uplinks = ,", "expected at least one uplink"),
        ("uplinks = nope, lte", "there is no uplink nope: expected some of fiber, lte, four"),
        ("uplinks = nope@usb0", "there is no uplink nope"),
        ("uplinks = fiber@enp1s0", "uplink fiber is no template"),
        ("uplinks = lte, lte@usb0", "lte@usb0 is one of lte"),
        ("uplinks = lte, lte", "expected 'lte' once"),
        ("uplinks = lte + lte", "lte + lte: expected 'lte' once"),
        ("uplinks = lte+fiber, four, fiber", "expected 'fiber' once"),
        ("uplinks = fiber +, lte", "uplinks = fiber +, lte: expected + between uplinks that share and a comma before"),
        ("uplinks = + fiber", "expected + between uplinks that share"),
        ("uplinks = fiber + + lte", "expected + between uplinks that share"),
        ("uplinks = +", "expected + between uplinks that share"),
        (
            "uplinks = fiber lte",
            "expected + between uplinks that share and a comma before the next, as in fiber + cable",
        ),
        ("uplinks = fiber+", "fiber+: expected an uplink on each side of every +"),
        ("uplinks = fiber++lte", "fiber++lte: expected an uplink on each side of every +"),
        ("uplinks = fiber + nope", "there is no uplink nope: expected some of fiber, lte, four"),
        ("uplinks = fiber+nope", "there is no uplink nope"),
        ("uplinks = fiber + lte@", "expected the name of an interface"),
        ("uplinks = lte + lte@usb0", "lte@usb0 is one of lte"),
        ("uplinks = four\nto = 2001:db8::/32", "none of these uplinks carries ipv6"),
    ],
)
def test_uplinks_are_those_that_there_are(tmp_path: Path, uplinks: str, said: str) -> None:
    (found,) = mistakes(tmp_path, f"{UPLINKS}[policies]\n[[a]]\n{uplinks}\n")
    assert said in found


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = f"{UPLINKS}[policies]\n[[a]]\nuplinks = nope\ndport = 80\n[[b]]\nuplinks = lte\nmark = 0x100\nfrom = x\n"
    lines = [int(line.split(":")[1]) for line in mistakes(tmp_path, text)]
    assert lines == [LINES + n for n in (3, 4, 7, 8)]


def test_the_same_packets_twice_are_a_mistake(tmp_path: Path) -> None:
    text = f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\nto = 10.9.0.0/16\n[[b]]\nuplinks = fiber\nto = 10.9.0.0/16\n"
    (found,) = mistakes(tmp_path, text)
    assert "[[b]]: chooses the same packets as policy a" in found


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("proto = icmp\nfrom = 10.0.0.1\nto = 2001:db8::1", "to"),
        ("proto = icmp\nfrom = 2001:db8::1", "proto"),
        ("proto = icmp\nto = 2001:db8::1", "proto"),
        ("from = 10.0.0.1\nto = 2001:db8::1", "to"),
        ("dport = 80", "dport"),
        ("sport = 80", "sport"),
        ("uid = 1000\niif = br0, lo", "uid"),
    ],
)
def test_the_key_that_is_named_is_one_that_was_written(tmp_path: Path, text: str, key: str) -> None:
    (found,) = mistakes(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\n{text}\n")
    line = 1 + [word.split(" ")[0] for word in text.split("\n")].index(key)
    assert found.startswith(f"mwan-hook.conf:{LINES + 3 + line}: ") and f"[[a]] {key}" in found


def test_users_of_this_machine_s_own_packets_and_256_rules_are_possible(tmp_path: Path) -> None:
    assert policy(tmp_path, "uid = 1000\niif = lo\n").iif == ("lo",)
    ports = ", ".join(map(str, range(1, 129)))
    assert len(policy(tmp_path, f"proto = tcp\ndport = {ports}\n").dport) == 128  # for each of two families
    marked = ", ".join(map(str, range(1, 130)))
    assert len(policy(tmp_path, f"proto = tcp\ndport = {marked}\ndscp = ef\n").dport) == 129, "nft has sets"


def test_a_policy_of_a_family_that_no_uplink_carries_only_warns_where_it_chooses_something(tmp_path: Path) -> None:
    text = f"{UPLINKS}[policies]\n[[a]]\nuplinks = four\nto = 2001:db8::/32\nfallback = unreachable\n"
    put(tmp_path, text)
    (warning,) = config.load(str(tmp_path)).warnings
    assert "none of these uplinks carries ipv6" in warning


def test_too_many_combinations_and_too_many_policies_are_told(tmp_path: Path) -> None:
    ports = ", ".join(map(str, range(1, 130)))
    (found,) = mistakes(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\nproto = tcp\ndport = {ports}\n")
    assert "would need 258 rules" in found
    assert "256 at most" in found
    many = "".join(f"[[p{n}]]\nuplinks = lte\nto = 10.0.{n}.0/24\n" for n in range(251))
    (found,) = mistakes(tmp_path, f"{UPLINKS}[policies]\n{many}")
    assert "251 policies: expected 250 at most" in found


def test_what_is_odd_but_possible_is_a_warning(tmp_path: Path) -> None:
    put(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nuplinks = lte\niif = enp1s0\n")
    (warning,) = config.load(str(tmp_path)).warnings
    assert "[policies] [[a]] iif" in warning
    assert "enp1s0 is uplink fiber" in warning


def test_without_uplinks_interfaces_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, "[policies]\n[[a]]\nuplinks = eth7, eth8\n").policies[0].uplinks == ("eth7", "eth8")


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("fiber + lte, four", (("fiber", "lte"), ("four",))),
        ("fiber+lte,four", (("fiber", "lte"), ("four",))),
        ("fiber +lte , four+ lte@usb1", None),
        ("four, fiber +lte", (("four",), ("fiber", "lte"))),
        ("four+ fiber", (("four", "fiber"),)),
        ("lte@usb0 + lte@usb1, lte@usb2", (("lte@usb0", "lte@usb1"), ("lte@usb2",))),
        ("lte@usb0+fiber", (("lte@usb0", "fiber"),)),
        ("5g+lte, fiber", (("5g+lte",), ("fiber",))),  # an uplink's name
        ("fiber + 5g+lte + plus+", (("fiber", "5g+lte", "plus+"),)),
        ("plus+, lte@a+b", (("plus+",), ("lte@a+b",))),
        ('"fiber + lte"', (("fiber", "lte"),)),
    ],
)
def test_a_plus_shares_and_a_comma_orders(tmp_path: Path, text: str, order: tuple[tuple[str, ...], ...] | None) -> None:
    written = f"{UPLINKS}[[5g+lte]]\nmatch = wwan*\n[[plus+]]\nmatch = eth9\n[policies]\n[[a]]\nuplinks = {text}\n"
    if order is None:
        assert "lte@usb1 is one of lte" in mistakes(tmp_path, written)[0]
        return
    found = read(tmp_path, written).policies[0]
    assert found.order == order
    assert found.uplinks == tuple(name for entry in order for name in entry)


@pytest.mark.parametrize("text", ["eth7+eth8, eth9", "eth7 + eth8, eth9"])
def test_without_uplinks_interfaces_share_too(tmp_path: Path, text: str) -> None:
    assert read(tmp_path, f"[policies]\n[[a]]\nuplinks = {text}\n").policies[0].order == (("eth7", "eth8"), ("eth9",))


def test_what_only_nft_can_choose_is_read_in_one_spelling(tmp_path: Path) -> None:
    found = policy(tmp_path, "sticky = yes\nmac = 02-00-5E-10-00-0A, 02:00:5e:10:00:0b\ndscp = EF, af41, 0x0a, be\n")
    assert found.sticky == 600
    assert found.macs == ("02:00:5e:10:00:0a", "02:00:5e:10:00:0b")
    assert found.dscp == (46, 34, 10, 0)
    assert [policy(tmp_path, f"sticky = {text}\n").sticky for text in ("no", "0", "1", "90")] == [0, 0, 1, 90]


def test_marks_of_policies_and_uplinks_must_have_room(tmp_path: Path) -> None:
    text = f"[routing]\nmark_mask = 0x700\n{UPLINKS}[policies]\n[[a]]\nuplinks = lte, fiber\nsticky = yes\n"
    assert read(tmp_path, text).policies[0].sticky == 600  # 3 uplinks, the policy, two pairs: 6 of 7
    more = "[[b]]\nuplinks = lte\ndscp = ef\n"
    assert len(read(tmp_path, text + more).policies) == 2
    (found,) = mistakes(tmp_path, f"[router]\npin = yes\n{text}{more}")
    assert "mark_mask = 1792: has room for 7 marks, and 3 uplinks and 2 policies need 8: expected more bits" in found


def test_sticky_that_changes_nothing_is_a_warning(tmp_path: Path) -> None:
    odd = {"uplinks = fiber": "there is one uplink only", "uplinks = lte\nuid = 1000": "only forwarded packets"}
    for words, said in odd.items():
        put(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nsticky = yes\n{words}\n")
        (warning,) = config.load(str(tmp_path)).warnings
        assert "[policies] [[a]] sticky" in warning
        assert said in warning
    for words in ("fiber, four", "lte", "lte@usb0", "lte@usb0, four"):
        put(tmp_path, f"{UPLINKS}[policies]\n[[a]]\nsticky = yes\nuplinks = {words}\n")
        assert config.load(str(tmp_path)).warnings == (), "a template has several, and one of it may come and go"
    put(tmp_path, "[policies]\n[[a]]\nsticky = yes\nuplinks = eth7\n")
    assert "one uplink only" in config.load(str(tmp_path)).warnings[0]
