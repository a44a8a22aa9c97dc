"""A node: the connection to one Lavalink server, and all that can be asked of that server.

It wires the node's state, its thread's loop and its REST client together. Everything here may be called from any
thread; nothing here runs user code but a load handler, and that on the worker pool.
"""

from __future__ import annotations

import os
import random
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, overload

from .config import NodeConfig
from .core.status import Status
from .errors import InvalidArgumentError, LavalinkError, NodeClosedError, WaitTimeoutError
from .loading import LoadHandler, check_handler, load_and_deliver
from .models import UNSET, Info, LoadResult, Session, SessionUpdate, Stats, Track, Unset
from .node_hooks import DrainReport, NodeHooks, weak_reports
from .node_loop import NodeLoop
from .node_session import switch_resuming_off, update_session
from .node_state import NodeState, NodeView, Run
from .rest import RestClient
from .secret import Secret
from .transport.clock import Clock, Deadline
from .transport.http import HttpTransport
from .transport.waker import Waker
from .transport.workers import KeyedExecutor

# How long the undoing of a failed opening waits for the thread, in seconds; only name resolution takes longer.
_UNDO = 1.0


class Node:
    """One Lavalink server. Made by `Client.add_node`; every method may be called from any thread.

    `name`, `config` and `rest` never change; `client` is the `Client` that made it.
    """

    def __init__(
        self,
        client: Any,
        config: NodeConfig,
        transport: HttpTransport,
        hooks: NodeHooks[Node],
        workers: KeyedExecutor,
        clock: Clock,
        *,
        user_id: int,
        client_name: str,
    ) -> None:
        self.client = client
        self.name = config.name
        self._pid = os.getpid()
        self._config = config
        self.hooks = hooks
        self._workers = workers
        self._clock = clock
        self._transport = transport
        state = self._state = NodeState(config, clock)
        self.rest = RestClient(config, transport, lambda: state.view.session_id, clock)
        self._loop = NodeLoop(
            config,
            state,
            self.rest,
            weak_reports(self),
            clock,
            user_id=user_id,
            client_name=client_name,
            random=random.random,
            transport=transport,
        )
        # A node that is forgotten without `close` ends its thread when it is collected.
        weakref.finalize(self, state.abandon).atexit = False

    def __repr__(self) -> str:
        return f"<Node {self.name!r} at {self._config.address}: {self.status.value}>"

    @property
    def config(self) -> NodeConfig:
        """The configuration, with the present session id in its place, so that it can be kept for a restart."""
        session_id = self._state.view.session_id
        if session_id not in (None, self._config.session_id):  # once a session; harmless if two threads do it at once
            self._config = replace(self._config, session_id=session_id)
        return self._config

    @property
    def status(self) -> Status:
        """CONNECTING, CONNECTED, RECONNECTING or DISCONNECTED."""
        return self._state.view.status

    @property
    def session_id(self) -> Secret | None:
        """The id of the newest session, kept after a close; prints as `***`, `reveal()` gives the text to store."""
        return self._state.view.session_id

    @property
    def stats(self) -> Stats | None:
        """The newest `stats` message of this connection; `None` before the first."""
        return self._state.view.stats

    @property
    def cached_info(self) -> Info | None:
        """What the server said last of itself: when the session began, or to `info()`. `None` where it did not."""
        return self._state.view.info

    @property
    def new_players(self) -> int:
        """How many players this client has put here since the newest `stats`, or has told the server nothing of yet."""
        return self.hooks.new_players(self)

    @property
    def last_error(self) -> LavalinkError | None:
        """What ended the last connection or attempt; `None` while connected."""
        return self._state.view.last_error

    @property
    def bad_frames(self) -> int:
        """How many frames could not be decoded and were left out, since the node was made."""
        return self._loop.bad_frames

    @property
    def view(self) -> NodeView:
        """All of the above at one moment."""
        return self._state.view

    # Opening and closing.

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
        # After `begin`, as `close` closes it before `end`: then neither can undo what the other one did later.
        self._transport.open()
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
            f"node {self.name} did not connect to {self._config.address} within {timeout or 0:g} s "
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

    def drain(self, *, timeout: float | None = None) -> DrainReport:
        """Bring all players of this node to other connected nodes, and give it no new ones. The node stays open.

        Blocks until they have left, at most `timeout` seconds (`config.timeouts.close`); what could not be moved by
        then is in the report's `left`, plays on here, and goes on being moved. It returns earlier where all that are
        left were refused by every other node. `open` after a `close` ends the draining.
        """
        self.hooks.check()
        deadline = Deadline(self._clock, self._config.timeouts.close if timeout is None else timeout)
        self._state.drain()
        return self.hooks.drain(self, deadline)

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
            f"node {self.name} was not {wanted} within {timeout or 0:g} s; it is {view.status.value}: "
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

    # What the server is asked. Each takes `timeout` in seconds; the errors are those of `RestClient`.

    def version(self, *, timeout: float | None = None) -> str:
        """The server's version text. `GET /version`."""
        return self.rest.version(timeout=timeout)

    def info(self, *, timeout: float | None = None) -> Info:
        """What the server is and can: version, sources, filters, plugins; asked anew. `GET /v4/info`."""
        info = self.rest.info(timeout=timeout)
        self._state.keep_info(info)
        return info

    def update(
        self, *, resuming: bool | Unset = UNSET, timeout: int | Unset = UNSET, deadline: float | None = None
    ) -> Session:
        """Change the session: whether it can be resumed, and for how many seconds. `PATCH /v4/sessions/{s}`.

        What is set here is set again on every new session of this node; without arguments it only reads.
        `deadline` is the call's own limit in seconds (`config.timeouts.call`); an outage is waited for that long, then
        `NodeNotReadyError` is raised.
        """
        asked = SessionUpdate(resuming=resuming, timeout=timeout)
        limit = Deadline(self._clock, self._config.timeouts.call if deadline is None else deadline)
        return update_session(self._config, self._state, self.rest, asked, limit)

    @overload
    def load_tracks(self, identifier: str, *, timeout: float | None = None) -> LoadResult: ...

    @overload
    def load_tracks(
        self, identifier: str, handler: LoadHandler, *, timeout: float | None = None
    ) -> Future[LoadResult]: ...

    def load_tracks(
        self, identifier: str, handler: LoadHandler | None = None, *, timeout: float | None = None
    ) -> LoadResult | Future[LoadResult]:
        """Resolve a URL, a search such as `ytsearch:...`, or a file. `GET /v4/loadtracks`.

        Without `handler`: blocks, returns `TrackLoaded`, `PlaylistLoaded`, `SearchResult`, `NoMatches` or `LoadFailed`.
        With one: returns a future at once; loading and the handler run on the worker pool; the future gives the result,
        or what the handler raised. `timeout` is in seconds (`config.timeouts.load`).
        """
        if handler is None:
            return self.rest.load_tracks(identifier, timeout=timeout)
        check_handler(handler)
        load = partial(self.rest.load_tracks, identifier, timeout=timeout)
        return self._workers.run(None, lambda: load_and_deliver(load, identifier, handler))

    def decode_track(self, encoded: str, *, timeout: float | None = None) -> Track:
        """Have the server decode one track. `GET /v4/decodetrack`. `lavalink_sync.decode_track` needs no server."""
        return self.rest.decode_track(encoded, timeout=timeout)

    def decode_tracks(self, encoded: Sequence[str], *, timeout: float | None = None) -> list[Track]:
        """Have the server decode several tracks; one bad one fails all. `POST /v4/decodetracks`."""
        return self.rest.decode_tracks(encoded, timeout=timeout)
