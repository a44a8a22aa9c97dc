"""How a node is opened, waited for and closed.

What users read of it, and ask of its server, is in `node.py`; what its thread does between is in `node_loop.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from copy import copy
from typing import Any

from .config import NodeConfig
from .core.status import Status
from .errors import InvalidArgumentError, LavalinkError, NodeClosedError, WaitTimeoutError
from .node_hooks import NodeHooks
from .node_loop import NodeLoop
from .node_session import switch_resuming_off
from .node_state import NodeState, NodeView, Run
from .rest import RestClient
from .secret import Secret
from .transport.clock import Clock, Deadline
from .transport.http import HttpTransport
from .transport.waker import Waker

# How long the undoing of a failed opening waits for the thread, in seconds; only name resolution takes longer.
_UNDO = 1.0


class NodeBase:
    """A node's life. `Node`, which sets the fields below when it is made, is this with all else that users type."""

    name: str
    rest: RestClient
    hooks: NodeHooks[Any]
    _clock: Clock
    _config: NodeConfig
    _loop: NodeLoop
    _pid: int
    _state: NodeState
    _transport: HttpTransport

    @property
    def status(self) -> Status:
        """CONNECTING, CONNECTED, RECONNECTING or DISCONNECTED."""
        return self._state.view.status

    @property
    def view(self) -> NodeView:
        """All that is known of it, at one moment."""
        return self._state.view

    def open(self, timeout: float | None = None) -> None:
        """Connect, and return once CONNECTED. On an open node: wait for CONNECTED.

        Tries again as `config.reconnect` says until it works, `timeout` (seconds) has passed (`WaitTimeoutError`, which
        says what the last try met), the server refuses for good (`AuthenticationError`, `CertificateError`,
        `UnsupportedServerError`), the limit of tries is reached (the last try's error), or the node is closed
        (`NodeClosedError`). Where this call began the opening and fails, the node is DISCONNECTED again.
        """
        deadline = Deadline(self._clock, timeout)
        generation = began = self.start()
        while generation is None:
            view = self._state.view
            if view.status is not Status.DISCONNECTED:
                generation = view.generation
            else:
                # It was closed since `start` found it open.
                generation = began = self.start()
        try:
            self._wait_connected(generation, deadline, timeout)
        except BaseException:
            if began is not None and self._state.view.generation == began:
                self.close(_UNDO, keep_session=True)
            raise

    def start(self) -> int | None:
        """Begin to connect in the background. Returns the new generation, `None` when the node was open already."""
        self.hooks.check()
        run = self._state.begin(self._make_run)
        if run is None:
            return None
        # After `begin`, as `close` closes it before `end`: a close that comes later has the last word.
        self._transport.open()
        if self._state.view.status is Status.DISCONNECTED:
            # One has come between the two, and was undone here.
            self._transport.close(NodeClosedError(f"node {self.name} was closed"))
        try:
            run.thread.start()
        except RuntimeError:
            # The system has no thread to give.
            self._state.end(run.generation)
            run.waker.close()
            raise
        self.hooks.changed()
        try:
            # A client that was closed since the check above has not seen this opening.
            self.hooks.check()
        except LavalinkError:
            self.close(_UNDO, keep_session=True)
            raise
        return run.generation

    def _make_run(self, generation: int) -> Run:
        waker = Waker()
        thread = threading.Thread(
            target=self._loop.run, args=(generation, waker), name=f"lavalink-node-{self.name}", daemon=True
        )
        return Run(generation, thread, waker)

    def _wait_connected(self, generation: int, deadline: Deadline, timeout: float | None) -> None:
        view = self._state.wait(lambda view: view.generation != generation or view.settled, deadline)
        if view.generation != generation:
            raise NodeClosedError(f"node {self.name} was closed before it connected")
        if view.status is Status.CONNECTED:
            return
        if view.status is Status.DISCONNECTED and view.last_error is not None:
            # Several threads may wait for the one failure; each raises an error of its own.
            raise copy(view.last_error) from view.last_error.__cause__
        raise WaitTimeoutError(
            f"node {self.name} did not connect to {self._config.address} within {timeout or 0:.3g} s "
            f"(try {view.attempt}); the last try met: {view.last_error or 'no answer yet'}",
            last_error=view.last_error,
        )

    def close(self, timeout: float | None = None, *, keep_session: bool = False) -> None:
        """Close the connection (close frame 1000) and end the node's thread. Idempotent; `open` brings it back.

        Switches resuming off first, so that the server drops the players at once, unless `keep_session`. Waits at most
        `timeout` seconds (`config.timeouts.close`). Calls that wait for the node, or are on the wire, raise
        `NodeClosedError`. The node's players stay known to the client and wait for a node.
        """
        if os.getpid() != self._pid:
            # A forked child shares the socket and has no thread: what is here is its parent's to close.
            return
        deadline = Deadline(self._clock, self._config.timeouts.close if timeout is None else timeout)
        if not keep_session:
            self.switch_resuming_off(deadline)
        self.begin_close(NodeClosedError(f"node {self.name} was closed"), deadline)
        self.join(deadline)

    def switch_resuming_off(self, deadline: Deadline) -> None:
        """Tell a connected server not to keep the session; a failure is no reason not to close."""
        switch_resuming_off(self._config, self._state, self.rest, deadline)

    def begin_close(self, error: LavalinkError, deadline: Deadline) -> None:
        """The part of `close` that does not wait: calls in flight raise `error`, and the node is DISCONNECTED."""
        self._transport.close(error)
        run = self._state.end(closing=deadline)
        if run is not None:
            run.waker.wake()
        self.hooks.changed()

    def join(self, deadline: Deadline) -> bool:
        """Wait for the node's thread to end; False when it still runs at the deadline. On that thread itself: True."""
        thread = None if self._state.view.run is None else self._state.view.run.thread
        if thread is None or thread is threading.current_thread() or thread.ident is None:
            return True
        return deadline.join(thread)

    def wait_for(self, *statuses: Status, timeout: float | None = None) -> Status:
        """Block until the status is one of `statuses` and return it. Raises `WaitTimeoutError` after `timeout` seconds.

        When the node becomes DISCONNECTED meanwhile and that is not among them: raises `NodeClosedError` if it was
        closed, what the last try met if it gave up.
        """
        if not statuses or not all(isinstance(status, Status) for status in statuses):
            raise InvalidArgumentError("wait_for needs at least one Status, such as Status.CONNECTED", field="statuses")
        self.hooks.check()
        start = self._state.view
        down = Status.DISCONNECTED

        def over(view: NodeView) -> bool:
            moved = view.generation != start.generation or start.status is not down
            return view.status in statuses or (view.status is down and moved)

        view = self._state.wait(over, Deadline(self._clock, timeout))
        if view.status in statuses:
            return view.status
        wanted = " or ".join(status.value for status in statuses)
        if over(view):
            if view.gave_up and view.last_error is not None:
                raise copy(view.last_error) from view.last_error.__cause__
            raise NodeClosedError(f"node {self.name} was closed while {wanted} was waited for")
        raise WaitTimeoutError(
            f"node {self.name} was not {wanted} within {timeout or 0:.3g} s; it is {view.status.value}: "
            f"{view.last_error or 'no error so far'}",
            last_error=view.last_error,
        )

    def wait_view(self, ready: Callable[[NodeView], bool], deadline: Deadline) -> NodeView:
        """Block until `ready(view)` or the deadline; return the view either way."""
        return self._state.wait(ready, deadline)

    def wait_for_news(self, seen: NodeView, deadline: Deadline) -> None:
        """Wait before a call that met an outage is tried again; see `NodeState.wait_for_news`."""
        self._state.wait_for_news(seen, deadline)

    def session_is_lost(self, session_id: Secret | None) -> None:
        """A call learnt that the server has forgotten `session_id`: connect anew, unless that has happened already."""
        self._state.session_is_lost(session_id)
