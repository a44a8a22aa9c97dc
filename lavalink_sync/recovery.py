"""What is done for players beside their calls: making them anew on a session or another node.

The jobs run on keepers, never on workers, so that user code that blocks every worker in calls of ours can't hold up
what those calls wait for. A keeper goes first at a guild's gate. Voice and syncing have files of their own,
`voice_link.py` and `syncing.py`; which player goes where when a node is lost is decided in `failover.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from .core.status import Status
from .errors import (
    ConnectError,
    LavalinkError,
    NodeNotReadyError,
    PlayerDestroyedError,
    RequestTimeoutError,
    RestError,
    SessionNotFoundError,
)
from .keeper_jobs import FAREWELL, KeeperJobs, delete_player
from .models import UNSET, PlayerUpdate, TrackUpdate
from .node import Node
from .node_state import NodeView
from .player import Player
from .player_fields import PlayerFields
from .syncing import Syncing
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool
from .voice_link import VoiceLink

log = logging.getLogger(__name__)

# The pause before a rebuild that met a passing fault is tried again.
_RETRY_PAUSE = 1.0


@dataclass(frozen=True)
class RecoveryReports:
    """Where it is told what was done. Called on keepers, `synced` on the node's thread.

    `voice_failed(guild_id, reason, code)`; `restored(guild_id, how)` with `resumed`, `rebuilt` or `moved`;
    `lost(guild_id, reason)`: the server refused to make the player anew; `synced(node, kept, changed, created, ended)`.
    """

    voice_failed: Callable[[int, str, int | None], None]
    restored: Callable[[int, str], None]
    lost: Callable[[int, str], None]
    synced: Callable[[Node, list[int], list[int], list[int], list[int]], None]


class Recovery:
    """The keepers' work. Made once a client."""

    def __init__(
        self, keepers: KeeperPool, clock: Clock, gate: Callable[[int], GuildGate], reports: RecoveryReports
    ) -> None:
        self._jobs = KeeperJobs(keepers)
        self._clock = clock
        self._gate = gate
        self._reports = reports
        self.voice = VoiceLink(KeeperJobs(keepers, voice=True), clock, gate, self._remake, reports.voice_failed)
        self.syncing = Syncing(self._jobs, clock, gate, reports.synced, reports.restored)

    # After a `ready`.

    def connected(self, node: Node, resumed: bool, players: Iterable[Player]) -> None:
        """The node is CONNECTED. A new session knows no player: each one that had something is made anew on it."""
        for player in players:
            if player.node is not node:
                continue
            if not resumed:
                player.voice_side.forget_sent()
            if player.session not in (None, node.session_id):
                self._jobs.submit(player, self._rebuild)
            elif player.voice_side.is_new:
                self.voice.send(player)

    def _rebuild(self, player: PlayerFields) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        try:
            with self._gate(player.guild_id).turn(deadline, keeper=True, what="its rebuild"):
                done = self._rebuild_in_turn(player, node, deadline)
        except RequestTimeoutError as error:
            self._rebuild_later(player, node, error)
            return
        if done:
            self._reports.restored(player.guild_id, "rebuilt")
            self.voice.send(player)

    def _rebuild_in_turn(self, player: PlayerFields, node: Node, deadline: Deadline) -> bool:
        view = node.view
        old = player.session
        if player.node is not node or old in (None, view.session_id) or player.is_destroyed:
            return False
        # The server may not have noticed yet that the old socket is dead.
        delete_player(node, player.guild_id, old)
        try:
            self._make(player, node, view, deadline)
        except SessionNotFoundError:
            node.session_is_lost(view.session_id)  # an outage: the next `ready` begins anew
        except RestError as error:
            self._refused(player, error)
        except LavalinkError as error:
            self._rebuild_later(player, node, error)
        else:
            return True
        return False

    def _rebuild_later(self, player: PlayerFields, node: Node, error: LavalinkError) -> None:
        log.info("guild %s: not made anew on node %s yet: %s", player.guild_id, node.name, error)
        self._jobs.submit(player, self._rebuild, delay=_RETRY_PAUSE)

    def _make(self, player: PlayerFields, node: Node, view: NodeView, deadline: Deadline) -> None:
        """Make the player on `node` as it is now; it is put there when the server has answered."""
        mark = player.mark()
        reply = node.rest.update_player(
            player.guild_id,
            state_to_send(player, self._clock.monotonic()),
            session_id=view.session_id,
            timeout=deadline.remaining(),
        )
        if player.node is not node:
            player.put_on(node)
            # Marked only now: what came before was said by the node it left.
            mark = player.mark()
        player.take_rebuilt(view.session_id, mark, reply)

    def _remake(self, player: PlayerFields) -> None:
        """Delete the player and make it anew on its session: what clears a voice update that was never answered."""
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="its rebuild"):
            view = node.view
            if player.node is not node or player.session not in (None, view.session_id) or player.is_destroyed:
                return
            # Noted before the deletion, whose events would empty it.
            before, mark, update = player.snapshot, player.mark(), state_to_send(player, self._clock.monotonic())
            delete_player(node, player.guild_id, view.session_id)
            try:
                reply = node.rest.update_player(
                    player.guild_id, update, session_id=view.session_id, timeout=deadline.remaining()
                )
            except LavalinkError as error:
                if isinstance(error, RestError) and not isinstance(error, SessionNotFoundError):
                    self._refused(player, error)
                    return
                log.info("guild %s: not made anew on node %s yet: %s", player.guild_id, node.name, error)
                player.was_interrupted(before)
                self._jobs.submit(player, self._rebuild)
                return
            player.take_reply(view.session_id, mark, update, reply)
        self._reports.restored(player.guild_id, "rebuilt")

    def _refused(self, player: PlayerFields, error: RestError) -> None:
        player.was_not_rebuilt()
        log.warning("guild %s: the server did not take the player: %s", player.guild_id, error)
        self._reports.lost(player.guild_id, str(error))

    # Moving.

    def move(self, player: PlayerFields, target: Node, deadline: Deadline) -> None:
        """Make the player on `target` as it is now, change over, delete it on the node it came from."""
        with self._gate(player.guild_id).turn(deadline, what="its move") as turn:
            with turn.aside():
                view = target.wait_view(lambda view: view.settled, deadline)
                if view.status is not Status.CONNECTED:
                    raise NodeNotReadyError(
                        f"guild {player.guild_id}: node {target.name} is {view.status.value}; it can't take the player"
                    )
            if player.is_destroyed:
                raise PlayerDestroyedError(f"guild {player.guild_id}: the player was destroyed before it could move")
            if player.node is target:
                return  # a keeper has brought it there meanwhile
            self._change_over(player, target, view, deadline)
        self._moved(player)

    def adopt(self, player: PlayerFields, source: Node | None, target: Node) -> bool:
        """Bring a player whose node is lost to `target`. False when that failed and is to be tried again. On a keeper.

        What the lost node still has of it is deleted where that can be reached, else when the node resumes.
        """
        deadline = Deadline(self._clock, target.config.timeouts.call)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="its move to another node"):
            view = target.view
            if player.node is not source or player.is_destroyed or is_at_home(player):
                return True
            if view.status is not Status.CONNECTED:
                return False
            try:
                if player.session is None:
                    player.put_on(target)
                else:
                    self._change_over(player, target, view, deadline)
            except (ConnectError, SessionNotFoundError):
                return False
            except RestError as error:
                player.put_on(target)
                self._refused(player, error)
                return True
        self._moved(player)
        return True

    def _change_over(self, player: PlayerFields, target: Node, view: NodeView, deadline: Deadline) -> None:
        source, session = player.node, player.session
        self._make(player, target, view, deadline)
        if source is None or session is None:
            return
        if source.status is not Status.CONNECTED:
            self._jobs.submit(player, partial(self._take_leave, source, session))
        elif not delete_player(source, player.guild_id, source.session_id):
            log.warning("guild %s: moved, but not deleted on node %s", player.guild_id, source.name)

    def _take_leave(self, source: Node, session: str, player: PlayerFields) -> None:
        deadline = Deadline(self._clock, FAREWELL)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="the end of its old player"):
            if player.node is not source:
                delete_player(source, player.guild_id, session)

    def _moved(self, player: PlayerFields) -> None:
        self._reports.restored(player.guild_id, "moved")
        self.voice.send(player)


def is_at_home(player: PlayerFields) -> bool:
    """Whether the player's node is CONNECTED and keeps it; a new session makes it anew there."""
    node = player.node
    return node is not None and node.status is Status.CONNECTED and not node.view.draining


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
