"""Every key that the files may hold: one row each, by the section in which it may stand.

The configspec, the messages about unknown keys, ``mwan-hook config --effective`` and docs/configuration.md come from
this table.  Tests compare it with the defaults of :mod:`mwan_hook.model` and with mwan-hook.conf(5).  Runs that find
their configuration in the cache do not import it.
"""

from __future__ import annotations

from mwan_hook.config.build import PORTAL_TARGETS, TARGETS
from mwan_hook.light import NamedTuple
from mwan_hook.routing.priorities import LAST, LAST_BASE

TYPE_CHECKING = False
if TYPE_CHECKING:
    Path = tuple[str, ...]


class Row(NamedTuple):
    """One key: its check (``values*``; as validate reads it), its default as the files spell it, and a line of help.

    ``unset`` says what an absent or empty value stands for.
    """

    name: str
    check: str
    default: str
    help: str
    unset: str = ""


MANY = "__many__"  # any name, in the words of ConfigObj
UPLINK, METRICS, POLICY = ("uplinks", MANY), ("uplinks", MANY, "metrics"), ("policies", MANY)

# fmt: off
_PROBE = (
    Row("targets", "targets", ", ".join(TARGETS), "what a round asks; none: facts alone judge"),
    Row("required", "whole(1, 1000)", "1", "targets that must answer"),
    Row("portal_targets", "portal_targets", ", ".join(PORTAL_TARGETS), "http targets that tell captive portals"),
    Row("portal_interval", "seconds", "600", "seconds between two questions for portals; 0: never"),
    Row("interval", "some_seconds", "10", "seconds between two rounds"),
    Row("timeout", "some_seconds", "3", "seconds for a whole round"),
    Row("fall", "whole(1, 1000000)", "3", "bad rounds in a row that take an uplink offline"),
    Row("rise", "whole(1, 1000000)", "3", "good rounds in a row that bring it online"),
    Row("burst_interval", "some_seconds", "0.5", "seconds between rounds while an online uplink is in doubt"),
    Row("hysteresis_delay", "seconds", "180", "seconds that a flapping uplink is held offline; 0: never"),
    Row("hysteresis_backoff", "seconds", "600", "turning good twice within so many seconds is flapping"),
    Row("latency_high", "milliseconds", "0", "milliseconds above which a round is bad, or an uplink degraded; 0: off"),
    Row("latency_low", "milliseconds", "0", "milliseconds from which a round changes nothing; 0: no such band"),
    Row("portal_is_online", "boolean", "no", "whether a round behind a captive portal is good"),
    Row("loss_high", "percent", "0", "percentage of lost echoes above which an uplink is degraded; 0: off"),
    Row("loss_low", "percent", "0", "percentage at or below which it is not any more; 0: loss_high"),
    Row("jitter_high", "milliseconds", "0", "milliseconds of jitter above which an uplink is degraded; 0: off"),
    Row("jitter_low", "milliseconds", "0", "milliseconds at or below which it is not any more; 0: jitter_high"),
    Row("window", "some_seconds", "60", "seconds over which loss, latency and jitter are measured"),
    Row("burst_echoes", "whole(5, 100)", "20", "echoes of a burst, within a second, where that is in doubt"),
    Row("degraded", "degraded", "",
        "`demote`, `keep` or `offline`: a degraded uplink comes after all others, is only told of, or is offline",
        "demote; where nothing but latency_high is set, that is for single rounds"),
)

