"""``connectivity-state``: networkd-connectivity's command, with its output, from the state file.  Needs no root."""

from __future__ import annotations

from mwan_hook.model import State
from mwan_hook.notify.bus.names import devices
from mwan_hook.say import complain, say
from mwan_hook.store import state as states


def run(root: str, header: bool) -> int:
    """One line an interface.  Raises MwanError."""
    state, messages = states.load(root, writes=False)
    say(lines(state, header))
    complain(messages)
    return 0


def lines(state: State, header: bool) -> list[str]:
    """Columns of fixed width, as programs have learnt to read them."""
    rows = [f"{d.interface:10} {int(d.connectivity):<3}  {d.connectivity.word}" for d in devices(state)]
    return [f"{'IFACE':10} {'#':<3} STATE", *rows] if header else rows
