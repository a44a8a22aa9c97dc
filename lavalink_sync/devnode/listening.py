"""Understanding what passes on one connection from copies of its bytes: HTTP exchanges, then perhaps a WebSocket.

It never touches the bytes themselves. What it does not understand it says in the recording, and is deaf from then on.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import Any, Literal

import h11

from .bodies import Body, told
from .journal import Journal
from .listening_frames import FrameListener

__all__ = ["Listener", "Source"]

_log = logging.getLogger(__name__)
Source = Literal["client", "server"]
_MAX_HEAD = 256 * 1024
_Headers = list[tuple[str, str]]
_LEFT, _RECORDER = "the client left", "the recorder was closed"


class _NotUnderstoodError(Exception):
    """Its text is written into the recording, so nothing of what passed may be in it."""


class _Exchange:
    def __init__(self, request: h11.Request, t_ms: int, limit: int) -> None:
        self.method = request.method.decode("latin-1")
        self.target = request.target.decode("latin-1")
        self.headers = _texts(request)
        self.request = Body(limit)
        self.t_ms = t_ms
        self.number: int | None = None
        self.status = 0
        self.answered = False
        self.answer_headers: _Headers = []
        self.answer = Body(limit)
        named = _lower(self.headers)
        self.upgrades = "upgrade" in named or self.method == "CONNECT"
        self.websocket = self.method == "GET" and named.get("upgrade", "").lower() == "websocket"


class Listener:
    """See the module. `number`: the connection's."""

    def __init__(self, number: int, journal: Journal) -> None:
        self.number = number
        self._journal = journal
        self._asking = _request_parser(b"")
        self._exchange: _Exchange | None = None
        self._pending: deque[_Exchange] = deque()
        self._held = False
        self._answering: h11.Connection | None = None
        self._frames: FrameListener | None = None
        self._deaf = False
        self._over = False
        self._failure: str | None = None

    @property
    def asked(self) -> bool:
        """Whether a whole request waits for its answer, or nothing of the client is understood any more."""
        return self._deaf or any(exchange.request.whole for exchange in self._pending)

    def heard(self, source: Source, data: bytes) -> None:
        """`source` has sent `data`."""
        if self._deaf or self._over:
            return
        try:
            if self._frames is not None:
                self._frames.heard(source, data)
            elif source == "client":
                self._asking.receive_data(data)
                self._read_requests()
            else:
                self._read_answers(data)
        except (h11.RemoteProtocolError, h11.LocalProtocolError):
            self._give_up(source, "it is no HTTP/1.1")
        except _NotUnderstoodError as error:
            self._give_up(source, str(error))
        except Exception as error:  # noqa: BLE001  (a mistake of ours must not end the relaying; it is told)
            _log.error("a recorder failed to understand what it relays: %s", type(error).__name__)
            self._give_up(source, f"the recorder failed: {type(error).__name__}")

    def ended(self, source: Source, how: Literal["end", "reset"]) -> None:
        """`source` will not send any more."""
        if self._over:
            return
        if self._frames is not None:
            self._finish(source, how, "")
        elif source == "server":
            if how == "end" and self._answering is not None and not self._deaf:
                self._until_the_end()
            self._failure = f"the server {'ended' if how == 'end' else 'reset'} the connection"
            self._fail(self._failure)
        elif how == "reset":
            self._finish(source, how, _LEFT)

    def unreached(self) -> None:
        """There is no server."""
        self._finish("server", "end", "the server can't be reached")

    def gone(self, closed_by_us: bool) -> None:
        """Both sides are gone, or the recorder is closed."""
        failure = self._failure or (_RECORDER if closed_by_us else _LEFT)
        self._finish("recorder" if closed_by_us else "client", "end", failure)

    def _finish(self, source: str, how: str, failure: str) -> None:
        if self._over:
            return
        self._over = True
        if self._frames is not None:
            self._frames.ended(source, how)
        self._fail(failure)

    def _fail(self, failure: str) -> None:
        for exchange in self._pending:
            self._write(exchange, failure)
        self._pending.clear()

    def _give_up(self, source: Source, error: str) -> None:
        self._deaf = True
        self._fail("what passed was not understood")
        self._journal.write("unparsed", {"connection": self.number, "from": source, "error": error})

    # --- requests

    def _read_requests(self) -> None:
        # After a wish to upgrade it is the answer that tells what the next bytes are.
        while not self._held:
            event = self._asking.next_event()
            if isinstance(event, h11.Request):
                self._exchange = _Exchange(event, self._journal.now(), self._journal.limit)
                self._journal.secrets.learn_headers(self._exchange.headers)
                self._journal.secrets.learn_target(self._exchange.target)
                self._pending.append(self._exchange)
            elif isinstance(event, h11.Data) and self._exchange is not None:
                self._exchange.request.add(event.data)
            elif isinstance(event, h11.EndOfMessage) and self._exchange is not None:
                self._exchange.request.whole = True
                self._count(self._exchange)
                # An answer may be there before its request is whole.
                self._held = self._exchange.upgrades and not self._exchange.answered
                if not self._held:
                    self._asking = _request_parser(self._asking.trailing_data[0])
            else:
                break
        if self._held and len(self._asking.trailing_data[0]) > _MAX_HEAD:
            raise _NotUnderstoodError("the client goes on before the answer to its wish to upgrade")

    def _count(self, exchange: _Exchange) -> None:
        if exchange.number is None and not exchange.websocket:
            exchange.number = self._journal.next_number()
        told(exchange.request, _lower(exchange.headers), self._journal.secrets)

    # --- answers

    def _read_answers(self, data: bytes) -> None:
        while data or self._answering is not None:
            if self._answering is None:
                if not self._pending:
                    raise _NotUnderstoodError("the server answers what nobody asked")
                self._answering = _answer_parser(self._pending[0])
            if data:
                self._answering.receive_data(data)
            if not self._read_answer():
                return
            data, self._answering = self._answering.trailing_data[0], None
            if self._frames is not None:
                if data:
                    self._frames.heard("server", data)
                return

    def _read_answer(self) -> bool:
        """Read on in the answer to the first request; whether that is done."""
        assert self._answering is not None
        exchange = self._pending[0]
        while True:
            event = self._answering.next_event()
            if isinstance(event, h11.InformationalResponse) and event.status_code == 101:
                self._switch(exchange, event)
                return True
            if isinstance(event, h11.Response):
                exchange.status, exchange.answer_headers = event.status_code, _texts(event)
                self._journal.secrets.learn_headers(exchange.answer_headers)
                if exchange.method == "CONNECT" and event.status_code < 300:
                    raise _NotUnderstoodError("the connection was made a tunnel")
            elif isinstance(event, h11.Data):
                exchange.answer.add(event.data)
            elif isinstance(event, h11.EndOfMessage):
                exchange.answer.whole = True
                self._done()
                return True
            elif not isinstance(event, h11.InformationalResponse):
                return False

    def _until_the_end(self) -> None:
        """The end of the connection may be what ends the answer."""
        assert self._answering is not None
        try:
            self._answering.receive_data(b"")
            self._read_answer()
        except h11.RemoteProtocolError:
            return  # it was not whole

    def _done(self) -> None:
        exchange = self._pending.popleft()
        exchange.answered = True
        self._write(exchange)
        if exchange.upgrades and self._held:
            self._held = False
            self._asking = _request_parser(self._asking.trailing_data[0])
            self._read_requests()

    def _switch(self, exchange: _Exchange, event: h11.InformationalResponse) -> None:
        exchange.status, exchange.answer_headers = 101, _texts(event)
        answered = _lower(exchange.answer_headers)
        if not exchange.websocket or answered.get("upgrade", "").lower() != "websocket":
            raise _NotUnderstoodError("the connection was upgraded to what is no WebSocket")
        self._pending.popleft()
        self._write(exchange)
        extensions = answered.get("sec-websocket-extensions", "")
        self._frames = FrameListener(self.number, self._journal, extensions)
        early = self._asking.trailing_data[0]
        if early:
            self._frames.heard("client", early)

    # --- writing

    def _write(self, exchange: _Exchange, failure: str | None = None) -> None:
        secrets = self._journal.secrets
        if not exchange.websocket:
            self._count(exchange)
        line: dict[str, Any] = {"connection": self.number}
        if not exchange.websocket:
            line |= {"n": exchange.number, "method": exchange.method}
        line |= {"path": exchange.target, "request_headers": _written(exchange.headers)}
        if not exchange.websocket:
            line |= _body("request", exchange.request, exchange.headers, self._journal)
        if failure is not None:
            line["failed"] = failure
        else:
            line |= {"status": exchange.status, "response_headers": _written(exchange.answer_headers)}
            if exchange.status != 101:
                line |= _body("response", exchange.answer, exchange.answer_headers, self._journal)
            refused = exchange.status == 401 or (exchange.status == 403 and exchange.answer.size == 0)
            secrets.judge_password(_lower(exchange.headers).get("authorization", ""), refused)
        took = self._journal.now() - exchange.t_ms
        self._journal.write("ws_open" if exchange.websocket else "rest", {**line, "took_ms": took}, exchange.t_ms)


def _body(name: str, body: Body, headers: _Headers, journal: Journal) -> dict[str, Any]:
    value, omitted = told(body, _lower(headers), journal.secrets)
    return {name: value} if omitted is None else {name: value, f"{name}_omitted": omitted}


def _request_parser(data: bytes) -> h11.Connection:
    parser = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
    if data:
        parser.receive_data(data)
    return parser


def _answer_parser(exchange: _Exchange) -> h11.Connection:
    """A parser that has asked what `exchange` asks, as far as that matters for how long the answer is."""
    parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=_MAX_HEAD)
    headers = [("Host", "x"), *([("Upgrade", "x"), ("Connection", "Upgrade")] if exchange.upgrades else [])]
    parser.send(h11.Request(method=exchange.method, target="/", headers=headers))
    parser.send(h11.EndOfMessage())
    return parser


def _texts(event: h11.Request | h11.Response | h11.InformationalResponse) -> _Headers:
    return [(name.decode("latin-1"), _text(value)) for name, value in event.headers.raw_items()]


def _text(value: bytes) -> str:
    """A header's value, which is what a body would have it be: a password may be looked for in both."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _lower(headers: _Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers}


def _written(headers: _Headers) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in headers:
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    return found
