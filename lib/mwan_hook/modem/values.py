"""What ModemManager tells, as values.  Numbers are those of ModemManager-enums.h (1.18 to 1.26)."""

from __future__ import annotations

from collections.abc import Mapping

from mwan_hook.light import IntEnum, NamedTuple

Properties = Mapping[str, object]
Objects = Mapping[str, Mapping[str, Properties]]

MODEM = "org.freedesktop.ModemManager1.Modem"
NET_PORT = 2
NO_OBJECT = "/"

FAILED_STATE, UNKNOWN, INITIALIZING, LOCKED_STATE, DISABLED = -1, 0, 1, 2, 3
DISABLING, ENABLING, DISCONNECTING, CONNECTING, CONNECTED = 4, 5, 9, 10, 11
ON_ITS_WAY = (UNKNOWN, INITIALIZING, DISABLING, ENABLING, DISCONNECTING, CONNECTING)
STATES = dict(
    enumerate(
        (
            *("failed", "unknown", "initializing", "locked", "disabled", "disabling", "enabling", "enabled"),
            *("searching", "registered", "disconnecting", "connecting", "connected"),
        ),
        FAILED_STATE,
    )
)
NO_SIM_REASON, SIM_ERROR_REASON = 2, 3
SIM_PIN = 2
LOCKS = dict(
    enumerate(
        (
            *("SIM PIN", "SIM PIN2", "SIM PUK", "SIM PUK2", "service provider PIN", "service provider PUK"),
            *("network PIN", "network PUK", "PIN for this SIM", "corporate PIN", "corporate PUK"),
            *("PIN for the first SIM", "PUK for the first SIM", "network subset PIN", "network subset PUK"),
        ),
        SIM_PIN,
    )
)
PUKS = frozenset(number for number, name in LOCKS.items() if "PUK" in name)


class IpMethod(IntEnum):
    """Where the addresses of a bearer come from."""

    NONE = 0
    PPP = 1
    STATIC = 2
    DHCP = 3


class ModemSeen(NamedTuple):
    """A modem that ModemManager has."""

    path: str
    state: int
    reason: int  # of a failure
    lock: int
    tries: int | None  # that a PIN has left; None: the modem does not say
    sim: str
    bearers: tuple[str, ...]
    interfaces: tuple[str, ...]
    equipment: str

    @property
    def state_word(self) -> str:
        """The state as mmcli(1) calls it."""
        return STATES.get(self.state, str(self.state))


class IpSettings(NamedTuple):
    """What a bearer says of one family."""

    method: IpMethod = IpMethod.NONE
    address: str = ""
    prefixlen: int = 0
    gateway: str = ""
    servers: tuple[str, ...] = ()
    mtu: int = 0


class BearerSeen(NamedTuple):
    """A connection of a modem, or one that it could make."""

    path: str
    interface: str
    connected: bool
    properties: dict[str, object]
    ipv4: IpSettings
    ipv6: IpSettings


def modems(objects: Objects) -> tuple[ModemSeen, ...]:
    """All modems among the objects that ModemManager manages."""
    return tuple([_modem(path, kinds[MODEM]) for path, kinds in objects.items() if MODEM in kinds])


def _modem(path: str, told: Properties) -> ModemSeen:
    retries = told.get("UnlockRetries")
    ports = told.get("Ports")
    tries = retries.get(SIM_PIN) if isinstance(retries, dict) else None
    return ModemSeen(
        path,
        _number(told, "State"),
        _number(told, "StateFailedReason"),
        _number(told, "UnlockRequired"),
        tries if type(tries) is int else None,
        _text(told, "Sim"),
        tuple([one for one in _list(told, "Bearers") if one != NO_OBJECT]),
        tuple([port[0] for port in ports if port[1] == NET_PORT]) if isinstance(ports, list) else (),
        _text(told, "EquipmentIdentifier"),
    )


def bearer(path: str, told: Properties) -> BearerSeen:
    """A bearer's properties."""
    properties = told.get("Properties")
    return BearerSeen(
        path,
        _text(told, "Interface"),
        told.get("Connected") is True,
        properties if isinstance(properties, dict) else {},
        _settings(told.get("Ip4Config")),
        _settings(told.get("Ip6Config")),
    )


def _settings(told: object) -> IpSettings:
    if not isinstance(told, dict):
        return IpSettings()
    number = _number(told, "method")
    servers = [_text(told, f"dns{place}") for place in (1, 2, 3)]
    return IpSettings(
        IpMethod(number) if 0 <= number <= 3 else IpMethod.NONE,
        _text(told, "address"),
        _number(told, "prefix"),
        _text(told, "gateway"),
        tuple([server for server in servers if server]),
        _number(told, "mtu"),
    )


def _text(told: Properties, key: str) -> str:
    value = told.get(key)
    return value if isinstance(value, str) else ""


def _number(told: Properties, key: str) -> int:
    value = told.get(key)
    return value if type(value) is int else 0


def _list(told: Properties, key: str) -> list[str]:
    value = told.get(key)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
