"""`WebSocketConnection`: a node's WebSocket from the dialling to the close frame.

websocket-client makes the handshake and the frames that we send; what the server sends is read by our own `FrameReader`
from a large buffer, which is many times cheaper. One thread owns a connection: the node's.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import TracebackType

import websocket

from ..config import NodeConfig
from ..core.frames import NO_CODE, Close, FrameReader, Ping, Violation
from ..errors import ConnectionLostError
from .clock import Clock, Deadline
from .dial import dial, text_of
from .stream import Attempt, Stream
from .upgrade import Upgraded, upgrade
from .waker import Waker

_log = logging.getLogger(__name__)

_ABNORMAL = 1006
# RFC 6455 leaves 125 bytes to a control frame, two of them for the code.
_LONGEST_REASON = 123


class WebSocketConnection:
    """An open WebSocket. Every method belongs to the thread that opened it. A context manager: leaving it aborts."""

    def __init__(self, config: NodeConfig, stream: Stream, upgraded: Upgraded, clock: Clock) -> None:
        self._name = config.name
        self._address = config.address
        self._stream = stream
        self._clock = clock
        self._reader = FrameReader()
        self._ended: tuple[str, int, str, BaseException | None] | None = None
        self._open = True
        self.session_resumed = upgraded.session_resumed
        """What the server's `Session-Resumed` header said; `None` without one."""
        self.last_heard = clock.monotonic()
        """The monotonic time at which the last byte came."""
        self._early = self._take(upgraded.rest) if upgraded.rest else []

    @classmethod
    def open(
        cls,
        config: NodeConfig,
        headers: Mapping[str, str],
        *,
        clock: Clock,
        waker: Waker,
        deadline: Deadline,
        interrupted: Callable[[], bool],
    ) -> WebSocketConnection:
        """Connect to the node and make the handshake, with `headers` in it.

        TCP and TLS take `timeouts.connect` at most, the handshake `timeouts.read`, all of it until `deadline`. Ends at
        once with `NodeClosedError` when `interrupted()` is true after `waker` was woken; only the system's resolving of
        a name can't be ended. Raises `ConnectError` or one of its kind, `AuthenticationError`, or `ConfigError` for
        proxies that a WebSocket can't go through. No error has a secret in it.
        """
        attempt = Attempt(config.name, clock, lambda: waker, deadline, interrupted)
        stream = dial(config, attempt.within(config.timeouts.connect))
        try:
            stream.watch(waker)
            upgraded = upgrade(stream, config, headers, attempt.within(config.timeouts.read))
            return cls(config, stream, upgraded, clock)
        except BaseException:
            stream.close()
            raise

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once closed."""
        return self._stream.fileno()

    def poll(self, deadline: float | None) -> list[bytes]:
        """Wait until something arrives, the waker is woken, or `deadline` (monotonic); return the messages' payloads.

        The list may be empty. Pings are answered here. Raises `ConnectionLostError` when the connection has ended: its
        `code` and `reason` are the peer's close frame, 1006 without one, 1002 or 1009 if the peer broke the protocol.
        """
        if self._early:
            early, self._early = self._early, []
            return early
        if self._ended is None:
            try:
                self._stream.wait(deadline)
                data = self._stream.read()
            except OSError as error:
                self._end(text_of(error), _ABNORMAL, cause=error.with_traceback(None))
            else:
                if data is None:
                    return []
                if data:
                    return self._take(data)  # what ended with it is told by the next call
                self._end("it ended without a close frame", _ABNORMAL)
        raise self._lost()

    def ping(self) -> None:
        """Send a ping; the pong shows in `last_heard`. A connection that turns out broken is told by `poll`."""
        self._send(websocket.ABNF.OPCODE_PING, b"")

    def close(self, code: int = 1000, reason: str = "", *, deadline: Deadline) -> None:
        """Send a close frame, wait for the peer's until `deadline`, close the socket. Harmless twice; never raises."""
        if self._open and self._ended is None:
            self._send_close(code, reason)
            while self._ended is None and not deadline.expired:
                try:
                    self._stream.wait(deadline.at)
                    data = self._stream.read()
                except OSError as error:
                    self._end(text_of(error), _ABNORMAL, cause=error.with_traceback(None))
                    break
                if data:
                    self._take(data)
                elif data is not None:
                    self._end("it ended without a close frame", _ABNORMAL)
        self.abort()

    def abort(self) -> None:
        """Close the socket without a word. Harmless twice."""
        if self._open:
            self._open = False
            self._stream.close()
            if self._ended is None:
                self._end("it was closed here", _ABNORMAL)

    def __enter__(self) -> WebSocketConnection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()

    def _take(self, data: bytes) -> list[bytes]:
        """Take what was received: answer what wants an answer, return the messages."""
        self.last_heard = self._clock.monotonic()
        messages = self._reader.feed(data)
        if len(messages) > 1:
            # More than one: this thread came late for the first. Beside one that computes each system call may cost it
            # the interpreter's lock for 5 ms, and by the time a `poll` has said that there is more, there is.
            self._stream.expect_more()
        for control in self._reader.controls():
            if isinstance(control, Ping):
                self._send(websocket.ABNF.OPCODE_PONG, control.payload)
            elif isinstance(control, Close):
                self._send_close(1000 if control.code == NO_CODE else control.code, "")
                self._end("the server closed it", control.code, control.reason)
            elif isinstance(control, Violation):
                self._send_close(control.code, control.problem)
                self._end(f"the server sent {control.problem}", control.code)
        return messages

    def _send_close(self, code: int, reason: str) -> None:
        payload = code.to_bytes(2, "big") + reason.encode()[:_LONGEST_REASON].decode("utf-8", "ignore").encode()
        self._send(websocket.ABNF.OPCODE_CLOSE, payload)

    def _send(self, opcode: int, payload: bytes) -> None:
        if self._ended is not None:
            return
        frame: bytes = websocket.ABNF.create_frame(payload, opcode).format()
        try:
            self._stream.write(frame)
        except OSError as error:
            self._end(text_of(error), _ABNORMAL, cause=error.with_traceback(None))

    def _end(self, what: str, code: int, reason: str = "", cause: BaseException | None = None) -> None:
        """Note how the connection ended; the first to say so is right."""
        if self._ended is None:
            self._ended = (what, code, reason, cause)
            _log.debug("node %s: connection to %s ended: %s, code %d", self._name, self._address, what, code)

    def _lost(self) -> ConnectionLostError:
        what, code, reason, cause = self._ended or ("", _ABNORMAL, "", None)
        self.abort()
        said = f" ({reason[:200]!r})" if reason else ""
        lost = ConnectionLostError(
            f"node {self._name}: the connection to {self._address} is lost: {what}, code {code}{said}",
            code=code,
            reason=reason,
        )
        lost.__cause__ = cause
        return lost
