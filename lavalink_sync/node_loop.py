"""The life of a node's thread: connect, get ready, read, and when that ends back off and begin again.

One run of this belongs to one generation of the node. It alone touches the WebSocket. What it learns goes into
`NodeState` and, as calls to the functions of `Reports`, to whoever made the loop; none of them runs user code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from .config import NodeConfig
from .core.backoff import delay, exhausted
from .core.heartbeat import Beat, Heartbeat
from .core.status import Status
from .errors import (
    ConnectionLostError,
    HandshakeError,
    LavalinkError,
    NodeClosedError,
    ProtocolError,
    WaitTimeoutError,
)
from .models import Message, PlayerState, Ready, StatsMessage, Track, read_frame
from .node_server import ask_info, check_version, is_final
from .node_state import NodeState
from .rest import RestClient
from .transport.clock import Clock, Deadline
from .transport.connection import WebSocketConnection
from .transport.http import HttpTransport
from .transport.waker import Waker, selector_for

log = logging.getLogger(__name__)

# A frame that can't be decoded is told once a kind; a server that invents kinds must not fill the memory with them.
_MAX_KINDS = 100
# How long the server gets to answer our close frame, in seconds.
_CLOSE_ANSWER = 1.0


class Receivers(NamedTuple):
    """Who gets what came in one read, without anything in between: a function around each costs 0.1 us a message.

    `player_update(node, guild_id, state, now)` gets each `playerUpdate`; `track_change(node, guild_id, track, now,
    frame)` the starts of tracks, and with `None` the ends, that were `unheard` as it was asked; `message(node, message,
    now)` every other frame that could be decoded; all in wire order. `now` is the monotonic time. `read_over()` comes
    behind the last, and before it behind each `ready` and `stats`, which the loop itself looks at.
    """

    node: Any
    unheard: frozenset[str]
    player_update: Callable[[Any, int, PlayerState, float], None]
    track_change: Callable[[Any, int, Track | None, float, bytes], None]
    message: Callable[[Any, Message, float], None]
    read_over: Callable[[], None]


@dataclass(frozen=True)
class Reports:
    """Where the loop tells what happens. All are called on the node's thread.

    `ready(resumed)` comes before CONNECTED and may make bounded REST calls; what it raises fails the attempt.
    `connected(resumed)`, `reconnecting(error)` and `disconnected(error)` follow the status. `receivers()` is asked
    for each read; `None`: nobody has the node any more. `disconnected` is the last thing told of a generation, and told
    once; without an error the node was closed. Not told where the node was opened again before: it is not at its end.
    """

    ready: Callable[[bool], None]
    connected: Callable[[bool], None]
    reconnecting: Callable[[LavalinkError], None]
    disconnected: Callable[[LavalinkError | None], None]
    receivers: Callable[[], Receivers | None]


class NodeLoop:
    """What a node's thread does; see the module's text. Made once a node, `run` once a generation."""

    def __init__(
        self,
        config: NodeConfig,
        state: NodeState,
        rest: RestClient,
        reports: Reports,
        clock: Clock,
        *,
        user_id: int,
        client_name: str,
        random: Callable[[], float],
        transport: HttpTransport,
    ) -> None:
        self._config = config
        self._state = state
        self._rest = rest
        self._reports = reports
        self._clock = clock
        self._headers = {
            "Authorization": config.password,
            "User-Id": str(user_id),
            "Client-Name": client_name,
        }
        self._random = random
        # Whose idle connections are closed here; all of it for a node that was collected, not closed.
        self._transport = transport
        self._bad_frames: dict[str, int] = {}

    def run(self, generation: int, waker: Waker) -> None:
        """Live until the node is closed, refused for good or at its limit of tries. The thread's target."""
        try:
            self._end(generation, self._live(generation, waker))
        except Exception as error:
            # A fault of ours must not leave a node that says CONNECTED and reads nothing.
            log.exception("node %s: its thread failed; open() starts it anew", self._config.name)
            fault = LavalinkError(
                f"node {self._config.name}: its thread failed with {type(error).__name__}; see the log"
            )
            self._end(generation, fault)
        finally:
            waker.close()
            self._transport.close_idle(0)
            if self._state.is_abandoned:
                self._transport.close(NodeClosedError(f"node {self._config.name} is no longer in use"))

    def _live(self, generation: int, waker: Waker) -> LavalinkError | None:
        """Connect and read, again and again; return what ended that, `None` if the node was closed."""
        error: LavalinkError
        attempt = 0
        # How many connections in a row ended sooner than one step of the policy after their `ready`. Each puts the next
        # dial off as a failed try does: a server that says `ready` and closes at once must not be dialled in a storm.
        brief = 0
        while self._pause(generation, waker, attempt + brief):
            attempt += 1
            self._state.write(generation, attempt=attempt)
            try:
                with self._dial(generation, waker) as connection:
                    waiting = self._await_ready(generation, connection)
                    attempt, ready_at = 0, self._clock.monotonic()
                    self._read(generation, connection, waiting)
                return None
            except LavalinkError as caught:
                # A NodeClosedError of an older close may still meet a call of this generation: one more failure.
                error = caught
            if attempt == 0:
                lasted = self._clock.monotonic() - ready_at
                brief = 0 if lasted >= self._config.reconnect.step else brief + 1
            if not self._after_failure(generation, attempt, error):
                return error
            self._transport.close_idle()
        return None

    def _pause(self, generation: int, waker: Waker, attempt: int) -> bool:
        """Wait as long as the policy says before try `attempt`; False when the node was closed meanwhile.

        On the waker, not on the state's condition: a node that is collected may only wake.
        """
        deadline = Deadline(self._clock, delay(self._config.reconnect, attempt, self._random))
        if deadline.expired:
            return not self._state.is_over(generation)
        with selector_for(waker) as selector:
            while not (deadline.expired or self._state.is_over(generation)):
                self._clock.poll(selector, waker, deadline.at)
        return not self._state.is_over(generation)

    def _after_failure(self, generation: int, attempt: int, error: LavalinkError) -> bool:
        """Write down what ended the attempt or the connection; False when there is to be no further try."""
        name = self._config.name
        if not self._state.write(generation, last_error=error):
            return False
        status = self._state.view.status
        if (status is Status.CONNECTING and is_final(error)) or exhausted(self._config.reconnect, attempt):
            return False
        if status is Status.CONNECTED:
            log.warning("node %s: connection lost (%s); reconnecting", name, error)
            if self._state.write(generation, status=Status.RECONNECTING, stats=None):
                self._reports.reconnecting(error)
        elif attempt == 1:
            log.warning("node %s: no connection yet (%s); trying again until it works", name, error)
        else:
            log.debug("node %s: try %d failed: %s", name, attempt, error)
        return True

    def _end(self, generation: int, error: LavalinkError | None) -> None:
        """Give up because of `error`, unless the node was closed; tell which of the two it is."""
        if error is not None:
            if self._state.write(generation, status=Status.DISCONNECTED, last_error=error):
                log.error("node %s: given up: %s", self._config.name, error)
            else:
                error = None  # it was closed meanwhile
        if self._state.is_overtaken(generation):
            return
        try:
            self._reports.disconnected(error)
        except Exception:
            log.exception("node %s: its end could not be told", self._config.name)

    def _dial(self, generation: int, waker: Waker) -> WebSocketConnection:
        view = self._state.view
        headers = dict(self._headers)
        if view.session_id is not None:
            headers["Session-Id"] = view.session_id
        try:
            return WebSocketConnection.open(
                self._config,
                headers,
                clock=self._clock,
                waker=waker,
                deadline=Deadline(self._clock, self._config.timeouts.connect + self._config.timeouts.read),
                interrupted=lambda: self._state.is_over(generation),
            )
        except HandshakeError as error:
            refusal = error
        if refusal.status and view.status is Status.CONNECTING:
            check_version(self._config, self._rest)
        raise refusal

    def _await_ready(self, generation: int, connection: WebSocketConnection) -> list[bytes]:
        """Read until `ready`, configure the session, become CONNECTED. Returns the frames that came right behind it.

        Other frames may come first (`stats` often does) and count as usual.
        """
        deadline = Deadline(self._clock, self._config.timeouts.read)
        while not deadline.expired:
            payloads = connection.poll(deadline.at)
            self._check_generation(generation)
            frames = iter(payloads)
            while (message := self._take(generation, frames)) is not None:
                if isinstance(message, Ready):
                    self._become_connected(generation, message)
                    return list(frames)
        raise WaitTimeoutError(
            f"node {self._config.name}: the WebSocket opened, but no ready message came within "
            f"{self._config.timeouts.read:g} s; is {self._config.address} a Lavalink server?"
        )

    def _become_connected(self, generation: int, ready: Ready) -> None:
        # A session that was resumed is of the same server as before: nothing can have changed.
        is_known = ready.resumed and self._state.view.info is not None
        told = {} if is_known else {"info": ask_info(self._config, self._rest)}
        self._state.write(generation, session_id=ready.session_id, lost_session=None, **told)
        resuming = self._state.view.resuming
        if resuming is not None:
            self._rest.update_session(resuming, session_id=ready.session_id)
        self._reports.ready(ready.resumed)
        readies = self._state.view.readies + 1
        if not self._state.write(generation, status=Status.CONNECTED, attempt=0, last_error=None, readies=readies):
            raise NodeClosedError(f"node {self._config.name} was closed while it connected")
        log.info("node %s: connected to %s, resumed=%s", self._config.name, self._config.address, ready.resumed)
        self._reports.connected(ready.resumed)

    def _read(self, generation: int, connection: WebSocketConnection, payloads: list[bytes]) -> None:
        """Take frames until the connection ends, which is raised, or the node is closed, which returns."""
        heartbeat = Heartbeat(self._config.heartbeat, self._clock.monotonic())
        while True:
            frames = iter(payloads)
            while (message := self._take(generation, frames)) is not None:
                if isinstance(message, StatsMessage):
                    heartbeat.stats_heard(self._clock.monotonic())
                    # Where there is always something heard, no ping is due; but stats come each minute.
                    self._transport.close_idle()
            payloads = connection.poll(heartbeat.next_check())
            is_over = self._state.is_over(generation)
            # Behind that, so that it is of the one who closed it.
            view = self._state.view
            if is_over:
                connection.close(deadline=(view.closing or Deadline(self._clock, 0)).at_most(_CLOSE_ANSWER))
                return
            if view.lost_session is not None and view.lost_session == view.session_id:
                raise ConnectionLostError(f"node {self._config.name}: the server has forgotten the session")
            heartbeat.heard(connection.last_heard)
            self._beat(heartbeat, connection)

    def _beat(self, heartbeat: Heartbeat, connection: WebSocketConnection) -> None:
        beat = heartbeat.check(self._clock.monotonic())
        if beat is Beat.PING:
            connection.ping()
            self._transport.close_idle()
        elif beat is Beat.MUTE:
            raise ConnectionLostError(
                f"node {self._config.name}: nothing heard from {self._config.address} for two heartbeats of "
                f"{self._config.heartbeat:g} s, pings included"
            )
        elif beat is Beat.STALE:
            raise ConnectionLostError(f"node {self._config.name}: {self._config.address} sends no stats any more")

    def _take(self, generation: int, payloads: Iterator[bytes]) -> Ready | StatsMessage | None:
        """Decode frames, keep what they say of the node, pass them on. A bad one is only counted.

        Returns at one that this loop itself has to know of; `None`: all are taken. The loop is in here because nearly
        all frames are a `playerUpdate` of 3 us, and a call of ours costs 0.1. `type(...) is` where it mostly is not:
        that says so in half the time of `isinstance`.
        """
        receivers = self._reports.receivers()
        if receivers is None:
            return None
        node, unheard, player_update, track_change, take_message, read_over = receivers
        # Asked once a read: all of it came then.
        now = self._clock.monotonic()
        try:
            for payload in payloads:
                try:
                    message = read_frame(payload, unheard)
                except ProtocolError as error:
                    self._count_bad_frame(error)
                    continue
                try:
                    if isinstance(message, tuple):
                        guild_id, news = message
                        if isinstance(news, PlayerState):
                            player_update(node, guild_id, news, now)
                        else:
                            track_change(node, guild_id, news, now, payload)
                        continue
                    if type(message) is StatsMessage:
                        self._state.write(generation, stats=message.stats)
                    take_message(node, message, now)
                except Exception:
                    # A fault of ours costs this message, not the connection.
                    what = "news of a player" if isinstance(message, tuple) else f"a message of op {message.op}"
                    log.exception("node %s: %s was not passed on", self._config.name, what)
                if type(message) is StatsMessage or type(message) is Ready:
                    return message
        finally:
            read_over()
        return None

    def _count_bad_frame(self, error: ProtocolError) -> None:
        kind = error.path if len(self._bad_frames) < _MAX_KINDS or error.path in self._bad_frames else "(others)"
        count = self._bad_frames.get(kind, 0) + 1
        self._bad_frames[kind] = count
        if count == 1:
            log.warning("node %s: a frame could not be decoded and is left out: %s", self._config.name, error)

    @property
    def bad_frames(self) -> int:
        """How many frames could not be decoded so far."""
        return sum(self._bad_frames.values())

    def _check_generation(self, generation: int) -> None:
        if self._state.is_over(generation):
            raise NodeClosedError(f"node {self._config.name} was closed while it connected")
