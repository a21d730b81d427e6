"""Which addresses are endpoints of MPTCP, and what differs in the kernel.

Subflows of MPTCP connections leave from endpoints, each by its device, so every online uplink carries one.  Taking an
endpoint out closes its subflows at once and tells the peer; what was under way goes by the others.

Endpoints of others are left as they are, and an address that already is one stays theirs.
"""

from __future__ import annotations

from mwan_hook.addresses import is_global, network
from mwan_hook.light import NamedTuple
from mwan_hook.model import BACKUP, FAMILIES, IMPLICIT, SUBFLOW, Endpoint, Mptcp, PathManager
from mwan_hook.verdict.standing import is_online

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mwan_hook.model import Address, Family, State, Uplink

MOST = 8  # endpoints, and subflows of a connection: MPTCP_PM_ADDR_MAX of the kernel (net/mptcp/pm_kernel.c)
FIRST_ID, LAST_ID = 172, 255  # ours begin where ids that people type rarely are
REMEMBERED = 64  # ids of addresses that may come back


class Wanted(NamedTuple):
    """Addresses as endpoints, the most important first; ``kept`` are those that may stay, but are not made anew."""

    made: tuple[Endpoint, ...] = ()
    kept: tuple[Endpoint, ...] = ()


class EndpointWork(NamedTuple):
    """What is to be done, and what has to be remembered before it is begun."""

    add: tuple[Endpoint, ...] = ()  # with IMPLICIT: takes the place, and the id, of one that the kernel has made
    change: tuple[Endpoint, ...] = ()  # the backup flag alone
    delete: tuple[Endpoint, ...] = ()
    limit: int | None = None  # of further subflows of a connection
    memory: PathManager = PathManager()
    crowded: bool = False  # deletions come first, to make room
    left_out: tuple[str, ...] = ()  # addresses for which there is no room

    @property
    def idle(self) -> bool:
        """True if there is nothing to do."""
        return not (self.add or self.change or self.delete) and self.limit is None


def role(uplink: Uplink) -> Mptcp:
    """What MPTCP uses an uplink for: a metered one is spared unless the configuration says otherwise.

    One that is drained is a backup: its subflows stay, and new data goes by others.
    """
    said = uplink.config.mptcp or (Mptcp.BACKUP if uplink.config.metered else Mptcp.YES)
    return Mptcp.BACKUP if uplink.draining and said is Mptcp.YES else said


def wanted(uplinks: Sequence[Uplink], state: State) -> Wanted:
    """The endpoints of all online uplinks: first one of each uplink and family, those of preferred uplinks first.

    Those of a drained uplink may stay.  So may those of enabled uplinks in a family in which nothing is online: closing
    the last subflows would end connections that may outlive the outage.
    """
    made: list[tuple[tuple[bool, bool, int, int], Endpoint]] = []
    kept: list[Endpoint] = []
    used = [one for one in uplinks if one.enabled and one.index and role(one) is not Mptcp.NO]
    for family in FAMILIES:
        online = [one for one in used if is_online(one, family, state)]
        carrying = [one for one in online if not one.draining] or online
        for uplink in carrying:
            for place, address in enumerate(_addresses(uplink, family)):
                made.append(((place > 0, *uplink.preference(family)[:2], place), _endpoint(uplink, address)))
        for uplink in online or used:
            kept += [_endpoint(uplink, one) for one in _lasting(uplink, family, uplink in carrying)]
    made.sort(key=lambda one: one[0])
    return Wanted(tuple(endpoint for _, endpoint in made), tuple(kept))


def _lasting(uplink: Uplink, family: Family, carries: bool) -> list[str]:
    """Addresses whose endpoints may stay: deprecated ones; all, if the uplink gets no new connections."""
    way = uplink.way(family)
    found = [one.address for one in way.addresses if one.usable and (one.deprecated or not carries)]
    return [*found, way.lent] if way.lent and not carries else found


def _endpoint(uplink: Uplink, address: str) -> Endpoint:
    backup = BACKUP if role(uplink) is Mptcp.BACKUP else 0
    return Endpoint(address, index=uplink.index, flags=SUBFLOW | backup)


def _addresses(uplink: Uplink, family: Family) -> Iterator[str]:
    """The addresses of an uplink that new connections may leave from, the one that it sends from first.

    Beside a temporary address the lasting ones of its network are left out: a subflow from them would tell each peer
    who it is that hides behind the temporary one.  So are those of local use beside global ones: they lead nowhere.
    """
    way = uplink.way(family)
    if way.lent:
        yield way.lent
        return
    usable = [one for one in way.addresses if one.usable]
    fresh = [one for one in usable if not one.deprecated] or usable[:1]
    hidden = {_network(one) for one in fresh if one.temporary}
    shown = [one.address for one in fresh if one.temporary or _network(one) not in hidden]
    wide = [one for one in shown if is_global(one)] if ":" in way.source else []
    yield from wide or shown


def _network(one: Address) -> str:
    return network(one.address, one.prefixlen)


