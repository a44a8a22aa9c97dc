"""A replay on its loop: who asked what, which answer is next, and what the WebSockets say meanwhile."""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode

from .bodies import parsed
from .connection import Connection
from .http import Answer, Request, RestError, error_body
from .loop import Loop
from .placeholders import Placeholders
from .replay_match import Bound, fits, fits_opening, is_password, restored
from .replay_script import Exchange, Script, Step, Stream, said
from .session import new_session_id

__all__ = ["Stage", "UnexpectedRequest"]

# What the connection says itself, or what held for the recorded one only.
_OWN = {
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "keep-alive",
    "lavalink-api-version",
    "origin",
    "sec-websocket-accept",
    "sec-websocket-extensions",
    "sec-websocket-location",
    "transfer-encoding",
    "upgrade",
}
_SENDABLE = re.compile(r"[\t\x20-\x7e]*")
_NEXT = 3
_REMEMBERED = 10_000


@dataclass(frozen=True)
class UnexpectedRequest:
    """A request that the recording has no answer for, without its secrets.

    `path`: with its query. `expected`: what the recording has next.
    """

    method: str
    path: str
    body: Any = field(repr=False)
    expected: tuple[str, ...] = ()


class Stage:
    """See the module. Everything runs on the loop's thread. `finished` is called when all was replayed."""

    muted = False

    def __init__(
        self,
        script: Script,
        loop: Loop,
        finished: Callable[[], None],
        password: str,
        pace: float,
        repeat: bool,
        ignore: Collection[str],
    ) -> None:
        self.script = script
        self.unexpected: deque[UnexpectedRequest] = deque(maxlen=_REMEMBERED)
        self._loop = loop
        self._finished = finished
        self._password = password
        self._pace = pace
        self._repeat = repeat
        self._ignore = ignore
        self._bound: Bound = {"<password>": password}
        self._connections: dict[Connection, Stream | None] = {}
        self._open: dict[Stream, Connection] = {}
        self._waiting: set[Stream] = set()

    # --- what connections tell

    def add(self, connection: Connection) -> None:
        """There is a new one."""
        self._connections[connection] = None

    def ended(self, connection: Connection) -> None:
        """One is closed."""
        stream = self._connections.pop(connection, None)
        if stream is not None:
            self._open.pop(stream, None)

    def pinged(self) -> None:
        """A ping was answered."""

    def asked(self, connection: Connection, request: Request) -> None:
        """Find what was recorded for a request, and do that."""
        if request.wants_upgrade:
            self._shake_hands(connection, request)
            return
        exchange = self._find(request)
        if exchange is None:
            self._refuse(connection, request)
            return
        again, exchange.asked = exchange.asked, True
        if again:
            self._after(exchange.took_ms, lambda: self._reply(connection, exchange))
            return
        # First what was said before the answer, then the answer, then what was said after it.
        self._go_on()
        self._after(exchange.took_ms, lambda: self._answer(connection, exchange))

    def drop_all(self) -> None:
        """End what is left."""
        for connection in list(self._connections):
            connection.drop()

    # --- REST

    def _find(self, request: Request) -> Exchange | None:
        new = (each for each in self.script.exchanges if not each.asked)
        old = (each for each in reversed(self.script.exchanges) if each.asked and self._repeat)
        for candidates in (new, old):
            for exchange in candidates:
                bound = fits(exchange, request, self._bound, self._ignore)
                if bound is not None:
                    self._bound = bound
                    return exchange
        return None

    def _answer(self, connection: Connection, exchange: Exchange) -> None:
        exchange.answered = True
        self._reply(connection, exchange)
        self._go_on()

    def _reply(self, connection: Connection, exchange: Exchange) -> None:
        """Answer; or do not, as it was: the server's end ends the connection, where the client gave up is silence."""
        if connection.closed:
            return
        if exchange.failed is None:
            connection.respond(self._told(exchange))
        elif "server" in exchange.failed:
            connection.drop(reset="reset" in exchange.failed)

    def _told(self, exchange: Exchange) -> Answer:
        line = exchange.line
        if "response_omitted" in line:
            return self._error(exchange.request, "the recording does not have the body of this answer", {})
        headers = [
            (name, each)
            for name, value in (line.get("response_headers") or {}).items()
            for each in (value if isinstance(value, list) else [value])
        ]
        kind = next((value for name, value in headers if name.lower() == "content-type"), None)
        body = self._restored(line.get("response"))
        text = "" if body is None else body if isinstance(body, str) else json.dumps(body, separators=(",", ":"))
        coding = "latin-1" if "8859-1" in (kind or "") else "utf-8"
        kept = self._kept(headers)
        kept += [(name, value) for name, value in headers if name.lower() == "lavalink-api-version"]
        return Answer(
            exchange.status or 500, text.encode(coding, "backslashreplace"), kind, tuple(kept), versioned=False
        )

    def _kept(self, headers: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
        kept = [(name, self._restored(value)) for name, value in headers if name.lower() not in _OWN]
        return [(name, value) for name, value in kept if isinstance(value, str) and _SENDABLE.fullmatch(value)]

    def _refuse(self, connection: Connection, request: Request) -> None:
        """Say what was asked, and what should have been: with 501, or as Lavalink does where the password is wrong."""
        expected = [f"{each}" for each in self.script.exchanges if not each.asked]
        if request.wants_upgrade:
            expected = [f"WebSocket {each.number}" for each in self.script.streams if not each.opening.asked]
        asked = self._hidden(request, tuple(expected[:_NEXT]))
        self.unexpected.append(asked)
        given = request.headers.get("authorization")
        if not is_password(given, self._password):
            connection.respond(Answer(401 if given is None or request.wants_upgrade else 403))
            return
        told = ", ".join(asked.expected) or "nothing more"
        message = f"the recording has no such request: {asked.method} {asked.path}; it expects {told}"
        more = {"asked": {"method": asked.method, "path": asked.path, "body": asked.body}, "expected": asked.expected}
        connection.respond(self._error(request, message, more))

    def _error(self, request: Request, message: str, more: dict[str, Any]) -> Answer:
        told = error_body(RestError(501, message), request, int(self._loop.clock.time() * 1000))
        return Answer(501, json.dumps(told | more).encode(), "application/json")

    def _hidden(self, request: Request, expected: tuple[str, ...]) -> UnexpectedRequest:
        secrets = Placeholders()
        for name, value in self._bound.items():
            secrets.learn("secret", value, name)
        secrets.learn_headers(request.headers.items())
        target = request.path + ("?" + urlencode(request.query) if request.query else "")
        secrets.learn_target(target)
        body = parsed(request.raw.decode("utf-8", "replace"), secrets) or None
        return UnexpectedRequest(request.method, secrets.hide_text(target), secrets.hide(body), expected)

    # --- WebSockets

    def _shake_hands(self, connection: Connection, request: Request) -> None:
        stream = self._find_stream(request)
        if stream is None:
            self._refuse(connection, request)
            return
        stream.opening.asked = True
        self._after(stream.opening.took_ms, lambda: self._opened(connection, stream))

    def _find_stream(self, request: Request) -> Stream | None:
        found: list[tuple[bool, int, Stream, Bound]] = []
        for i, stream in enumerate(self.script.streams):
            bound = None if stream.opening.asked else fits_opening(stream.opening, request, self._bound)
            if bound is not None:
                # With several clients in a recording each gets its own.
                user = (stream.opening.headers or {}).get("user-id")
                found.append((user != request.headers.get("user-id"), i, stream, bound))
        if not found:
            return None
        _, _, stream, self._bound = min(found, key=lambda each: each[:2])
        return stream

    def _opened(self, connection: Connection, stream: Stream) -> None:
        if connection.closed:
            return
        if stream.opening.status == 101:
            headers = stream.opening.line.get("response_headers") or {}
            connection.upgrade(self._kept(headers.items()))
            self._connections[connection] = stream
            self._open[stream] = connection
        else:
            self._reply(connection, stream.opening)
        self._go_on()

    def _go_on(self) -> None:
        """Say on every WebSocket what can be said now."""
        for stream in list(self._open):
            while self._can_go_on(stream):
                step = stream.next
                assert step is not None
                wait = stream.waited_ms(step)
                if wait * self._pace > 0:
                    self._waiting.add(stream)
                    self._after(wait, partial(self._late, stream, step))
                else:
                    self._do(stream, step)
        if self.script.finished():
            self._finished()

    def _can_go_on(self, stream: Stream) -> bool:
        step = stream.next
        return step is not None and stream in self._open and stream not in self._waiting and stream.ready(step)

    def _late(self, stream: Stream, step: Step) -> None:
        self._waiting.discard(stream)
        if stream in self._open:
            self._do(stream, step)
            self._go_on()

    def _do(self, stream: Stream, step: Step) -> None:
        connection = self._open[stream]
        stream.done += 1
        stream.now_ms = step.t_ms
        if step.kind == "say":
            connection.say(self._restored(said(step.line)))
        elif step.kind == "close":
            code = step.line.get("code")
            connection.close_websocket(1005 if code is None else code, self._restored(step.line.get("reason") or ""))
        else:
            connection.drop(reset=step.line.get("how") == "reset")

    # --- small things

    def _after(self, recorded_ms: float, job: Callable[[], None]) -> None:
        if recorded_ms * self._pace > 0:
            self._loop.later(recorded_ms * self._pace / 1000, job)
        else:
            job()

    def _restored(self, value: Any) -> Any:
        return restored(value, self._bound, self._made)

    def _made(self, name: str) -> str:
        """What stands for a placeholder that no client has given a value: a new session, or nothing in particular."""
        return new_session_id() if name.startswith("<session-") else name.strip("<>")
