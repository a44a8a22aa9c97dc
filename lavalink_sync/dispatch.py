"""From a node's frames to players, plugins and listeners: the way every event takes.

On the node's thread the player's state is brought up to date first, then whoever waits is told, and only then are the
listeners' calls queued on the worker pool: one lane a guild, one a node. For an event without a listener nothing is
queued.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from typing import Any

from .listeners import ListenerRegistry
from .models import (
    Event,
    Message,
    PlayerState,
    PlayerUpdateEvent,
    Ready,
    StatsMessage,
    Track,
    TrackEndEvent,
    TrackStartEvent,
    UnknownMessage,
    WebSocketClosedEvent,
    decode_message,
)
from .node import Node
from .node_events import (
    EventsDropped,
    NodeEvent,
    PlayerLost,
    PlayerRestored,
    PlayersSynced,
    StatsEvent,
    UnknownMessageEvent,
    VoiceFailed,
)
from .player import Player
from .recovery import RecoveryReports
from .transport.workers import KeyedExecutor

log = logging.getLogger(__name__)


def node_lane(node_name: str) -> tuple[str, str]:
    """The lane of a node's own events. A guild's lane is its id."""
    return ("node", node_name)


class Dispatcher:
    """Routes messages and events. `player_of(guild_id)` gives the local player, if there is one.

    `voice_closed(player, event)` and `counted(node_name)` are told first of a lost voice connection, and of stats.
    """

    def __init__(
        self,
        registry: ListenerRegistry,
        workers: KeyedExecutor,
        player_of: Callable[[int], Player | None],
        voice_closed: Callable[[Player, WebSocketClosedEvent], None],
        counted: Callable[[str], None],
    ) -> None:
        self._registry = registry
        self._workers = workers
        self._player_of = player_of
        self._voice_closed = voice_closed
        self._counted = counted
        # Made once: a bound method an event is one thing more for the garbage collector to go over.
        self._call = self._call_listeners
        self.read_over = workers.wake
        """What was read up to here has been passed on: now its events are run. On the node's thread."""
        # A node's guilds whose next events are from before its resume. Each entry is touched by its node's thread only.
        self._replaying: dict[Node, dict[int, bool]] = {}

    def expect_replays(self, node: Node, guilds: dict[int, bool]) -> None:
        """The node has resumed: what it tells of these guilds before their first `playerUpdate` is old."""
        self._replaying[node] = guilds

    def forget_replays(self, node: Node) -> None:
        """The node's connection has ended, and with it what it would have replayed."""
        self._replaying.pop(node, None)

    def player_update(self, node: Node, guild_id: int, state: PlayerState, now: float) -> None:
        """Take a `playerUpdate`. On the node's thread. Its event is made only if somebody listens for it."""
        player = self._player_of(guild_id)
        if self._replaying:
            self._replaying.get(node, {}).pop(guild_id, None)
        if player is not None and not player.take_state(node, state, now):
            return
        listeners, taps = self._registry.heard[PlayerUpdateEvent]
        if listeners or taps:
            self._tell(guild_id, player, PlayerUpdateEvent(guild_id, state), replaces=PlayerUpdateEvent, wake=False)

    def unheard(self, node: Node) -> frozenset[str]:
        """The types of events that `track_change` is to take, because nobody listens to them. To be asked each read."""
        # What is replayed is told apart by its event.
        return frozenset() if self._replaying.get(node) else self._registry.heard.unheard

    def track_change(self, node: Node, guild_id: int, track: Track | None, now: float, frame: bytes) -> None:
        """A track began, or, with `None`, ended; as it was read, nobody listened for that. On the node's thread."""
        player = self._player_of(guild_id)
        if player is not None and not player.take_track(node, track, now):
            log.debug("guild %s: an event of node %s, which it is not on, is left out", guild_id, node.name)
            return
        # Who listens since then may have seen the player as it was before, and wait for what changes it.
        listeners, taps = self._registry.heard[TrackEndEvent if track is None else TrackStartEvent]
        if listeners or taps:
            self._tell(guild_id, player, decode_message(frame), wake=False)

    def message(self, node: Node, message: Message, now: float) -> None:
        """Take any other decoded frame. On the node's thread."""
        if not isinstance(message, Event):
            self._node_message(node, message)
            return
        event = message
        guild_id = event.guild_id
        if guild_id is None:
            self._tell(node_lane(node.name), None, event)
            return
        player = self._player_of(guild_id)
        if player is not None:
            told = event
            if self._replaying:
                was_read = self._replaying.get(node, {}).get(guild_id)
                if was_read is not None:
                    event = event.with_replayed()
                    # To a player that was not read, because a call of it was on the wire, it is news all the same.
                    told = event if was_read else told
            if not player.take_event(node, told, now):
                log.debug("guild %s: an event of node %s, which it is not on, is left out", guild_id, node.name)
                return
            if type(event) is WebSocketClosedEvent:
                self._voice_closed(player, event)
        listeners, taps = self._registry.heard[type(event)]
        if listeners or taps:
            self._tell(guild_id, player, event, wake=False)

    def _node_message(self, node: Node, message: Message) -> None:
        if isinstance(message, StatsMessage):
            self._counted(node.name)
            self.node_event(StatsEvent(node, message.stats))
        elif isinstance(message, UnknownMessage):
            self.node_event(UnknownMessageEvent(node, message.op, message.data))
        elif not isinstance(message, Ready):
            log.debug("node %s: a message of type %s has no listeners' event", node.name, type(message).__name__)

    def node_event(self, event: NodeEvent) -> None:
        """Tell listeners of something about a node. On any thread."""
        self._tell(node_lane(event.node.name), None, event)

    def guild_event(self, guild_id: int, player: Any, event: object) -> None:
        """Tell listeners of something about a guild that no server said. On any thread."""
        self._tell(guild_id, player, event)

    def recovery_reports(self) -> RecoveryReports:
        """What the keepers' work is told with."""
        return RecoveryReports(
            voice_failed=lambda guild_id, reason, code: self._tell_guild(VoiceFailed(guild_id, reason, code)),
            restored=lambda guild_id, how: self._tell_guild(PlayerRestored(guild_id, how)),
            lost=lambda guild_id, reason: self._tell_guild(PlayerLost(guild_id, reason)),
            synced=lambda node, *guilds: self.node_event(PlayersSynced(node, *map(tuple, guilds))),
        )

    def _tell_guild(self, event: VoiceFailed | PlayerRestored | PlayerLost) -> None:
        self._tell(event.guild_id, self._player_of(event.guild_id), event)

    def dropped(self, lane: Hashable, count: int) -> None:
        """A lane overflowed. Told on a lane of its own, because that one is full."""
        guild_id = lane if isinstance(lane, int) else None
        node_name = lane[1] if isinstance(lane, tuple) else None
        log.warning("listeners of %s are too slow: events were dropped", f"guild {guild_id}" if guild_id else node_name)
        self._tell(("dropped", lane), None, EventsDropped(guild_id, node_name, count))

    def _tell(
        self, lane: Hashable, player: Player | None, event: Any, replaces: object | None = None, wake: bool = True
    ) -> None:
        listeners, taps = self._registry.heard[type(event)]
        if taps:
            self._registry.feed(event)
        if listeners:
            self._workers.submit(lane, self._call, player, event, replaces=replaces, wake=wake)

    def _call_listeners(self, player: Player | None, event: Any) -> None:
        """On a worker: each listener in its own `try`, so that one that fails stops no other."""
        for listener in self._registry.heard[type(event)][0]:
            try:
                listener(player, event)
            except BaseException:  # a listener's SystemExit is its own, too
                log.exception("listener %r failed on %r", listener, event)