KEYS: dict[Path, tuple[Row, ...]] = {
    ("routing",): (
        Row("default_table", "default_table", "1000", "table of the shared default, or `main`"),
        Row("first_table", "table", "1001", "first table that is given to an uplink without `table`"),
        Row("rule_priority", f"whole(1, {LAST_BASE})", "1000", "base of the priorities of all rules"),
        Row("main_first", "boolean", "yes", "whether more specific routes of main come before uplinks' tables"),
        Row("copy_routes", "choice(own, main)", "own", "routes of main that an uplink's table gets: its own, or all"),
        Row("last_resort", "choice(main, keep, unreachable, blackhole)", "main",
            "what carries traffic with no uplink online"),
        Row("mark_mask", "mask", "0x3f00", "bits of the firewall mark that are given out"),
        Row("protocol", "protocol", "172", "number that marks routes and rules as ours"),
        Row("nexthops", "choice(auto, routes, objects)", "auto", "what equal uplinks share by"),
        Row("mptcp", "boolean", "no", "whether online uplinks carry subflows of this machine's MPTCP connections"),
        Row("prefer", "choice(weight, latency)", "weight",
            "among uplinks of equal metric: they share by weight, or the one of the lower latency carries"),
        Row("write_etc", "boolean", "yes", "whether anything below /etc is written: names for ip(8), `doctor --fix`"),
    ),
    ("probe",): _PROBE,
    ("router",): (
        Row("pin", "boolean", "no", "whether a connection keeps the uplink that it began on"),
        Row("masquerade", "nat_families", "no", "families whose sources become the uplink's address; `yes`: IPv4"),
        Row("nat6", "choice(no, masquerade, prefix)", "no",
            "what is done to IPv6 sources that an uplink did not give"),
        Row("deprecate_prefixes", "boolean", "no",
            "whether hosts are told not to use a dead uplink's prefixes"),
        Row("own", "choice(abort, keep)", "abort",
            "what becomes of this machine's own connections by an uplink that is offline, or left by a hard failback"),
        Row("own_after", "seconds", "60", "seconds that it has been offline then"),
        Row("evidence", "choice(traffic, no)", "no",
            "whether answers to traffic stand for probes, and traffic without answers calls for them"),
        Row("mss", "segment", "auto",
            "largest TCP segment of what is forwarded; `auto`: what fits where an uplink's MTU is below 1500"),
        Row("wireguard", "choice(follow, keep)", "follow",
            "whether peers of WireGuard go by the best uplink again when that changes"),
    ),
    ("hooks",): (
        Row("timeout", "some_seconds", "30", "seconds after which a hook is killed with all that it has started"),
    ),
    ("mail",): (
        Row("to", "recipients", "", "addresses that are told of interruptions; none: no mail", "none"),
        Row("from", "sender", "", "sender; else `user` if that is an address, else `mwan-hook@HOST`", "none"),
        Row("smtp_host", "host", "", "server, by name or address", "none"),
        Row("smtp_port", "whole(0, 65535)", "0", "its port; 0: 25, 587 or 465 by `security`"),
        Row("security", "choice(none, starttls, tls)", "none", "how the line is encrypted; with a `user`: `starttls`"),
        Row("user", "text", "", "name to log in with", "none"),
        Row("password_file", "path", "", "file with the password in one line", "none"),
        Row("sendmail", "path", "", "program instead of a server", "none"),
        Row("timeout", "some_seconds", "30", "seconds for one mail"),
        Row("min_interruption", "seconds", "5", "shorter interruptions are only counted"),
        Row("backoff_min", "seconds", "60", "seconds between the first two mails"),
        Row("backoff_step", "seconds", "300", "seconds that the gap grows by with each mail"),
        Row("backoff_max", "seconds", "3600", "largest gap between two mails"),
    ),
    ("webhook",): (
        Row("url", "url", "", "where each event is posted as JSON; none: nowhere", "none"),
        Row("events", "events", "", "events that are posted", "all"),
        Row("header_file", "path", "", "file with more headers, a `NAME: VALUE` a line", "none"),
        Row("timeout", "some_seconds", "30", "seconds for one post"),
        Row("verify", "boolean", "yes", "whether the server's certificate is checked"),
        Row("ca_file", "path", "", "certificates that are trusted instead of the system's", "none"),
        Row("backoff_min", "seconds", "10", "seconds before the second try of a post"),
        Row("backoff_max", "seconds", "3600", "largest pause between two tries"),
    ),
    ("prometheus",): (
        Row("textfile", "textfile", "", "file for node_exporter; ends in `.prom`", "none"),
        Row("interval", "some_seconds", "60", "seconds after which it is replaced without a transition"),
    ),
    ("snmp",): (
        Row("oid", "oid", ".1.3.6.1.4.1.99999", "root of the tree that is answered for"),
    ),
    ("record",): (
        Row("keep", "keep", "30d",
            "how long it is kept what verdicts were made from, as in `30d` or `12h`; `no`: nothing is recorded"),
        Row("size", "amount", "8M", "bytes below /var that it may take; 0: none, it is kept in memory alone"),
    ),
    ("report",): (
        Row("html", "page", "", "page of the last thirty days, made anew every hour and after transitions; ends in "
            "`.html`", "none"),
    ),
    POLICY: (
        Row("from", "prefixes", "", "source addresses and prefixes", "any"),
        Row("to", "prefixes", "", "destination addresses and prefixes", "any"),
        Row("proto", "protos", "", "protocols by name or number", "any"),
        Row("sport", "ports", "", "source ports and ranges", "any"),
        Row("dport", "ports", "", "destination ports and ranges", "any"),
        Row("iif", "interfaces", "", "interfaces that packets come in by; `lo`: this machine's own", "any"),
        Row("mark", "marks", "", "firewall marks, `MARK` or `MARK/MASK`", "any"),
        Row("uid", "uids", "", "users by name or number, and ranges", "any"),
        Row("mac", "macs", "", "hardware addresses of senders", "any"),
        Row("dscp", "dscps", "", "code points of differentiated services by name or number", "any"),
        Row("uplinks", "uplinks", "", "uplinks that carry it, by preference; `+` between those that share",
            "none; at least one must be given"),
        Row("fallback", "choice(default, unreachable, blackhole)", "default",
            "what becomes of it while none of them is online"),
        Row("sticky", "sticky", "no", "seconds that a source keeps its uplink; `yes`: 600"),
    ),
    UPLINK: (
        Row("match", "match", "", "interface, by name, glob, `driver:`, `mac:`, `path:`, `id:` or `property:`",
            "an interface of the uplink's own name"),
        Row("metric", "metric", "", "preference: lower is preferred, equals share",
            "that of its route in main, else 1024"),
        Row("weight", "whole(1, 256)", "1", "share among uplinks of equal metric"),
        Row("table", "table", "", "its own routing table", "the next free one"),
        Row("rule_priority", f"whole(1, {LAST})", "", "priority of the rules of its addresses",
            "[routing] rule_priority + 200"),
        Row("mark", "mark", "", "firewall mark of what leaves by it, `MARK` or `MARK/MASK`",
            "the next free one inside mark_mask"),
        Row("gateway", "gateway", "", "routers in the order in which they are tried; a point-to-point link needs none",
            "those of its defaults in main, else in other tables, else of networkd's lease"),
        Row("families", "families", "ipv4, ipv6", "families that it is used for"),
        Row("enabled", "boolean", "yes", "whether it is used; a later `mwan-hook enable` or `disable` wins"),
        Row("metered", "boolean", "no", "whether it is probed sparingly while another uplink is online"),
        Row("metered_interval", "some_seconds", "300", "seconds between two rounds then"),
        Row("masquerade", "nat_families", "", "instead of that of `[router]`", "that of [router]"),
        Row("nat6", "choice(no, masquerade, prefix)", "", "instead of that of `[router]`", "that of [router]"),
        Row("nat6_prefix", "prefix6", "", "prefix that is routed to it, for `nat6 = prefix`",
            "the network of the IPv6 address that the uplink sends from"),
        Row("failback", "choice(soft, hard)", "soft",
            "whether pinned and own connections stay when a better uplink is back; where `metered`: `hard`"),
        Row("prefixes", "delegations", "auto", "prefixes that its provider delegates; `auto`, `no` or a list"),
        Row("quota", "amount", "0", "bytes a month, as in `20G`, beyond which it is taken last; 0: none"),
        Row("quota_reset_day", "whole(1, 31)", "1", "day of the month on which the quota begins anew"),
        Row("quota_warn", "whole(1, 100)", "80", "percentage of the quota at which it is told"),
        Row("activate", "choice(always, on-demand)", "always",
            "`on-demand`: dialled only while no better uplink is online; `always` with `start`: kept up"),
        Row("start", "start", "",
            "what dials it: `networkd`, `unit:NAME`, `modem:KEY=VALUE,...` or `command:PROGRAM ARGUMENTS`",
            "nothing: it is not dialled"),
        Row("stop", "stop", "", "the `command:` that hangs up what a command has dialled", "the opposite of start"),
        Row("reset", "stop", "", "a `command:` that is run after a failed dial, once an hour at most", "nothing"),
        Row("activate_delay", "seconds", "0", "seconds without a better uplink before it is dialled"),
        Row("ready_timeout", "some_seconds", "60", "seconds that a dial has until there are address and way"),
        Row("linger", "seconds", "180", "seconds that it is kept up after a better uplink is back"),
        Row("retry_min", "some_seconds", "30", "seconds after a failed dial; twice as many after each further one"),
        Row("retry_max", "some_seconds", "3600", "at most so many"),
        Row("exercise", "choice(never, weekly, monthly)", "never", "how often it is dialled to see that it works"),
        Row("exercise_at", "window", "03:00-05:00", "time of the day at which that may be"),
        Row("dial_over_quota", "boolean", "yes", "whether it is dialled beyond its quota"),
        Row("repair", "ladder", "none", "steps against an outage, each with its seconds, as in `renew@60, hook@600`"),
        Row("repair_max", "whole(1, 1000)", "8", "repair steps in a day"),
        Row("mptcp", "choice(yes, backup, no)", "",
            "whether MPTCP uses it, where `[routing]` says so; `backup`: only while no other works",
            "yes; backup if metered"),
        *_PROBE,
    ),
    METRICS: (
        Row("full", "metric", "", "metric of its own default in main while it is online", "unchanged"),
        Row("portal", "metric", "", "while it is offline behind a captive portal", "unchanged"),
        Row("limited", "metric", "", "while it is offline and no target answers", "unchanged"),
        Row("none", "metric", "", "while it is offline and nothing can be sent", "unchanged"),
    ),
}
# fmt: on
