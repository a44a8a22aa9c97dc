"""The part of `Client` that nodes are added to, chosen from and removed from."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence

import requests

from .config import NodeConfig
from .core.balance import Needs, lowest_load
from .core.regions import distance
from .errors import InvalidArgumentError, NodeExistsError
from .failover import Failover
from .keeping import Keeping
from .models import Filters
from .node import Node
from .node_hooks import NodeHooks
from .placing import Placements
from .player import Player
from .transport.clock import Clock, Deadline
from .transport.http import HttpTransport
from .transport.workers import KeyedExecutor

Selector = Callable[[Sequence[Node]], Node | None]

# How often a choice is made anew because other threads have put players somewhere meanwhile. Ours take microseconds;
# a user's that takes long must not be asked for ever.
_CHOICES = 100


class Roster(ABC):
    """The nodes of a client, which sets the fields below before the first is added."""

    user_id: int
    _client_name: str
    _clock: Clock
    _failover: Failover
    _hooks: NodeHooks[Node]
    _keeping: Keeping | None
    _lock: threading.Lock
    _nodes: dict[str, Node]
    _placements: Placements
    _selector: Selector | None
    _session: requests.Session | None
    _workers: KeyedExecutor

    @abstractmethod
    def _check(self) -> None:
        """Raise when the client is closed."""

    def add_node(self, config: NodeConfig, *, timeout: float | None = None, wait: bool = True) -> Node:
        """Add a node and connect it; returns once it is CONNECTED, trying as `config.reconnect` says until then.

        With `wait=False` it returns at once and the connecting goes on. `timeout` is in seconds, `None` for no limit.
        With a store whose lease on the node another process holds, that is waited for first, also with `wait=False`:
        one and a quarter of the store's `lease_seconds`, which is when the lease of a killed process has ended.
        Raises what `Node.open` raises, `NodeExistsError` for a name that is taken, `StoreError` where the client's
        store can't be read, `ClientClosedError`. When it raises, nothing is left behind: the name is free again.
        """
        self._check()
        if not isinstance(config, NodeConfig):
            raise InvalidArgumentError(f"add_node needs a NodeConfig, not {type(config).__name__}", field="config")
        if config.name in self._nodes:
            raise _taken(config.name)
        deadline = Deadline(self._clock, timeout)
        if self._keeping is not None:
            config = self._keeping.resume_with(config, deadline)
        node = self._make_node(config)
        with self._lock:
            if self._nodes.setdefault(config.name, node) is not node:
                raise _taken(config.name)
        try:
            if wait:
                node.open(deadline.remaining())
            else:
                node.start()
        except BaseException:
            self._take_out(node)
            node.close(1, keep_session=True)
            raise
        return node

    def _make_node(self, config: NodeConfig) -> Node:
        return Node(
            self,
            config,
            HttpTransport(config, self._clock, session=self._session),
            self._hooks,
            self._workers,
            self._clock,
            user_id=self.user_id,
            client_name=self._client_name,
        )

    def _take_out(self, node: Node) -> None:
        with self._lock:
            if self._nodes.get(node.name) is not node:
                return
            del self._nodes[node.name]
        if self._keeping is not None:
            self._keeping.release(node.name)

    def node(self, name: str) -> Node | None:
        """The node of that name, or `None`."""
        if not isinstance(name, str):
            raise InvalidArgumentError(f"a node is asked for by its name, a text, not {name!r}", field="name")
        return self._nodes.get(name)

    @property
    def nodes(self) -> list[Node]:
        """All nodes, in the order they were added."""
        with self._lock:
            return list(self._nodes.values())

    def best_node(
        self,
        *,
        region: str | None = None,
        source: str | None = None,
        plugin: str | None = None,
        filters: Filters | Collection[str] | None = None,
    ) -> Node | None:
        """The connected node with the lowest CPU load, then memory, then system load, then the first; `None` if none.

        A node without stats yet counts as unloaded, one that is being drained does not count. The client's `selector`
        replaces the rule; it gets the nodes that are left after this:

        `source`, `plugin` and `filters` (names as `node.info()` tells them, or a `Filters`: those it sets) leave out
        the nodes that do not have them, and those whose server has not told (`node.cached_info`). Where none is left,
        the answer is `None`. `region` is no more than a wish, to be met by `NodeConfig.region`: a place such as
        `rotterdam` or `us-east`, an area (`eu`, `us`, `asia`, `middle-east`, `south-america`, `africa`, `oceania`), or
        the endpoint of a voice server. The nodes there are taken, else those in the same area, else all.
        No server is asked.
        """
        needs = Needs(source, plugin, filters)
        return self._choose([node for node in self._available() if needs.met_by(node.cached_info)], region)

    def _check_ours(self, node: object, what: str) -> None:
        if not isinstance(node, Node) or node.client is not self:
            raise InvalidArgumentError(
                f"{what} needs a node of this client, such as client.node(name), not {node!r}", field="node"
            )

    def _available(self) -> list[Node]:
        return [node for node in self.nodes if node.view.takes_players]

    def _choose(self, nodes: Sequence[Node], region: str | None) -> Node | None:
        """The best of `nodes`, which are connected, among those that are nearest to `region`."""
        nodes = _nearest(nodes, region)
        if self._selector is not None:
            chosen = self._selector(nodes) if nodes else None
            if chosen is not None and chosen not in nodes:
                raise InvalidArgumentError(
                    f"the selector returned {chosen!r}: it must return one of the nodes that it gets, or None",
                    field="selector",
                )
            return chosen
        return lowest_load([(node, node.stats) for node in nodes])

    def _place(self, guild_id: int, endpoint: str | None, among: Sequence[Node] | None = None) -> Node | None:
        """Choose a node for the guild's player and count it there, so that the next choice sees this one.

        `endpoint` is the player's voice server, if it is known; `among` are the nodes to choose from, all by default.
        """
        node = None
        for _ in range(_CHOICES):
            moves = self._placements.moves
            node = self._choose(self._available() if among is None else among, endpoint)
            if node is None or self._placements.claim(node.name, guild_id, moves):
                return node
        if node is not None:
            self._placements.put(node.name, guild_id)
        return node

    def _place_near(self, player: Player, nodes: Sequence[Node], full: Sequence[Node]) -> Node | None:
        """Choose a node for a player whose own is lost; rather none than one that is farther away and not `full`."""
        endpoint = player.voice.endpoint
        return self._place(player.guild_id, endpoint, [node for node in _nearest(nodes, endpoint) if node not in full])

    def remove_node(self, name: str, *, timeout: float | None = None) -> None:
        """Bring the node's players to others, close it and forget it.

        Moving takes at most `timeout` seconds (`config.timeouts.close`); what is left then, or has nowhere to go, waits
        for the next node that is ready. Raises `InvalidArgumentError` when there is none of that name.
        """
        deadline = Deadline(self._clock, timeout)
        node = self.node(name)
        if node is None:
            raise InvalidArgumentError(f"there is no node named {name!r}", field="name")
        if any(other is not node for other in self._available()):
            node.drain(timeout=deadline.remaining())
        self._take_out(node)
        node.close()


def _nearest(nodes: Sequence[Node], region: str | None) -> Sequence[Node]:
    if region is None or len(nodes) < 2:
        return nodes
    far = [distance(node.config.region, region) for node in nodes]
    return [node for node, there in zip(nodes, far, strict=True) if there == min(far)]


def _taken(name: str) -> NodeExistsError:
    return NodeExistsError(f"a node named {name!r} exists: choose another name, or remove that one")
