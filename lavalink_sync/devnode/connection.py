"""One TCP connection: HTTP/1.1 with keep-alive, and from a handshake on a WebSocket.

It reads and writes without blocking; what is asked goes to the server, which answers whenever it likes.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
import socket
import struct
from collections.abc import Callable
from email.utils import formatdate
from typing import Protocol

import h11
from wsproto.connection import Connection as Frames
from wsproto.connection import ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Ping, TextMessage
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .http import Answer, Request, parse_request, status_text
from .loop import READ, WRITE, Loop, Timer

__all__ = ["Connection", "Server"]

_log = logging.getLogger(__name__)
_IDLE = 60.0
_CLOSING = 10.0
_MAX_HEAD = 2**20
_MAX_BODY = 16 * 2**20
_MAX_UNSENT = 64 * 2**20
# What may stand in no address: it has to be quoted, and what is quoted has to be right.
_MALFORMED = re.compile(r'[^!-~]|["#<>\\^`{|}]|%(?![0-9A-Fa-f]{2})')
_ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Server(Protocol):
    """Who answers."""

    @property
    def muted(self) -> bool: ...

    def asked(self, connection: Connection, request: Request) -> None: ...

    def ended(self, connection: Connection) -> None: ...

    def pinged(self) -> None: ...


class Connection:
    """See the module. `closed` says that nothing can be answered any more."""

    def __init__(self, sock: socket.socket, loop: Loop, server: Server) -> None:
        self.closed = False
        self.frames: Frames | None = None
        self.on_lost: Callable[[], None] = lambda: None
        self._sock = sock
        self._loop = loop
        self._server = server
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MAX_HEAD)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._busy = False
        self._unsent = bytearray()
        self._finish = False
        self._timer: Timer | None = None
        self._await_idle()
        loop.watch(sock, READ, self._ready)

    # --- answering

    def respond(self, answer: Answer) -> None:
        """Answer the request that was handed over last. Nothing once the client has hung up, or while muted."""
        if self.closed or self._server.muted:
            return
        headers = self._headers(answer)
        self._write(
            self._http.send(
                h11.Response(status_code=answer.status, headers=headers, reason=status_text(answer.status).encode())
            )
        )
        if answer.body and self._head is not None and self._head.method != b"HEAD":
            self._write(self._http.send(h11.Data(data=answer.body)))
        self._write(self._http.send(h11.EndOfMessage()))
        if self._http.our_state is h11.MUST_CLOSE:
            self._finish = True
            self._flush()
            return
        self._http.start_next_cycle()
        self._busy = False
        self._await_idle()
        self._pump()

    def upgrade(self, headers: list[tuple[str, str]]) -> None:
        """Answer the handshake that was handed over last: this is a WebSocket from now on."""
        assert self._head is not None
        asked: dict[bytes, bytes] = dict(self._head.headers)
        accept = base64.b64encode(hashlib.sha1(asked.get(b"sec-websocket-key", b"") + _ACCEPT).digest()).decode()
        switch = [("Upgrade", "WebSocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept), *headers]
        # As in the drafts of the protocol, for clients that still want to see where they are.
        location = b"ws://" + asked.get(b"host", b"") + self._head.target
        switch.append(("Sec-WebSocket-Location", location.decode("latin-1")))
        if b"origin" in asked:
            switch.append(("Origin", asked[b"origin"].decode("latin-1")))
        self._write(self._http.send(h11.InformationalResponse(status_code=101, headers=[*switch, *self._always()])))
        self.frames = Frames(ConnectionType.SERVER, trailing_data=self._http.trailing_data[0])
        if self._timer is not None:
            self._timer.cancel()

    def say(self, text: str) -> None:
        """Send a text frame. While muted it is lost."""
        if self.frames is not None and self.frames.state is ConnectionState.OPEN:
            self._say(TextMessage(data=text))

    def send_frame(self, data: bytes, binary: bool) -> None:
        """Send a frame of these bytes, whatever they are."""
        if self.frames is None or self._server.muted:
            return
        size, kind = len(data), 0x82 if binary else 0x81
        if size < 126:
            head = struct.pack(">BB", kind, size)
        elif size < 2**16:
            head = struct.pack(">BBH", kind, 126, size)
        else:
            head = struct.pack(">BBQ", kind, 127, size)
        self._write(head + data)

    def half_a_frame(self) -> None:
        """Begin a frame, and end in the middle of it."""
        self._write(bytes([0x81, 100]) + b'{"op":"sta')
        self.drop()

    def hang_up(self, midway: bool) -> None:
        """End instead of answering, or in the middle of an answer."""
        if midway:
            self._write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"half')
        self.drop()

    def close_websocket(self, code: int, reason: str = "") -> None:
        """Send a close frame, and end when it is answered."""
        if self.frames is None or self.closed:
            return
        if self.frames.state is ConnectionState.OPEN:
            self._say(CloseConnection(code=code, reason=reason))
            self._timer = self._loop.later(_CLOSING, self.drop)
        self._lost()

    def drop(self, reset: bool = False) -> None:
        """End it now, politely or not."""
        if self.closed:
            return
        self.closed = True
        self._loop.unwatch(self._sock)
        if self._timer is not None:
            self._timer.cancel()
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()
        self._server.ended(self)
        self._lost()

    # --- reading

    def _ready(self, events: int) -> None:
        if events & WRITE and not self.closed:
            self._flush()
        if not events & READ or self.closed:
            return
        try:
            data = self._sock.recv(65_536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.drop()
        elif self.frames is not None:
            self._read_frames(data)
        else:
            self._http.receive_data(data)
            if not self._busy:
                self._await_idle()
            self._pump()

    def _pump(self) -> None:
        while not self.closed and not self._busy and not self._finish:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint)
                return
            if isinstance(event, h11.Request):
                self._head = event
                self._body.clear()
                if self._http.they_are_waiting_for_100_continue and not self._server.muted:
                    self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            elif isinstance(event, h11.Data):
                self._body += event.data
                if len(self._body) > _MAX_BODY:
                    self._refuse(413)
            elif isinstance(event, h11.EndOfMessage):
                self._hand_over()
            elif isinstance(event, h11.ConnectionClosed):
                self.drop()
            else:
                return  # NEED_DATA or PAUSED

    def _hand_over(self) -> None:
        assert self._head is not None
        self._busy = True
        if self._timer is not None:
            self._timer.cancel()
        # Of several headers of one name the first counts.
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(list(self._head.headers))
        }
        method, target = self._head.method.decode("ascii"), self._head.target.decode("latin-1")
        if _MALFORMED.search(target) is not None:
            self._refuse(400)
            return
        self._server.asked(self, parse_request(method, target, headers, bytes(self._body)))

    def _refuse(self, status: int) -> None:
        """What is no HTTP gets one answer, and the end."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE) and not self._server.muted:
            headers = [("Content-Length", "0"), ("Connection", "close")]
            self._write(
                self._http.send(h11.Response(status_code=status, headers=headers, reason=status_text(status).encode()))
            )
        self._finish = True
        self._flush()

    def _read_frames(self, data: bytes) -> None:
        assert self.frames is not None
        try:
            self.frames.receive_data(data)
            for event in self.frames.events():
                if isinstance(event, Ping):
                    self._say(event.response())
                    self._server.pinged()
                elif isinstance(event, CloseConnection):
                    if self.frames.state is ConnectionState.OPEN:
                        # Nobody has closed: it is how the parser says that this is no frame.
                        self.close_websocket(int(event.code))
                    elif self.frames.state is ConnectionState.REMOTE_CLOSING:
                        self._say(event.response())
                    self._finish = True
                elif isinstance(event, BytesMessage):
                    self.close_websocket(1003, "Binary messages not supported")
        except RemoteProtocolError:
            self.close_websocket(1002)
            self._finish = True
        if self._finish and not self.closed:
            self._flush()
            self._lost()

    # --- writing

    def _say(self, event: Event) -> None:
        assert self.frames is not None
        try:
            raw = self.frames.send(event)
        except LocalProtocolError:
            return  # it is being closed
        if not self._server.muted:
            self._write(raw)

    def _write(self, data: bytes | None) -> None:
        if not data or self.closed:
            return
        self._unsent += data
        if len(self._unsent) > _MAX_UNSENT:
            _log.warning("a client of the development node does not read: its connection is cut")
            self.drop(reset=True)
            return
        self._flush()

    def _flush(self) -> None:
        if self.closed:
            return
        try:
            while self._unsent:
                del self._unsent[: self._sock.send(self._unsent)]
        except BlockingIOError:
            self._loop.watch(self._sock, READ | WRITE, self._ready)
            return
        except OSError:
            self.drop()
            return
        if self._finish:
            self.drop()
        else:
            self._loop.watch(self._sock, READ, self._ready)

    def _headers(self, answer: Answer) -> list[tuple[str, str]]:
        headers = list(answer.headers)
        if self._http.their_state is not h11.MUST_CLOSE and answer.status != 204:
            headers.append(("Connection", "keep-alive"))
        if answer.content_type is not None:
            headers.append(("Content-Type", answer.content_type))
        # As the server does: JSON in chunks (what h11 does without a length), the rest with its length.
        if answer.content_type != "application/json" and answer.status != 204:
            headers.append(("Content-Length", str(len(answer.body))))
        return [*headers, *self._always()[not answer.versioned :]]

    def _always(self) -> list[tuple[str, str]]:
        date = formatdate(self._loop.clock.time(), usegmt=True)
        return [("Lavalink-Api-Version", "4"), ("Date", date)]

    def _await_idle(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.later(_IDLE, self._idle)

    def _idle(self) -> None:
        if self._server.muted:
            self._await_idle()
        elif not self._busy:
            self.drop()

    def _lost(self) -> None:
        """Tell once that the WebSocket is no more."""
        on_lost, self.on_lost = self.on_lost, lambda: None
        on_lost()
