"""Keeping sessions and players in a store, so that a process that is killed goes on where it was when started again.

What changes is marked, and one thread writes it, many players at once, about once a second. That thread also holds the
leases on the nodes, so that no two processes ever drive the same session.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from .config import NodeConfig
from .errors import LavalinkError, StoreError
from .node import Node
from .player import Player
from .player_fields import NO_SESSION
from .stores import Store, StoredPlayer, StoredSession
from .transport.clock import Clock, Deadline
from .transport.locks import new_condition

log = logging.getLogger(__name__)

# Changes are gathered for so many seconds before they are written.
GATHER = 1.0
# The server's own, where a session's timeout was never set.
_SESSION_TIMEOUT = 60


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
        # Guards those below; held for a swap only, never while the store works.
        self._changed = new_condition()
        self._touched: set[int] = set()
        self._to_save: list[StoredSession] = []
        self._sessions: dict[str, StoredSession] | None = None
        self._players: dict[int, StoredPlayer] = {}
        self._leases: set[str] = set()
        self._thread: threading.Thread | None = None
        self._ending = False
        # Held while the store is read for the first time, so that it is read once.
        self._loading = threading.Lock()

    # When a node is added.

    def resume_with(self, config: NodeConfig) -> NodeConfig:
        """The config with the stored session's id in it, where there is one and its lease is ours. Reads the store.

        Where another process has the lease, it is waited for until it would have ended if that one were dead.
        Raises `StoreError` where it can't be read: starting with nothing would overwrite what it has.
        """
        if not self._claim(config.name):
            log.warning(
                "node %s: another process holds its stored session; this one begins a new one and stores nothing of it",
                config.name,
            )
            return config
        sessions = self._load()
        with self._changed:
            self._leases.add(config.name)
            self._start_locked()
        stored = sessions.get(config.name)
        if config.session_id is not None or stored is None or stored.user_id != self._user_id:
            return config
        return replace(config, session_id=stored.session_id)

    def _claim(self, name: str) -> bool:
        """Get the lease. That of a process which was killed ends by itself, and is waited for."""
        lease = self._store.lease_seconds
        deadline = Deadline(self._clock, 0 if lease is None else lease * 1.25)
        while not self._store.claim(name):
            if deadline.expired or self._ending:
                return False
            pause = deadline.at_most((lease or 0) / 8)
            with self._changed:
                while not (pause.expired or self._ending):
                    self._clock.wait(self._changed, pause.at)
        return True

    def _load(self) -> dict[str, StoredSession]:
        with self._loading:
            if self._sessions is None:
                state = self._store.load()
                self._players = dict(state.players)
                self._sessions = dict(state.sessions)
            return self._sessions

    def release(self, name: str) -> None:
        """The node was not added after all, or is removed: others may have its session."""
        with self._changed:
            if name not in self._leases:
                return
            self._leases.discard(name)
        self._store.release(name)

    # When a node is ready, on its thread.

    def restore(self, node: Node, resumed: bool, player_on_node: Callable[[Node, int], Player]) -> None:
        """Give the players that were stored for this node what was known of them. After those of a resume were read."""
        with self._changed:
            if node.name not in self._leases:
                return
            mine = [each for each in self._players.values() if each.node in (node.name, None)]
            for each in mine:
                del self._players[each.guild_id]
        before = (self._sessions or {}).get(node.name)
        for stored in mine:
            player = self._player_of(stored.guild_id)
            if resumed and stored.node is not None:
                # The server has told what plays; one that it no longer has was ended meanwhile.
                if player is not None:
                    player.take_stored(stored, None)
            elif player is None or player.session is None:
                gone = NO_SESSION if before is None or resumed else before.session_id
                (player or player_on_node(node, stored.guild_id)).take_stored(stored, gone)

    def connected(self, node: Node) -> None:
        """Keep the session's id. On the node's thread; it is written at once, for all else depends on it."""
        view = node.view
        if view.session_id is None:
            return
        resuming = view.resuming
        timeout = resuming.timeout if resuming is not None and isinstance(resuming.timeout, int) else _SESSION_TIMEOUT
        session = StoredSession(node.name, self._user_id, view.session_id, self._clock.time(), max(timeout, 0))
        with self._changed:
            if node.name in self._leases:
                self._to_save.append(session)
                self._changed.notify_all()

    # When something changes, on any thread.

    def touch(self, guild_id: int) -> None:
        """Something of the guild's player has changed, or it is gone: write it soon."""
        with self._changed:
            if guild_id not in self._touched:
                self._touched.add(guild_id)
                self._changed.notify_all()

    # The thread.

    def _start_locked(self) -> None:
        if self._thread is None and not self._ending:
            self._thread = threading.Thread(target=self._work, name="lavalink-store", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        lease = self._store.lease_seconds
        renewed = self._clock.monotonic()
        ending = False
        while not ending:
            renew_at = None if lease is None else renewed + lease / 3
            with self._changed:
                while not (self._touched or self._to_save or self._ending or self._is_due(renew_at)):
                    self._clock.wait(self._changed, renew_at)
                # A lease does not wait for more changes to come.
                until = self._clock.monotonic() + GATHER
                until = until if renew_at is None else min(until, renew_at)
                while not (self._to_save or self._ending or self._is_due(until)):
                    self._clock.wait(self._changed, until)
                sessions, self._to_save = self._to_save, []
                touched, self._touched = self._touched, set()
                ending = self._ending
            for session in sessions:
                self._guarded(partial(self._store.save_session, session))
            if self._is_due(renew_at):
                renewed = self._clock.monotonic()
                self._renew()
            self._write(touched)

    def _is_due(self, at: float | None) -> bool:
        return at is not None and self._clock.monotonic() >= at

    def _renew(self) -> None:
        with self._changed:
            leases = sorted(self._leases)
        for name in leases:
            try:
                kept = self._store.renew(name)
            except StoreError as error:
                log.warning("node %s: its lease could not be renewed, and is tried again: %s", name, error)
                continue
            if not kept:
                self._lost_lease(name)

    def _lost_lease(self, name: str) -> None:
        """Another process may drive the session by now: leave it to that one."""
        log.error("node %s: its lease was lost, another process may have its session; the node is closed here", name)
        with self._changed:
            self._leases.discard(name)
        node = self._node_of(name)
        if node is not None:
            node.close(keep_session=True)

    def _write(self, guild_ids: Iterable[int]) -> None:
        keep: list[StoredPlayer] = []
        gone: list[int] = []
        with self._changed:
            leases = set(self._leases)
        for guild_id in guild_ids:
            player = self._player_of(guild_id)
            if player is None or player.is_destroyed:
                gone.append(guild_id)
            elif player.node is None or player.node.name in leases:
                keep.append(self._record(player))
        if keep:
            self._guarded(lambda: self._store.save_players(keep))
        if gone:
            self._guarded(lambda: self._store.forget_players(gone))

    def _record(self, player: Player) -> StoredPlayer:
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

    def _guarded(self, job: Callable[[], None]) -> None:
        try:
            job()
        except LavalinkError as error:
            log.warning("the store could not be written, so a restart may find an older state: %s", error)

    # The end.

    def close(self, deadline: Deadline, *, keep: bool) -> bool:
        """Write what is left and let the leases go; without `keep` forget all of it. False when still busy then.

        To be called while the players are still there.
        """
        players = [player.guild_id for player in self._all_players()]
        with self._changed:
            thread, leases = self._thread, sorted(self._leases)
            self._ending = True
            self._touched = set(players) if keep else set()
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(deadline.remaining())
            if thread.is_alive():
                return False
        if thread is not None and not keep:
            for name in leases:
                self._guarded(partial(self._store.forget_session, name))
            self._guarded(partial(self._store.forget_players, players))
        self._guarded(self._store.close)
        return True
