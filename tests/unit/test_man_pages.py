"""The man pages say what the program has: its commands, options, keys and defaults, all of them and no others."""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from mwan_hook import cli
from mwan_hook.config import keep, networkfiles, read
from mwan_hook.config.keys import KEYS, METRICS
from mwan_hook.config.values_notify import EVENTS
from mwan_hook.model import ConfigError, MwanError, Routing
from mwan_hook.routing import priorities

MAN = Path(__file__).resolve().parents[2] / "docs/man"
PAGE8, PAGE5 = MAN / "mwan-hook.8", MAN / "mwan-hook.conf.5"
PROGRAM_OPTIONS = {"--help", "--root", "--version"}
ESCAPES = {r"\:": "", r"\-": "-", r"\(aq": "'", r"\(dq": '"', r"\e": "\\", r"\&": ""}
SECTIONS = {"[[[METRICS]]] SUBSECTION" if path == METRICS else f"[{path[0].upper()}] SECTION": path for path in KEYS}
# of routing/priorities: what is no offset from [routing] rule_priority
NO_OFFSETS = {
    *("LAST", "LAST_BASE", "BEFORE_DEFAULT", "BEHIND_SOURCES", "DEFAULT_BEHIND", "DISGUISED", "CLAIMED"),
    *("EACH_POLICY", "ALL_BITS", "MARK_MASKS", "WIDER_MARK_MASKS", "TYPE_CHECKING"),
}
KINDS = {"config", "grammar", "mistakes", "answer", "network"}


class Block(NamedTuple):
    """What stands between .EX and .EE, and the comment above it."""

    kind: str
    text: str


def plain(text: str) -> str:
    """Text without roff's escapes."""
    text = re.sub(r"\\f[BIRP]", "", text)
    for escape, letter in ESCAPES.items():
        text = text.replace(escape, letter)
    assert "\\" not in text, f"an escape that is not known here: {text}"
    return text


def source(page: Path) -> str:
    """The page without comments."""
    return "".join(line + "\n" for line in page.read_text().splitlines() if not line.startswith('.\\"'))


def parts(text: str, macro: str) -> dict[str, str]:
    """What stands below each heading, by the heading."""
    pieces = re.split(rf"^\.{macro} (.*)\n", text, flags=re.M)
    return {plain(heading).strip('"'): body for heading, body in zip(pieces[1::2], pieces[2::2], strict=True)}


