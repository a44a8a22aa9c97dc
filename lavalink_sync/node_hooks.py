"""What a node tells its client, and how its thread's reports get there without keeping the node alive."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from .errors import LavalinkError
from .models import Message, PlayerState, Track
from .node_loop import Receivers, Reports
from .transport.clock import Deadline

N = TypeVar("N")


@dataclass(frozen=True)
class DrainReport:
    """What `node.drain` did: the guilds whose players are on another node now, and those that are still on this one."""

    moved: tuple[int, ...]
    left: tuple[int, ...]


@dataclass(frozen=True)
class NodeHooks(Generic[N]):
    """Functions given to a node at its construction; called on the node's thread, `drain` on a user's, `changed`,
    `check` and `new_players` on any.

    `check` raises when the client is closed. `changed` comes after every change of the node's status. The others are
    those of `Reports` and `Receivers`, with the node first where it is about one; `disconnected` gets `None` when the
    node was closed on request. `drain(node, deadline)` brings its players to other nodes and returns a report.
    `new_players(node)` is how many players its stats do not count yet.
    """

    check: Callable[[], None]
    changed: Callable[[], None]
    ready: Callable[[N, bool], None]
    connected: Callable[[N, bool], None]
    reconnecting: Callable[[N, LavalinkError], None]
    disconnected: Callable[[N, LavalinkError | None], None]
    player_update: Callable[[N, int, PlayerState, float], None]
    unheard: Callable[[N], frozenset[str]]
    track_change: Callable[[N, int, Track | None, float, bytes], None]
    message: Callable[[N, Message, float], None]
    read_over: Callable[[], None]
    drain: Callable[[N, Deadline], DrainReport]
    new_players: Callable[[N], int]


def weak_reports(node: Any) -> Reports:
    """The hooks of `node` as its loop calls them; a node that nobody holds any more is told nothing.

    The hooks lead to the client and from there to the node, so they are reached through the node alone.
    """
    me = weakref.ref(node)

    def alive() -> tuple[Any, NodeHooks[Any]] | None:
        found: Any = me()
        return None if found is None else (found, found.hooks)

    def ready(resumed: bool) -> None:
        if target := alive():
            target[1].ready(target[0], resumed)

    def connected(resumed: bool) -> None:
        if target := alive():
            target[1].connected(target[0], resumed)
            target[1].changed()

    def reconnecting(error: LavalinkError) -> None:
        if target := alive():
            target[1].reconnecting(target[0], error)
            target[1].changed()

    def disconnected(error: LavalinkError | None) -> None:
        if target := alive():
            try:
                target[1].disconnected(target[0], error)
            finally:
                target[1].changed()

    def receivers() -> Receivers | None:
        found: Any = me()
        if found is None:
            return None
        hooks: NodeHooks[Any] = found.hooks
        return Receivers(
            found, hooks.unheard(found), hooks.player_update, hooks.track_change, hooks.message, hooks.read_over
        )

    return Reports(ready, connected, reconnecting, disconnected, receivers)
