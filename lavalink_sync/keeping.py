"""Keeping sessions and players in a store, so that a process that is killed goes on where it was when started again.

What is read of the store when nodes are added and get ready is here; the thread that writes is in `store_writer.py`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace

from .config import NodeConfig
from .errors import WaitTimeoutError
from .node import Node
from .player import Player
from .player_fields import NO_SESSION
from .store_writer import StoreWriter
from .stores import Store, StoredPlayer, StoredSession
from .transport.clock import Clock, Deadline

log = logging.getLogger(__name__)

# How long the end of a node whose lease was lost may take, in seconds: the other leases are to be renewed.
_FAREWELL = 1.0


class Keeping:
    """See the module. `players()`, `player_of(guild_id)` and `node_of(name)` give what the client has now."""

    def __init__(
        self,
        store: Store,
        user_id: int,
        clock: Clock,
        players: Callable[[], list[Player]],
        player_of: Callable[[int], Player | None],
        node_of: Callable[[str], Node | None],
    ) -> None:
        self._store = store
        self._user_id = user_id
        self._clock = clock
        self._all_players = players
        self._player_of = player_of
        self._node_of = node_of
        self._writer = StoreWriter(store, clock, self._look, self._lost_lease)
        self.touch = self._writer.touch
        self.release = self._writer.let_go
        # Held while the store is read for the first time, so that it is read once.
        self._loading = threading.Lock()
        self._sessions: dict[str, StoredSession] | None = None
        # Those that were read and are not given to a node yet. A node's are taken by its own thread.
        self._players: dict[int, StoredPlayer] = {}

    # When a node is added.

    def resume_with(self, config: NodeConfig, deadline: Deadline) -> NodeConfig:
        """The config with the stored session's id in it, where there is one and its lease is ours. Reads the store.

        Where another process has the lease, it is waited for until it would have ended if that one were dead; raises
        `WaitTimeoutError` when the deadline comes before that can be told. Raises `StoreError` where the store can't be
        read: starting with nothing would overwrite what it has.
        """
        if not self._claim(config.name, deadline):
            log.warning(
                "node %s: another process holds its stored session; this one begins a new one and stores nothing of it",
                config.name,
            )
            return config
        self._writer.hold(config.name)
        try:
            sessions = self._load()
        except BaseException:
            self.release(config.name)
            raise
        stored = sessions.get(config.name)
        if config.session_id is not None or stored is None or stored.user_id != self._user_id:
            return config
        return replace(config, session_id=stored.session_id)

    def _claim(self, name: str, deadline: Deadline) -> bool:
        """Get the lease. That of a process which was killed ends by itself, and is waited for."""
        lease = self._store.lease_seconds or 0
        ended = Deadline(self._clock, lease * 1.25)
        while not self._store.claim(name):
            if ended.expired:
                return False
            if deadline.expired:
                raise WaitTimeoutError(
                    f"node {name}: another process holds its stored session, and there was no time to see whether that "
                    f"one still lives; give add_node more than {lease * 1.25:g} s"
                )
            if not self._writer.pause(deadline.at_most(lease / 8)):
                return False
        return True

    def _load(self) -> dict[str, StoredSession]:
        with self._loading:
            if self._sessions is None:
                state = self._store.load()
                self._players = dict(state.players)
                self._sessions = dict(state.sessions)
            return self._sessions

    # When a node is ready, on its thread.

    def restore(self, node: Node, resumed: bool, player_on_node: Callable[[Node, int], Player]) -> list[Player]:
        """Give the players that were stored for this node what was known of them. After those of a resume were read.

        Returns those that are on another node already, to be made anew there.
        """
        if not self._writer.holds(node.name):
            return []
        with self._loading:
            mine = [each for each in self._players.values() if each.node in (node.name, None)]
            for each in mine:
                del self._players[each.guild_id]
        self._writer.own({each.guild_id: each.node for each in mine})
        before = (self._sessions or {}).get(node.name)
        elsewhere: list[Player] = []
        for stored in mine:
            player = self._player_of(stored.guild_id)
            if resumed and stored.node is not None:
                if player is not None:
                    player.take_stored(stored, None)
                else:
                    self.touch(stored.guild_id)  # it was ended meanwhile, and is to be forgotten
            elif player is None or player.session is None:
                gone = NO_SESSION if before is None or resumed else before.session_id
                player = player or player_on_node(node, stored.guild_id)
                player.take_stored(stored, gone)
                if player.node is not node:
                    elsewhere.append(player)
        return elsewhere

    def connected(self, node: Node) -> None:
        """Keep the session's id. On the node's thread; it is written at once, for all else depends on it."""
        view = node.view
        if view.session_id is None:
            return
        now = self._clock.time()
        self._writer.save_session(StoredSession(node.name, self._user_id, view.session_id, now, view.resume_timeout))

    # For the thread that writes.

    def _look(self, guild_id: int) -> StoredPlayer | None:
        player = self._player_of(guild_id)
        if player is None or player.is_destroyed:
            return None
        snapshot, voice = player.snapshot, player.voice
        node, track = player.node, snapshot.track
        return StoredPlayer(
            guild_id=player.guild_id,
            node=None if node is None else node.name,
            channel_id=voice.channel_id,
            track=None if track is None else track.to_dict(),
            position=snapshot.position_at(self._clock.monotonic()),
            at=self._clock.time(),
            end_time=snapshot.end_time,
            volume=snapshot.volume,
            paused=snapshot.paused,
            filters=snapshot.filters.to_dict(),
            plugin_state=dict(player.plugin_state),
            voice=voice.state,
        )

    def _lost_lease(self, name: str) -> None:
        log.error("node %s: its lease was lost, another process has its session; node and players end here", name)
        node = self._node_of(name)
        if node is None:
            return
        # The players are the other's now: moved to another node they would play twice.
        for player in self._all_players():
            if player.node is node:
                player.detach()
        node.close(_FAREWELL, keep_session=True)

    # The end.

    def close(self, deadline: Deadline, *, keep: bool) -> bool:
        """Write what is left and let the leases go; without `keep` forget all of it. False when still busy then.

        To be called while the players are still there.
        """
        return self._writer.close([player.guild_id for player in self._all_players()], deadline, keep=keep)
