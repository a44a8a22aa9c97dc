"""Bringing what is known of players up to what their server says: all after a resume, one where there is doubt."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

from .core.playback import is_same_track
from .core.status import Status
from .errors import (
    ClientClosedError,
    LavalinkError,
    PlayerNotFoundError,
    RequestTimeoutError,
    SessionNotFoundError,
)
from .models import ServerPlayer
from .node import Node
from .node_state import RETRY_PAUSE
from .player import Player
from .player_fields import PlayerFields
from .remaking import Remaking
from .secret import Secret
from .transport.clock import Deadline
from .transport.locks import new_lock

log = logging.getLogger(__name__)

# `synced(node, kept, changed, created, ended)`, on the node's thread, and `restored(guild_id, how)` tell what was done.
Synced = Callable[[Node, list[int], list[int], list[int], list[int]], None]
Restored = Callable[[int, str], None]


class Syncing:
    """See the module. Made once a client."""

    def __init__(
        self, remaking: Remaking, send_voice: Callable[[PlayerFields], None], synced: Synced, restored: Restored
    ) -> None:
        self._remaking = remaking
        self._jobs = remaking.jobs
        self._clock = remaking.clock
        self._gate = remaking.gate
        self._send_voice = send_voice
        self._synced = synced
        self._restored = restored
        # Guards the players whose reading is queued: however often one is in doubt meanwhile, it is read once.
        self._lock = new_lock()
        self._to_read: set[PlayerFields] = set()

    # After a resume: on the node's thread, before the next frame is read.

    def sync(self, node: Node, player_for: Callable[[int], Player], known: Iterable[Player]) -> dict[int, bool]:
        """Bring every player of the node up to what the server says; one it no longer has plays nothing.

        Returns the guilds that the server has, and whether they were read: what it kept for those, which comes next, is
        older than what is known of them then.
        """
        mine = {player.guild_id: player for player in known if player.node is node}
        servers, busy = self._ask(node, mine)
        for guild_id, left in self._remaking.pop_left(node).items():
            # It was destroyed since it left: made anew here, it would play on. Asked now, as a user may have made one.
            if self._remaking.player_of(guild_id) is None and servers.pop(guild_id, None) is not None:
                self._remaking.take_leave(left, node, node.session_id)
        kept: list[int] = []
        changed: list[int] = []
        created: list[int] = []
        for guild_id, server in servers.items():
            player = player_for(guild_id)
            if player.node is not node:
                if not self._bring_home(player, node):
                    busy.add(guild_id)
                    continue
                mine[guild_id] = player
            is_news = self._sync(player, node, server, guild_id in busy)
            found = created if guild_id not in mine else changed if is_news else kept
            found.append(guild_id)
        # What another session knew is not ended but on its way here: it is made anew once the node is CONNECTED.
        ended = [guild_id for guild_id, p in mine.items() if guild_id not in servers and p.session == node.session_id]
        for guild_id in ended:
            # Its voice connection went with it, and is made again: the bot is still in its channel.
            mine[guild_id].voice_side.forget_sent()
            self._sync(mine[guild_id], node, ServerPlayer.absent(guild_id), guild_id in busy)
        self._synced(node, kept, changed, created, ended)
        for guild_id in (*kept, *changed, *created):
            self._restored(guild_id, "resumed")
        return {guild_id: guild_id not in busy for guild_id in servers}

    def _ask(self, node: Node, guilds: Iterable[int]) -> tuple[dict[int, ServerPlayer], set[int]]:
        """What the server says of its players; and for which of these guilds a call was on the wire.

        That may be answered, or not, after the server has told its players.
        """
        busy = {guild_id for guild_id in guilds if self._gate(guild_id).busy}
        servers = {server.guild_id: server for server in node.rest.players()}
        return servers, busy | {guild_id for guild_id in guilds if self._gate(guild_id).busy}

    def _bring_home(self, player: Player, node: Node) -> bool:
        """Put a player on the node that plays for it, at once or, after a call of it that is on the wire, on a keeper.

        Returns whether it is there. The answer to a call that is sent elsewhere meanwhile would be of another session.
        """
        with self._gate(player.guild_id).if_free("being put where it plays") as nobody_calls:
            if nobody_calls:
                return self._bring_home_in_turn(player, node)
        self._jobs.submit(player, partial(self._bring_home_later, node, node.session_id))
        return False

    def _bring_home_later(self, node: Node, session: Secret | None, player: PlayerFields) -> None:
        deadline = Deadline(self._clock, node.config.timeouts.call)
        try:
            with self._remaking.turn(player, deadline, "being put where it plays"):
                if node.session_id != session or player.node is node or not self._bring_home_in_turn(player, node):
                    return
        except RequestTimeoutError as error:
            log.info("guild %s: %s; trying again", player.guild_id, error)
            self._jobs.submit(player, partial(self._bring_home_later, node, session), delay=RETRY_PAUSE)
            return
        self._restored(player.guild_id, "resumed")
        self.reread(player)
        self._send_voice(player)

    def _bring_home_in_turn(self, player: PlayerFields, node: Node) -> bool:
        """Put it there if it had no node since, or if no server has played for it yet.

        The latter was made when a bot that was started again heard of its voice before this node was there.
        """
        before = player.node
        is_due = player.session == node.session_id if before is None else player.session is None
        if player.is_destroyed or not is_due or not player.put_on_from(before, node):
            # It was brought to another node meanwhile, and must not play on two.
            self._remaking.take_leave(player, node, node.session_id)
            return False
        if before is not None:
            self._remaking.take_leave(player, before, before.session_id)
        return True

    def _sync(self, player: Player, node: Node, server: ServerPlayer, busy: bool) -> bool:
        """Take what the server says; whether that was news. With a call on the wire, leave it to a keeper."""
        if busy:
            self.reread(player)
            return False
        before = player.snapshot
        player.take_read(node.session_id, player.mark(), server)
        after = player.snapshot
        return (before.volume, before.paused, before.filters) != (
            after.volume,
            after.paused,
            after.filters,
        ) or not is_same_track(before.track, after.track)

    # One player.

    def reread(self, player: PlayerFields) -> None:
        """Queue reading the player from its node, until that is had, because what is known of it may be wrong."""
        self._reread_after(0, player)

    def _reread_after(self, delay: float, player: PlayerFields) -> None:
        with self._lock:
            if player in self._to_read:
                return
            self._to_read.add(player)
        self._jobs.submit(player, self._reread, delay=delay)

    def _reread(self, player: PlayerFields) -> None:
        with self._lock:
            # From here on what is asked may be too old for a doubt that comes.
            self._to_read.discard(player)
        node = player.node
        if node is None:
            return
        if not node.view.settled:
            # Not waited for here: keepers may be needed to bring players to other nodes meanwhile.
            self._reread_after(RETRY_PAUSE, player)
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        try:
            with self._remaking.turn(player, deadline, "its reading anew"):
                self._reread_in_turn(player, node, deadline)
        except ClientClosedError:
            raise
        except LavalinkError as error:
            log.info("guild %s: not read anew on node %s yet: %s", player.guild_id, node.name, error)
            self._reread_after(RETRY_PAUSE, player)

    def _reread_in_turn(self, player: PlayerFields, node: Node, deadline: Deadline) -> None:
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
        except SessionNotFoundError:
            node.session_is_lost(view.session_id)  # an outage: the next `ready` tells more
            return
        player.take_read(view.session_id, mark, server)
