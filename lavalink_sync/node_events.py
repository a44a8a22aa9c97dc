"""Events that the client itself makes, about nodes and about its own bookkeeping. Those of the server are in `models`.

A listener gets them as `fn(None, event)`; those about one guild as `fn(player, event)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .errors import LavalinkError
from .models import Stats
from .node import Node


@dataclass(frozen=True)
class NodeEvent:
    """The root of the events about one node; listening for it hears all of them."""

    node: Node


@dataclass(frozen=True)
class NodeConnected(NodeEvent):
    """The node is CONNECTED. `resumed`: the server kept the session, its players play on."""

    resumed: bool


@dataclass(frozen=True)
class NodeReconnecting(NodeEvent):
    """The connection was lost; the node tries again until it works. Told once an outage. `error` says what happened."""

    error: LavalinkError

    @property
    def reason(self) -> str:
        """What happened, as a sentence."""
        return str(self.error)


@dataclass(frozen=True)
class NodeDisconnected(NodeEvent):
    """The node is DISCONNECTED and stays so until `open()`. `error` is `None` when it was closed on request.

    Told once an end, by the node's thread as it ends; not where `open()` was called again before that.
    """

    error: LavalinkError | None

    @property
    def reason(self) -> str:
        """What happened, as a sentence."""
        return "closed on request" if self.error is None else str(self.error)


@dataclass(frozen=True)
class StatsEvent(NodeEvent):
    """A `stats` message came; `node.stats` is this one already. Protocol: op `stats`."""

    stats: Stats


@dataclass(frozen=True)
class UnknownMessageEvent(NodeEvent):
    """A message whose `op` this version doesn't know, with its raw JSON in `data`."""

    op: str
    data: dict[str, Any]


@dataclass(frozen=True)
class EventsDropped:
    """Listeners fell so far behind that the oldest events of one lane were dropped.

    `guild_id` is the lane's guild, or `None` for a node's own events, whose `node_name` is then given. `dropped` counts
    all events that the client's listeners have lost so far.
    """

    guild_id: int | None
    node_name: str | None
    dropped: int


@dataclass(frozen=True)
class VoiceFailed:
    """There is no working voice connection for `guild_id`; nothing more is tried until Discord sends new voice data.

    `reason` says what was tried; `code` is the close code of Discord's voice server where that was it. With 4014 the
    bot was kicked from the channel. It is told, too, when Discord says that the bot left without `player.disconnect`.
    """

    guild_id: int
    reason: str
    code: int | None = None


@dataclass(frozen=True)
class PlayersSynced(NodeEvent):
    """A session was resumed and all its players were read. What the server kept of the outage follows as events.

    Guild ids: `kept` are as they were, or had a call on the wire and are read once more after it; `changed` differ in
    volume, pause, filters or track, `created` were not known here, `ended` are gone from the server.
    """

    kept: tuple[int, ...]
    changed: tuple[int, ...]
    created: tuple[int, ...]
    ended: tuple[int, ...]


@dataclass(frozen=True)
class PlayerRestored:
    """The player of `guild_id` plays on. `how`: `resumed`, `rebuilt` on a new session, or `moved` to another node.

    Whatever a server's plugin knew of it is forgotten then and has to be told again.
    """

    guild_id: int
    how: str


@dataclass(frozen=True)
class PlayerLost:
    """The player of `guild_id` could not be made anew after an outage: the server refused it, for `reason`."""

    guild_id: int
    reason: str


@dataclass(frozen=True)
class PlayerCreated:
    """The client made a player for `guild_id`."""

    guild_id: int


@dataclass(frozen=True)
class PlayerDestroyed:
    """The player of `guild_id` was destroyed, or removed from the client."""

    guild_id: int
