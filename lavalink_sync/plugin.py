"""`Plugin`: the base class of what extends a client, such as the client's side of a Lavalink plugin.

A plugin is a bundle of listeners with a name. Its methods run on the worker pool, in the lanes of listeners: never
under a lock, never on a node's thread. Override what is needed; what is not overridden costs nothing.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from .models import UnknownEvent


class Plugin:
    """A client's extension; `client.add_plugin` takes an instance.

    `name` tells plugins apart, `version` is for people. `events`: the types of server events that `on_event` is called
    for, those this library doesn't know, such as `SegmentSkipped`. `ops`: the same for messages and `on_message`.
    """

    name: ClassVar[str] = ""
    version: ClassVar[str] = ""
    events: ClassVar[Collection[str]] = ()
    ops: ClassVar[Collection[str]] = ()

    def on_event(self, player: Any, event: UnknownEvent) -> None:
        """An event of one of the types in `events` came; `event.data` is its JSON. In the guild's lane."""

    def on_message(self, node: Any, op: str, data: dict[str, Any]) -> None:
        """A message with one of `ops` came; `data` is its JSON. In the node's lane."""

    def on_node_open(self, node: Any, resumed: bool) -> None:
        """A node became CONNECTED. In the node's lane."""

    def on_node_close(self, node: Any, reason: str) -> None:
        """A node lost its connection, or was closed. In the node's lane."""

    def on_player_created(self, player: Any) -> None:
        """A player was made. In the guild's lane."""

    def on_player_restored(self, player: Any, how: str) -> None:
        """A player was `resumed`, `rebuilt` or `moved`: the server's side has forgotten it. In the guild's lane."""

    def on_player_destroyed(self, player: Any) -> None:
        """A player was destroyed or removed. In the guild's lane."""
