"""The server on its loop: connections, handshakes, sessions, and what is done to them from outside."""

from __future__ import annotations

import os
import socket
from collections import deque
from typing import Any

from . import handshake
from .clock import Clock
from .connection import Connection
from .fields import java_long
from .http import Answer, Request, RestError
from .loop import READ, Loop
from .negotiation import error_answer
from .offer import Offer
from .plan import Plan, Rule
from .port import newcomers
from .rest import Rest
from .session import Session
from .sources import Sources
from .world import World

__all__ = ["Server"]

_MIB = 2**20


class Server:
    """See the module. Everything but the constructor runs on the loop's thread."""

    def __init__(
        self,
        listener: socket.socket,
        loop: Loop,
        sources: Sources,
        plan: Plan,
        requests: deque[Request],
        password: str,
        world: World,
        offer: Offer,
    ) -> None:
        self.loop = loop
        self.offer = offer
        self.sources = sources
        self.sessions: dict[str, Session] = {}
        self.pings = 0
        self._listener = listener
        self._plan = plan
        self._requests = requests
        self._password = password
        self._world = world
        self._connections: dict[Connection, None] = {}
        self._started = loop.clock.monotonic()
        self._rest = Rest(self, password)

    # --- what REST asks for

    @property
    def clock(self) -> Clock:
        """The node's time."""
        return self.loop.clock

    @property
    def muted(self) -> bool:
        """Whether nothing is answered."""
        return self._plan.muted

    def stats(self, frames: dict[str, int] | None = None) -> dict[str, Any]:
        """Lavalink's Stats. `frames`: those of the session that is told."""
        now = self.clock.monotonic()
        # A session that waits for its client counts for nobody.
        live = [session for session in self.sessions.values() if session.connected]
        players = [player for session in live for player in session.players.values()]
        return {
            "frameStats": frames,
            "players": len(players),
            "playingPlayers": sum(player.playing for player in players),
            "uptime": int((now - self._started) * 1000),
            "memory": {"free": 36 * _MIB, "used": 48 * _MIB, "allocated": 84 * _MIB, "reservable": 512 * _MIB},
            "cpu": {"cores": os.cpu_count() or 1, "systemLoad": 0.0, "lavalinkLoad": 0.0},
        }

    # --- connections

    def open(self) -> None:
        """Begin to accept."""
        self.loop.watch(self._listener, READ, self._accept)

    def shut(self) -> None:
        """Accept nothing more, and take leave of everyone. `idle` tells when they have."""
        self.loop.unwatch(self._listener)
        self._listener.close()
        for connection in list(self._connections):
            if connection.frames is None or self.muted:
                connection.drop()
            else:
                connection.close_websocket(1001)

    def idle(self) -> bool:
        """Whether nobody is connected."""
        return not self._connections

    def drop_all(self) -> None:
        """End what is left."""
        for connection in list(self._connections):
            connection.drop()
        self.forget_all()

    def ended(self, connection: Connection) -> None:
        """A connection is closed."""
        self._connections.pop(connection, None)

    def pinged(self) -> None:
        """A client's ping was answered, or while muted was not."""
        self.pings += 1

    def asked(self, connection: Connection, request: Request) -> None:
        """A request was read: note it, let it wait if it has to, then do it."""
        self._requests.append(request)
        if self.muted:
            return
        if request.wants_upgrade:
            planned = self._plan.refused()
            if planned is None:
                self._dispatch(connection, request)
            else:
                connection.respond(self._planned(planned, request))
            return
        delay = self._plan.delay(request)
        if delay > 0:
            self.loop.later(delay, lambda: self._do(connection, request))
        else:
            self._do(connection, request)

    def _accept(self, events: int) -> None:
        for sock in newcomers(self._listener, "the development node"):
            self._connections[Connection(sock, self.loop, self)] = None

    def _do(self, connection: Connection, request: Request) -> None:
        if connection.closed or self.muted:
            return
        rule = self._plan.instead(request)
        if rule is not None:
            self._do_instead(connection, rule)
            return
        self._dispatch(connection, request)

    def _dispatch(self, connection: Connection, request: Request) -> None:
        if request.path == handshake.PATH:
            self._shake_hands(connection, request)
        else:
            self._rest.handle(request, connection.respond)

    def _do_instead(self, connection: Connection, rule: Rule) -> None:
        if rule.answer is not None:
            connection.respond(rule.answer)
        elif rule.hang_up is not None:
            connection.hang_up(midway=rule.hang_up == "midway")

    # --- handshakes and sessions

    def _shake_hands(self, connection: Connection, request: Request) -> None:
        session = self._resumable(request.headers.get("session-id"))
        refused = handshake.refusal(request, self._password, session is not None)
        if refused is not None:
            connection.respond(refused)
            return
        resumed = session is not None
        connection.upgrade([("Session-Resumed", "true" if resumed else "false")])
        user_id = java_long(request.headers["user-id"])
        if user_id is None:
            connection.close_websocket(1011)
            return
        if session is None:
            session = Session(self._world, user_id, self._told_stats)
            self.sessions[session.session_id] = session
        connection.on_lost = lambda: session.detach(self._forget)
        session.attach(connection, resumed)

    def _planned(self, refusal: Answer | int, request: Request) -> Answer:
        if isinstance(refusal, Answer):
            return refusal
        if refusal in (401, 403):
            return Answer(refusal)
        return error_answer(RestError(refusal), request, int(self.clock.time() * 1000))

    def _resumable(self, session_id: str | None) -> Session | None:
        session = self.sessions.get(session_id or "")
        return session if session is not None and not session.connected else None

    def _told_stats(self, frames: dict[str, int] | None) -> dict[str, Any] | None:
        return self._plan.stats_of(self.stats(frames)) if self._plan.stats else None

    def _forget(self, session: Session) -> None:
        if self.sessions.get(session.session_id) is session:
            del self.sessions[session.session_id]
        session.end()

    # --- faults

    def cut(self, reset: bool) -> None:
        """End the WebSockets without a close frame."""
        for connection in self._websockets():
            connection.drop(reset)

    def say_to_all(self, text: str) -> None:
        """Send a text frame to everybody."""
        for connection in self._websockets():
            connection.say(text)

    def send_to_all(self, data: bytes, binary: bool) -> None:
        """Send a frame of these bytes to everybody."""
        for connection in self._websockets():
            connection.send_frame(data, binary)

    def half_a_frame(self) -> None:
        """Begin a frame, and end."""
        for connection in self._websockets():
            connection.half_a_frame()

    def close_websockets(self, code: int, reason: str) -> None:
        """Close the WebSockets with a close frame."""
        for connection in self._websockets():
            connection.close_websocket(code, reason)

    def forget_all(self) -> None:
        """Forget the sessions."""
        for session in list(self.sessions.values()):
            self._forget(session)

    def _websockets(self) -> list[Connection]:
        return [connection for connection in self._connections if connection.frames is not None]
