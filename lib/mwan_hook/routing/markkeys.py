"""What policies need marks for."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from mwan_hook.model import Config, Policy, Uplink
    from mwan_hook.routing.allotting import Candidate


def pairs(config: Config, policy: Policy) -> bool:
    """Whether the policy's sources or connections are held to an uplink."""
    return policy.marked and (policy.sticky > 0 or config.router.pin)


def keys(config: Config, policy: Policy, uplinks: Iterable[Uplink | Candidate]) -> list[str]:
    """What the policy needs marks for."""
    if not policy.marked:
        return []
    named = set(policy.uplinks)
    held = [u.name for u in uplinks if named & {u.name, u.config.name}] if pairs(config, policy) else []
    return [policy.name, *(f"{policy.name}/{name}" for name in held)]
