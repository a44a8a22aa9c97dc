"""One HTTP call over one connection: http.client writes and reads HTTP/1.1, our own stream carries it.

So every wait is bounded by the call's deadline, dripped bytes included, and ends at once when the transport is closed.
What becomes of a call that was not answered depends on how far it got; `Unanswered` says that.
"""

from __future__ import annotations

import enum
import http.client
import re
from collections.abc import Mapping
from typing import NamedTuple

from ..secret import Secret
from .clock import Clock, Deadline
from .dial import text_of
from .stream import Stream
from .waker import Waker

_CHUNK = 64 * 1024
_START = b"HTTP/1."
# Less than a stream holds back before it takes its peer for gone.
_PIECE = 32 * 1024
_KEEP_ALIVE = re.compile(r"\btimeout\s*=\s*(\d{1,6})", re.IGNORECASE)


class Progress(enum.Enum):
    """How far a call got that was not answered."""

    NOT_SENT = "not sent"
    """The server can't have seen the whole of it."""
    STALE = "stale"
    """A connection that had been used before ended before a byte of the answer: the server had closed it meanwhile."""
    SENT = "sent"
    """It left, and nothing tells what the server made of it."""


class Unanswered(Exception):  # noqa: N818 - not the user's error: the transport makes one of it, or sends again
    """A call got no answer. `phase` is that of `RequestTimeoutError` for a timeout, empty otherwise.

    `what` is for people; `borrowed` what the system or the library said, clean enough to be a `__cause__`.
    """

    def __init__(
        self,
        progress: Progress,
        what: str,
        *,
        phase: str = "",
        borrowed: BaseException | None = None,
    ) -> None:
        super().__init__(what)
        self.progress = progress
        self.what = what
        self.phase = phase
        self.borrowed = borrowed


class NoHttpError(Exception):
    """Something answered, but not in HTTP."""


class TooLargeError(Exception):
    """The answer's body is over the limit."""


class EndedError(Exception):
    """The transport was closed during the call."""


class HttpAnswer(NamedTuple):
    """What the server said. The headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        # There may be secrets in it.
        return f"<{self.status}, {len(self.body)} bytes>"


class Flight:
    """One call on its way: what may end it. `ended` is set by the closing thread, which then wakes the call's own."""

    def __init__(self, clock: Clock, deadline: Deadline, read_timeout: float | None, max_body: int) -> None:
        self.clock = clock
        self.deadline = deadline
        self.read_timeout = read_timeout
        self.max_body = max_body
        self.waker = Waker()
        self.ended: Exception | None = None

    def interrupted(self) -> bool:
        """Whether the transport was closed."""
        return self.ended is not None

    def check(self) -> None:
        """Raise `EndedError` if the transport was closed."""
        if self.ended is not None:
            raise EndedError


