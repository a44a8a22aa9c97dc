"""The four states of a node, and the one table that says which follows which.

What a user may rely on in each state stands at its member. `NodeState` is the only writer and asks `check` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Status(str, Enum):
    """Where a node is in its life. The value is the name, so it logs and compares as text."""

    CONNECTING = "CONNECTING"
    """`open()` was called and no session was had yet: calls that need a session wait or raise."""

    CONNECTED = "CONNECTED"
    """There is a session, it is configured, and its players are known."""

    RECONNECTING = "RECONNECTING"
    """The connection was lost and is being made anew. Players may go on playing on the server meanwhile."""

    DISCONNECTED = "DISCONNECTED"
    """Not opened yet, closed, or given up. Only `open()` leads out of it."""

    def __str__(self) -> str:
        return self.value


TRANSITIONS: Mapping[Status, frozenset[Status]] = {
    Status.DISCONNECTED: frozenset({Status.CONNECTING, Status.DISCONNECTED}),
    Status.CONNECTING: frozenset({Status.CONNECTED, Status.CONNECTING, Status.DISCONNECTED}),
    Status.CONNECTED: frozenset({Status.RECONNECTING, Status.DISCONNECTED}),
    Status.RECONNECTING: frozenset({Status.CONNECTED, Status.RECONNECTING, Status.DISCONNECTED}),
}
"""From each state, the states that may follow. `close()` leads to DISCONNECTED from everywhere, itself included."""


def check(old: Status, new: Status) -> None:
    """Raise `ValueError` unless a node may go from `old` to `new`."""
    if new not in TRANSITIONS[old]:
        allowed = ", ".join(sorted(TRANSITIONS[old]))
        raise ValueError(f"a node can't go from {old} to {new}; from there it may become {allowed}")
