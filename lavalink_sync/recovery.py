"""What is done for players beside their calls: sending voice data, reading one anew, syncing after a resume, moving.

The jobs run on keepers, never on workers, so that user code that blocks every worker in calls of ours can't hold up
what those calls wait for. A keeper goes first at a guild's gate.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from .core.status import Status
from .errors import (
    ClientClosedError,
    ConnectError,
    LavalinkError,
    NodeNotReadyError,
    OutcomeUnknownError,
    PlayerDestroyedError,
    PlayerNotFoundError,
    RequestTimeoutError,
    RestError,
    SessionNotFoundError,
)
from .models import UNSET, PlayerUpdate, ServerPlayer, TrackUpdate, VoiceState
from .node import Node
from .player import Player
from .player_calls import PlayerBase
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool

log = logging.getLogger(__name__)

# A voice update that the server can't carry out is never answered: after this many seconds without an answer the
# guild's other calls go on.
VOICE_ANSWER = 2.0
# How long a voice update that never left waits before it is tried again, when nothing is heard of the node.
RETRY_PAUSE = 1.0


class Recovery:
    """The keepers' work. Made once a client; `report_voice_failed(guild_id, reason)` tells of voice that failed."""

    def __init__(
        self,
        keepers: KeeperPool,
        clock: Clock,
        gate: Callable[[int], GuildGate],
        report_voice_failed: Callable[[int, str], None],
    ) -> None:
        self._keepers = keepers
        self._clock = clock
        self._gate = gate
        self._report_voice_failed = report_voice_failed

    # Voice.

    def send_voice(self, player: PlayerBase) -> None:
        """Queue the sending of the player's voice data; a job that finds nothing new ends at once."""
        self._keepers.submit(lambda: self._guarded(player, self._send_voice), voice=True)

    def _send_voice(self, player: PlayerBase) -> None:
        node = player.node
        voice = player.unsent_voice()
        if node is None or voice is None:
            # Without a node it is sent by the call that finds one.
            return
        deadline = Deadline(self._clock, node.config.timeouts.voice)
        trouble = f"node {node.name} was not connected in time"
        while not deadline.expired:
            view = node.wait_view(lambda view: view.status in (Status.CONNECTED, Status.DISCONNECTED), deadline)
            if view.status is not Status.CONNECTED:
                break
            with self._gate(player.guild_id).turn(deadline, keeper=True, what="its voice update"):
                voice = player.unsent_voice()
                if voice is None or player.node is not node:
                    return
                try:
                    answered = self._patch_voice(node, player.guild_id, voice, deadline)
                    if answered:
                        player.voice_was_sent(voice)
                        return
                except SessionNotFoundError:
                    return  # an outage; the next `ready` sends it
                except RestError as error:
                    trouble = str(error)
                    break
                except ConnectError as error:
                    # It never left, so it may go again.
                    trouble, answered = str(error), True
            if not answered:
                if self._is_connected_after(node, player.guild_id, deadline):
                    player.voice_was_sent(voice)
                    return
                trouble = f"node {node.name} did not answer the voice update: its endpoint may be unreachable"
                break
            pause = deadline.at_most(RETRY_PAUSE)
            node.wait_view(lambda view, readies=view.readies: view.readies != readies, pause)  # type: ignore[misc]  # a default has no type
        self._voice_failed(player, voice, trouble)

    def _patch_voice(self, node: Node, guild_id: int, voice: VoiceState, deadline: Deadline) -> bool:
        remaining = deadline.remaining()
        patience = VOICE_ANSWER if remaining is None else min(VOICE_ANSWER, remaining)
        try:
            node.rest.update_player(guild_id, PlayerUpdate(voice=voice), timeout=patience)
        except (OutcomeUnknownError, RequestTimeoutError):
            return False
        return True

    def _is_connected_after(self, node: Node, guild_id: int, deadline: Deadline) -> bool:
        """Give the server the rest of the time, then ask whether the connection stands."""
        node.wait_view(lambda view: view.status is not Status.CONNECTED, deadline)
        try:
            return node.rest.player(guild_id, timeout=node.config.timeouts.read).state.connected
        except LavalinkError as error:
            log.debug("guild %s: after its voice update it could not be read: %s", guild_id, error)
            return False

    def _voice_failed(self, player: PlayerBase, voice: VoiceState, reason: str) -> None:
        if player.voice_has_failed(voice, reason):
            log.warning("guild %s: no voice connection: %s", player.guild_id, reason)
            self._report_voice_failed(player.guild_id, reason)

    # After a `ready`.

    def connected(self, node: Node, resumed: bool, players: Iterable[Player]) -> None:
        """The node is CONNECTED. A new session knows no player: each one that had something is made anew on it."""
        for player in players:
            if player.node is not node:
                continue
            if not resumed:
                player.forget_sent_voice()
            if player.session not in (None, node.session_id):
                self._keepers.submit(partial(self._guarded, player, self._rebuild))
            elif player.unsent_voice() is not None:
                self.send_voice(player)

    def _rebuild(self, player: PlayerBase) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="its rebuild"):
            session = node.session_id
            if player.session != session and not player.is_destroyed:
                mark = player.mark()
                update = state_to_send(player, self._clock.monotonic())
                reply = node.rest.update_player(
                    player.guild_id, update, session_id=session, timeout=deadline.remaining()
                )
                player.take_rebuilt(session, mark, reply)
        self.send_voice(player)

    # Reading anew.

    def reread(self, player: PlayerBase) -> None:
        """Queue reading the player from its node, because what is known of it may be wrong."""
        self._keepers.submit(lambda: self._guarded(player, self._reread))

    def _reread(self, player: PlayerBase) -> None:
        node = player.node
        if node is None:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        node.wait_view(lambda view: view.status in (Status.CONNECTED, Status.DISCONNECTED), deadline)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="its reading anew"):
            view = node.view
            if view.status is not Status.CONNECTED or player.node is not node or player.is_destroyed:
                return
            if player.session not in (None, view.session_id):
                return  # this session does not know it yet: its rebuild is on the way, and tells what there is to tell
            mark = player.mark()
            try:
                server = node.rest.player(player.guild_id, session_id=view.session_id, timeout=deadline.remaining())
            except PlayerNotFoundError:
                server = ServerPlayer.absent(player.guild_id)
            player.take_read(view.session_id, mark, server)

    def _guarded(self, player: PlayerBase, job: Callable[[PlayerBase], None]) -> None:
        """Run a keeper's job: what it meets is told in the log, for nobody waits for its result."""
        try:
            job(player)
        except ClientClosedError:
            log.debug("guild %s: the client was closed during a keeper's job", player.guild_id)
        except LavalinkError as error:
            log.warning("guild %s: a keeper's job failed: %s", player.guild_id, error)
        except Exception:
            # A fault of ours: nobody looks into a keeper's future.
            log.exception("guild %s: a keeper's job failed", player.guild_id)

    # After a resume: on the node's thread, before the next frame is read.

    def sync(self, node: Node, player_for: Callable[[int], Player], known: Iterable[Player]) -> None:
        """Bring every player of the node up to what the server says; one it no longer has plays nothing."""
        servers = {server.guild_id: server for server in node.rest.players()}
        for guild_id, server in servers.items():
            player = player_for(guild_id)
            if player.node is node:
                player.take_read(node.session_id, player.mark(), server)
        for player in known:
            if player.node is node and player.guild_id not in servers:
                player.take_read(node.session_id, player.mark(), ServerPlayer.absent(player.guild_id))

    # Moving.

    def move(self, player: PlayerBase, target: Node, deadline: Deadline) -> None:
        """Make the player on `target` as it is now, change over, delete it on the node it came from."""
        with self._gate(player.guild_id).turn(deadline, what="its move") as turn:
            with turn.aside():
                view = target.wait_view(lambda view: view.status in (Status.CONNECTED, Status.DISCONNECTED), deadline)
                if view.status is not Status.CONNECTED:
                    raise NodeNotReadyError(
                        f"guild {player.guild_id}: node {target.name} is {view.status.value}; it can't take the player"
                    )
            if player.is_destroyed:
                raise PlayerDestroyedError(f"guild {player.guild_id}: the player was destroyed before it could move")
            source = player.node
            reply = target.rest.update_player(
                player.guild_id, state_to_send(player, self._clock.monotonic()), timeout=deadline.remaining()
            )
            player.put_on(target)
            # Marked only now: what came before was said by the node it left.
            player.take_rebuilt(view.session_id, player.mark(), reply)
            if source is not None and source.status is Status.CONNECTED:
                try:
                    source.rest.destroy_player(player.guild_id, timeout=deadline.remaining())
                except LavalinkError as error:
                    log.warning("guild %s: moved, but not deleted on node %s: %s", player.guild_id, source.name, error)
        self.send_voice(player)


def state_to_send(player: PlayerBase, now: float) -> PlayerUpdate:
    """The PATCH that makes the player anew on another node or session; voice goes in a call of its own."""
    snapshot = player.snapshot
    track = snapshot.track
    if track is None:
        return PlayerUpdate(volume=snapshot.volume, paused=snapshot.paused, filters=snapshot.filters)
    return PlayerUpdate(
        track=TrackUpdate(encoded=track.encoded, user_data=track.user_data or UNSET),
        position=snapshot.position_at(now),
        end_time=UNSET if snapshot.end_time is None else snapshot.end_time,
        volume=snapshot.volume,
        paused=snapshot.paused,
        filters=snapshot.filters,
    )
