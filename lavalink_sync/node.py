"""A node: the connection to one Lavalink server, and all that can be asked of that server.

It wires the node's state, its thread's loop and its REST client together; how it is opened and closed is in
`node_opening.py`. Everything may be called from any thread; nothing runs user code but a load handler, and that on the
worker pool.
"""

from __future__ import annotations

import os
import random
import weakref
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import Any, overload

from .config import NodeConfig
from .errors import LavalinkError
from .loading import LoadHandler, check_handler, load_and_deliver
from .models import UNSET, Info, LoadResult, Session, SessionUpdate, Stats, Track, Unset
from .node_hooks import DrainReport, NodeHooks, weak_reports
from .node_loop import NodeLoop
from .node_opening import NodeBase
from .node_session import update_session
from .node_state import NodeState
from .rest import RestClient
from .secret import Secret
from .transport.clock import Clock, Deadline
from .transport.http import HttpTransport
from .transport.workers import KeyedExecutor


class Node(NodeBase):
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
