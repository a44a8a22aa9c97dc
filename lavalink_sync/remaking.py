"""What rebuilds and moves have in common: making a player as it is now on a server, and ending it where it was before.

`recovery.py` makes players anew on a new session of their node, `moving.py` makes them on another node. The jobs run on
keepers, never on workers, so that user code that blocks every worker in calls of ours can't hold up what those calls
wait for. A keeper goes first at a guild's gate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from weakref import WeakKeyDictionary

from .core.status import Status
from .errors import BadRequestError, RequestTimeoutError, RestError
from .keeper_jobs import KeeperJobs, delete_player
from .models import UNSET, PlayerUpdate, TrackUpdate
from .node import Node
from .node_state import RETRY_PAUSE, NodeView
from .player_fields import PlayerFields
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate, Turn
from .transport.locks import new_lock

log = logging.getLogger(__name__)

# The longest pause between tries to delete what a node that was left still has of a player.
_LONGEST_PAUSE = 30.0
# How often an answer that may pass is asked for.
_TRIES = 3


class Remaking:
    """See the module. Made once a client. `player_of(guild_id)` gives the guild's present player."""

    def __init__(
        self,
        jobs: KeeperJobs,
        clock: Clock,
        gate: Callable[[int], GuildGate],
        player_of: Callable[[int], PlayerFields | None],
    ) -> None:
        self.jobs = jobs
        self.clock = clock
        self.gate = gate
        self.player_of = player_of
        # Guards what nodes may still have of players that have left, with the session that has it: a node that is away
        # may come back with it when nobody knows the player any more.
        self._lock = new_lock()
        self._left: WeakKeyDictionary[Node, dict[int, tuple[str | None, PlayerFields]]] = WeakKeyDictionary()

    def turn(self, player: PlayerFields, deadline: Deadline, what: str) -> Turn:
        """A keeper's turn at the player's gate."""
        return self.gate(player.guild_id).turn(deadline, keeper=True, what=what)

    def make(self, player: PlayerFields, node: Node, view: NodeView, deadline: Deadline) -> Node | None:
        """Make the player on `node` as it is now; it is put there when the server has answered.

        Returns the node it was on until then. In the guild's turn.
        """
        mark, update = player.mark(), state_to_send(player, self.clock.monotonic())
        reply = node.rest.update_player(
            player.guild_id, update, session_id=view.session_id, timeout=deadline.remaining()
        )
        before = player.put_on(node)
        if before is not node:
            # Marked only now: what came before was said by the node it left.
            mark = player.mark()
        player.take_rebuilt(view.session_id, mark, update, reply)
        return before

    def take_leave(self, player: PlayerFields, node: Node, session: str | None, pause: float = 0) -> None:
        """Queue deleting what `node` may still have of a player that is on another one, until it is gone.

        Where the node can't be reached that ends: its session dies with it, or is synced when it resumes.
        """
        with self._lock:
            self._left.setdefault(node, {})[player.guild_id] = (session, player)

        def leave(player: PlayerFields) -> None:
            deadline = Deadline(self.clock, node.config.timeouts.call)
            try:
                with self.turn(player, deadline, "the end of its old player"):
                    present = self.player_of(player.guild_id) or player
                    if present.node is node or delete_player(node, player.guild_id, session):
                        # One that is away finds no session either, though it may be resumed.
                        if node.status is Status.CONNECTED:
                            self._is_gone(player, node)
                        return
            except RequestTimeoutError as error:
                log.info("guild %s: not deleted on node %s yet: %s", player.guild_id, node.name, error)
            if node.status is Status.CONNECTED and node.session_id == session:
                self.take_leave(player, node, session, min(2 * pause + RETRY_PAUSE, _LONGEST_PAUSE))

        self.jobs.submit(player, leave, delay=pause)

    def _is_gone(self, player: PlayerFields, node: Node) -> None:
        with self._lock:
            self._left.get(node, {}).pop(player.guild_id, None)

    def pop_left(self, node: Node) -> dict[int, PlayerFields]:
        """Return the players that have left the node and may still be on its session, and know of them no more.

        Called at each `ready`: those of another session died with it.
        """
        with self._lock:
            left = self._left.pop(node, {})
        return {guild_id: player for guild_id, (session, player) in left.items() if session == node.session_id}


def is_refusal(error: RestError, times: int) -> bool:
    """Whether the answer is the server's last word on a player. What a proxy says may pass, and is asked again."""
    return isinstance(error, BadRequestError) or times >= _TRIES


def state_to_send(player: PlayerFields, now: float) -> PlayerUpdate:
    """The PATCH that makes the player anew on another node or session; voice goes in a call of its own."""
    snapshot = player.snapshot
    track = snapshot.track
    if track is None:
        return PlayerUpdate(volume=snapshot.volume, paused=snapshot.paused, filters=snapshot.filters)
    position, end_time = snapshot.position_at(now), snapshot.end_time
    if end_time is not None and position >= end_time:
        # An end that has passed never comes: begin right before it, so that the track ends as it would have.
        position = end_time - 1
    return PlayerUpdate(
        track=TrackUpdate(encoded=track.encoded, user_data=track.user_data or UNSET),
        position=position,
        end_time=UNSET if end_time is None else end_time,
        volume=snapshot.volume,
        paused=snapshot.paused,
        filters=snapshot.filters,
    )
