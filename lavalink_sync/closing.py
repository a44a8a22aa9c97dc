"""How a client ends: one deadline for all of it, and afterwards no thread, socket or timer is left.

The order matters: sessions are told not to wait, then everything that could block a thread of ours is ended, then the
threads are joined, and the listeners' queues are drained last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from .errors import ClientClosedError
from .keeping import Keeping
from .node import Node
from .player import Player
from .transport.clock import Deadline
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool
from .transport.workers import KeyedExecutor

log = logging.getLogger(__name__)


def closed_error() -> ClientClosedError:
    """What calls in flight, and waits, raise."""
    return ClientClosedError("the client was closed before this call was done; make a new Client")


def close_everything(
    nodes: Sequence[Node],
    players: Sequence[Player],
    gates: Sequence[GuildGate],
    end_waits: Callable[[], None],
    keepers: KeeperPool,
    workers: KeyedExecutor,
    keeping: Keeping | None,
    deadline: Deadline,
    *,
    keep_sessions: bool,
) -> None:
    """End all of a client's parts until `deadline`; what is stuck then is named in one warning and left alone."""
    for gate in gates:
        gate.close(closed_error)
    stuck: list[str] = []
    try:
        if keeping is not None and not keeping.close(deadline, keep=keep_sessions):
            stuck.append("lavalink-store")
        if not keep_sessions:
            for node in nodes:
                node.switch_resuming_off(deadline)
    finally:
        # Also after Ctrl-C: what does not wait is done in any case.
        for node in nodes:
            node.begin_close(closed_error(), deadline)
        for player in players:
            player.detach()
        end_waits()
    stuck += [f"lavalink-node-{node.name}" for node in nodes if not node.join(deadline)]
    stuck += keepers.close(deadline)
    stuck += workers.close(deadline)
    if stuck:
        log.warning(
            "the client is closed, but these threads are still in user code or in name resolution, and end when that "
            "returns: %s",
            ", ".join(stuck),
        )
