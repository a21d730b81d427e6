"""How large a packet the uplinks take, by echoes to their targets, all at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from mwan_hook.addresses import is_address
from mwan_hook.doctor.checks.widths import Narrow
from mwan_hook.doctor.finding import Case
from mwan_hook.firewall.segments import LEAST, mtu
from mwan_hook.model import Family, Job, Uplink
from mwan_hook.probes.width import width
from mwan_hook.verdict.rounds import jobs_for
from mwan_hook.verdict.standing import is_online

PATIENCE = 2.5  # seconds for all of it
TARGETS = 2  # asked in a family


def narrow(case: Case) -> list[Narrow]:
    """Families of uplinks that take less than they say.  Raises MwanError without CAP_NET_RAW.

    Each byte of a metered line counts, so that one is not asked; nor is one with a quota.
    """
    asked = [(uplink, family) for uplink in case.present for family in case.snapshot.families]
    asked = [one for one in asked if _may_be_asked(case, *one)]
    if not asked:
        return []
    until = time.monotonic() + PATIENCE
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = [pool.submit(_narrow, case, uplink, family, until) for uplink, family in asked]
        return [found for one in answers if (found := one.result())]


def _may_be_asked(case: Case, uplink: Uplink, family: Family) -> bool:
    spared = uplink.config.metered or uplink.config.quota
    return not spared and is_online(uplink, family, case.state) and mtu(uplink, family, case.snapshot) > LEAST[family]


def _narrow(case: Case, uplink: Uplink, family: Family, until: float) -> Narrow | None:
    says = mtu(uplink, family, case.snapshot)
    found = width(list(_jobs(uplink, family))[:TARGETS], LEAST[family], says, until)
    if not found:
        return None
    job, seen = found
    return Narrow(uplink.name, family, says, seen.answered, seen.lost, job.target.host, seen.told)


def _jobs(uplink: Uplink, family: Family) -> Iterator[Job]:
    """Targets that are addresses, each once."""
    known: set[str] = set()
    for job in jobs_for(uplink, family, uplink.config.probe, with_portal=False):
        if is_address(job.target.host) and job.target.host not in known:
            known.add(job.target.host)
            yield job
