"""What all nouns are made of: families, verdicts, numbers of tables, and errors with words for the operator."""

from __future__ import annotations

from mwan_hook.light import Enum, IntEnum

PROTOCOL = 172
LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE = 255, 254, 253
RESERVED_TABLES = frozenset((0, LOCAL_TABLE, MAIN_TABLE, DEFAULT_TABLE))
GUARD_METRIC = 4294967295  # the worst; earlier versions had guards there, in uplinks' tables
DEFAULT = "default"
LOOKUP = "lookup"
HEAVIEST_TYPED = 256  # weight of a nexthop object that ip(8) before 6.12 takes
BEST_METRIC = 1  # of the shared default; its fallbacks follow at 2, 3, ...


class Family(str, Enum):
    """Address family, by the word that configuration and JSON use."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"

    @property
    def af(self) -> int:
        """AF_INET or AF_INET6."""
        return 2 if self is Family.IPV4 else 10

    @property
    def flag(self) -> str:
        """ip(8)'s option for it."""
        return "-4" if self is Family.IPV4 else "-6"

    @classmethod
    def of(cls, address: str) -> Family:
        """The family an address (not a name) belongs to."""
        return cls.IPV6 if ":" in address else cls.IPV4


FAMILIES = (Family.IPV4, Family.IPV6)


class Connectivity(IntEnum):
    """What one round saw; a larger number is better."""

    UNKNOWN = 0
    NONE = 1
    PORTAL = 2
    LIMITED = 3
    FULL = 4

    @property
    def word(self) -> str:
        """Lower-case name, as printed."""
        return self.name.lower()


class Status(str, Enum):
    """The verdict that routing obeys."""

    ONLINE = "online"
    OFFLINE = "offline"
    DISABLED = "disabled"


class MwanError(Exception):
    """An error with words for the operator; ``code`` is the exit status."""

    code = 1


class ConfigError(MwanError):
    """One or more mistakes in the configuration, each on its own line."""

    code = 2


class UsageError(MwanError):
    """A word of the command line that means nothing here."""

    code = 2


class Busy(MwanError):  # noqa: N818 - its name is the word of the exit code
    """A lock was not to be had in time."""

    code = 75
