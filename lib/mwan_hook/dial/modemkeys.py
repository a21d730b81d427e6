"""``start = modem:KEY=VALUE,...``: what ModemManager is asked for, and the unit that asks."""

from __future__ import annotations

from mwan_hook.light import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

KIND = "modem"  # of `start`, before its colon
UNIT = "mwan-hook-modem@{}.service"
IP_TYPES = {"ipv4": 1, "ipv6": 2, "ipv4v6": 4}  # ModemManager's numbers (MMBearerIpFamily)
_BOOLEANS = {"yes": True, "true": True, "on": True, "1": True, "no": False, "false": False, "off": False, "0": False}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_")


class ModemSettings(NamedTuple):
    """How a modem connects.  Secrets are in files of their own."""

    apn: str = ""  # the one that the SIM or the carrier gives
    user: str = ""
    password_file: str = ""  # below --root
    pin_file: str = ""  # below --root
    allow_roaming: bool = False
    ip_type: str = ""  # the modem's own choice


def settings(words: str) -> ModemSettings:
    """What follows ``modem:``.  Raises ValueError with what was expected."""
    found: dict[str, str | bool] = {}
    for word in filter(None, (part.strip() for part in words.split(","))):
        key, equals, value = word.partition("=")
        key = key.strip().replace("-", "_")
        if key in ("password", "pin"):
            raise ValueError(f"expected {key}_file=PATH: a {key} stands in a file of its own, which only root may read")
        if key not in ModemSettings._fields or not equals:
            raise ValueError(f"expected KEY=VALUE of {', '.join(ModemSettings._fields)}, not {word!r}")
        if key in found:
            raise ValueError(f"{key} stands there twice")
        found[key] = _READERS.get(key, _text)(value.strip())
    made = ModemSettings(**found)  # type: ignore[arg-type]  # the readers give what the fields want
    if bool(made.user) != bool(made.password_file):
        raise ValueError("expected user and password_file, both or none")
    return made


def _text(value: str) -> str:
    if not value or not value.isprintable():
        raise ValueError("expected a value of printable characters after each =")
    return value


def _path(value: str) -> str:
    if not value.startswith("/") or value.endswith("/") or not value.isprintable():
        raise ValueError(f"expected the absolute path of a file, not {value!r}")
    return value


def _boolean(value: str) -> bool:
    if value.lower() not in _BOOLEANS:
        raise ValueError(f"expected allow_roaming=yes or allow_roaming=no, not {value!r}")
    return _BOOLEANS[value.lower()]


def _ip_type(value: str) -> str:
    if value.lower() not in IP_TYPES:
        raise ValueError(f"expected ip_type={' or '.join(IP_TYPES)}, not {value!r}")
    return value.lower()


_READERS: dict[str, Callable[[str], str | bool]] = {
    "password_file": _path,
    "pin_file": _path,
    "allow_roaming": _boolean,
    "ip_type": _ip_type,
}


def unit(interface: str) -> str:
    """The unit that dials the modem of an interface, its name escaped as systemd-escape(1) does."""
    raw = interface.encode("utf-8", "surrogateescape")
    escaped = [
        chr(byte) if chr(byte) in _PLAIN or (byte == ord(".") and place) else f"\\x{byte:02x}"
        for place, byte in enumerate(raw)
    ]
    return UNIT.format("".join(escaped))
