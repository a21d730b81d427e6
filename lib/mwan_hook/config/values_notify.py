"""The checks of [mail], [webhook], [prometheus], [snmp], [record] and [report]."""

from __future__ import annotations

from mwan_hook.addresses import is_address
from mwan_hook.config.targets import authority
from mwan_hook.config.values import one, several
from mwan_hook.durations import DAY, HOUR, UNITS, measured

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.config.values import Value

# what happens, as docs/hooks.md has it
EVENTS = (
    *("online", "degraded", "offline", "full", "portal", "limited", "none", "default-route", "plugged", "unplugged"),
    *("quota-warning", "quota-exceeded", "quota-below", "repair-step", "again", "flushed"),
    *("common", "target-ignored", "target-counted"),
    *("dialling", "dialled", "dial-failed", "hung-up", "exercise-failed", "draining", "drained"),
)
LARGEST_ARC = 0xFFFFFFFF  # of an object identifier
MOST_ARCS = 120  # of 128, so that the tree below has room
SHORTEST, LONGEST = HOUR, 3650 * DAY


def text(value: Value) -> str:
    """Any words without control characters, possibly none."""
    found = one(value)
    if not found.isprintable():
        raise ValueError("expected printable text")
    return found


def host(value: Value) -> str:
    """A server's name or address."""
    found = one(value)
    if found and (not found.isprintable() or set(found) & set(" /@[]") or (":" in found and not is_address(found))):
        raise ValueError("expected the name or address of a server, without port")
    return found


def recipients(value: Value) -> list[str]:
    """Addresses of mail, each once; none: no mail."""
    found = several(value)
    for address in found:
        _mailbox(address)
    return list(dict.fromkeys(found))


def sender(value: Value) -> str:
    """An address of mail, with or without a name before it, or nothing."""
    found = one(value)
    if found:
        _mailbox(found)
    return found


def _mailbox(found: str) -> None:
    """ValueError unless it is ``ADDRESS`` or ``NAME <ADDRESS>``; ``root`` is an address on the machine itself."""
    address = found[found.index("<") + 1 : -1] if "<" in found and found.endswith(">") else found
    strange = set(address) & set(' <>,;:"()') or address.count("@") > 1 or address.startswith("@")
    if not address or strange or address.endswith("@") or not found.isprintable():
        raise ValueError(f"expected addresses of mail, as in someone@example.org (not {found!r})")


def path(value: Value) -> str:
    """A file's absolute path, or nothing."""
    found = one(value)
    if found and (not found.startswith("/") or found.endswith("/") or not found.isprintable()):
        raise ValueError("expected the absolute path of a file")
    return found


def url(value: Value) -> str:
    """An http or https URL, or nothing."""
    found = one(value)
    if found and not (found.isprintable() and " " not in found and _is_web(found)):
        raise ValueError("expected the URL of a webhook, as in https://example.org/hook (a password: in header_file)")
    return found


def _is_web(url: str) -> bool:
    scheme, _, place = url.partition("://")
    for end in "/?#":
        place = place.partition(end)[0]
    try:
        authority(place, "")
    except ValueError:
        return False
    return scheme in ("http", "https")


def events(value: Value) -> list[str]:
    """Events of hooks, each once; none: all of them."""
    found = list(dict.fromkeys(several(value)))
    if strange := [word for word in found if word not in EVENTS]:
        raise ValueError(f"expected events ({', '.join(EVENTS)}), not {', '.join(strange)}")
    return found


def textfile(value: Value) -> str:
    """A path that node_exporter reads, or nothing."""
    found = path(value)
    if found and not found.endswith(".prom"):
        raise ValueError("expected a path that ends in .prom: node_exporter reads no other")
    return found


def page(value: Value) -> str:
    """A path that browsers know by its end, or nothing."""
    found = path(value)
    if found and not found.endswith((".html", ".htm")):
        raise ValueError("expected a path that ends in .html")
    return found


def oid(value: Value) -> str:
    """An object identifier in numbers, with its leading dot."""
    found = one(value).removeprefix(".")
    arcs = found.split(".")
    good = all(arc.isascii() and arc.isdigit() and len(arc) < 11 and int(arc) <= LARGEST_ARC for arc in arcs)
    if not good or not 2 < len(arcs) <= MOST_ARCS or int(arcs[0]) > 2 or (int(arcs[0]) < 2 and int(arcs[1]) > 39):
        raise ValueError("expected an object identifier in numbers, as in .1.3.6.1.4.1.99999")
    return "." + ".".join(str(int(arc)) for arc in arcs)


def keep(value: Value) -> float:
    """Seconds for which a record is kept; 0: it is not made."""
    text = one(value).strip().lower()
    if text in ("0", "no", "off", "false"):
        return 0
    number, unit = measured(text)
    seconds = int(number) * unit if number.isascii() and number.isdigit() and len(number) < 10 else 0
    if not SHORTEST <= seconds <= LONGEST:
        raise ValueError("expected a time from 1h to 3650d, as in 30d or 12h, or `no`")
    return seconds


def spelled(seconds: float) -> str:
    """The value as a file would have it."""
    whole = int(seconds)
    for unit, size in UNITS.items():
        if whole and whole % size == 0:
            return f"{whole // size}{unit}"
    return "no"
