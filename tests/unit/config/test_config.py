"""Reading the configuration: what it gives, and every mistake told at once with its place."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from mwan_hook import config
from mwan_hook.config import build, values_notify
from mwan_hook.model import (
    Config,
    ConfigError,
    CopyRoutes,
    Family,
    Hooks,
    LastResort,
    Mail,
    Match,
    Metrics,
    Probe,
    Prometheus,
    Routing,
    Security,
    Snmp,
    UplinkConfig,
)

EXAMPLE = """
[routing]
default_table = 1000          # number, or main
first_table   = 1001
rule_priority = 1000          # base: main-first +0, oif +100, source +200, fwmark +300, policies +400..+899
main_first    = yes
copy_routes   = own           # own | main
last_resort   = main          # nothing online: main (fall through to main) | keep (the last ones) | unreachable
mark_mask     = 0x3f00
protocol      = 172

[probe]                       # defaults, each may stand in an uplink
targets  = icmp://1.1.1.1, icmp://8.8.8.8, icmp://9.9.9.9        # every round; and others for IPv6
required = 1                  # targets that must answer (n of m)
portal_targets  = http://nmcheck.gnome.org/check_network_status.txt=NetworkManager%20is%20online, http://h/generate_204
portal_interval = 600         # also at first sight; 0 = never
interval = 10                 # seconds between rounds
timeout  = 3                  # whole round, DNS and body included
fall     = 3
rise     = 3
burst_interval     = 0.5
hysteresis_delay   = 180
hysteresis_backoff = 600
latency_high = 0              # ms, 0 = off; above: the round is bad. latency_low: below again: good
latency_low  = 0
portal_is_online = no
window       = 60             # seconds that are measured
loss_high    = 0              # percent, 0 = off
loss_low     = 0
jitter_high  = 0              # ms, 0 = off
jitter_low   = 0
burst_echoes = 20             # within a second
degraded     = demote         # keep, offline

[uplinks]
  [[fiber]]
  match  = enp1s0             # interface names, globs, or driver:cdc_ether  mac:AA:..  id:12d1:14db  property:KEY=VALUE
  metric = 100
  weight = 2
  table  = 2000
  rule_priority = 2000        # of its source rules
  mark   = 0x4                # with or without /mask; default: the next value inside mark_mask
  gateway  = 192.168.1.1      # one per family at most; default: found
  families = ipv4, ipv6
  enabled  = yes
  metered  = no               # yes: probed sparingly (metered_interval, default 300) while another uplink is online
  [[[metrics]]]               # optional
  full = 100
  portal = 2000
  limited = 2000
  none = 2000
  [[lte]]
  match  = driver:cdc_ether, driver:rndis_host, driver:cdc_ncm, usb*
  metric = 200                # not one literal name: uplinks lte@enp0s20u1, lte@enp0s20u2
