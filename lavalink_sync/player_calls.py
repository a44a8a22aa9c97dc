"""How one of a player's calls finds a node and goes out.

What users type is in `player.py`, the fields are in `player_fields.py`. Here is the part between: waiting in the
guild's turn for a node that is ready, sending once, taking the reply.
"""

from __future__ import annotations

from contextlib import nullcontext

from .coalescing import Sending
from .core import checks, playback
from .core.merging import can_merge
from .core.playback import PlayerSnapshot
from .core.status import Status
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
from .models import PlayerUpdate, codec
from .node import Node
from .node_state import NodeView
from .player_fields import PlayerFields
from .transport.clock import Deadline
from .transport.gate import Turn


class PlayerBase(PlayerFields):
    """A player's way to the server. `Player` is this with the names that users type."""

    def _send(self, update: PlayerUpdate, *, no_replace: bool, timeout: float | None) -> PlayerSnapshot:
        deadline = self._deadline(timeout)
        turn = self._gate.turn(deadline, what=f"an update of guild {self.guild_id}")
        coalescer = self._coalescer
        if coalescer is not None and can_merge(update) and not no_replace:
            # A mistake is its caller's alone.
            codec.dumps(checks.player_update(update).to_dict())
            return coalescer.send(
                update, turn, deadline, lambda turn, sending: self._send_in_turn(turn, sending, False, deadline)
            )
        self._flush()
        with turn:
            return self._send_in_turn(turn, lambda: nullcontext(update), no_replace, deadline)

    def _send_in_turn(self, turn: Turn, sending: Sending, no_replace: bool, deadline: Deadline) -> PlayerSnapshot:
        """Send what `sending` gives once a node is ready; in an outage wait for `ready` and go out then, not twice."""
        while True:
            node, view = self._choose_node(turn, deadline)
            mark = playback.before_send(self._snapshot)
            session = view.session_id
            try:
                with sending() as update:
                    reply = node.rest.update_player(
                        self.guild_id, update, no_replace=no_replace, session_id=session, timeout=deadline
                    )
            except SessionNotFoundError as error:
                # The server has a new life, or the socket has not noticed yet: an outage, not the caller's problem.
                node.session_is_lost(session)
                self._wait_for_news(node, turn, view, deadline, error)
            except ConnectError as error:
                # It never left, so it may go again.
                self._wait_for_news(node, turn, view, deadline, error)
            except OutcomeUnknownError:
                self._services.reread(self)
                raise
            else:
                return self.take_reply(session, mark, update, reply, no_replace)

    def _choose_node(self, turn: Turn, deadline: Deadline) -> tuple[Node, NodeView]:
        """The node to call, CONNECTED, with a session that knows the player if any ever did, and its view.

        A player that no server has heard of goes to the best node there is. One that had something is brought to
        another node, or to its node's new session, by a keeper: that is waited for.
        """
        while True:
            found = None if self._destroyed else self._node_to_call()
            if found is not None:
                return found
            self._check_alive()
            if self._has_no_place():
                self._go_to_the_best()
                found = self._node_to_call()
                if found is not None:
                    return found
            if deadline.expired:
                raise self._no_node_error(self._node)
            # What is raised inside `aside` leaves the gate; else it is taken again.
            with turn.aside():
                self._services.wait_until(self._may_call, deadline)
                if not self._may_call():
                    raise self._no_node_error(self._node)

    def _node_to_call(self) -> tuple[Node, NodeView] | None:
        """The player's node and its view, if it is CONNECTED and its session knows the player, or none does."""
        node = self._node
        if node is not None:
            view = node.view
            if view.status is Status.CONNECTED and self._session in (None, view.session_id):
                return node, view
        return None

    def _may_call(self) -> bool:
        """Whether there is a node to call now, or no use in waiting for one."""
        if self._destroyed:
            return True
        if self._has_no_place():
            return self._services.has_node()
        return self._node_to_call() is not None

    def _has_no_place(self) -> bool:
        """Whether it is on no node that may get ready, and no server has heard of it, so that it may go to any."""
        node = self._node
        return self._session is None and (node is None or node.status is Status.DISCONNECTED)

    def _find_a_place(self, deadline: Deadline) -> None:
        """Have a node that voice data can be sent to when it comes; without one, wait for one as any call does."""
        if self._has_no_place():
            with self._gate.turn(deadline, what=f"choosing a node for guild {self.guild_id}") as turn:
                self._choose_node(turn, deadline)

    def _go_to_the_best(self) -> None:
        node = self._services.pick_node(self)
        if node is not None:
            self.put_on(node)
            if self.voice_side.is_new:
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

    def _wait_for_news(self, node: Node, turn: Turn, seen: NodeView, deadline: Deadline, error: LavalinkError) -> None:
        """Wait as `Node.wait_for_news` does; at the deadline raise what the call met."""
        with turn.aside():
            node.wait_for_news(seen, deadline)
            self._services.check()
            if deadline.expired:
                if isinstance(error, SessionNotFoundError):
                    # The caller has nothing to do with sessions.
                    raise self._no_node_error(node) from error
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
            view = node.view
            if view.status is Status.DISCONNECTED:
                return
            if view.status is not Status.CONNECTED:
                self._wait_settled(node, turn, deadline)
                continue
            # One that is not made anew yet may still be on the old session, if the server has not noticed its end.
            session = self._session or view.session_id
            try:
                node.rest.destroy_player(self.guild_id, session_id=session, timeout=deadline.remaining())
                return
            except PlayerNotFoundError:
                return
            except SessionNotFoundError as error:
                if self._session != view.session_id:
                    return  # gone with its session, or never made
                # The session may wait to be resumed, and the music with it.
                node.session_is_lost(session)
                self._wait_for_news(node, turn, view, deadline, error)
            except ConnectError as error:
                self._wait_for_news(node, turn, view, deadline, error)

    def _wait_settled(self, node: Node, turn: Turn, deadline: Deadline) -> None:
        """Wait until the node's outage has ended one way or the other, or the player has left it."""

        def settled() -> bool:
            return self._node is not node or node.view.settled

        with turn.aside():
            self._services.wait_until(settled, deadline)
            if not settled():
                raise self._no_node_error(node)
