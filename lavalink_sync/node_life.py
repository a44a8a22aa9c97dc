"""What a client does when one of its nodes is ready, connected or lost: first for players, then for listeners."""

from __future__ import annotations

from collections.abc import Callable

from .dispatch import Dispatcher
from .errors import LavalinkError
from .failover import Failover
from .keeping import Keeping
from .node import Node
from .node_events import NodeConnected, NodeDisconnected, NodeReconnecting
from .node_hooks import NodeHooks
from .player import Player
from .recovery import Recovery


class NodeLife:
    """See the module. Made once a client; all but `hooks` is called on the nodes' threads, where no user code runs.

    `players()` gives the client's; `player_on_node(node, guild_id)` makes one where there is none.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        recovery: Recovery,
        failover: Failover,
        keeping: Keeping | None,
        players: Callable[[], list[Player]],
        player_on_node: Callable[[Node, int], Player],
    ) -> None:
        self._dispatcher = dispatcher
        self._recovery = recovery
        self._failover = failover
        self._keeping = keeping
        self._players = players
        self._player_on_node = player_on_node

    def hooks(
        self, check: Callable[[], None], changed: Callable[[], None], new_players: Callable[[str], int]
    ) -> NodeHooks[Node]:
        """What the client's nodes call; see `NodeHooks`."""
        return NodeHooks(
            check=check,
            changed=changed,
            ready=self._ready,
            connected=self._connected,
            reconnecting=self._reconnecting,
            disconnected=self._disconnected,
            player_update=self._dispatcher.player_update,
            unheard=self._dispatcher.unheard,
            track_change=self._dispatcher.track_change,
            message=self._dispatcher.message,
            read_over=self._dispatcher.read_over,
            drain=self._failover.drain,
            new_players=lambda node: new_players(node.name),
        )

    def _ready(self, node: Node, resumed: bool) -> None:
        # Of a connection whose end was not told, because the node was opened again too soon.
        self._dispatcher.forget_replays(node)
        if resumed:
            guilds = self._recovery.syncing.sync(
                node, lambda guild_id: self._player_on_node(node, guild_id), self._players()
            )
            self._dispatcher.expect_replays(node, guilds)
        if self._keeping is not None:
            for player in self._keeping.restore(node, resumed, self._player_on_node):
                self._recovery.rebuild(player)

    def _connected(self, node: Node, resumed: bool) -> None:
        self._recovery.connected(node, resumed, self._players())
        self._failover.take_orphans()
        if self._keeping is not None:
            self._keeping.connected(node)
        self._dispatcher.node_event(NodeConnected(node, resumed))

    def _reconnecting(self, node: Node, error: LavalinkError) -> None:
        self._lost(node)
        self._dispatcher.node_event(NodeReconnecting(node, error))

    def _disconnected(self, node: Node, error: LavalinkError | None) -> None:
        self._lost(node)
        self._dispatcher.node_event(NodeDisconnected(node, error))

    def _lost(self, node: Node) -> None:
        self._dispatcher.forget_replays(node)
        self._failover.lost(node)
