"""What is done for players beside their calls: making them anew, reading them, syncing after a resume, moving.

The jobs run on keepers, never on workers, so that user code that blocks every worker in calls of ours can't hold up
what those calls wait for. A keeper goes first at a guild's gate. Voice has a file of its own, `voice_link.py`; which
player goes where when a node is lost is decided in `failover.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from .core.status import Status
from .errors import (
    ClientClosedError,
    ConnectError,
    LavalinkError,
    NodeNotReadyError,
    PlayerDestroyedError,
    PlayerNotFoundError,
    RestError,
    SessionNotFoundError,
)
from .models import UNSET, PlayerUpdate, ServerPlayer, TrackUpdate
from .node import Node
from .node_state import NodeView
from .player import Player
from .player_fields import PlayerFields
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool
from .voice_link import VoiceLink

log = logging.getLogger(__name__)

# The pause before a rebuild that met a passing fault is tried again.
_RETRY_PAUSE = 1.0
# How long a node that was left may take to delete what it still has of a player.
_FAREWELL = 2.0


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
        self._keepers = keepers
        self._clock = clock
        self._gate = gate
        self._reports = reports
        self.voice = VoiceLink(keepers, clock, gate, self._remake, reports.voice_failed)

    # After a `ready`.

    def connected(self, node: Node, resumed: bool, players: Iterable[Player]) -> None:
        """The node is CONNECTED. A new session knows no player: each one that had something is made anew on it."""
        for player in players:
            if player.node is not node:
                continue
            if not resumed:
                player.voice_side.forget_sent()
            if player.session not in (None, node.session_id):
                self._submit(player, self._rebuild)
            elif player.voice_side.is_new:
                self.voice.send(player)

    def _rebuild(self, player: PlayerFields) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="its rebuild"):
            view = node.view
            old = player.session
            if player.node is not node or old in (None, view.session_id) or player.is_destroyed:
                return
            # The server may not have noticed yet that the old socket is dead.
            self._delete(node, player.guild_id, old)
            try:
                self._make(player, node, view, deadline)
            except (ConnectError, SessionNotFoundError):
                return  # an outage: the next `ready` begins anew
            except RestError as error:
                self._refused(player, error)
                return
            except LavalinkError as error:
                log.info("guild %s: not made anew on node %s yet: %s", player.guild_id, node.name, error)
                self._submit(player, self._rebuild, delay=_RETRY_PAUSE)
                return
        self._reports.restored(player.guild_id, "rebuilt")
        self.voice.send(player)

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
            mark, update = player.mark(), state_to_send(player, self._clock.monotonic())
            self._delete(node, player.guild_id, view.session_id)
            reply = node.rest.update_player(
                player.guild_id, update, session_id=view.session_id, timeout=deadline.remaining()
            )
            player.take_reply(view.session_id, mark, update, reply)

    def _refused(self, player: PlayerFields, error: RestError) -> None:
        player.was_not_rebuilt()
        log.warning("guild %s: the server did not take the player: %s", player.guild_id, error)
        self._reports.lost(player.guild_id, str(error))

    def _delete(self, node: Node, guild_id: int, session: str | None) -> bool:
        try:
            node.rest.destroy_player(guild_id, session_id=session, timeout=_FAREWELL)
        except (SessionNotFoundError, PlayerNotFoundError):
            return True
        except LavalinkError as error:
            log.info("guild %s: not deleted on node %s: %s", guild_id, node.name, error)
            return False
        return True

    # Reading anew.

    def reread(self, player: PlayerFields) -> None:
        """Queue reading the player from its node, because what is known of it may be wrong."""
        self._submit(player, self._reread)

    def _reread(self, player: PlayerFields) -> None:
        node = player.node
        if node is None:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        node.wait_view(lambda view: view.settled, deadline)
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

    # After a resume: on the node's thread, before the next frame is read.

    def sync(self, node: Node, player_for: Callable[[int], Player], known: Iterable[Player]) -> set[int]:
        """Bring every player of the node up to what the server says; one it no longer has plays nothing.

        Returns the guilds that the server has: what it kept for them while it was away comes next.
        """
        mine = {player.guild_id: player for player in known if player.node is node}
        servers = {server.guild_id: server for server in node.rest.players()}
        kept: list[int] = []
        changed: list[int] = []
        for guild_id, server in servers.items():
            player = player_for(guild_id)
            if player.node is not node:
                # It was brought to another node meanwhile, and must not play on two.
                self._submit(player, partial(self._delete_leftover, node))
            elif self._sync(player, node, server) and guild_id in mine:
                changed.append(guild_id)
            elif guild_id in mine:
                kept.append(guild_id)
        ended = [
            guild_id for guild_id, player in mine.items() if guild_id not in servers and player.session is not None
        ]
        for guild_id in ended:
            self._sync(mine[guild_id], node, ServerPlayer.absent(guild_id))
        created = [guild_id for guild_id in servers if guild_id not in mine and player_for(guild_id).node is node]
        self._reports.synced(node, kept, changed, created, ended)
        for guild_id in (*kept, *changed, *created):
            self._reports.restored(guild_id, "resumed")
        return set(servers)

    def _sync(self, player: Player, node: Node, server: ServerPlayer) -> bool:
        """Take what the server says; whether that was news. With a call on the wire, leave it to a keeper."""
        if self._gate(player.guild_id).busy:
            self.reread(player)
            return False
        before = player.snapshot
        player.take_read(node.session_id, player.mark(), server)
        after = player.snapshot
        return (before.volume, before.paused, before.filters, _named(before.track)) != (
            after.volume,
            after.paused,
            after.filters,
            _named(after.track),
        )

    def _delete_leftover(self, node: Node, player: PlayerFields) -> None:
        deadline = Deadline(self._clock, node.config.timeouts.call)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="the end of its old player"):
            if player.node is not node:
                self._delete(node, player.guild_id, node.session_id)

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
            self._submit(player, partial(self._take_leave, source, session))
        elif not self._delete(source, player.guild_id, source.session_id):
            log.warning("guild %s: moved, but not deleted on node %s", player.guild_id, source.name)

    def _take_leave(self, source: Node, session: str, player: PlayerFields) -> None:
        deadline = Deadline(self._clock, _FAREWELL)
        with self._gate(player.guild_id).turn(deadline, keeper=True, what="the end of its old player"):
            if player.node is not source:
                self._delete(source, player.guild_id, session)

    def _moved(self, player: PlayerFields) -> None:
        self._reports.restored(player.guild_id, "moved")
        self.voice.send(player)

    # Jobs on keepers.

    def _submit(self, player: PlayerFields, job: Callable[[PlayerFields], None], *, delay: float = 0) -> None:
        try:
            self._keepers.submit(lambda: self._guarded(player, job), delay=delay)
        except ClientClosedError:
            log.debug("guild %s: the client was closed before a keeper's job", player.guild_id)

    def _guarded(self, player: PlayerFields, job: Callable[[PlayerFields], None]) -> None:
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


def is_at_home(player: PlayerFields) -> bool:
    """Whether the player's node is CONNECTED and keeps it; a new session makes it anew there."""
    node = player.node
    return node is not None and node.status is Status.CONNECTED and not node.view.draining


def _named(track: object) -> object:
    info = getattr(track, "info", None)
    return None if info is None else (info.identifier, info.source_name)


def state_to_send(player: PlayerFields, now: float) -> PlayerUpdate:
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