class HttpConnection:
    """A connection to the server, used by one call at a time. Closed by whoever has it when something goes wrong."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._early = b""
        self.reused = False
        self.idle_since = 0.0
        self.idle_limit = 0.0
        """Seconds for which the server said it keeps an idle connection; 0 if it said nothing."""

    def close(self) -> None:
        """Close the socket. Harmless twice."""
        self._stream.close()

    def is_quiet(self) -> bool:
        """Whether nothing came since the last answer. What comes unasked is the end, or belongs to nobody."""
        return not self._early and not self._stream.has_news()

    def exchange(
        self, method: str, target: Secret, headers: Mapping[str, str], body: bytes | None, flight: Flight
    ) -> tuple[HttpAnswer, bool]:
        """Make one call. Returns the answer, and whether the connection can be used again.

        Raises `Unanswered`, `NoHttpError`, `TooLargeError`, `EndedError`.
        """
        self._stream.watch(flight.waker)
        return _Exchange(self, self._stream, flight).run(method, target, headers, body)


class _Exchange:
    """The state of one call: how much was sent and heard. It is the socket, and the file, that http.client sees."""

    def __init__(self, connection: HttpConnection, stream: Stream, flight: Flight) -> None:
        self._connection = connection
        self._stream = stream
        self._flight = flight
        self._out = bytearray()
        self._buffer = bytearray()
        self._sent = False
        self._heard = False
        self._is_http = False
        self._ended = False
        self._send_error: OSError | None = None

    def run(
        self, method: str, target: Secret, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[HttpAnswer, bool]:
        """Send, read, and sort what goes wrong."""
        failure: Exception
        try:
            client = _Client("lavalink.invalid")
            client.sock = self
            client.request(method, target.reveal(), body=body, headers=dict(headers))
            self._send(bytes(self._out))
            with client.getresponse() as response:
                content = self._read_body(response)
                answer = HttpAnswer(response.status, _headers(response), content)
                usable = not (response.will_close or self._ended or self._buffer or not self._sent)
                self._connection.idle_limit = _keep_alive(answer.headers)
            return answer, usable and answer.status >= 200
        except _TimedOutError as error:
            failure = self._unanswered(error.what, phase=error.phase)
        except OSError as error:
            failure = self._unanswered(f"the connection broke: {text_of(error)}", borrowed=error.with_traceback(None))
        except (http.client.HTTPException, ValueError) as error:
            failure = self._explained(error)
        raise failure

    def _explained(self, error: Exception) -> Exception:
        """Say what http.client has met. Its own texts repeat parts of the answer, which may be anything."""
        if not self._ended or (self._heard and not isinstance(error, http.client.IncompleteRead)):
            return NoHttpError("what came is no HTTP/1.1")
        where = "in the middle of the answer" if self._heard else "before the answer"
        what = f"the connection ended {where}"
        return self._unanswered(what, borrowed=http.client.HTTPException(type(error).__name__))

    def _unanswered(self, what: str, borrowed: Exception | None = None, phase: str = "") -> Unanswered:
        if self._connection.reused and not self._heard and not phase:
            progress = Progress.STALE
        else:
            progress = Progress.SENT if self._sent else Progress.NOT_SENT
        return Unanswered(progress, what, borrowed=borrowed, phase=phase)

    # Sending.

    def sendall(self, data: bytes) -> None:
        """http.client sends head and body one after the other; they go out as one."""
        self._out += data

    def _send(self, data: bytes) -> None:
        try:
            for start in range(0, len(data), _PIECE):
                self._stream.write(data[start : start + _PIECE])
                limit = self._limit()
                while self._stream.unsent:
                    self._wait(limit, "taken what it was sent")
                    if self._take_early():
                        return
            self._sent = True
        except OSError as error:
            # The server may have answered before it closed: a refusal of a large body, say. Reading will tell.
            self._send_error = error.with_traceback(None)

    def _take_early(self) -> bool:
        """Read what the server says before it has everything; return whether it will not listen on."""
        data = self._stream.read()
        if data:
            self._hear(data)
        elif data is not None:
            self._ended = True
        return self._ended

    # Reading: the file that http.client reads the answer from.

    def makefile(self, _mode: str) -> _Exchange:
        """Return the file."""
        return self

    def readline(self, limit: int = -1) -> bytes:
        """Return a line, or `limit` bytes of it; nothing if the stream ended before a single byte."""
        at = 0
        while True:
            found = self._buffer.find(b"\n", at) + 1
            if found and (limit < 0 or found <= limit):
                return self._take(found)
            if 0 <= limit <= len(self._buffer):
                return self._take(limit)
            at = len(self._buffer)
            if self._fill():
                continue
            if self._heard:
                # http.client would take half a head for a whole one.
                raise http.client.IncompleteRead(b"")
            return b""

    def read(self, size: int) -> bytes:
        """Return `size` bytes, or what there is until the end of the stream."""
        if size < 0:
            raise ValueError("a chunk of negative size")
        while len(self._buffer) < size and self._fill():
            pass
        return self._take(min(size, len(self._buffer)))

    def readinto(self, into: bytearray | memoryview) -> int:
        """Fill `into` as far as the stream goes."""
        data = self.read(len(into))
        into[: len(data)] = data
        return len(data)

    def flush(self) -> None:
        """Nothing: files have it."""

    def close(self) -> None:
        """Nothing: the connection may be used again."""

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _fill(self) -> bool:
        """Read more; False at the end of the stream."""
        if self._ended:
            return False
        limit = self._limit()
        while True:
            self._wait(limit, "said anything")
            data = self._stream.read()
            if data:
                self._hear(data)
                return True
            if data is not None:
                self._ended = True
                if self._send_error is not None and not self._heard:
                    raise self._send_error
                return False

    def _hear(self, data: bytes) -> None:
        """Keep what came. What does not begin like HTTP is not waited for to become a line."""
        self._heard = True
        self._buffer += data
        if not self._is_http:
            start = bytes(self._buffer[: len(_START)])
            if not _START.startswith(start):
                raise http.client.BadStatusLine("")
            self._is_http = len(start) == len(_START)

    def _read_body(self, response: http.client.HTTPResponse) -> bytes:
        most = self._flight.max_body
        if response.length is not None and response.length > most:
            raise TooLargeError
        pieces, size = [], 0
        while piece := response.read(min(_CHUNK, response.length or _CHUNK, most + 1 - size)):
            size += len(piece)
            if size > most:
                raise TooLargeError
            pieces.append(piece)
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        return b"".join(pieces)

    # Waiting.

    def _limit(self) -> Deadline:
        return self._flight.deadline.at_most(self._flight.read_timeout)

    def _wait(self, limit: Deadline, doing: str) -> None:
        """Wait once, after a look whether there is time left: what has arrived by then still counts."""
        flight = self._flight
        flight.check()
        if flight.deadline.expired:
            raise _TimedOutError("call", "the time for the call was over")
        if limit.expired:
            raise _TimedOutError("read", f"it has not {doing} for {flight.read_timeout:g} s")
        self._stream.wait(limit.at)
        flight.check()


class _TimedOutError(Exception):
    def __init__(self, phase: str, what: str) -> None:
        super().__init__(what)
        self.phase = phase
        self.what = what


class _Client(http.client.HTTPConnection):
    """http.client without connecting, and silent also where somebody switched its printing of requests on."""

    auto_open = 0
    debuglevel = 0
    # http.client wants a socket; it calls `sendall`, `makefile` and `close` of it.
    sock: _Exchange


def _headers(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _keep_alive(headers: Mapping[str, str]) -> float:
    found = _KEEP_ALIVE.search(headers.get("keep-alive", ""))
    return float(found[1]) if found else 0.0
