"""The inside of a player: its fields behind one lock, and how one of its calls finds a node and goes out.

What users type is in `player.py`; what is decided about tracks, positions and replies is in `core/playback.py`. Here is
the part between: waiting in the guild's turn for a node that is ready, sending once, taking the reply.
"""

from __future__ import annotations

import logging
import threading
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

    `wait_node(deadline)` blocks for a connected node, `None` at the deadline. `reread(player)` and `send_voice(player)`
    queue a job on a keeper; `move` does its work on the calling thread. `forget(player)` takes it out of the client's
    map. `check()` raises when the client is closed.
    """

    clock: Clock
    gate: Callable[[int], GuildGate]
    pick_node: Callable[[], Node | None]
    wait_node: Callable[[Deadline], Node | None]
    reread: Callable[[PlayerBase], None]
    send_voice: Callable[[PlayerBase], None]
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
        # Guards the swap of those below; reading one of them needs no lock. `connect` waits on it for its voice.
        self._lock = new_lock()
        self._voice_changed = threading.Condition(self._lock)
        self._snapshot = PlayerSnapshot(guild_id)
        self._node = node
        self._voice = VoiceMerge()
        self._voice_sent: VoiceState | None = None
        self._voice_trouble: str | None = None
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

    def _send(self, update: PlayerUpdate, *, no_replace: bool, timeout: float | None) -> PlayerSnapshot:
        deadline = self._deadline(timeout)
        with self._gate.turn(deadline, what=f"an update of guild {self.guild_id}") as turn:
            return self._send_in_turn(turn, update, no_replace, deadline)

    def _send_in_turn(self, turn: Turn, update: PlayerUpdate, no_replace: bool, deadline: Deadline) -> PlayerSnapshot:
        """Send once a node is ready; during an outage wait for the next `ready` and go out then, not twice."""
        while True:
            node = self._choose_node(turn, deadline)
            view = node.view
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

    def _choose_node(self, turn: Turn, deadline: Deadline) -> Node:
        """The node to call, CONNECTED: the player's own, or while it has none, the best there is."""
        self._check_alive()
        node = self._node
        if node is None or node.status is Status.DISCONNECTED:
            node = self._services.pick_node()
            if node is None:
                node = self._wait_for_any(turn, deadline)
            self._check_alive()
            self.put_on(node)
            if self._voice.state is not None:
                self._services.send_voice(self)
        self._wait_ready(node, turn, deadline)
        return node

    # What these three wait for is said by an error raised inside `aside`, which then does not take the gate again.

    def _wait_for_any(self, turn: Turn, deadline: Deadline) -> Node:
        with turn.aside():
            node = self._services.wait_node(deadline)
            if node is None:
                raise NoNodeAvailableError(
                    f"guild {self.guild_id}: no node was connected in time; add one, or see node.last_error"
                )
        return node

    def _wait_ready(self, node: Node, turn: Turn, deadline: Deadline) -> None:
        if node.status is Status.CONNECTED:
            return
        with turn.aside():
            view = node.wait_view(lambda view: view.status in (Status.CONNECTED, Status.DISCONNECTED), deadline)
            self._services.check()
            if view.status is not Status.CONNECTED:
                raise NodeNotReadyError(
                    f"guild {self.guild_id}: node {node.name} is {view.status.value} and was not ready in time "
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

    def _destroy_on(self, node: Node, turn: Turn, deadline: Deadline) -> None:
        self._wait_ready(node, turn, deadline)
        try:
            node.rest.destroy_player(self.guild_id, timeout=deadline.remaining())
        except (SessionNotFoundError, PlayerNotFoundError):
            log.debug("guild %s: its player was gone already", self.guild_id)

    # What the layers above put in: called by the client, never under a lock.

    def take_state(self, state: PlayerState) -> None:
        """A `playerUpdate` came. On the node's thread."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._snapshot = playback.on_player_update(self._snapshot, state, now)

    def take_event(self, event: Event) -> None:
        """An event came; the snapshot follows it before any listener runs. On the node's thread."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._snapshot = playback.on_event(self._snapshot, event, now)

    def mark(self) -> playback.SendMark:
        """What is known now, to be handed to `take_read` with what is asked of the server after this."""
        return playback.before_send(self._snapshot)

    def take_rebuilt(self, session: Secret | None, mark: playback.SendMark, server: ServerPlayer) -> None:
        """The player was made anew on another session or node, in the guild's turn."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_rebuilt(self._snapshot, mark, server, now)

    def take_read(self, session: Secret | None, mark: playback.SendMark, server: ServerPlayer) -> None:
        """The player was read from the server's `session`, in the guild's turn or before the node was ready."""
        now = self._services.clock.monotonic()
        with self._lock:
            self._session = session
            self._snapshot = playback.on_read(self._snapshot, mark, server, now)

    def take_voice(self, change: Callable[[VoiceMerge], VoiceMerge]) -> None:
        """Voice data came from Discord; once complete and new, a keeper sends it."""
        with self._lock:
            before, self._voice = self._voice, change(self._voice)
            complete = self._voice.state is not None and self._voice.state != before.state
            if complete:
                self._voice_trouble = None
            elif self._voice.state is None:
                # What the server was told before is of no use any more: the same data later counts as new.
                self._voice_sent = None
        if complete:
            self._services.send_voice(self)

    def unsent_voice(self) -> VoiceState | None:
        """The complete voice data that the server has not got yet; `None` when there is nothing to send."""
        with self._lock:
            state = self._voice.state
            return None if state == self._voice_sent or self._destroyed else state

    def voice_was_sent(self, state: VoiceState) -> None:
        """The server has `state` now; of no meaning when newer data has come meanwhile. On a keeper."""
        with self._lock:
            if state == self._voice.state:
                self._voice_sent, self._voice_trouble = state, None
                self._voice_changed.notify_all()

    def voice_has_failed(self, state: VoiceState, trouble: str) -> bool:
        """The server could not be given `state`. False, and nothing changes, when newer data has come meanwhile."""
        with self._lock:
            if state != self._voice.state or self._destroyed:
                return False
            self._voice_sent, self._voice_trouble = None, trouble
            self._voice_changed.notify_all()
            return True

    def forget_sent_voice(self) -> None:
        """What the server knows of voice, or what went wrong with it, is no longer so."""
        with self._lock:
            self._voice_sent = self._voice_trouble = None

    def _wait_voice(self, channel_id: int, deadline: Deadline) -> bool:
        with self._lock:
            while not (
                self._has_voice_locked(channel_id) or self._voice_trouble or self._destroyed or deadline.expired
            ):
                self._services.clock.wait(self._voice_changed, deadline.at)
            return self._has_voice_locked(channel_id)

    def _has_voice_locked(self, channel_id: int) -> bool:
        state = self._voice.state
        return state is not None and state == self._voice_sent and state.channel_id == str(channel_id)

    def put_on(self, node: Node | None) -> None:
        """Change the player's node, without any call. What the old node was told of voice the new one does not know."""
        with self._lock:
            if node is not self._node:
                self._voice_sent = None
            self._node = node

    def detach(self) -> None:
        """Forget the player locally; the object is of no more use."""
        with self._lock:
            self._destroyed = True
            self._voice_changed.notify_all()
        self._services.forget(self)