def difference(wanted: Wanted, there: Sequence[Endpoint], limit: int, memory: PathManager, on: bool) -> EndpointWork:
    """What makes the kernel's endpoints and its limit of subflows as they should be.  ``on``: MPTCP is configured."""
    ours = [one for one in there if is_ours(one, memory.ids)]
    made, left_out = _fitting(wanted, there, ours)
    flags = {key(one): one.flags for one in (*wanted.kept, *made)}
    stay = [one for one in ours if key(one) in flags]
    delete = [one for one in ours if key(one) not in flags]
    standing = {key(one) for one in ours}
    add = _numbered([one for one in made if key(one) not in standing], there, memory.ids)
    change = [one._replace(flags=one.flags ^ BACKUP) for one in stay if (one.flags ^ flags[key(one)]) & BACKUP]
    subflows = len(add) + sum(1 for one in there if one.flags & SUBFLOW and one not in delete)
    memory = memory._replace(ids=_remembered(memory.ids, (*stay, *add)))
    set_to = to_restore(memory, limit)
    if on:
        set_to, memory = _raised(memory, limit, min(subflows - 1, MOST))
    gone = {one.address for one in delete}
    crowded = len(there) + len(add) > MOST or any(one.address in gone for one in add)
    return EndpointWork(tuple(add), tuple(change), tuple(delete), set_to, memory, crowded, left_out)


def _fitting(
    wanted: Wanted, there: Sequence[Endpoint], ours: Sequence[Endpoint]
) -> tuple[list[Endpoint], tuple[str, ...]]:
    """Endpoints to be made or kept, one of an address, as many as there is room for; and the rest's addresses."""
    others = [one for one in there if one not in ours and not one.flags & IMPLICIT]
    taken = {one.address for one in others if not one.port}
    first: dict[str, Endpoint] = {}
    for one in wanted.made:
        if one.address not in taken:
            first.setdefault(one.address, one)
    staying = {key(one) for one in ours} & {key(one) for one in wanted.kept} - {key(one) for one in first.values()}
    room = max(0, MOST - len(others) - len(staying))
    made = [*first.values()]
    return made[:room], tuple([one.address for one in made[room:]])


def _numbered(new: Iterable[Endpoint], there: Sequence[Endpoint], ids: Mapping[str, int]) -> list[Endpoint]:
    """Give each the id that its address had before, so that connections know it again; else one that none had."""
    implicit = {one.address: one.id for one in there if one.flags & IMPLICIT}
    taken = {one.id for one in there}
    found: list[Endpoint] = []
    for one in new:
        if one.address in implicit:
            found.append(one._replace(id=implicit[one.address], flags=one.flags | IMPLICIT))
            continue
        number = ids.get(key(one), 0)
        if not number or number in taken:
            number = _free(taken | {*ids.values()}) or _free(taken)
        taken.add(number)
        found.append(one._replace(id=number))
    return found


def _free(taken: Collection[int]) -> int:
    return next((one for one in (*range(FIRST_ID, LAST_ID + 1), *range(1, FIRST_ID)) if one not in taken), 0)


def _remembered(ids: Mapping[str, int], standing: Iterable[Endpoint]) -> dict[str, int]:
    """Ids by address; of those that are gone the latest only, and none that another has now."""
    now = {key(one): one.id for one in standing}
    gone = [(name, one) for name, one in ids.items() if name not in now and one not in now.values()]
    return {**dict(gone[-REMEMBERED:]), **now}


def _raised(memory: PathManager, limit: int, need: int) -> tuple[int | None, PathManager]:
    """The limit to set, if the one in force is too low; what it was before us is remembered."""
    if limit >= need:
        return None, memory
    ours = limit in memory.raised
    before = memory.before if ours else limit
    return need, memory._replace(before=before, raised=(*(memory.raised if ours else ()), need))


def to_restore(memory: PathManager, limit: int) -> int | None:
    """The limit of subflows from before us, if the one in force is ours and another."""
    return memory.before if limit in memory.raised and limit != memory.before else None


def key(one: Endpoint) -> str:
    """What an endpoint's id is remembered by."""
    return f"{one.address}%{one.index}"


def is_ours(one: Endpoint, ids: Mapping[str, int]) -> bool:
    """True of an endpoint that we have made, or began to make."""
    return not one.port and not one.flags & IMPLICIT and ids.get(key(one)) == one.id


def lines(work: EndpointWork, names: Mapping[int, str]) -> list[str]:
    """What an operator could have typed."""
    add = [_addition(one, names.get(one.index) or f"if{one.index}") for one in work.add]
    change = [f"ip mptcp endpoint change id {one.id} {'' if one.backup else 'no'}backup" for one in work.change]
    delete = [f"ip mptcp endpoint delete id {one.id}" for one in work.delete]
    limit = [] if work.limit is None else [f"ip mptcp limits set subflows {work.limit}"]
    return [*limit, *(delete if work.crowded else ()), *add, *change, *(() if work.crowded else delete)]


def _addition(one: Endpoint, device: str) -> str:
    number = "" if one.flags & IMPLICIT else f" id {one.id}"
    return f"ip mptcp endpoint add {one.address} dev {device}{number} subflow{' backup' if one.backup else ''}"


def left(there: Iterable[Endpoint], limit: int, memory: PathManager) -> EndpointWork:
    """What takes all of ours out, and puts the limit back."""
    return difference(Wanted(), [*there], limit, memory, on=False)
