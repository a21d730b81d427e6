"""The cache of the validated configuration: when it is believed, and that it never stands in the way."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pyfakefs.fake_filesystem import FakeFilesystem

from mwan_hook import config, model
from mwan_hook.config import cache as configcache
from mwan_hook.model import ConfigError, Link

LIGHT = """
import sys
from mwan_hook import config
print(config.load(sys.argv[1]).config.probe.fall)
heavy = {"configobj", "validate", "hashlib", "typing", "socket", "urllib"}
heavy |= {"mwan_hook.config.problems", "mwan_hook.config.keys"}
print(*sorted(heavy & set(sys.modules)))
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root whose files are old enough to be trusted, and a cache of them."""
    put(tmp_path, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 5\n")
    put(tmp_path, "etc/mwan-hook/conf.d/a.conf", "[probe]\nrise = 6\n")
    put(tmp_path, "etc/systemd/network/10-a.network", "[Match]\nName=eth0\n[ConnectivityMonitord]\nInterval=7\n")
    keep(tmp_path)
    return tmp_path


def put(root: Path, name: str, text: str) -> Path:
    """Write a file below the root."""
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def settle() -> None:
    """Let the kernel's clock move on, so that the next change can be told from the last."""
    time.sleep(configcache.RACY_NS / 1e9 + 0.02)


def keep(root: Path) -> Path:
    """Load until the cache is written; its path."""
    settle()
    config.load(str(root))
    cache = root / configcache.PATH
    assert cache.exists()
    return cache