def below(page: Path, heading: str) -> str:
    """The text of a .SH section."""
    return parts(source(page), "SH")[heading]


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """The program's commands."""
    [found] = [action for action in cli.parser()._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(found.choices)


def long_options(parser: argparse.ArgumentParser) -> set[str]:
    """The long options of a parser; those of every command stand with the program's own."""
    found = {option for action in parser._actions for option in action.option_strings if option.startswith("--")}
    return found - {"--help", "--root"}


def words(text: str) -> set[str]:
    """The long options that a text names."""
    return set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", plain(text)))


def tags(text: str) -> set[str]:
    """The long options that have an entry of their own."""
    return {word for tag in re.findall(r"^\.T[PQ]\n(.*)\n", text, re.M) for word in words(tag)}


def entries(text: str) -> dict[str, str]:
    """What is said of each key, by the key; only entries of the form KEY = VALUE."""
    pieces = re.split(r"^\.TP\n(.*)\n", text, flags=re.M)
    found = {}
    for tag, body in zip(pieces[1::2], pieces[2::2], strict=True):
        key = re.match(r"\.BI? \"(\w+) = ", tag)
        assert key, f"no key: {tag}"
        assert key[1] not in found, f"twice: {key[1]}"
        found[key[1]] = body
    return found


def documented(heading: str) -> dict[str, str]:
    """The default of each key of a section, as the page has it."""
    found = {}
    for key, body in entries(below(PAGE5, heading)).items():
        [default] = re.findall(r"^\.br\nDefault: (.*)$", body, re.M)
        found[key] = plain(default)
    return found


def blocks(page: Path) -> list[Block]:
    """The page's examples."""
    found = re.findall(r'(?:^\.\\" (\w+)\n)?^\.EX\n(.*?)^\.EE$', page.read_text(), re.M | re.S)
    return [Block(kind, plain(text)) for kind, text in found]


def kind(*wanted: str) -> list[str]:
    """The texts of mwan-hook.conf(5)'s examples of some kinds."""
    return [block.text for block in blocks(PAGE5) if block.kind in wanted]


def put(root: Path, text: str, path: str = "etc/mwan-hook/mwan-hook.conf") -> None:
    """Write a file below a root."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


# ---------------------------------------------------------------- form


@pytest.mark.parametrize("page", sorted(MAN.iterdir()), ids=lambda page: page.name)
def test_groff_has_nothing_to_complain_of(page: Path) -> None:
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-rLL=80n", "-ww", "-z", str(page)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.parametrize("page", sorted(MAN.iterdir()), ids=lambda page: page.name)
def test_a_hyphen_that_is_typed_is_escaped(page: Path) -> None:
    """A bare one becomes a typographic hyphen, which no shell takes for an option or a name."""
    for line in source(page).splitlines():
        assert not re.search(r"(?<!\\)--\w|mwan-hook", line), line


# ---------------------------------------------------------------- mwan-hook(8)


def headings() -> dict[str, str]:
    """Commands of mwan-hook(8) with their synopsis and text."""
    found = {}
    for heading, body in parts(below(PAGE8, "COMMANDS"), "SS").items():
        found[heading.split()[0]] = f"{heading}\n{body}"
    return found


def test_every_command_has_an_entry_and_no_other_is_there() -> None:
    assert set(headings()) == set(subparsers())


@pytest.mark.parametrize("name", sorted(subparsers()))
def test_a_command_has_its_options_and_no_others(name: str) -> None:
    wanted, text = long_options(subparsers()[name]), headings()[name]
    assert tags(text) == wanted
    assert words(text.splitlines()[0]) <= wanted


def test_the_options_of_the_program_itself_are_there() -> None:
    assert tags(below(PAGE8, "OPTIONS")) == PROGRAM_OPTIONS
    mine = {option for action in cli.parser()._actions for option in action.option_strings if option.startswith("--")}
    assert mine == PROGRAM_OPTIONS


def test_the_synopsis_has_every_command_with_its_options() -> None:
    whole = re.sub(r"\n +", " ", below(PAGE8, "SYNOPSIS"))  # what goes on in a second line
    lines = [plain(line) for line in whole.splitlines() if line.startswith("\\fBmwan")]
    shown = {}
    for line in lines[1:]:
        for name in re.findall(r"(?:^mwan-hook |\| )([\w-]+)", line.split(" [")[0]):
            shown[name] = words(line)
    given = {name: long_options(parser) for name, parser in subparsers().items()}
    given["status"] -= {"--no-header"}  # by its letter
    assert shown == given


def test_no_option_is_named_that_no_command_has() -> None:
    known = PROGRAM_OPTIONS.union(*(long_options(parser) for parser in subparsers().values()))
    assert words(source(PAGE8)) <= known
    assert words(source(PAGE5)) <= known


@pytest.mark.parametrize("page", [PAGE8, PAGE5], ids=lambda page: page.name)
def test_commands_as_typed_are_taken(page: Path) -> None:
    """What stands in the examples behind a prompt is parsed by the program's own parser."""
    typed = [line for block in blocks(page) for line in block.text.splitlines() if re.match(r"[$#] mwan-hook ", line)]
    assert typed
    for line in typed:
        assert cli.parser().parse_args(line.split()[2:]).command


def test_the_exit_codes_are_those_of_the_errors() -> None:
    codes = set(re.findall(r"^\.TP\n\.B (\d+)$", below(PAGE8, "EXIT STATUS"), re.M))
    errors: list[type[MwanError]] = [MwanError, *MwanError.__subclasses__()]
    raised = {str(error.code) for error in errors}
    assert codes == raised | {"0", "3", "130"}


def codes(text: str) -> set[str]:
    """The exit codes that the entry of a command names."""
    said = re.findall(r"[Ee]xit (?:code|status|with) (\d.*?)(?:\.\n|\.$|\))", plain(text), re.S)
    return {code for one in said for code in re.findall(r"(?:^|else|[;,]) ?(?:with )?(\d+)(?= |$|:|;|,)", one)}


@pytest.mark.parametrize("code", ["1", "3"])
def test_the_list_of_exit_codes_has_every_command_whose_entry_says_it_and_no_other(code: str) -> None:
    [text] = re.findall(rf"^\.TP\n\.B {code}\n(.*?)^\.TP", below(PAGE8, "EXIT STATUS"), re.M | re.S)
    listed = {plain(name) for name in re.findall(r"^\.BR (\S+) :$", text, re.M)}
    assert listed == {name for name, entry in headings().items() if code in codes(entry)}


# ---------------------------------------------------------------- mwan-hook.conf(5)


@pytest.mark.parametrize("heading", SECTIONS)
def test_a_section_has_its_keys_with_their_defaults_and_no_others(heading: str) -> None:
    rows = KEYS[SECTIONS[heading]]
    if heading.startswith("[UPLINKS]"):
        rows = tuple(row for row in rows if row not in KEYS["probe",])  # said of all at once
        assert "And every key of\n.BR [probe] ." in below(PAGE5, heading)
    assert documented(heading) == {row.name: row.default or row.unset for row in rows}


def test_the_sections_that_are_read_of_network_files_have_their_keys_and_no_others(tmp_path: Path) -> None:
    for heading, text in parts(below(PAGE5, ".NETWORK FILES"), "SS").items():
        put(tmp_path, f"[Match]\nName=x\n{heading}\nNoSuchKey=1\n", "etc/systemd/network/x.network")
        [warning] = networkfiles.read(str(tmp_path), lambda _: None)[1]
        known = re.search(r"expected one of (.*) \(", warning)
        assert known
        assert set(re.findall(r"^\.T[PQ]\n\.BI (\w+)=", text, re.M)) == set(known[1].split(", "))


# ---------------------------------------------------------------- examples


def test_the_page_says_of_every_priority_what_stands_there() -> None:
    base, page = 1000, source(PAGE8).partition("WHAT IS IN THE KERNEL")[2].partition("Table of an uplink")[0]
    said = {int(number) for number in re.findall(r"\b(?:999|1\d{3})\b", page)}
    names = [name for name in vars(priorities) if name.isupper() and name not in NO_OFFSETS]
    names = [name for name in names if not name.startswith(("KERNEL", "CHAIN"))]
    missing = {name: base + getattr(priorities, name) for name in names if base + getattr(priorities, name) not in said}
    assert not missing
    ours = {base + getattr(priorities, name) for name in names}
    heads = {int(number) for number in re.findall(r'^\.BR?I? "?(1\d{3}) from', page, re.MULTILINE)}
    assert {base, base + priorities.DEFAULT} <= heads <= {*ours, base + priorities.DEFAULT - priorities.BEFORE_DEFAULT}


def test_the_page_says_which_bits_our_marks_are_in_and_where_our_chains_stand() -> None:
    assert priorities.MARK_MASKS[0] == Routing().mark_mask
    text = source(PAGE8).replace("\\-", "-")
    chains = [str(value) for name, value in vars(priorities).items() if name.startswith("CHAIN")]
    assert [chain for chain in chains if not re.search(rf"priority {chain}\b", text)] == []


def test_every_example_of_a_configuration_says_what_it_is() -> None:
    found = [block.kind for block in blocks(PAGE5)]
    assert set(found) == KINDS
    assert len(found) == len(re.findall(r"^\.EX$", PAGE5.read_text(), re.M))


@pytest.mark.parametrize("text", kind("config"))
def test_an_example_is_good_and_raises_no_doubts(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)
    reading = read.read(str(tmp_path), keep.Watch())
    assert reading.plain
    assert reading.warnings == ()


def test_the_example_of_a_network_file_is_good(tmp_path: Path) -> None:
    [text] = kind("network")
    put(tmp_path, text, "etc/systemd/network/x.network")
    [network], warnings = networkfiles.read(str(tmp_path), lambda _: None)
    assert warnings == []
    assert network.values["interval"] == 30
    assert network.values["metrics"] == {"full": 600, "portal": 2600, "limited": 2600, "none": 2600}


def test_the_mistakes_are_told_as_shown(tmp_path: Path) -> None:
    [text], [answer] = kind("mistakes"), kind("answer")
    put(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read.read(str(tmp_path), keep.Watch())
    told = [f"mwan-hook: {line.removeprefix(str(tmp_path))}" for line in str(caught.value).splitlines()]
    assert told == answer.splitlines()[1:]


@pytest.mark.parametrize("event", EVENTS)
def test_every_event_is_in_the_history_and_among_those_of_hooks(event: str) -> None:
    page = source(PAGE8).replace("\\-", "-")
    parts_of_it = (page[page.index(".SS history") : page.index(".SS wait-online")], page[page.index(".SS Events") :])
    for text in parts_of_it[event in ("again", "flushed") :]:  # these two are no transitions
        assert re.search(rf"(?<![\w-]){re.escape(event)}(?![\w-])", text), event
    assert f"`{event}" in (MAN.parent / "hooks.md").read_text()
