"""A player's fields behind one lock, and what may change them: frames, replies, reads, voice data, stores.

What is decided about tracks, positions and replies is in `core/playback.py`; the player's own calls are in
`player_calls.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from .coalescing import Coalescer
from .core import playback
from .core.playback import PlayerSnapshot
from .core.voice import VoiceMerge
from .models import Event, Filters, PlayerState, PlayerUpdate, ServerPlayer, Track, VoiceState
from .node import Node
from .player_voice import PlayerVoice
from .secret import Secret
from .stores import StoredPlayer
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate
from .transport.locks import new_lock

# Stands for a session that is gone, whatever its name was: a player that it knew is made anew.
NO_SESSION = Secret("none")


@dataclass(frozen=True)
class PlayerServices:
    """What a player needs of its client: functions, so that nothing here knows the client.

    `coalesce`: for how many seconds a change of volume, position or filters waits for others to go with, if at all.
    `has_node()`: whether there is a node to choose; `pick_node(player)` is the best one, and counts the player there.
    `wait_until(ready, deadline)` blocks until `ready()` holds or the deadline has come; it looks again whenever the
    status of a node has changed, or a player's node or session, which `changed()` tells. `touched(guild_id)` is told of
    everything that a store may keep, if there is one. `reread(player)`, `send_voice(player)` and `voice_lost(player,
    data)` queue a job on a keeper; `voice_left(player, before)` tells that the bot left its channel unasked; `move`
    does its work on the calling thread. `forget(player)` takes it out of the client's map. `check()` raises when the
    client is closed.
    """

    clock: Clock
    gate: Callable[[int], GuildGate]
    has_node: Callable[[], bool]
    pick_node: Callable[[PlayerFields], Node | None]
    wait_until: Callable[[Callable[[], bool], Deadline], None]
    changed: Callable[[], None]
    touched: Callable[[int], None] | None
    reread: Callable[[PlayerFields], None]
    send_voice: Callable[[PlayerFields], None]
    voice_lost: Callable[[PlayerFields, VoiceState], None]
    voice_left: Callable[[PlayerFields, VoiceMerge], None]
    forget: Callable[[PlayerFields], None]
    move: Callable[[PlayerFields, Node, Deadline], None]
    check: Callable[[], None]
    coalesce: float | None
    call_timeout: float
    voice_timeout: float
    send_voice_state: Callable[[int, int | None, bool, bool], object] | None


_NOTHING: Mapping[str, Any] = MappingProxyType({})


class PlayerFields:
    """What is known of one guild's player. Reading takes no lock; `Player` is this with the calls that users make."""

    def __init__(self, services: PlayerServices, guild_id: int, node: Node | None) -> None:
        self.guild_id = guild_id
        self._services = services
        # Guards the swap of those below; reading one of them needs no lock.
        self._lock = new_lock()
        self._snapshot = PlayerSnapshot(guild_id)
        self._node = node
        self.voice_side = PlayerVoice(self._lock, services.clock)
        self._coalescer: Coalescer[PlayerSnapshot] | None = (
            None if services.coalesce is None else Coalescer(services.clock, services.coalesce)
        )
        self._destroyed = False
        # Not asked for before it is needed, because many players are only ever listened to. Needs no lock: whoever asks
        # at the same time is given the same.
        self._own_gate: GuildGate | None = None
        # What plugins want kept with the player, by their names; plain JSON. Swap it whole.
        self.plugin_state: Mapping[str, Any] = _NOTHING
        # The session that answered last: the one that knows this player.
        self._session: Secret | None = None

    def __repr__(self) -> str:
        node = self._node
        return f"<Player of guild {self.guild_id} on {node.name if node else 'no node'}>"

    @property
    def node(self) -> Node | None:
        """The node the player is on; `None` while there is none."""
        return self._node

    @property
    def _gate(self) -> GuildGate:
        """The guild's gate. Kept from the first call on: to find it costs as much as to pass it."""
        if self._own_gate is None:
            self._own_gate = self._services.gate(self.guild_id)
        return self._own_gate

    @property
    def is_destroyed(self) -> bool:
        """Whether the player was destroyed, or removed from its client."""
        return self._destroyed

    @property
    def session(self) -> Secret | None:
        """The session that knows this player; `None` before the first call."""
        return self._session

    @property
    def snapshot(self) -> PlayerSnapshot:
        """The player as known now: frozen, whole, never half new."""
        return self._snapshot

    @property
    def voice_patience(self) -> float:
        """How many seconds a voice connection may take: the node's `timeouts.voice`, or the client's."""
        node = self._node
        return self._services.voice_timeout if node is None else node.config.timeouts.voice

    # What the layers above put in: called by the client, never under a lock.

    def take_state(self, node: Node, state: PlayerState, now: float) -> bool:
        """A `playerUpdate` of `node` came at `now`; `False` if the player is not on that one. On the node's thread."""
        services = self._services
        with self._lock:
            if self._node is not node:
                return False
            self._snapshot = playback.on_player_update(self._snapshot, state, now)
        if self.voice_side.minds(state.connected):
            lost = self.voice_side.seen(state.connected, self.voice_patience)
            if lost is not None:
                services.voice_lost(self, lost)
        if services.touched is not None:
            services.touched(self.guild_id)
        return True

    def take_track(self, node: Node, track: Track | None, now: float) -> bool:
        """As `take_event`, of a start (of `track`) or an end (`None`) for which no event was made: nobody hears it."""
        services = self._services
        with self._lock:
            if self._node is not node:
                return False
            self._snapshot = playback.on_track(self._snapshot, track, now)
        if services.touched is not None:
            services.touched(self.guild_id)
        return True

    def take_event(self, node: Node, event: Event, now: float) -> bool:
        """An event of `node` came at `now`, which no listener has heard yet; `False` if the player is not on that one.

        On the node's thread.
        """
        services = self._services
        with self._lock:
            if self._node is not node:
                return False
            self._snapshot = playback.on_event(self._snapshot, event, now)
        if services.touched is not None:
            services.touched(self.guild_id)
        return True

    def take_reply(
        self,
        session: Secret | None,
        mark: playback.SendMark,
        update: PlayerUpdate,
        reply: ServerPlayer,
        no_replace: bool = False,
    ) -> PlayerSnapshot:
        """An update of the player was answered, in the guild's turn. Returns the snapshot after it."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot, reread = playback.on_reply(self._snapshot, mark, update, reply, now, no_replace)
            snapshot = self._snapshot
        self._touch()
        if reread:
            self._services.reread(self)
        return snapshot

    def mark(self) -> playback.SendMark:
        """What is known now, to be handed to `take_read` with what is asked of the server after this."""
        return playback.before_send(self._snapshot)

    def take_rebuilt(
        self, session: Secret | None, mark: playback.SendMark, update: PlayerUpdate, server: ServerPlayer
    ) -> None:
        """The player was made anew on another session or node, in the guild's turn: calls that waited go out."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_rebuilt(self._snapshot, mark, update, server, now)
        self._services.changed()
        self._touch()

    def was_interrupted(self, before: PlayerSnapshot) -> None:
        """It was deleted and could not be made anew: as it was `before`, it is to be made anew on the next session."""
        with self._lock:
            self._snapshot, self._session = before, NO_SESSION
        self._touch()

    def was_not_rebuilt(self) -> None:
        """The server refused to make the player anew: no session knows it, and calls that waited try for themselves."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = None
            self._snapshot = playback.on_refused(self._snapshot, now)
        self._services.changed()
        self._touch()

    def take_read(self, session: Secret | None, mark: playback.SendMark, server: ServerPlayer) -> None:
        """The player was read from the server's `session`, in the guild's turn or before the node was ready."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_read(self._snapshot, mark, server, now)
        self._touch()

    def take_voice(self, change: Callable[[VoiceMerge], VoiceMerge]) -> None:
        """Voice data came from Discord; once complete and new, a keeper sends it."""
        if self.voice_side.take(change):
            self._services.send_voice(self)
        self._touch()

    def take_voice_left(self) -> None:
        """Discord says that the bot is in no voice channel of the guild any more."""
        before = self.voice_side.take_left()
        if before is not None:
            self._services.voice_left(self, before)
        self._touch()

    def take_stored(self, stored: StoredPlayer, session: Secret | None) -> None:
        """Take what a store kept of the player in an earlier process.

        `session` is the one that knew it and is gone: the player is to be made anew. `None`: it was resumed and has
        been read, and only what a server does not tell is missing.
        """
        now = self._services.clock.monotonic()
        with self._lock:
            if session is None:
                self._snapshot = replace(self._snapshot, end_time=stored.end_time)
            else:
                self._session = session
                self._snapshot = PlayerSnapshot(
                    self.guild_id,
                    track=None if stored.track is None else Track.from_dict(stored.track),
                    volume=stored.volume,
                    paused=stored.paused,
                    filters=Filters.from_dict(stored.filters),
                    end_time=stored.end_time,
                    _position=stored.position,
                    _at=now,
                )
        self.plugin_state = dict(stored.plugin_state)
        self.voice_side.take_stored(stored.channel_id, stored.voice, has_server=session is None)

    def put_on(self, node: Node) -> Node | None:
        """Change the player's node, without any call, and return the one before.

        What that one was told of voice the new one does not know.
        """
        with self._lock:
            before = self._node
            self._change_node_locked(node)
        self._node_has_changed(before)
        return before

    def put_on_from(self, before: Node | None, node: Node | None) -> bool:
        """The same, unless it is not on `before` any more; whether it was."""
        with self._lock:
            if self._node is not before:
                return False
            self._change_node_locked(node)
        self._node_has_changed(before)
        return True

    def _change_node_locked(self, node: Node | None) -> None:
        if node is not self._node:
            self._node = node
            self._snapshot = playback.on_node_left(self._snapshot, self._services.clock.monotonic())

    def _node_has_changed(self, before: Node | None) -> None:
        if self._node is not before:
            self.voice_side.forget_sent()
            self._services.changed()
            self._touch()

    def _touch(self) -> None:
        if self._services.touched is not None:
            self._services.touched(self.guild_id)

    def _flush(self) -> None:
        """Something is about to be asked, or to end, that calls waiting for others to go with must not wait beyond."""
        if self._coalescer is not None:
            self._coalescer.flush()

    def detach(self) -> None:
        """Forget the player locally; the object is of no more use."""
        self._destroyed = True
        self._flush()
        self.voice_side.end()
        self._services.forget(self)
        self._touch()
        self._services.changed()