"""


def put(root: Path, text: str | bytes, name: str = "mwan-hook.conf") -> Path:
    """Write a configuration file."""
    path = root / "etc/mwan-hook" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def read(root: Path, text: str) -> Config:
    """The configuration that a text gives."""
    put(root, text)
    return config.load(str(root)).config


def mistakes(root: Path, text: str | None = None) -> list[str]:
    """What is said of it, with the root cut off."""
    if text is not None:
        put(root, text)
    with pytest.raises(ConfigError) as caught:
        config.load(str(root))
    return [line.removeprefix(f"{root}/etc/mwan-hook/") for line in str(caught.value).split("\n")]


def uplink(root: Path, text: str) -> UplinkConfig:
    """The one uplink of a text."""
    return read(root, f"[uplinks]\n[[a]]\n{text}").uplinks[0]


def test_the_example_of_the_manual_is_read_with_its_comments(tmp_path: Path) -> None:
    found = read(tmp_path, EXAMPLE)
    assert found.routing == Routing()
    assert found.explicit_probe == frozenset(Probe._fields)
    fiber, lte = found.uplinks
    assert fiber.literal == "enp1s0"
    assert (fiber.metric, fiber.weight, fiber.table, fiber.rule_priority) == (100, 2, 2000, 2000)
    assert (fiber.mark, fiber.mask, fiber.gateways) == (4, None, ("192.168.1.1",))
    assert fiber.families == (Family.IPV4, Family.IPV6)
    assert (fiber.enabled, fiber.metered, fiber.metered_interval) == (True, False, 300)
    assert fiber.metrics == Metrics(100, 2000, 2000, 2000)
    drivers = tuple(Match("driver", name) for name in ("cdc_ether", "rndis_host", "cdc_ncm"))
    assert lte.match == (*drivers, Match("name", "usb*"))
    assert lte.literal is None
    assert lte.probe == fiber.probe == found.probe
    assert [target.body for target in found.probe.portal_targets] == ["NetworkManager is online", ""]


def test_no_file_is_the_zero_configuration(tmp_path: Path) -> None:
    loaded = config.load(str(tmp_path))
    assert loaded.config.uplinks == ()
    assert loaded.config.routing == Routing()
    assert [target.text for target in loaded.config.probe.targets] == list(build.TARGETS)
    assert len(loaded.config.probe.portal_targets) == 2
    assert loaded.config.explicit_probe == frozenset()
    assert loaded.warnings == ()


def test_empty_files_are_the_zero_configuration_too(tmp_path: Path) -> None:
    put(tmp_path, "")
    put(tmp_path, "[probe]\n[routing]\n[uplinks]\n", "conf.d/a.conf")
    assert config.load(str(tmp_path)).config == config.load(str(tmp_path / "none")).config


def test_every_key_of_probe_may_stand_in_an_uplink(tmp_path: Path) -> None:
    text = """targets = icmp://192.0.2.1, tcp://192.0.2.2:443
    required = 2
    portal_targets = http://h/x
    portal_interval = 0
    interval = 1.5
    timeout = 2
    fall = 4
    rise = 5
    burst_interval = 0.25
    hysteresis_delay = 0
    hysteresis_backoff = 7
    latency_high = 300
    latency_low = 200
    portal_is_online = yes
    window = 30
    loss_high = 12.5
    loss_low = 4
    jitter_high = 80
    jitter_low = 40
    burst_echoes = 30
    degraded = keep
    """
    found = uplink(tmp_path, text)
    targets = tuple(target.text for target in found.probe.targets)
    assert targets == ("icmp://192.0.2.1", "tcp://192.0.2.2:443")
    assert [target.text for target in found.probe.portal_targets] == ["http://h/x"]
    assert found.probe[1:2] == (2,)
    assert found.probe[3:14] == (0, 1.5, 2, 4, 5, 0.25, 0, 7, 300, 200, True)
    assert found.probe[14:] == (30, 12.5, 4, 80, 40, 30, "keep")
    assert found.explicit == frozenset(Probe._fields)


def test_an_uplink_inherits_what_probe_sets(tmp_path: Path) -> None:
    found = read(tmp_path, "[probe]\nfall = 7\nrise = 8\n[uplinks]\n[[a]]\nmatch = eth0\nrise = 9\n")
    assert (found.uplinks[0].probe.fall, found.uplinks[0].probe.rise) == (7, 9)
    assert found.uplinks[0].explicit == {"rise"}
    assert found.explicit_probe == {"fall", "rise"}


def test_an_uplink_without_match_is_the_interface_of_its_name(tmp_path: Path) -> None:
    assert read(tmp_path, "[uplinks]\n[[eth0]]\n").uplinks[0].literal == "eth0"


def test_routing_is_read(tmp_path: Path) -> None:
    text = """[routing]
    default_table = main
    first_table = 300
    rule_priority = 31865
    main_first = off
    copy_routes = main
    last_resort = blackhole
    mark_mask = 255
    protocol = 200
    """
    found = read(tmp_path, text).routing
    assert found == Routing(254, 300, 31865, False, CopyRoutes.MAIN, LastResort.BLACKHOLE, 255, 200)


@pytest.mark.parametrize("table", [1, 252, 256, 4294967295])
def test_tables_at_the_bounds_are_good(tmp_path: Path, table: int) -> None:
    assert uplink(tmp_path, f"match = eth0\ntable = {table}\n").table == table


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("eth0", (Match("name", "eth0"),)),
        ("eth0, wlan0", (Match("name", "eth0"), Match("name", "wlan0"))),
        ("enx*", (Match("name", "enx*"),)),
        ("mac:AA:bb:cc:dd:ee:ff", (Match("mac", "AA:bb:cc:dd:ee:ff"),)),
        ("path:pci-*-usb-0:2*", (Match("path", "pci-*-usb-0:2*"),)),
        ("id:12d1:14db", (Match("id", "12d1:14db"),)),
        ("property:ID_MODEL=E3372", (Match("property", "E3372", "ID_MODEL"),)),
        ('"property:ID_SERIAL=a, b#c"', (Match("property", "a, b#c", "ID_SERIAL"),)),
    ],
)
def test_every_form_of_match_is_read(tmp_path: Path, text: str, matches: tuple[Match, ...]) -> None:
    assert uplink(tmp_path, f"match = {text}\n").match == matches


def test_quotes_keep_commas_and_hashes_in_a_url(tmp_path: Path) -> None:
    found = uplink(tmp_path, 'targets = "http://h/a,b=c#d, e", \'http://h/="x"\', http://h/%20=%41\n').probe.targets
    assert [target.body for target in found] == ["c#d, e", '"x"', "A"]
    assert found[0].path == "/a,b"


def test_percent_and_dollar_signs_are_not_interpolated(tmp_path: Path) -> None:
    found = uplink(tmp_path, "targets = http://h/=%(fall)s%20$fall\nfall = 3\n").probe.targets
    assert found[0].body == "%(fall)s $fall"


def test_one_value_is_a_list_and_none_are_the_facts_alone(tmp_path: Path) -> None:
    assert uplink(tmp_path, "portal_targets =\ntargets = ,\n").probe[:3] == ((), 1, ())
    assert len(uplink(tmp_path, "targets = gateway:\n").probe.targets) == 1


def test_files_of_conf_d_come_later_and_win_key_by_key(tmp_path: Path) -> None:
    put(tmp_path, "[probe]\nfall = 2\nrise = 2\n[uplinks]\n[[a]]\nmatch = eth0\nmetric = 1\n")
    put(tmp_path, "[uplinks]\n[[b]]\nmatch = eth1\n[[a]]\nmetric = 3\n[probe]\nrise = 5\n", "conf.d/20-b.conf")
    put(tmp_path, "[uplinks]\n[[a]]\nmetric = 2\nweight = 9\n", "conf.d/10-a.conf")
    put(tmp_path, "[nonsense]\n", "conf.d/30.conf.bak")
    put(tmp_path, "[nonsense]\n", "conf.d/.30.conf")
    found = config.load(str(tmp_path)).config
    assert [one.name for one in found.uplinks] == ["a", "b"]
    assert (found.probe.fall, found.probe.rise) == (2, 5)
    assert (found.uplinks[0].literal, found.uplinks[0].metric, found.uplinks[0].weight) == ("eth0", 3, 9)


def test_line_ends_and_the_mark_of_other_systems_do_not_matter(tmp_path: Path) -> None:
    put(tmp_path, b"\xef\xbb\xbf[probe]\r\nfall = 2\r\n")
    assert config.load(str(tmp_path)).config.probe.fall == 2


def test_a_link_to_dev_null_masks_a_file(tmp_path: Path) -> None:
    put(tmp_path, "", "conf.d/x.conf").unlink()
    (tmp_path / "etc/mwan-hook/conf.d/x.conf").symlink_to("/dev/null")
    assert config.load(str(tmp_path)).config.uplinks == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[routing]\ndefault_table = 253\n", "2: [routing] default_table = 253: expected a table number from 1 to 252"),
        ("[routing]\ndefault_table = 0\n", "table number"),
        ("[routing]\ndefault_table = Main\n", "or main"),
        ("[routing]\nfirst_table = 255\n", "table number"),
        ("[routing]\nrule_priority = 0\n", "from 1 to 31865"),
        ("[routing]\nrule_priority = 31866\n", "from 1 to 31865"),
        ("[routing]\nmain_first = perhaps\n", "expected yes or no"),
        ("[routing]\ncopy_routes = all\n", "expected own or main"),
        ("[routing]\nlast_resort = none\n", "expected main, keep, unreachable or blackhole"),
        ("[routing]\nmark_mask = 0\n", "mask of 32 bits that is not 0"),
        ("[routing]\nmark_mask = 0x100000000\n", "mask of 32 bits"),
        ("[routing]\nprotocol = 16\n", "16 is `dhcp`"),
        ("[routing]\nprotocol = 256\n", "protocol number"),
        ("[probe]\ntimeout = 0\n", "2: [probe] timeout = 0: expected seconds, more than 0"),
        ("[probe]\ntimeout = nan\n", "expected seconds"),
        ("[probe]\ntimeout = inf\n", "expected seconds"),
        ("[probe]\ntimeout = None\n", "expected seconds"),
        ("[probe]\ninterval = 10s\n", "expected seconds"),
        ("[probe]\ninterval = 1_0\n", "expected seconds"),
        ("[probe]\nhysteresis_delay = -1\n", "expected seconds, 0 or more"),
        ("[probe]\nfall = 0\n", "whole number from 1"),
        ("[probe]\nrise = 1.5\n", "whole number from 1"),
        ("[probe]\nrise = ²\n", "whole number from 1"),
        ("[probe]\nrise = 1, 2\n", "one value, not a list"),
        ("[probe]\nrequired = 0\n", "whole number from 1"),
        ("[probe]\nrequired = 7\n", "at most the number of targets (6)"),
        ("[probe]\ntargets = gateway:\nrequired = 2\n", "3: [probe] required = 2: required is 2: expected at most"),
        ("[probe]\ntargets = ftp://h/\n", "expected http://HOST/PATH"),
        ("[probe]\ntargets = gateway:, gateway:\n", "expected 'gateway:' once"),
        ("[probe]\nportal_targets = icmp://1.1.1.1\n", "expected an http:// or https:// target"),
        ("[probe]\nlatency_low = 2\nlatency_high = 1\n", "2: [probe] latency_low = 2: expected latency_low (2)"),
        ("[probe]\nlatency_low = 2\n", "at most latency_high (0)"),
        ("[probe]\nloss_high = 3\nloss_low = 4\n", "expected loss_low (4) to be at most loss_high (3)"),
        ("[probe]\njitter_low = 4\n", "expected jitter_low (4) to be at most jitter_high (0)"),
        ("[probe]\nloss_high = 100\n", "expected percent, from 0 to 99 (0 is off)"),
        ("[probe]\ndegraded = down\n", "expected demote, keep or offline"),
        ("[probe]\nburst_echoes = 4\n", "expected a whole number from 5 to 100"),
        ("[probe]\nloss_high = 5\nwindow = 9\n", "window (9) to be at least interval (10)"),
        ("[probe]\nloss_high = 5\ntargets = gateway:, http://h/\n", "nothing is measured: expected an icmp:// target"),
        ("[probe]\ninterval = 1\ninterval = 2\n", "3: interval = 2: given twice in this file"),
        ("[probe]\n[probe]\n", "2: [probe]: given twice in this file"),
        ("[probe]\n[[[x]]]\n", "2: [[[x]]]: expected at most one bracket more"),
        ("[probe]\n[[targets]]\n", "2: [probe] [[targets]]: expected a value, not a section"),
        ("[probe]\n[[eth0]]\n", "2: [probe] [[eth0]]: unknown section"),
        ("[probe\n", "1: [probe: expected `key = value` or [section]"),
        ("probe = 1\n", "1: probe: expected a section"),
        ("interval = 1\n", "1: interval: unknown key here (it belongs in [probe] or [prometheus] or an uplink)"),
        ("[probe]\ntable = 1\n", "2: [probe] table: unknown key here (it belongs in an uplink)"),
        ("[probe]\nintervall = 1\n", "unknown key (did you mean interval?)"),
        ("[probe]\nPortal-Is-Online = 1\n", "unknown key (did you mean portal_is_online?)"),
        ("[uplink]\n", "1: [uplink]: unknown section (did you mean [uplinks]?)"),
        ("[policys]\n", "1: [policys]: unknown section (did you mean [policies]?)"),
        ("[DEFAULT]\n", "1: [DEFAULT]: unknown section"),
        ("[hooks]\ntimeout = 0\n", "2: [hooks] timeout = 0: expected seconds, more than 0"),
        ("[hooks]\ntimeouts = 1\n", "unknown key (did you mean timeout?)"),
        ("[mail]\nto = a@b\n", "2: [mail] to = a@b: expected smtp_host or sendmail too"),
        ("[mail]\nto = a b@c\nsmtp_host = h\n", "expected addresses of mail"),
        ("[mail]\nto = a@b@c\nsmtp_host = h\n", "expected addresses of mail"),
        ("[mail]\nto = @c\nsmtp_host = h\n", "expected addresses of mail"),
        ("[mail]\nto = A <a@b\nsmtp_host = h\n", "expected addresses of mail"),
        ("[mail]\nto = a@b>\nsmtp_host = h\n", "expected addresses of mail"),
        ("[mail]\nto = a@b, c@\nsmtp_host = h\n", "(not 'c@')"),
        ("[mail]\nfrom = a, b\n", "one value, not a list"),
        ("[mail]\nto = a@b\nsmtp_host = h\nsendmail = /s\n", "4: [mail] sendmail = /s: expected smtp_host or"),
        ("[mail]\nto = a@b\nsmtp_host = h/\n", "3: [mail] smtp_host = h/: expected the name or address of a server"),
        ("[mail]\nsmtp_host = h:587\n", "expected the name or address of a server, without port"),
        ("[mail]\nsmtp_port = 65536\n", "whole number from 0 to 65535"),
        ("[mail]\nsecurity = ssl\n", "expected none, starttls or tls"),
        ("[webhook]\nurl = ftp://h/SECRET\n", "2: [webhook] url: expected the URL of a webhook"),
        *(
            (f"[webhook]\nurl = {url}\n", "2: [webhook] url: expected the URL of a webhook")
            for url in (
                *("http://me:SECRET@h/", "http://[fd00::1/SECRET", "https://h:65536/SECRET", "https://h:https/"),
                *("https://a..b/", "https://?key=SECRET", "https://", "'https://#SECRET'"),
            )
        ),
        ("[webhook]\nurl = http://h/\nevents = online, up\n", "expected events (online, degraded, offline, full,"),
        ("[webhook]\nurl = http://h/\nbackoff_min = 4000\n", "to be at most backoff_max (3600)"),
        ("[webhook]\nheader_file = token\n", "expected the absolute path of a file"),
        ("[mail]\nuser = me\n", "2: [mail] user = me: expected password_file too"),
        ("[mail]\npassword_file = /p\n", "2: [mail] password_file = /p: expected user too"),
        ("[mail]\nsendmail = sendmail\n", "expected the absolute path of a file"),
        ("[mail]\nsendmail = /usr/sbin/\n", "expected the absolute path of a file"),
        ("[mail]\nmin_interruption = -1\n", "expected seconds, 0 or more"),
        ("[mail]\nbackoff_min = 4000\n", "expected backoff_min (4000) to be at most backoff_max (3600)"),
        ("[mail]\nbackoff_max = 0\n", "2: [mail] backoff_max: expected backoff_min (60) to be at most"),
        ("[prometheus]\ntextfile = /var/lib/x.txt\n", "expected a path that ends in .prom"),
        ("[prometheus]\ntextfile = x.prom\n", "expected the absolute path of a file"),
        *(
            (f"[record]\nkeep = {value}\n", f"2: [record] keep = {value}: expected a time from 1h to 3650d")
            for value in ("30", "59m", "3651d", "-1d", "1.5d", "2w", "soon", "yes")
        ),
        ("[record]\nkeep = 1h, 2h\n", "2: [record] keep = 1h, 2h: expected one value, not a list"),
        *(
            (f"[record]\nsize = {value}\n", f"2: [record] size = {value}: expected an amount")
            for value in ("no", "-1", "8X", "much")
        ),
        ("[record]\nkep = 30d\n", "2: [record] kep: unknown key (did you mean keep?)"),
        ("[report]\nhtml = page.html\n", "2: [report] html = page.html: expected the absolute path of a file"),
        ("[report]\nhtml = /srv/page\n", "2: [report] html = /srv/page: expected a path that ends in .html"),
        ("[report]\ncsv = /srv/x.csv\n", "2: [report] csv: unknown key (expected one of html)"),
        ("[snmp]\noid = iso.3.6\n", "2: [snmp] oid = iso.3.6: expected an object identifier in numbers"),
        ("[snmp]\noid = 1.40.1\n", "expected an object identifier"),
        ("[snmp]\noid = 3.1.1\n", "expected an object identifier"),
        ("[probe]\ntargets = icmp://192.0.2.1\nrequired = 2\n", "3: [probe] required"),
        ("[snmp]\noid = .1.3\n", "expected an object identifier"),
        ("[snmp]\noid = 1..3.1\n", "expected an object identifier"),
        ("[snmp]\noid = 1.3.4294967296\n", "expected an object identifier"),
        ("[uplinks]\nmatch = eth0\n", "2: [uplinks] match: unknown key here (it belongs in an uplink)"),
        ("[uplinks]\n[[lte@x]]\n", "NAME@INTERFACE is made by mwan-hook"),
        ("[uplinks]\n[[a/b]]\n", "expected letters, digits"),
        ("[uplinks]\n[[a b]]\n", "expected letters, digits"),
        ("[uplinks]\n[[-a]]\n", "the first a letter or digit"),
        (f"[uplinks]\n[[{'a' * 65}]]\n", "at most 64"),
        ("[uplinks]\n[[main]]\n", "another routing table"),
        ("[uplinks]\n[[12]]\n", "or for a number"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_what_was_expected(tmp_path: Path, text: str, said: str) -> None:
    found = mistakes(tmp_path, text)
    assert len(found) == 1
    assert found[0].startswith("mwan-hook.conf:")
    assert said in found[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("match =\n", "match = : expected an interface name"),
        ("match = a/b\n", "expected an interface name"),
        ("match = averyveryverylongname\n", "15 characters at most"),
        ("match = driver:\n", "expected a value or a glob after driver:"),
        ("match = property:X\n", "expected property:KEY=VALUE"),
        ("match = eth0, eth0\n", "expected 'eth0' once"),
        ("metric = 4294967295\n", "expected a metric from 0 to 4294967294"),
        ("weight = 0\n", "whole number from 1 to 256"),
        ("weight = 257\n", "whole number from 1 to 256"),
        ("table = 0\n", "table = 0: expected a table number"),
        ("table = 253\n", "expected a table number"),
        ("table = 254\n", "3: [uplinks] [[a]] table = 254: expected a table number"),
        ("table = 255\n", "expected a table number"),
        ("table = 4294967296\n", "expected a table number"),
        ("table = fiber\n", "expected a table number"),
        ("rule_priority = 32766\n", "from 1 to 32765"),
        ("mark = 0\n", "expected a mark of 32 bits"),
        ("mark = 0x100000000\n", "expected a mark of 32 bits"),
        ("mark = 4/\n", "expected a mark of 32 bits"),
        ("mark = 0x104/0xff\n", "bits all lie in its mask"),
        ("gateway = 192.0.2.1, 192.0.2.1\n", "expected '192.0.2.1' once"),
        ("gateway = ,\n", "expected one address or several"),
        ("gateway = 192.0.2.1/24\n", "expected the address of a router"),
        ("gateway = fe80::1%eth0\n", "expected the address of a router"),
        ("gateway = 224.0.0.1\n", "expected the address of a router"),
        ("gateway = ::\n", "expected the address of a router"),
        ("gateway =\n", "expected one address"),
        ("families = ipv5\n", "expected ipv4, ipv6 or both"),
        ("families =\n", "expected ipv4, ipv6 or both"),
        ("enabled = 2\n", "expected yes or no"),
        ("metered_interval = 0\n", "more than 0"),
        ("required = 9\n", "at most the number of targets (6)"),
        ("match = usb*\ntable = 300\n", "4: [uplinks] [[a]] table = 300: its match can mean two interfaces"),
        ("match = eth0, eth1\nmark = 1\n", "its match can mean two interfaces"),
        ("match = driver:e1000\ntable = 300\n", "its match can mean two interfaces"),
        ("table = 1000\n", "also the table of the shared default"),
        ("[[[metrics]]]\nful = 1\n", "4: [uplinks] [[a]] [[[metrics]]] ful: unknown key (did you mean full?)"),
        ("[[[metrics]]]\nfull = -1\n", "expected a metric"),
        ("[[[metrix]]]\n", "did you mean [[[metrics]]]?"),
    ],
)
def test_a_mistake_in_an_uplink_is_told(tmp_path: Path, text: str, said: str) -> None:
    found = mistakes(tmp_path, f"[uplinks]\n[[a]]\n{text}")
    assert len(found) == 1
    assert "[uplinks] [[a]]" in found[0]
    assert said in found[0]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("table = 300", "table = 300", "6: [uplinks] [[b]] table = 300: is also the table of uplink a"),
        ("mark = 4", "mark = 0x4/0xff", "6: [uplinks] [[b]] mark: also matches packets with the mark of uplink a"),
        ("weight = 1", "match = a", "[[b]] match = a: a is matched by uplink a too"),
    ],
)
def test_two_uplinks_that_clash_are_told(tmp_path: Path, first: str, second: str, said: str) -> None:
    found = mistakes(tmp_path, f"[uplinks]\n[[a]]\n{first}\n[[b]]\n\n{second}\n")
    assert len(found) == 1
    assert said in found[0]


def test_marks_that_no_packet_can_share_are_good(tmp_path: Path) -> None:
    found = read(tmp_path, "[uplinks]\n[[a]]\nmark = 0x1/0xf\n[[b]]\nmark = 0x10/0xf0\n[[c]]\nmark = 0x2/0xf\n[[d]]\n")
    assert [one.mark for one in found.uplinks] == [1, 16, 2, None]


def test_a_mask_too_small_for_the_uplinks_is_told(tmp_path: Path) -> None:
    pinned = "[routing]\nmark_mask = 4\n[router]\npin = yes\n[uplinks]\n[[a]]\n[[b]]\n"
    assert "has room for 1 marks" in mistakes(tmp_path, pinned)[0]


def test_more_uplinks_than_marks_work_and_are_told_where_nothing_was_asked_for_that_they_cannot_have(
    tmp_path: Path,
) -> None:
    uplinks = "[uplinks]\n" + "".join(f"[[w{n}]]\n" for n in range(70))
    for text in (f"[routing]\nmark_mask = 0x300\n{uplinks}", f"[router]\npin = yes\n{uplinks}"):
        put(tmp_path, text)
        loaded = config.load(str(tmp_path))
        assert len(loaded.config.uplinks) == 70
        assert "and 70 uplinks need one: those beyond work without, and are not pinned" in loaded.warnings[0]


@pytest.mark.parametrize("match", ["eth0", "mac:00:11:22:33:44:55", "path:pci-0000:00:14.0-usb-0:2:1.0"])
def test_what_means_one_interface_may_have_a_table_of_its_own(tmp_path: Path, match: str) -> None:
    assert uplink(tmp_path, f"match = {match}\ntable = 300\nmark = 1\n").table == 300


def test_identical_dongles_may_share_a_gateway(tmp_path: Path) -> None:
    assert uplink(tmp_path, "match = usb*\ngateway = 192.168.8.1, fe80::1\n").gateway(Family.IPV6) == ("fe80::1",)


def test_gateways_are_a_list_of_each_family_in_their_order(tmp_path: Path) -> None:
    found = uplink(tmp_path, "gateway = 192.0.2.9, fe80::9, 192.0.2.1, fe80::1\n")
    assert found.gateway(Family.IPV4) == ("192.0.2.9", "192.0.2.1")
    assert found.gateway(Family.IPV6) == ("fe80::9", "fe80::1")


def test_all_mistakes_of_all_files_are_told_at_once_in_order(tmp_path: Path) -> None:
    put(tmp_path, "[probe]\nfall = 0\n[uplinks]\n[[a]]\ntable = 254\n[[b]]\nmatch = a\n")
    put(tmp_path, "[probe]\nrise = x\n\nfoo\n", "conf.d/10.conf")
    put(tmp_path, b"[probe]\n\xff", "conf.d/20.conf")
    (tmp_path / "etc/mwan-hook/conf.d/30.conf").mkdir()
    (tmp_path / "etc/mwan-hook/conf.d/40.conf").symlink_to("nowhere")
    os.mkfifo(tmp_path / "etc/mwan-hook/conf.d/50.conf")
    found = mistakes(tmp_path)
    assert [line.partition(": ")[0] for line in found] == [
        "mwan-hook.conf:2",
        "mwan-hook.conf:5",
        "mwan-hook.conf:7",
        "conf.d/10.conf:2",
        "conf.d/10.conf:4",
        "conf.d/20.conf:2",
        "conf.d/30.conf",
        "conf.d/40.conf",
        "conf.d/50.conf",
    ]
    assert "not the byte 0xff" in found[5]
    assert "not a directory" in found[6]
    assert "No such file" in found[7]
    assert "not a special file" in found[8]


def test_a_directory_in_the_place_of_the_file_and_a_file_in_that_of_conf_d_are_told(tmp_path: Path) -> None:
    put(tmp_path, "", "mwan-hook.conf/x")
    put(tmp_path, "", "conf.d")
    found = mistakes(tmp_path)
    assert found[0].startswith("conf.d: expected a directory that can be read")
    assert found[1] == "mwan-hook.conf: expected a file, not a directory"


def test_a_file_that_is_not_read_to_its_end_is_told(tmp_path: Path) -> None:
    assert mistakes(tmp_path, "# word\n" * 150_000 + "[unknown]\n") == ["mwan-hook.conf: expected at most 1 MiB"]


def test_a_mistake_seen_only_across_files_names_the_file_that_made_it(tmp_path: Path) -> None:
    put(tmp_path, "[uplinks]\n[[a]]\nmatch = eth0\ntable = 300\n")
    put(tmp_path, "[uplinks]\n[[b]]\nmatch = eth1\ntable = 300\n", "conf.d/b.conf")
    assert mistakes(tmp_path)[0].startswith("conf.d/b.conf:4: [uplinks] [[b]] table = 300")


def test_keys_after_a_long_value_are_found_on_their_line(tmp_path: Path) -> None:
    text = "[probe]\ntargets = '''gateway:\n[routing]\n'''\n\"fall\" = 0 # never\n"
    assert "mwan-hook.conf:5: [probe] fall = 0: expected" in "\n".join(mistakes(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("targets = http://h/=a#b\n", "'#b' is read as a comment: put quotes around the value"),
        ("targets = icmp://1.1.1.1, icmp://1.0.0.1, icmp://2606:4700::1111\nrequired = 2\n", "ipv6 can ask only 1"),
        ("families = ipv4\ngateway = fe80::1\n", "fe80::1 is not used: add ipv6 to families, or omit it"),
        ("metered = yes\nmetered_interval = 5\n", "is shorter than interval (10), which counts"),
    ],
)
def test_a_doubt_is_a_warning_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    put(tmp_path, f"[uplinks]\n[[a]]\n{text}")
    for _ in ("parsed", "cached"):
        warnings = config.load(str(tmp_path)).warnings
        assert len(warnings) == 1
        assert warnings[0].startswith(f"{tmp_path}/etc/mwan-hook/mwan-hook.conf:")
        assert said in warnings[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("smtp_host = h\n", "[mail] to: is missing: no mail is sent"),
        ("to = a@b\nsendmail = /s\nuser = me\npassword_file = /p\n", "[mail] user = me: changes nothing with sendmail"),
        (
            "to = a@b\nsmtp_host = h\nuser = me\npassword_file = /p\nsecurity = none\n",
            "[mail] security = none: the password goes over the line for all to read",
        ),
    ],
)
def test_a_doubt_about_mail_is_a_warning(tmp_path: Path, text: str, said: str) -> None:
    put(tmp_path, f"[mail]\n{text}")
    warnings = config.load(str(tmp_path)).warnings
    assert len(warnings) == 1
    assert said in warnings[0]


def test_who_is_told_is_read(tmp_path: Path) -> None:
    put(
        tmp_path,
        "[hooks]\ntimeout = 5\n[prometheus]\ntextfile = /var/lib/node/mwan.prom\ninterval = 15\n"
        "[snmp]\noid = 1.3.6.1.4.1.08072\n"
        "[mail]\nto = root, Ada <ada@example.org>, root\nfrom = Router <r@example.org>\nsmtp_host = mail.example.org\n"
        "user = me\npassword_file = /etc/mwan-hook/password\nbackoff_step = 0\n",
    )
    for _ in ("parsed", "cached"):
        found = config.load(str(tmp_path)).config
        assert found.hooks == Hooks(timeout=5)
        assert found.prometheus == Prometheus("/var/lib/node/mwan.prom", 15)
        assert found.snmp == Snmp(".1.3.6.1.4.1.8072")
        assert found.mail == Mail(
            to=("root", "Ada <ada@example.org>"),
            sender="Router <r@example.org>",
            smtp_host="mail.example.org",
            security=Security.STARTTLS,
            user="me",
            password_file="/etc/mwan-hook/password",
            backoff_step=0,
        )


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("", 25),
        ("security = starttls\n", 587),
        ("security = tls\n", 465),
        ("user = me\npassword_file = /p\n", 587),
        ("security = tls\nsmtp_port = 4650\n", 4650),
    ],
)
def test_the_port_of_the_mail_server_follows_from_its_security(tmp_path: Path, text: str, port: int) -> None:
    put(tmp_path, f"[mail]\nto = a@b\nsmtp_host = h\n{text}")
    assert config.load(str(tmp_path)).config.mail.port == port


def test_nothing_is_told_without_configuration(tmp_path: Path) -> None:
    found = config.load(str(tmp_path)).config
    assert (found.hooks, found.mail, found.prometheus, found.snmp) == (Hooks(), Mail(), Prometheus(), Snmp())


WORDS = ("[", "]", "[[", "]]", "[[[", "probe", "uplinks", "routing", "metrics", "a", "match", "targets", "required")
SIGNS = (
    "=",
    "=",
    ",",
    "#",
    '"',
    "'",
    "'''",
    "\n",
    "\n",
    " ",
    "0",
    "2",
    "eth0",
    "icmp://1.1.1.1",
    "http://h/?a=b=%41",
    "é",
    "\\",
)


@hypothesis_settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.sampled_from(WORDS + SIGNS), max_size=40).map("".join))
def test_any_text_is_a_configuration_or_an_error_of_configuration(tmp_path: Path, text: str) -> None:
    put(tmp_path, text)
    try:
        assert isinstance(config.load(str(tmp_path)).config, Config)
    except ConfigError as error:
        assert all(f"{tmp_path}/etc/mwan-hook/mwan-hook.conf" in line for line in str(error).split("\n"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[router]\nown = keep\n[uplinks]\n[[a]]\nfailback = hard\n", "without [router] pin = yes or own = abort"),
        ("[router]\nown = keep\n[uplinks]\n[[a]]\nmetered = yes\n", ""),
        ("[uplinks]\n[[a]]\nfailback = hard\n", ""),
        ("[router]\npin = yes\n[uplinks]\n[[a]]\nfailback = hard\n", ""),
        ("[uplinks]\n[[a]]\nfailback = soft\n", ""),
        ("[snmp]\noid = 2.40.1\n", ""),
        ("[router]\nmss = 1360\n", "[router] mss = 1360: changes nothing without a table of ours"),
        ("[router]\nmss = auto\n", ""),
        ("[router]\nmss = no\n", ""),
        ("[router]\nmss = 1360\nmasquerade = yes\n", ""),
    ],
)
def test_what_changes_nothing_is_told_and_the_rest_is_silent(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "etc/mwan-hook").mkdir(parents=True)
    (tmp_path / "etc/mwan-hook/mwan-hook.conf").write_text(text)
    found = config.load(str(tmp_path)).warnings
    assert len(found) == bool(said)
    assert said in "".join(found)


@pytest.mark.parametrize(
    ("word", "size"), [("auto", None), ("no", 0), ("off", 0), ("0", 0), ("88", 88), ("1452", 1452), ("65495", 65495)]
)
def test_a_segment_has_a_size_or_none(tmp_path: Path, word: str, size: int | None) -> None:
    put(tmp_path, f"[router]\npin = yes\nmss = {word}\n")
    assert config.load(str(tmp_path)).config.router.mss == size


@pytest.mark.parametrize("word", ["yes", "87", "65496", "-1", "1360.5", "1360, 1340", "pmtu", "0x550", "99999999999"])
def test_no_other_words_are_the_size_of_a_segment(tmp_path: Path, word: str) -> None:
    put(tmp_path, f"[router]\nmss = {word}\n")
    with pytest.raises(ConfigError, match=r"\[router\] mss.*expected (auto, no, or bytes from 88 to 65495|one value)"):
        config.load(str(tmp_path))


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[router]\nown = keep\nown_after = 5\n", "[router] own_after"),
        ("[probe]\nwindow = 90\n", "[probe] window"),
        ("[probe]\ndegraded = offline\n", "[probe] degraded"),
        ("[uplinks]\n[[a]]\nmatch = eth0\nmptcp = backup\n", "[uplinks] [[a]] mptcp"),
        ("[routing]\nmptcp = yes\n[uplinks]\n[[a]]\nmatch = eth0\nmptcp = backup\n", ""),
        ("[probe]\nwindow = 90\n[uplinks]\n[[a]]\nmatch = eth0\nloss_high = 10\n", ""),
        ("[probe]\nwindow = 60\nburst_echoes = 20\ndegraded = demote\n", ""),  # what holds anyway
        ("[uplinks]\n[[a]]\nmatch = eth0\nwindow = 60\n", ""),
        ("[uplinks]\n[[a]]\nmatch = eth0\nburst_echoes = 30\n", "[uplinks] [[a]] burst_echoes"),
        ("[uplinks]\n[[a]]\nmatch = eth0\nmetered = yes\nmptcp = backup\n", ""),
        ("[uplinks]\n[[a]]\nmatch = eth0\nmetered = yes\nmptcp = no\n", "[uplinks] [[a]] mptcp"),
        ("[probe]\nportal_targets =\nportal_interval = 60\n", "[probe] portal_interval"),
        ("[probe]\nportal_interval = 60\n", ""),
        ("[probe]\nportal_targets =\nportal_interval = 0\n", ""),
        (
            "[probe]\nportal_targets =\nportal_interval = 60\n[uplinks]\n[[a]]\nmatch = eth0\n",
            "[probe] portal_interval",
        ),
        (
            "[probe]\nportal_targets =\nportal_interval = 60\n"
            "[uplinks]\n[[a]]\nmatch = eth0\nportal_targets = http://192.0.2.1/=ok\n",
            "",
        ),
        (
            "[uplinks]\n[[a]]\nmatch = eth0\nportal_targets =\nportal_interval = 60\n",
            "[uplinks] [[a]] portal_interval",
        ),
    ],
)
def test_what_changes_nothing_is_said(tmp_path: Path, text: str, place: str) -> None:
    put(tmp_path, text)
    found = config.load(str(tmp_path)).warnings
    assert [place in line and "changes nothing" in line for line in found] == ([True] if place else []), found


SHIPPED = Path(__file__).parents[3] / "docs/examples/mwan-hook.conf"


def test_the_example_says_nothing_and_is_good_when_its_lines_are_uncommented(tmp_path: Path) -> None:
    text = SHIPPED.read_text()
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == []
    put(tmp_path, lines := re.sub(r"(?m)^#(?=[^ #\n])", "", text))
    assert config.load(str(tmp_path)).warnings == ()
    for word in ("latency_low", "metered_interval", "last_resort", "fiber", "lte"):
        assert re.search(rf"(?m)^\W*{word}\b", lines)


@pytest.mark.parametrize(
    ("text", "seconds", "spelled"),
    [
        *(("0", 0, "no"), ("no", 0, "no"), ("OFF", 0, "no"), ("1h", 3600, "1h"), ("90m", 5400, "90m")),
        *(("48h", 172800, "2d"), ("3601s", 3601, "3601s"), ("3650d", 3650 * 86400, "3650d")),
    ],
)
def test_a_record_is_kept_for_so_long(text: str, seconds: int, spelled: str) -> None:
    assert values_notify.keep(text) == seconds
    assert values_notify.spelled(seconds) == spelled
    assert values_notify.keep(spelled) == seconds
