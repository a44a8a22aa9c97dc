"""The inside of a player: its fields behind one lock, and how one of its calls finds a node and goes out.

What users type is in `player.py`; what is decided about tracks, positions and replies is in `core/playback.py`. Here is
the part between: waiting in the guild's turn for a node that is ready, sending once, taking the reply.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from .core import playback
from .core.playback import PlayerSnapshot
from .core.status import Status
from .core.voice import VoiceMerge
from .errors import (
    ConnectError,
    LavalinkError,
    NodeNotReadyError,
    NoNodeAvailableError,
    OutcomeUnknownError,
    PlayerDestroyedError,
    PlayerNotFoundError,
    SessionNotFoundError,
)
from .models import Event, PlayerState, PlayerUpdate, ServerPlayer, VoiceState
from .node import Node
from .node_state import NodeView
from .player_voice import PlayerVoice
from .secret import Secret
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate, Turn
from .transport.locks import new_lock

log = logging.getLogger(__name__)

# After a call that never left (the node's socket has not noticed the outage yet), how long to wait before it is tried
# again when nothing is heard of the node meanwhile.
_RETRY_PAUSE = 1.0


@dataclass(frozen=True)
class PlayerServices:
    """What a player needs of its client: functions, so that nothing here knows the client.

    `wait_until(ready, deadline)` blocks until `ready()` holds or the deadline has come; it looks again whenever the
    status of a node has changed, or a player's node or session, which `changed()` tells. `reread(player)`,
    `send_voice(player)` and `voice_lost(player, data)` queue a job on a keeper; `move` does its work on the calling
    thread. `forget(player)` takes it out of the client's map. `check()` raises when the client is closed.
    """

    clock: Clock
    gate: Callable[[int], GuildGate]
    pick_node: Callable[[], Node | None]
    wait_until: Callable[[Callable[[], bool], Deadline], None]
    changed: Callable[[], None]
    reread: Callable[[PlayerBase], None]
    send_voice: Callable[[PlayerBase], None]
    voice_lost: Callable[[PlayerBase, VoiceState], None]
    forget: Callable[[PlayerBase], None]
    move: Callable[[PlayerBase, Node, Deadline], None]
    check: Callable[[], None]
    call_timeout: float
    voice_timeout: float
    send_voice_state: Callable[[int, int | None, bool, bool], object] | None


class PlayerBase:
    """A player's fields and its way to the server. `Player` is this with the names that users type."""

    def __init__(self, services: PlayerServices, guild_id: int, node: Node | None) -> None:
        self.guild_id = guild_id
        self._services = services
        self._gate = services.gate(guild_id)
        # Guards the swap of those below; reading one of them needs no lock.
        self._lock = new_lock()
        self._snapshot = PlayerSnapshot(guild_id)
        self._node = node
        self.voice_side = PlayerVoice(self._lock, services.clock)
        self._destroyed = False
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

    def _send(self, update: PlayerUpdate, *, no_replace: bool, timeout: float | None) -> PlayerSnapshot:
        deadline = self._deadline(timeout)
        with self._gate.turn(deadline, what=f"an update of guild {self.guild_id}") as turn:
            return self._send_in_turn(turn, update, no_replace, deadline)

    def _send_in_turn(self, turn: Turn, update: PlayerUpdate, no_replace: bool, deadline: Deadline) -> PlayerSnapshot:
        """Send once a node is ready; during an outage wait for the next `ready` and go out then, not twice."""
        while True:
            node, view = self._choose_node(turn, deadline)
            mark = playback.before_send(self._snapshot)
            try:
                reply = node.rest.update_player(
                    self.guild_id,
                    update,
                    no_replace=no_replace,
                    session_id=view.session_id,
                    timeout=deadline.remaining(),
                )
            except SessionNotFoundError as error:
                # The server has a new life, or the socket has not noticed yet: an outage, not the caller's problem.
                node.session_is_lost(view.session_id)
                self._wait_next_ready(node, turn, view.readies, deadline, error)
            except ConnectError as error:
                # It never left, so it may go again.
                self._wait_next_ready(node, turn, view.readies, deadline, error)
            except OutcomeUnknownError:
                self._services.reread(self)
                raise
            else:
                return self._take_reply(view.session_id, mark, update, reply, no_replace)

    def _take_reply(
        self,
        session: Secret | None,
        mark: playback.SendMark,
        update: PlayerUpdate,
        reply: ServerPlayer,
        no_replace: bool,
    ) -> PlayerSnapshot:
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot, reread = playback.on_reply(self._snapshot, mark, update, reply, now, no_replace)
            snapshot = self._snapshot
        if reread:
            self._services.reread(self)
        return snapshot

    def _choose_node(self, turn: Turn, deadline: Deadline) -> tuple[Node, NodeView]:
        """The node to call, CONNECTED, with a session that knows the player if any ever did, and its view.

        A player that no server has heard of goes to the best node there is. One that had something is brought to
        another node, or to its node's new session, by a keeper: that is waited for.
        """
        while True:
            self._check_alive()
            if self._session is None and (self._node is None or self._node.status is Status.DISCONNECTED):
                self._go_to_the_best()
            node = self._node
            if node is not None:
                view = node.view
                if view.status is Status.CONNECTED and self._session in (None, view.session_id):
                    return node, view
            if deadline.expired:
                raise self._no_node_error(node)
            # What is raised inside `aside` leaves the gate; else it is taken again.
            with turn.aside():
                self._services.wait_until(self._may_call, deadline)
                if not self._may_call():
                    raise self._no_node_error(self._node)

    def _may_call(self) -> bool:
        """Whether there is a node to call now, or no use in waiting for one."""
        node = self._node
        if self._destroyed:
            return True
        if self._session is None and (node is None or node.status is Status.DISCONNECTED):
            return self._services.pick_node() is not None
        if node is None:
            return False
        view = node.view
        return view.status is Status.CONNECTED and self._session in (None, view.session_id)

    def _go_to_the_best(self) -> None:
        node = self._services.pick_node()
        if node is not None:
            self.put_on(node)
            if self.voice_side.unsent() is not None:
                self._services.send_voice(self)

    def _no_node_error(self, node: Node | None) -> LavalinkError:
        if node is None:
            return NoNodeAvailableError(
                f"guild {self.guild_id}: no node was connected in time; add one, or see node.last_error"
            )
        view = node.view
        state = "connected, but did not take the player" if view.status is Status.CONNECTED else view.status.value
        return NodeNotReadyError(
            f"guild {self.guild_id}: node {node.name} is {state} and was not ready in time "
            f"({view.last_error or 'no error so far'}); try again later"
        )

    def _wait_next_ready(self, node: Node, turn: Turn, readies: int, deadline: Deadline, error: LavalinkError) -> None:
        """Wait until the node was made ready anew, or a moment has passed; at the deadline raise what the call met."""
        with turn.aside():
            pause = deadline.at_most(_RETRY_PAUSE)
            node.wait_view(lambda view: view.readies != readies or view.status is not Status.CONNECTED, pause)
            self._services.check()
            if deadline.expired:
                raise error

    def _deadline(self, timeout: float | None) -> Deadline:
        self._check_alive()
        node = self._node
        default = self._services.call_timeout if node is None else node.config.timeouts.call
        return Deadline(self._services.clock, default if timeout is None else timeout)

    def _check_alive(self) -> None:
        self._services.check()
        if self._destroyed:
            raise PlayerDestroyedError(
                f"guild {self.guild_id}: this player was destroyed; client.player({self.guild_id}) makes a new one"
            )

    def _destroy_on_its_node(self, turn: Turn, deadline: Deadline) -> None:
        """Delete it where it is; an outage is waited for. Without a node there is nobody to tell."""
        while (node := self._node) is not None and not self._destroyed:
            status = node.status
            if status is Status.DISCONNECTED:
                return
            if status is Status.CONNECTED:
                try:
                    node.rest.destroy_player(self.guild_id, timeout=deadline.remaining())
                except (SessionNotFoundError, PlayerNotFoundError):
                    log.debug("guild %s: its player was gone already", self.guild_id)
                return
            self._wait_settled(node, turn, deadline)

    def _wait_settled(self, node: Node, turn: Turn, deadline: Deadline) -> None:
        """Wait until the node's outage has ended one way or the other, or the player has left it."""

        def settled() -> bool:
            return self._node is not node or node.view.settled

        with turn.aside():
            self._services.wait_until(settled, deadline)
            if not settled():
                raise self._no_node_error(node)

    # What the layers above put in: called by the client, never under a lock.

    def take_state(self, state: PlayerState) -> None:
        """A `playerUpdate` came. On the node's thread."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._snapshot = playback.on_player_update(self._snapshot, state, now)
        lost = self.voice_side.seen(state.connected, self.voice_patience)
        if lost is not None:
            self._services.voice_lost(self, lost)

    def take_event(self, event: Event) -> None:
        """An event came; the snapshot follows it before any listener runs. On the node's thread."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._snapshot = playback.on_event(self._snapshot, event, now)

    def mark(self) -> playback.SendMark:
        """What is known now, to be handed to `take_read` with what is asked of the server after this."""
        return playback.before_send(self._snapshot)

    def take_rebuilt(self, session: Secret | None, mark: playback.SendMark, server: ServerPlayer) -> None:
        """The player was made anew on another session or node, in the guild's turn: calls that waited go out."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_rebuilt(self._snapshot, mark, server, now)
        self._services.changed()

    def was_not_rebuilt(self) -> None:
        """The server refused to make the player anew: no session knows it, and calls that waited try for themselves."""
        with self._lock:
            self._session = None
        self._services.changed()

    def take_read(self, session: Secret | None, mark: playback.SendMark, server: ServerPlayer) -> None:
        """The player was read from the server's `session`, in the guild's turn or before the node was ready."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_read(self._snapshot, mark, server, now)

    def take_voice(self, change: Callable[[VoiceMerge], VoiceMerge]) -> None:
        """Voice data came from Discord; once complete and new, a keeper sends it."""
        if self.voice_side.take(change):
            self._services.send_voice(self)

    def put_on(self, node: Node | None) -> None:
        """Change the player's node, without any call. What the old node was told of voice the new one does not know."""
        with self._lock:
            changed, self._node = node is not self._node, node
        if changed:
            self.voice_side.forget_sent()
            self._services.changed()

    def detach(self) -> None:
        """Forget the player locally; the object is of no more use."""
        self._destroyed = True
        self.voice_side.end()
        self._services.forget(self)
        self._services.changed()
