"""Which player goes where when its node is lost: who waits for a resume, who is brought to another node, and when.

A session that can be resumed gets its time first. After that, or at once where it can't, the node's players go to the
best other node, a few at a time; without one they wait, and the first that is ready takes them, be it the lost one.
How one player is moved is in `moving.py`. Nodes' threads tell what happened to nodes, `drain` and `move` run on a
user's thread; the choices and the moves are made on keepers.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from weakref import WeakKeyDictionary

from .core import checks
from .core.status import Status
from .errors import ClientClosedError, LavalinkError, RestError, SessionNotFoundError
from .moving import Moving, is_at_home
from .node import Node
from .node_hooks import DrainReport
from .node_state import RETRY_PAUSE
from .player import Player
from .player_fields import PlayerFields
from .remaking import is_refusal
from .transport.clock import Deadline
from .transport.keepers import KeeperPool
from .transport.locks import new_lock

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MoveLimits:
    """How many players are brought to other nodes at a time: in all, and to one node. At least one each."""

    at_once: int = 5
    per_node: int = 2

    def __post_init__(self) -> None:
        checks.whole(self.at_once, "at_once")
        checks.whole(self.per_node, "per_node")


class _Refusals:
    """Which nodes have refused a player, how often, and what the last answer was."""

    def __init__(self) -> None:
        self.times: Counter[Node] = Counter()
        self.final: set[Node] = set()
        self.last: LavalinkError | None = None

    def add(self, node: Node, error: RestError) -> None:
        self.times[node] += 1
        self.last = error
        if is_refusal(error, self.times[node]):
            self.final.add(node)


class Failover:
    """See the module.

    `available()` gives the nodes that may take players. `choose(player, nodes, full)` picks the best of `nodes` that is
    not `full`; where all that come into question are, the player waits.
    """

    def __init__(
        self,
        keepers: KeeperPool,
        moving: Moving,
        available: Callable[[], Sequence[Node]],
        choose: Callable[[Player, Sequence[Node], Sequence[Node]], Node | None],
        players: Callable[[], Sequence[Player]],
        changed: Callable[[], None],
        wait_until: Callable[[Callable[[], bool], Deadline], None],
        limits: MoveLimits,
    ) -> None:
        self._keepers = keepers
        self._moving = moving
        self._available = available
        self._choose = choose
        self._players = players
        self._changed = changed
        self._wait_until = wait_until
        self._limits = limits
        # Guards those below. A player that waits is not under way.
        self._lock = new_lock()
        self._waiting: deque[Player] = deque()
        self._under_way: dict[Player, Node] = {}
        self._to_pump = self._pumping = False
        self._refusals: WeakKeyDictionary[Player, _Refusals] = WeakKeyDictionary()

    # What happens to nodes. On any thread; no user code runs on it.

    def lost(self, node: Node) -> None:
        """The node's connection is gone, or the node itself."""
        view = node.view
        if view.status is Status.RECONNECTING and view.can_resume:
            self._submit(lambda: self._too_late(node, view.readies), delay=view.resume_timeout + RETRY_PAUSE)
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
                player.put_on_from(node, None)
        with self._lock:
            # What a node said to what was played then is no answer to what is played now.
            for player in found:
                self._refusals.pop(player, None)
        self._wait_for_a_node(found)
        return found

    def take_orphans(self) -> None:
        """There may be a node for players that have lost theirs. One that no server knows is put on one by a call."""
        self._wait_for_a_node([p for p in self._players() if p.node is None and p.session is not None])

    def _wait_for_a_node(self, players: Sequence[Player]) -> None:
        with self._lock:
            present = {*self._waiting, *self._under_way}
            self._waiting.extend(player for player in players if player not in present)
            if not self._waiting:
                return
        # The choice of a node may be user code, which is nothing for a node's thread.
        self._submit(self._pump)

    # Who goes next.

    def _pump(self) -> None:
        """Start as many moves as may run now. Called whenever that may be more than before.

        One keeper does so at a time, and goes round again for the others: a selector that blocks holds up no more.
        """
        with self._lock:
            self._to_pump = True
            if self._pumping:
                return
            self._pumping = True
        try:
            while self._has_to_pump():
                while (move := self._next()) is not None:
                    self._submit(move)
        except BaseException:
            with self._lock:
                self._pumping = False
            raise

    def _has_to_pump(self) -> bool:
        with self._lock:
            self._pumping, self._to_pump = self._to_pump, False
            return self._pumping

    def _next(self) -> Callable[[], None] | None:
        """Take the first player that can be moved now, and say what is to be done with it."""
        nodes = self._available()
        with self._lock:
            if nodes and self._full_locked().issuperset(nodes):
                return None  # the end of a move leads here again
        undecided = False
        for player in self._waiting_players():
            others = [node for node in nodes if node is not player.node]
            willing = [node for node in others if node not in self._refused_by(player)]
            if willing:
                target = self._best(player, willing)
                undecided = undecided or target is None
            else:
                # Where it plays on, on a node that is drained, it stays until somebody else comes.
                target = others[0] if others and not _is_served(player) else None
            if target is not None and self._start(player, target):
                return partial(self._run, player, target, adopt=bool(willing))
        with self._lock:
            idle = not self._under_way
        if undecided and idle:
            # Nothing that ends will lead here again: a selector that chose nobody is asked again.
            self._submit(self._pump, delay=RETRY_PAUSE)
        return None

    def _waiting_players(self) -> list[Player]:
        """Those that may be brought elsewhere now; none where the limit is reached."""
        with self._lock:
            here = [player for player in self._waiting if not (player.is_destroyed or is_at_home(player))]
            self._waiting = deque(here)
            return here if len(self._under_way) < self._limits.at_once else []

    def _best(self, player: Player, nodes: Sequence[Node]) -> Node | None:
        with self._lock:
            full = self._full_locked()
        try:
            target = self._choose(player, nodes, [node for node in nodes if node in full])
        except Exception:
            log.exception("guild %s: the selector failed; the player goes to the first node", player.guild_id)
            return next((node for node in nodes if node not in full), None)
        return target if target in nodes else None

    def _full_locked(self) -> set[Node]:
        return {node for node, count in Counter(self._under_way.values()).items() if count >= self._limits.per_node}

    def _start(self, player: Player, target: Node) -> bool:
        """Count the player as under way, unless others were quicker since the choice."""
        with self._lock:
            if player not in self._waiting or target in self._full_locked():
                return False
            if len(self._under_way) >= self._limits.at_once:
                return False
            self._waiting.remove(player)
            self._under_way[player] = target
            return True

    # One move, on a keeper.

    def _run(self, player: Player, target: Node, *, adopt: bool) -> None:
        error: Exception | None = None
        try:
            if adopt:
                self._moving.adopt(player, target)
            else:
                self._moving.give_up(player, target, self._last_refusal(player))
        except ClientClosedError:
            return
        except Exception as caught:  # noqa: BLE001 - told in `_done`, and the player is tried again
            error = caught
        self._done(player, target, error)

    def _done(self, player: Player, target: Node, error: Exception | None) -> None:
        with self._lock:
            del self._under_way[player]
            if error is None:
                self._refusals.pop(player, None)
            elif isinstance(error, RestError) and not isinstance(error, SessionNotFoundError):
                self._refusals.setdefault(player, _Refusals()).add(target, error)
        if error is None:
            self._look_after(player)
        else:
            fault = not isinstance(error, LavalinkError)
            log.warning("guild %s: not brought to node %s: %s", player.guild_id, target.name, error, exc_info=fault)
            # Others first: what was in the way may need a moment.
            self._submit(lambda: self._wait_for_a_node([player]), delay=RETRY_PAUSE)
        self._changed()
        self._pump()

    def _look_after(self, player: PlayerFields) -> None:
        """Its node may have been lost in mid-move, when it did not count as that node's."""
        node = player.node
        if player.is_destroyed or is_at_home(player):
            return
        if node is None:
            self.take_orphans()
        elif node.status is not Status.CONNECTING:  # that one is no loss: it is only starting
            self.lost(node)

    def _refused_by(self, player: Player) -> set[Node]:
        with self._lock:
            refusals = self._refusals.get(player)
            return set() if refusals is None else set(refusals.final)

    def _last_refusal(self, player: Player) -> LavalinkError:
        with self._lock:
            refusals = self._refusals.get(player)
        return LavalinkError("no node takes it") if refusals is None or refusals.last is None else refusals.last

    # What users ask for, on their threads.

    def move(self, player: PlayerFields, target: Node, deadline: Deadline) -> None:
        """Bring one player to a node; see `Moving.move`."""
        try:
            self._moving.move(player, target, deadline)
        finally:
            self._look_after(player)

    def drain(self, node: Node, deadline: Deadline) -> DrainReport:
        """Bring the players of a node that works to others, and wait until all of that is done."""
        found = self.evacuate(node)
        self._wait_until(lambda: not any(self._may_still_move(player, node) for player in found), deadline)
        alive = [player for player in found if not player.is_destroyed]
        return DrainReport(
            moved=tuple(player.guild_id for player in alive if player.node is not node),
            left=tuple(player.guild_id for player in alive if player.node is node),
        )

    def _may_still_move(self, player: Player, node: Node) -> bool:
        if player.is_destroyed:
            return False
        with self._lock:
            under_way = player in self._under_way
        if under_way or player.node is not node:
            return under_way
        others = [other for other in self._available() if other is not node]
        return not others or not self._refused_by(player).issuperset(others)

    def _submit(self, job: Callable[[], None], *, delay: float = 0) -> None:
        try:
            self._keepers.submit(job, delay=delay)
        except ClientClosedError:
            log.debug("the client was closed before players could be moved")


def _is_served(player: Player) -> bool:
    """Whether the player's node is connected, if only until it is drained."""
    node = player.node
    return node is not None and node.status is Status.CONNECTED
