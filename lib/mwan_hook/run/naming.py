"""Which uplinks an operator means."""

from __future__ import annotations

from mwan_hook.model import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from mwan_hook.config import Loaded
    from mwan_hook.model import Uplink, UplinkConfig
    from mwan_hook.run.scene import Scene


def chosen(seen: Scene, names: Sequence[str]) -> list[Uplink]:
    """Uplinks by name, by interface, or all of a template by its name.  Raises UsageError."""
    found: list[Uplink] = []
    templates = {entry.name for entry in seen.config.uplinks}
    for name in names:
        matching = [u for u in seen.uplinks if name in (u.name, u.interface, u.config.name)]
        if not matching and name not in templates:
            known = ", ".join(uplink.name for uplink in seen.uplinks) or "none"
            raise UsageError(f"no uplink is called {name}; there are: {known}")
        found += [uplink for uplink in matching if uplink not in found]
    return found


def entries(loaded: Loaded, seen: Scene) -> Sequence[UplinkConfig]:
    """What the configuration says of uplinks; without [uplinks], of those that there are."""
    return loaded.config.uplinks or [uplink.config for uplink in seen.uplinks]
