"""The server on its loop: connections, handshakes, sessions, and what is done to them from outside."""

from __future__ import annotations

import errno
import hmac
import logging
import os
import socket
from collections import deque
from typing import Any
from urllib.parse import urlsplit

from .clock import Clock
from .connection import Connection
from .http import Answer, Request, RestError, error_answer
from .loop import READ, Loop
from .offer import Offer
from .plan import Plan, Rule
from .rest import Rest
from .session import Session
from .sources import Sources
from .world import World

__all__ = ["Server"]

_log = logging.getLogger(__name__)
_WEBSOCKET = "/v4/websocket"
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
        self._rest = Rest(self)

    # --- what REST asks for

    @property
    def clock(self) -> Clock:
        """The node's time."""
        return self.loop.clock

    @property
    def muted(self) -> bool:
        """Whether nothing is answered."""
        return self._plan.muted

    def stats(self) -> dict[str, Any]:
        """Lavalink's Stats. Frames are told once something has played a minute."""
        now = self.clock.monotonic()
        # A session that waits for its client counts for nobody.
        live = [session for session in self.sessions.values() if session.connected]
        players = [player for session in live for player in session.players.values()]
        playing = [player for player in players if player.track is not None and not player.paused]
        # Frames are counted by the minutes of the clock, and told when the last one was played from end to end.
        last_minute = (self.clock.time() // 60 - 1) * 60
        steady = any(
            player.link is not None and player.counted_since is not None and player.counted_since < last_minute
            for player in playing
        )
        return {
            "frameStats": {"sent": 3000, "nulled": 0, "deficit": 0} if steady else None,
            "players": len(players),
            "playingPlayers": len(playing),
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
            self._shake_hands(connection, request)
            return
        delay = self._plan.delay(request)
        if delay > 0:
            self.loop.later(delay, lambda: self._do(connection, request))
        else:
            self._do(connection, request)

    def _accept(self, events: int) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    _log.warning("the development node can't accept: %s", error.strerror)
                    return
                continue
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[Connection(sock, self.loop, self)] = None

    def _do(self, connection: Connection, request: Request) -> None:
        if connection.closed or self.muted:
            return
        rule = self._plan.instead(request)
        if rule is not None:
            self._do_instead(connection, rule)
            return
        denied = self._denied(request)
        if denied is not None:
            connection.respond(denied)
            return
        self._rest.handle(request, connection.respond)

    def _do_instead(self, connection: Connection, rule: Rule) -> None:
        if rule.answer is not None:
            connection.respond(rule.answer)
        elif rule.hang_up is not None:
            connection.hang_up(midway=rule.hang_up == "midway")

    def _denied(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization")
        if given is None:
            return Answer(401)
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self._password.encode()):
            return Answer(401 if request.wants_upgrade else 403)
        return None

    # --- handshakes and sessions

    def _shake_hands(self, connection: Connection, request: Request) -> None:
        refused = self._plan.refused()
        answer = self._refusal(refused, request) if refused is not None else self._denied(request)
        origin = request.headers.get("origin")
        if answer is None and request.path != _WEBSOCKET:
            self._rest.handle(request, connection.respond)
            return
        if answer is None and origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            answer = Answer(403)
        user = request.headers.get("user-id", "").strip()
        if answer is None and user in ("", "0"):
            answer = Answer(400)
        if answer is not None:
            connection.respond(answer)
            return
        session = self._resumable(request.headers.get("session-id"))
        resumed = session is not None
        connection.upgrade([("Session-Resumed", "true" if resumed else "false")])
        try:
            user_id = int(user)
        except ValueError:
            connection.close_websocket(1011)
            return
        if session is None:
            session = Session(self._world, user_id, self._told_stats)
            self.sessions[session.session_id] = session
        connection.on_lost = lambda: session.detach(self._forget)
        session.attach(connection, resumed)

    def _refusal(self, refused: Answer | int, request: Request) -> Answer:
        if isinstance(refused, Answer):
            return refused
        status = refused
        if status in (401, 403):
            return Answer(status)
        return error_answer(RestError(status), request, int(self.clock.time() * 1000))

    def _resumable(self, session_id: str | None) -> Session | None:
        session = self.sessions.get(session_id or "")
        return session if session is not None and not session.connected else None

    def _told_stats(self) -> dict[str, Any] | None:
        return self._plan.stats_of(self.stats()) if self._plan.stats else None

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
