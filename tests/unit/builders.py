"""Small builders of model values for the pure tests."""

from __future__ import annotations

from mwan_hook.model import (
    MAIN_TABLE,
    Address,
    Config,
    Connectivity,
    Family,
    FamilyState,
    Link,
    Match,
    Nexthop,
    Route,
    Routing,
    Snapshot,
    State,
    Status,
    UplinkConfig,
    UplinkState,
)
from mwan_hook.policy import policies
from mwan_hook.routing.uplinks import Bound, Inputs, bind

NAMES = {"fiber": 2, "cable": 3, "lte": 4}


def order(text: str) -> tuple[tuple[str, ...], ...]:
    """A policy's uplinks: ``one+two three`` are two that share, and one behind them."""
    return tuple(tuple(entry.split("+")) for entry in text.split())


def link(name: str, up: bool = True, carrier: bool = True) -> Link:
    """The link of one of NAMES."""
    return Link(NAMES[name], name, up, carrier)


def address(name: str, family: Family = Family.IPV4, last: int = 2) -> Address:
    """A usable address in the subnet of one of NAMES."""
    number = NAMES[name]
    if family is Family.IPV4:
        return Address(number, family, f"192.168.{number}.{last}", 24, True)
    return Address(number, family, f"2001:db8:{number}::{last}", 64, True)


def foreign(name: str, metric: int, family: Family = Family.IPV4, protocol: int = 16) -> Route:
    """A default of main that another program made."""
    gateway = f"192.168.{NAMES[name]}.1" if family is Family.IPV4 else "fe80::1"
    return Route(family, MAIN_TABLE, metric=metric, nexthops=(Nexthop(NAMES[name], gateway),), protocol=protocol)


def snapshot(*names: str, metric: int = 100, families: tuple[Family, ...] = (Family.IPV4,)) -> Snapshot:
    """Every link up, with an address and a foreign default of equal metric."""
    return Snapshot(
        links=tuple(link(name) for name in names),
        addresses=tuple(address(name, family) for name in names for family in families),
        defaults=tuple(foreign(name, metric, family) for name in names for family in families),
        families=families,
    )


def config(*entries: UplinkConfig, **routing: object) -> Config:
    """A configuration of uplinks with literal names."""
    return Config(Routing(**routing), uplinks=entries)  # type: ignore[arg-type]


def uplink(name: str, **settings: object) -> UplinkConfig:
    """One literal uplink named after its interface."""
    return UplinkConfig(name, (Match("name", name),), **settings)  # type: ignore[arg-type]


def state(**statuses: Status) -> State:
    """Memory in which the uplinks have these verdicts in both families."""
    return State(
        uplinks={
            name: UplinkState(name, NAMES[name], one, one)
            for name, status in statuses.items()
            for one in (FamilyState(status=status, judged=True, way="x", connectivity=Connectivity.FULL),)
        }
    )


def bound(config: Config, around: Inputs) -> Bound:
    """Uplinks and policies bound as a look does it."""
    made = bind(config, around)
    return policies.bound(config, made) if config.policies else made