def test_the_fingerprint_follows_whom_a_network_file_is_for_and_its_doubts_are_kept(root: Path) -> None:
    before = config.load(str(root))
    assert before.warnings == ()
    place = "etc/systemd/network/10-a.network"
    put(root, place, "[Match]\nName=eth1\n[ConnectivityMonitord]\nInterval=7\nInterval=soon\n")
    settle()
    for _ in range(2):  # the second time from the cache
        after = config.load(str(root))
        assert after.fingerprint != before.fingerprint
        assert len(after.warnings) == 1 and "10-a.network:5" in after.warnings[0]


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The roots whose files were really read since."""
    roots: list[str] = []
    real = config._fresh

    def fresh(root: str, keep: bool) -> dict[str, object]:
        roots.append(root)
        return real(root, keep)

    monkeypatch.setattr(config, "_fresh", fresh)
    yield roots


def test_the_cached_configuration_is_the_parsed_one(root: Path, parsed: list[str]) -> None:
    cached = config.load(str(root))
    assert parsed == []
    (root / configcache.PATH).unlink()
    assert config.load(str(root)) == cached
    assert parsed == [str(root)]
    assert (cached.config.probe.fall, cached.config.probe.rise) == (5, 6)
    assert cached.networks[0].values == {"interval": 7}


def test_a_run_from_the_cache_imports_no_parser(root: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LIGHT, str(root)], env=dict(os.environ), capture_output=True, text=True, check=True
    )
    assert ran.stdout == "5\n\n"


@pytest.mark.parametrize(
    "name",
    [
        "etc/mwan-hook/mwan-hook.conf",
        "etc/mwan-hook/conf.d/a.conf",
        "etc/systemd/network/10-a.network",
    ],
)
def test_a_changed_file_is_read_again_even_with_its_old_date(root: Path, parsed: list[str], name: str) -> None:
    path = root / name
    before = path.stat()
    path.write_text(path.read_text().replace("5", "4").replace("6", "4").replace("7", "4"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    config.load(str(root))
    assert parsed == [str(root)]


@pytest.mark.parametrize(
    "name",
    [
        "etc/mwan-hook/conf.d/b.conf",
        "etc/systemd/network/00-new.network",
        "run/systemd/network/10-a.network",
        "usr/lib/systemd/network/99-last.network",
        "etc/systemd/network/10-a.network.d/x.conf",
    ],
)
def test_a_new_file_is_read(root: Path, parsed: list[str], name: str) -> None:
    put(root, name, "")
    config.load(str(root))
    assert parsed == [str(root)]


def test_a_removed_file_is_noticed(root: Path) -> None:
    (root / "etc/mwan-hook/mwan-hook.conf").unlink()
    assert config.load(str(root)).config.probe.fall == 3


def test_a_new_drop_in_of_a_known_directory_is_read(root: Path, parsed: list[str]) -> None:
    put(root, "etc/systemd/network/10-a.network.d/x.conf", "")
    keep(root)
    parsed.clear()
    put(root, "etc/systemd/network/10-a.network.d/y.conf", "[ConnectivityMonitord]\nInterval=9\n")
    assert config.load(str(root)).networks[0].values == {"interval": 9}
    assert parsed == [str(root)]


def test_a_file_made_bad_is_told_though_the_cache_was_good(root: Path) -> None:
    put(root, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 0\n")
    with pytest.raises(ConfigError):
        config.load(str(root))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b"{}", b'{"stamp": 1}', b"[" * 100_000],
)
def test_a_torn_or_foreign_cache_is_passed_over_and_replaced(root: Path, content: bytes) -> None:
    cache = root / configcache.PATH
    good = cache.read_bytes()
    cache.write_bytes(content)
    assert config.load(str(root)).config.probe.fall == 5
    assert cache.read_bytes() == good


@pytest.mark.parametrize("length", [1, 100, -1])
def test_a_cache_cut_short_is_passed_over(root: Path, length: int) -> None:
    cache = root / configcache.PATH
    cache.write_bytes(cache.read_bytes()[:length])
    assert config.load(str(root)).config.probe.fall == 5


def test_a_cache_of_the_right_stamp_with_wrong_contents_is_passed_over(root: Path) -> None:
    cache = root / configcache.PATH
    record = json.loads(cache.read_text())
    for broken in ({"plain": None}, {"plain": {"probe": {"targets": ["x"]}}}, {"networks": [[1]]}, {"warnings": None}):
        cache.write_text(json.dumps(record | broken))
        assert config.load(str(root)).config.probe.fall == 5


def test_a_cache_of_another_version_or_root_is_passed_over(root: Path, parsed: list[str]) -> None:
    cache = root / configcache.PATH
    record = json.loads(cache.read_text())
    for stamp in ([configcache.FORMAT, "0.0", str(root)], [configcache.FORMAT, record["stamp"][1], "/other"]):
        cache.write_text(json.dumps(record | {"stamp": stamp}))
        config.load(str(root))
    assert len(parsed) == 2


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_cache_that_others_can_write_is_not_believed(root: Path, parsed: list[str], mode: int) -> None:
    (root / configcache.PATH).chmod(mode)
    config.load(str(root))
    assert parsed == [str(root)]


def test_a_cache_of_another_user_is_not_believed(fs: FakeFilesystem, parsed: list[str]) -> None:
    fs.create_file("/etc/mwan-hook/mwan-hook.conf", contents="[probe]\nfall = 5\n")
    cache = keep(Path("/"))
    parsed.clear()
    config.load("/")
    assert parsed == []
    os.chown(cache, 65534, -1)
    config.load("/")
    assert parsed == ["/"]


def test_a_link_or_a_directory_in_the_cache_s_place_does_no_harm(root: Path) -> None:
    cache = root / configcache.PATH
    moved = cache.rename(root / "elsewhere")
    cache.symlink_to(moved)
    assert config.load(str(root)).config.probe.fall == 5
    cache.unlink()
    cache.mkdir()
    assert config.load(str(root)).config.probe.fall == 5


def test_nowhere_to_write_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 5\n")
    put(tmp_path, "run", "a file")
    settle()
    assert config.load(str(tmp_path)).config.probe.fall == 5


def test_no_draft_is_left_behind(root: Path) -> None:
    assert os.listdir(root / "run/mwan-hook") == ["config.cache"]


def test_the_cache_is_no_more_readable_than_the_files(root: Path) -> None:
    cache = root / configcache.PATH
    assert cache.stat().st_mode & 0o777 == 0o644
    (root / "etc/mwan-hook/conf.d/a.conf").chmod(0o600)
    assert keep(root).stat().st_mode & 0o777 == 0o600


def test_a_file_changed_a_moment_ago_is_cached_once_its_next_change_would_show(root: Path) -> None:
    put(root, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 4\n")
    config.load(str(root))
    kept = (root / configcache.PATH).stat().st_mtime_ns
    changed = (root / "etc/mwan-hook/mwan-hook.conf").stat().st_mtime_ns
    assert kept - changed >= configcache.RACY_NS * 0.5, "not before the kernel's clock has ticked"
    put(root, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 5\n")
    assert config.load(str(root)).config.probe.fall == 5


def test_the_fingerprint_is_that_of_the_values(root: Path) -> None:
    before = config.load(str(root)).fingerprint
    put(root, "etc/mwan-hook/mwan-hook.conf", "# a comment\n[probe]\nfall   = 5\n")
    assert config.load(str(root)).fingerprint == before
    put(root, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 6\n")
    after = config.load(str(root)).fingerprint
    assert after != before
    put(root, "etc/systemd/network/10-a.network", "[Match]\nName=eth0\n[ConnectivityMonitord]\nInterval=8\n")
    assert config.load(str(root)).fingerprint not in (before, after)


@pytest.mark.parametrize("layout", [json.dumps, lambda record: json.dumps(record, separators=(",", ":"))])
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"portal"', '"portals"'),
        ('"fall"', '"falls"'),
        ('"metrics"', '"measures"'),
        ("2111", '"many"'),
        ("2111", "[2111]"),
        ("2111", "2112"),
        ('"networks"', '"works"'),
        ('"plain"', '"fancy"'),
    ],
)
def test_a_cache_whose_keys_or_values_are_others_is_not_believed(
    root: Path, parsed: list[str], before: str, after: str, layout: Callable[[object], str]
) -> None:
    text = "[Match]\nName=eth0\n[ConnectivityMetric]\nportal=2111\n"
    put(root, "etc/systemd/network/10-a.network", text)
    put(root, "etc/mwan-hook/mwan-hook.conf", "[probe]\nfall = 5\n[uplinks]\n[[fiber]]\nmatch = eth0\nmetric = 8\n")
    path = keep(root)
    wanted = config.load(str(root))
    parsed.clear()
    kept = layout(json.loads(path.read_text()))
    assert before in kept
    path.write_text(kept.replace(before, after))
    assert config.load(str(root)) == wanted
    link = Link(1, "eth0", up=True, carrier=True)
    assert config.for_interface(wanted, wanted.config.uplinks[0], link).metrics.portal == 2111
    assert parsed == [str(root)]
    config.load(str(root))
    assert parsed == [str(root)]  # it was replaced


def test_a_program_that_knows_other_keys_does_not_believe_the_cache(
    root: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Renamed(model.Metrics):
        _fields = ("full", "portal", "limited", "nothing")

    monkeypatch.setitem(model.UplinkConfig._field_defaults, "metrics", Renamed())
    config.load(str(root))
    assert parsed == [str(root)]
