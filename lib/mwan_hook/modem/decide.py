"""What follows from what a modem says: whether it can be dialled, whether a PIN is sent, what an error means."""

from __future__ import annotations

from collections.abc import Iterable

from mwan_hook.dial import causes
from mwan_hook.dial.causes import DialError
from mwan_hook.dial.modemkeys import IP_TYPES, ModemSettings
from mwan_hook.light import NamedTuple
from mwan_hook.modem.values import (
    FAILED_STATE,
    LOCKED_STATE,
    LOCKS,
    NO_SIM_REASON,
    PUKS,
    SIM_ERROR_REASON,
    SIM_PIN,
    BearerSeen,
    ModemSeen,
)

FEWEST = 3  # tries of a PIN that are left before one is sent: two stay for the operator


class PinTry(NamedTuple):
    """A PIN that was sent to a SIM: with how many tries left, and whether it was refused."""

    digest: str  # of both
    left: int
    refused: bool = False


def with_interface(modems: Iterable[ModemSeen], interface: str) -> ModemSeen | None:
    """The modem that has the interface, never just any."""
    return next((modem for modem in modems if interface in modem.interfaces), None)


def failure(modem: ModemSeen) -> DialError | None:
    """Why this modem cannot be dialled as it is, by any means of ours; None where it can."""
    if modem.state == FAILED_STATE:
        if modem.reason == NO_SIM_REASON:
            return DialError(causes.NO_SIM, "the modem has no SIM: put one in")
        if modem.reason == SIM_ERROR_REASON:
            return DialError(causes.FAILED, "the modem cannot read its SIM: take it out and put it in again")
        return DialError(causes.FAILED, "ModemManager has given this modem up: plug it in again")
    if modem.state == LOCKED_STATE and modem.lock in PUKS:
        words = f"the modem wants the {LOCKS[modem.lock]}: give it by hand, mmcli -i SIM --puk=PUK --pin=NEWPIN"
        return DialError(causes.PUK, words)
    if modem.state == LOCKED_STATE and modem.lock != SIM_PIN:
        words = f"the modem is locked ({LOCKS.get(modem.lock, 'by what ModemManager does not say')})"
        return DialError(causes.LOCKED, f"{words}: only who sold it can unlock it")
    return None


def pin_obstacle(modem: ModemSeen, pin_file: str, digest: str, before: PinTry | None) -> DialError | None:
    """Why a PIN is not sent to a SIM that wants one; None where it may be.

    One that was sent is sent again only if it cost no try: then it was right, or never arrived.
    """
    if not pin_file:
        return DialError(causes.LOCKED, "the SIM wants its PIN: set pin_file")
    if modem.tries is None:
        words = "the SIM wants its PIN, and the modem does not say how many tries are left: give it by hand"
        return DialError(causes.LOCKED, words)
    if before and before.digest == digest and (before.refused or modem.tries < before.left):
        words = f"this SIM has refused the PIN in {pin_file}: it is not sent again before another one stands there"
        return DialError(causes.PIN_REFUSED, words)
    if modem.tries < FEWEST:
        words = f"the SIM wants its PIN and has {_times(modem.tries)} left: give it by hand, mmcli -i SIM --pin=PIN"
        return DialError(causes.PIN_REFUSED, words)
    return None


def _times(count: int) -> str:
    return f"{count} {'try' if count == 1 else 'tries'}"


def request(settings: ModemSettings, password: str) -> dict[str, tuple[str, object]]:
    """What Simple.Connect is asked for, as D-Bus variants."""
    asked: dict[str, tuple[str, object]] = {"allow-roaming": ("b", settings.allow_roaming)}
    if settings.apn:
        asked["apn"] = ("s", settings.apn)
    if settings.user:
        asked |= {"user": ("s", settings.user), "password": ("s", password)}
    if settings.ip_type:
        asked["ip-type"] = ("u", IP_TYPES[settings.ip_type])
    return asked


def alike(bearer: BearerSeen, asked: dict[str, tuple[str, object]]) -> bool:
    """Whether a bearer is what was asked for; what an older ModemManager does not tell of it counts as so."""
    known = bearer.properties
    if any(known[key] != value for key, (_, value) in asked.items() if key in known):
        return False
    return known.get("apn", "") == asked.get("apn", ("s", ""))[1] and bool(known.get("user")) == ("user" in asked)


_BY_ERROR = {
    causes.WRONG_APN: (
        *("MissingOrUnknownApn", "RequestedApnNotSupported", "ServiceOptionNotSubscribed"),
        *("UnknownPdpAddressOrType", "ApnRestrictionIncompatible"),
    ),
    causes.WRONG_PASSWORD: ("UserAuthenticationFailed",),
    causes.REFUSED: (
        *("IllegalUe", "IllegalMs", "IllegalMe", "ImeiNotAccepted", "ImsiUnknownInHss", "ImsiUnknownInVlr"),
        *("PsServicesNotAllowed", "PsAndNonPsServicesNotAllowed", "PlmnNotAllowed", "AreaNotAllowed"),
        *("LocationNotAllowed", "RoamingNotAllowedInArea", "RoamingNotAllowed", "PsServicesNotAllowedInPlmn"),
        *("NetworkNotAllowed", "NotAllowedEmergencyOnly", "NotAllowedRestricted", "OperatorDeterminedBarring"),
        *("CallBarred", "ServiceOptionNotAuthorizedInPlmn"),
    ),
    causes.NO_SIM: ("SimNotInserted",),
    causes.PUK: ("SimPuk",),
    causes.LOCKED: ("SimPin", "PhSimPin", "NetworkPin", "NetworkSubsetPin", "ServicePin", "CorpPin"),
}
_CODES = {name: code for code, names in _BY_ERROR.items() for name in names}


def meaning(name: str, words: str) -> int:
    """The exit status for an error that ModemManager answered a connect with; ``name`` is its full one."""
    last = name.rpartition(".")[2].removeprefix("Gprs")
    if last == "Unauthorized" and "policykit" not in words.lower():
        return causes.ROAMING
    return _CODES.get(last, causes.NO_NETWORK)


ADVICE = {
    causes.WRONG_APN: "check apn and ip_type",
    causes.WRONG_PASSWORD: "check user and password_file",
    causes.ROAMING: "allow_roaming=yes lets it, at the carrier's price",
    causes.REFUSED: "ask the carrier whether this SIM is in service here",
}
