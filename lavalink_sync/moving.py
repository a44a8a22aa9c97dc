"""Bringing one player to another node: made there as it is now, changed over, ended where it came from.

A player is on one node at any moment; what another one still has of it is deleted, and tried again until it is gone.
Which player goes where, and when, is decided in `failover.py`.
"""

from __future__ import annotations

import logging

from .core.status import Status
from .errors import (
    ConnectError,
    LavalinkError,
    NodeNotReadyError,
    PlayerDestroyedError,
    SessionNotFoundError,
)
from .keeper_jobs import delete_player
from .node import Node
from .node_state import RETRY_PAUSE, NodeView
from .player_fields import PlayerFields
from .recovery import RecoveryReports
from .remaking import Remaking
from .transport.clock import Deadline
from .transport.gate import Turn
from .voice_link import VoiceLink

log = logging.getLogger(__name__)


class Moving:
    """See the module. Made once a client."""

    def __init__(self, remaking: Remaking, voice: VoiceLink, reports: RecoveryReports) -> None:
        self._remaking = remaking
        self._voice = voice
        self._reports = reports

    def move(self, player: PlayerFields, target: Node, deadline: Deadline) -> None:
        """Bring the player to `target`, on a user's thread. Where that fails it stays where it was.

        An outage of the target is waited for, up to the deadline. Raises what the call met; `NodeNotReadyError`,
        `PlayerDestroyedError`.
        """
        with self._remaking.gate(player.guild_id).turn(deadline, what="its move") as turn:
            while True:
                view = self._when_ready(player, target, turn, deadline)
                if player.is_destroyed:
                    raise PlayerDestroyedError(f"guild {player.guild_id}: the player was destroyed before its move")
                if player.node is target:
                    return  # a keeper has brought it there meanwhile
                try:
                    self._change_over(player, target, view, deadline)
                    break
                except (ConnectError, SessionNotFoundError) as error:
                    # It sets a state, so it may go again.
                    self._wait_for_news(target, view, turn, deadline, error)
        self._reports.restored(player.guild_id, "moved")
        self._voice.send(player)

    def _when_ready(self, player: PlayerFields, target: Node, turn: Turn, deadline: Deadline) -> NodeView:
        view = target.view
        if view.status is Status.CONNECTED:
            return view
        # What is raised inside `aside` leaves the gate; else it is taken again.
        with turn.aside():
            view = target.wait_view(lambda view: view.settled, deadline)
            if view.status is not Status.CONNECTED:
                raise NodeNotReadyError(
                    f"guild {player.guild_id}: node {target.name} is {view.status.value}; it can't take the player"
                )
        return view

    def _wait_for_news(
        self, target: Node, seen: NodeView, turn: Turn, deadline: Deadline, error: LavalinkError
    ) -> None:
        """Wait as `Node.wait_for_news` does; at the deadline raise `error`."""
        with turn.aside():
            target.wait_for_news(seen, deadline)
            if deadline.expired:
                raise error

    def adopt(self, player: PlayerFields, target: Node) -> None:
        """Bring a player whose node is lost or drained to `target`; one that is at home stays. On a keeper.

        Raises what the call met; the player is where it was then.
        """
        deadline = Deadline(self._remaking.clock, target.config.timeouts.call)
        with self._remaking.turn(player, deadline, "its move to another node"):
            if player.is_destroyed or is_at_home(player) or player.node is target:
                return
            view = target.view
            if view.status is not Status.CONNECTED:
                raise NodeNotReadyError(f"guild {player.guild_id}: node {target.name} is {view.status.value}")
            is_known = player.session is not None
            if is_known:
                self._change_over(player, target, view, deadline)
            else:
                self._leave(player, player.put_on(target), None)
        if is_known:
            self._reports.restored(player.guild_id, "moved")
        self._voice.send(player)

    def give_up(self, player: PlayerFields, target: Node, refusal: LavalinkError) -> None:
        """No node takes a player that has none: it is told, and begins anew on `target`. On a keeper."""
        deadline = Deadline(self._remaking.clock, target.config.timeouts.call)
        with self._remaking.turn(player, deadline, "the end of what it played"):
            if player.is_destroyed or is_at_home(player):
                return
            self._leave(player, player.put_on(target), player.session)
            player.was_not_rebuilt()
        log.warning("guild %s: no node took the player: %s", player.guild_id, refusal)
        self._reports.lost(player.guild_id, str(refusal))
        self._voice.send(player)

    def _change_over(self, player: PlayerFields, target: Node, view: NodeView, deadline: Deadline) -> None:
        session = player.session
        try:
            source = self._remaking.make(player, target, view, deadline)
        except SessionNotFoundError:
            target.session_is_lost(view.session_id)
            raise
        except LavalinkError:
            # It may be there all the same, or a part of it: it was sent, perhaps, and the answer got lost.
            self._remaking.take_leave(player, target, view.session_id)
            raise
        self._leave(player, source, session)

    def _leave(self, player: PlayerFields, source: Node | None, session: str | None) -> None:
        """End what `source` has of the player, which is elsewhere by now. In the guild's turn."""
        if source is None or source is player.node:
            return
        pause = 0.0
        if source.status is Status.CONNECTED:
            session, pause = source.session_id, RETRY_PAUSE
            if delete_player(source, player.guild_id, session):
                return
            log.warning("guild %s: moved, but not deleted on node %s yet", player.guild_id, source.name)
        self._remaking.take_leave(player, source, session or source.session_id, pause)


def is_at_home(player: PlayerFields) -> bool:
    """Whether the player's node is CONNECTED and keeps it; a new session makes it anew there."""
    node = player.node
    return node is not None and node.view.takes_players
