"""The configspec: every section and key that the files may hold.  Its checks are those of configvalues."""

from mwan_hook.routing.priorities import LAST, LAST_BASE

_PROBE = """
targets = targets
required = whole(1, 1000)
portal_targets = portal_targets
portal_interval = seconds
interval = some_seconds
timeout = some_seconds
fall = whole(1, 1000000)
rise = whole(1, 1000000)
burst_interval = some_seconds
hysteresis_delay = seconds
hysteresis_backoff = seconds
latency_high = milliseconds
latency_low = milliseconds
portal_is_online = boolean
"""

SPEC = f"""
[routing]
default_table = default_table
first_table = table
rule_priority = whole(1, {LAST_BASE})
main_first = boolean
copy_routes = choice(own, main)
last_resort = choice(main, keep, unreachable, blackhole)
mark_mask = mask
protocol = protocol
nexthops = choice(auto, routes, objects)

[router]
pin = boolean
masquerade = nat_families
nat6 = choice(no, masquerade, prefix)
deprecate_prefixes = boolean

[hooks]
timeout = some_seconds

[mail]
to = recipients
from = sender
smtp_host = host
smtp_port = whole(0, 65535)
security = choice(none, starttls, tls)
user = text
password_file = path
sendmail = path
timeout = some_seconds
min_interruption = seconds
backoff_min = seconds
backoff_step = seconds
backoff_max = seconds

[webhook]
url = url
events = events
header_file = path
timeout = some_seconds
verify = boolean
ca_file = path
backoff_min = seconds
backoff_max = seconds

[prometheus]
textfile = textfile
interval = some_seconds

[snmp]
oid = oid

[policies]
[[__many__]]
from = prefixes
to = prefixes
proto = protos
sport = ports
dport = ports
iif = interfaces
mark = marks
uid = uids
uplinks = uplinks
fallback = choice(default, unreachable, blackhole)
sticky = sticky
mac = macs
dscp = dscps

[probe]
{_PROBE}
[uplinks]
[[__many__]]
match = match
metric = metric
weight = whole(1, 256)
table = table
rule_priority = whole(1, {LAST})
mark = mark
gateway = gateway
families = families
enabled = boolean
metered = boolean
metered_interval = some_seconds
masquerade = nat_families
nat6 = choice(no, masquerade, prefix)
nat6_prefix = prefix6
failback = choice(soft, hard)
prefixes = delegations
quota = amount
quota_reset_day = whole(1, 31)
quota_warn = whole(1, 100)
{_PROBE}
[[[metrics]]]
full = metric
portal = metric
limited = metric
none = metric
"""
