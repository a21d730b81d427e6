"""What the configuration accepts, nft(8) and the kernel take: tables of drawn configurations, checked and not made."""

from __future__ import annotations

import subprocess
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from mwan_hook import config as files
from mwan_hook.firewall import table
from mwan_hook.model import Allotment, ConfigError, Family, Status
from mwan_hook.routing.uplinks import Inputs
from tests.unit import builders as b

NAME = st.text(st.characters(codec="utf-8", exclude_characters="\n\r'"), min_size=1, max_size=16)
EDGES = [
    ("0.0.0.0", 32),
    ("10.0.0.0", 32),
    ("255.255.255.255", 32),
    ("::", 128),
    ("fd00::", 128),
    ("ffff:" * 7 + "ffff", 128),
]


@st.composite
def prefix(draw: st.DrawFn) -> str:
    """Often next to, or inside, another one."""
    address, width = draw(st.sampled_from(EDGES))
    length = draw(st.sampled_from((0, 1, 8, 9, width - 1, width)))
    return str(ip_network(f"{address}/{length}", strict=False))


def span(last: int) -> st.SearchStrategy[str]:
    ends = st.one_of(st.sampled_from((1, 2, last - 1, last)), st.integers(1, last))
    return st.tuples(ends, ends).map(lambda two: f"{min(two)}-{max(two)}")


def listed(of: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(of, min_size=1, max_size=4, unique=True).map(", ".join)


KEYS = {
    "from": listed(prefix()),
    "to": listed(prefix()),
    "ports": listed(span(65534)),
    "uid": listed(span(0xFFFFFFFE)),
    "dscp": listed(st.integers(0, 63).map(str)),
    "mac": listed(st.integers(0, 0xFFFF).map(lambda n: f"02:00:00:00:{n >> 8:02x}:{n & 255:02x}")),
    "iif": listed(NAME.map(lambda name: f"'{name}'")),
    "mark": listed(st.integers(1, 0xFF).map(lambda n: f"{n:#x}/0xff")),
    "sticky": st.sampled_from(("yes", "1", "604800")),
}


@st.composite
def configuration(draw: st.DrawFn) -> str:
    """Two uplinks that are there, one that may have any name, and a policy."""
    keys = draw(st.sets(st.sampled_from(sorted(KEYS)), max_size=4))
    lines = [f"{key} = {draw(KEYS[key])}" for key in sorted(keys - {"ports"})]
    if "ports" in keys:
        lines += ["proto = tcp, udp, sctp", f"dport = {draw(KEYS['ports'])}", f"sport = {draw(KEYS['ports'])}"]
    other = f"[[other]]\nmatch = '{draw(NAME)}'\n" if draw(st.booleans()) else ""
    uplinks = f"[uplinks]\n[[fiber]]\nmatch = fiber\n[[lte]]\nmatch = lte\n{other}"
    policy = "\n".join(("[policies]\n[[drawn]]\nuplinks = fiber, lte" + (", other" if other else ""), *lines))
    return f"[router]\npin = yes\nmasquerade = ipv4, ipv6\n{uplinks}{policy}\n"


def commands(text: str) -> tuple[str, ...]:
    """What a run would give to nft(8); ConfigError if the configuration is refused."""
    with TemporaryDirectory() as root:
        directory = Path(root, "etc/mwan-hook")
        directory.mkdir(parents=True)
        (directory / "mwan-hook.conf").write_text(text, "utf-8", newline="\n")
        config = files.look(root).config
    seen = b.snapshot("fiber", "lte", families=(Family.IPV4, Family.IPV6))
    state = b.state(fiber=Status.ONLINE, lte=Status.ONLINE)
    bound = b.bound(config, Inputs(seen, state, Allotment()))
    return table.wanted(config, bound.uplinks, state, seen, bound.policies)


def refusal(lines: tuple[str, ...]) -> str:
    """nft(8)'s complaint about a table; it is made in no namespace."""
    argv = ["unshare", "--net", "nft", "-c", "-f", "-"]
    text = "".join(f"{line}\n" for line in lines).encode()
    done = subprocess.run(argv, input=text, capture_output=True, check=False, timeout=60)
    return done.stderr.decode(errors="replace") if done.returncode else ""


@settings(max_examples=60, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(configuration())
def test_nft_takes_what_the_configuration_accepts(text: str) -> None:
    try:
        lines = commands(text)
    except ConfigError:
        assume(False)
    assert lines and refusal(lines) == "", text


@pytest.mark.parametrize("name", ['us"b', 'u"; drop', "usb\\", "\\*", "$usb", "{", "ñandú", "#usb"])
def test_odd_names_of_absent_interfaces_make_a_table(name: str) -> None:
    base = f"[router]\npin = yes\nmasquerade = yes\n[uplinks]\n[[lte]]\nmatch = lte\n[[odd]]\nmatch = '{name}'\n"
    try:
        lines = commands(f"{base}[policies]\n[[calls]]\nuplinks = odd, lte\nsticky = yes\n")
    except ConfigError:
        assert " " in name
        return
    assert lines and refusal(lines) == ""


@pytest.mark.parametrize("where", ["[uplinks]\n[[x]]\nmatch = {}\n", "[policies]\n[[x]]\nuplinks = lte\niif = {}\n"])
def test_a_name_longer_than_the_kernels_is_refused_by_its_bytes(where: str) -> None:
    base = "[uplinks]\n[[lte]]\nmatch = lte\n" if "policies" in where else ""
    commands(base + where.format("ñ" * 7))
    with pytest.raises(ConfigError, match="15"):
        commands(base + where.format("ñ" * 8))
