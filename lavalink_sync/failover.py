"""Which player goes where when its node is lost: who waits for a resume, who is brought to another node, and when.

A session that can be resumed gets its time first. After that, or at once where it can't, the node's players go to the
best other node, a few at a time; without one they wait, and the first that is ready takes them, be it the lost one.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .core.status import Status
from .errors import ClientClosedError, LavalinkError
from .node import Node
from .node_hooks import DrainReport
from .player import Player
from .recovery import is_at_home
from .transport.clock import Deadline
from .transport.keepers import KeeperPool
from .transport.locks import new_lock

log = logging.getLogger(__name__)

# The pause before a player that no node took is tried again.
_RETRY_PAUSE = 1.0
# The server's own, where a session's timeout was never set.
_SESSION_TIMEOUT = 60


@dataclass(frozen=True)
class MoveLimits:
    """How many players are brought to other nodes at a time: in all, and to one node."""

    at_once: int = 5
    per_node: int = 2


class Failover:
    """See the module.

    `adopt(player, source, target)` does the work, on a keeper. `choose(player, nodes, full)` picks the best of the
    nodes, none of those that are `full`; where all that come into question are, the player waits.
    """

    def __init__(
        self,
        keepers: KeeperPool,
        adopt: Callable[[Player, Node | None, Node], bool],
        nodes: Callable[[], Sequence[Node]],
        choose: Callable[[Player, Sequence[Node], Sequence[Node]], Node | None],
        players: Callable[[], Sequence[Player]],
        changed: Callable[[], None],
        wait_until: Callable[[Callable[[], bool], Deadline], None],
        limits: MoveLimits,
    ) -> None:
        self._keepers = keepers
        self._adopt = adopt
        self._nodes = nodes
        self._choose = choose
        self._players = players
        self._changed = changed
        self._wait_until = wait_until
        self._limits = limits
        # Guards those below.
        self._lock = new_lock()
        self._waiting: deque[Player] = deque()
        self._moving: dict[Player, Node] = {}

    def lost(self, node: Node) -> None:
        """The node's connection is gone, or the node itself. On any thread."""
        view = node.view
        resuming = view.resuming
        if view.status is Status.RECONNECTING and resuming is not None and resuming.resuming is True:
            patience = resuming.timeout if isinstance(resuming.timeout, int) else _SESSION_TIMEOUT
            self._submit(lambda: self._too_late(node, view.readies), delay=max(patience, 0) + _RETRY_PAUSE)
        else:
            self.evacuate(node)

    def _too_late(self, node: Node, readies: int) -> None:
        if node.view.readies == readies and node.status is not Status.CONNECTED:
            self.evacuate(node)

    def evacuate(self, node: Node) -> list[Player]:
        """Bring all players of the node to others, as soon as there are some. Returns them."""
        found = [player for player in self._players() if player.node is node]
        if node.status is Status.DISCONNECTED:
            for player in found:
                player.put_on(None)
        with self._lock:
            self._waiting.extend(p for p in found if p not in self._waiting and p not in self._moving)
        self.pump()
        return found

    def pump(self) -> None:
        """Start as many moves as may run now. Called whenever a node is ready or a move is done."""
        while True:
            # The choice may be user code, so it is asked outside the lock.
            nodes = [node for node in self._nodes() if node.status is Status.CONNECTED and not node.view.draining]
            with self._lock:
                if len(self._moving) >= self._limits.at_once:
                    return
                taken = Counter(self._moving.values())
                player = self._next_locked()
            if player is None:
                return
            source = player.node
            others = [node for node in nodes if node is not source]
            full = [node for node in others if taken[node] >= self._limits.per_node]
            target = self._choose(player, others, full)
            with self._lock:
                if target is None:
                    self._waiting.appendleft(player)
                    return
                self._moving[player] = target
            self._submit(lambda player=player, source=source, target=target: self._move(player, source, target))  # type: ignore[misc]  # a default has no type

    def _next_locked(self) -> Player | None:
        while self._waiting:
            player = self._waiting.popleft()
            if not is_at_home(player) and not player.is_destroyed:
                return player
        return None

    def _move(self, player: Player, source: Node | None, target: Node) -> None:
        done = False
        try:
            done = self._adopt(player, source, target)
        except ClientClosedError:
            done = True
        except LavalinkError as error:
            log.warning("guild %s: not brought to node %s: %s", player.guild_id, target.name, error)
        except Exception:
            log.exception("guild %s: not brought to node %s", player.guild_id, target.name)
        finally:
            with self._lock:
                self._moving.pop(player, None)
                if not done:
                    self._waiting.append(player)
            self._changed()
        if done:
            self.pump()
        else:
            self._submit(self.pump, delay=_RETRY_PAUSE)

    def drain(self, node: Node, deadline: Deadline) -> DrainReport:
        """Bring the players of a node that works to others, and wait until all of that is done. On a user's thread."""
        found = self.evacuate(node)

        def done() -> bool:
            return all(player.node is not node and player not in self._moving for player in found)

        self._wait_until(done, deadline)
        alive = [player for player in found if not player.is_destroyed]
        return DrainReport(
            moved=tuple(player.guild_id for player in alive if player.node is not node),
            left=tuple(player.guild_id for player in alive if player.node is node),
        )

    def _submit(self, job: Callable[[], None], *, delay: float = 0) -> None:
        try:
            self._keepers.submit(job, delay=delay)
        except ClientClosedError:
            log.debug("the client was closed before players could be moved")
