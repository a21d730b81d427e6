"""The preferences that measuring leaves.  Imported only where an uplink is degraded, or latency decides."""

from __future__ import annotations

from mwan_hook.model import LATENCY
from mwan_hook.routing import preference
from mwan_hook.run.scene import Scene
from mwan_hook.verdict import leading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from mwan_hook.model import UplinkState


def preferred(seen: Scene, memories: dict[str, UplinkState]) -> tuple[Scene, dict[str, UplinkState]]:
    """The scene with the uplinks' places, each family its own, and the memories of who leads."""
    uplinks = preference.demoted(seen.uplinks, memories)
    if seen.config.routing.prefer == LATENCY:
        memories = leading.led(uplinks, memories, seen.now)
        uplinks = leading.behind_leaders(uplinks, memories)
    if uplinks == seen.uplinks:
        return seen, memories
    bound = seen.bound._replace(uplinks=uplinks)
    if bound.policies:
        from mwan_hook.policy import policies

        bound = bound._replace(policies=policies.of_now(bound.policies, uplinks))
    return seen._replace(bound=bound, unplaced=seen.uplinks), memories
