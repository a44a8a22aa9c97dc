"""How long a node waits before it tries again; the waiting itself is done by the node's loop."""

from __future__ import annotations

from collections.abc import Callable

from ..config import ReconnectPolicy


def delay(policy: ReconnectPolicy, attempt: int, random: Callable[[], float]) -> float:
    """Return the seconds to wait before try number `attempt` (from 0) of one outage.

    `random` gives a number from 0 up to 1, and is asked only when the policy has a jitter.
    """
    seconds = min(attempt * policy.step, policy.cap)
    if policy.jitter and seconds:
        seconds *= 1 - policy.jitter * random()
    return seconds


def exhausted(policy: ReconnectPolicy, attempts: int) -> bool:
    """Say whether `attempts` failed tries of one outage are all that the policy allows."""
    return policy.limit is not None and attempts >= policy.limit
