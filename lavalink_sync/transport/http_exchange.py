"""One HTTP call over one connection: a request in one piece, an answer read as it comes.

This is the way of every track load, so it is kept short: four calls of the system (is the connection still good, send,
wait, receive) and nothing made that it does not need. While http.client did it, with a waker and a selector a call, a
load took 206 us of CPU; now it takes a fifth of that.
Every wait is bounded by the call's deadline, dripped bytes included, and ends at once when the transport is closed.
What becomes of a call that was not answered depends on how far it got; `Unanswered` says that.
"""

from __future__ import annotations

from ..core.answers import Answer
from ..secret import SecretBytes
from .dial import text_of
from .http_answer import AnswerReader, whole_answer
from .http_call import EndedError, Flight, Progress, TimedOutError, Unanswered
from .http_head import NoHttpError
from .stream import Stream

# Less than a stream holds back before it takes its peer for gone.
_PIECE = 32 * 1024


class HttpConnection:
    """A connection to the server, used by one call at a time. Closed by whoever has it when something goes wrong."""

    def __init__(self, stream: Stream) -> None:
        self._is_plain = stream.is_plain
        if self._is_plain:
            stream.watch(None)
        self._stream = stream
        self.reused = False
        self.idle_since = 0.0
        self.idle_limit = 0.0
        """Seconds for which the server said it keeps an idle connection; 0 if it said nothing."""

    def close(self) -> None:
        """Close the socket. Harmless twice."""
        self._stream.close()

    def is_quiet(self) -> bool:
        """Whether nothing came since the last answer. What comes unasked is the end, or belongs to nobody."""
        return not self._stream.has_news()

    def exchange(self, request: SecretBytes, flight: Flight, *, bodiless: bool = False) -> tuple[Answer, bool]:
        """Make one call. Returns the answer, and whether the connection can be used again. `bodiless`: it is a HEAD.

        Raises `Unanswered`, `NoHttpError`, `TooLargeError`, `EndedError`.
        """
        if self._is_plain:
            flight.stream = self._stream
        else:
            self._stream.watch(flight.waker)
        if flight.ended is not None:
            raise EndedError
        answer, usable, self.idle_limit = _Exchange(self._stream, flight, self.reused, bodiless).run(request)
        return answer, usable


class _Exchange:
    """The state of one call: how much was sent and heard."""

    def __init__(self, stream: Stream, flight: Flight, reused: bool, bodiless: bool) -> None:
        self._stream = stream
        self._flight = flight
        self._reused = reused
        self._bodiless = bodiless
        self._sent = False
        self._ended = False
        self._send_error: OSError | None = None
        # Made for an answer in pieces.
        self._reader: AnswerReader | None = None

    def run(self, request: SecretBytes) -> tuple[Answer, bool, float]:
        """Send, read, sort what goes wrong. Returns the answer, whether the connection can be used again, its limit."""
        failure: Exception
        try:
            self._send(request)
            if self._reader is None:
                data = self._receive()
                whole = None if self._bodiless else whole_answer(data, self._flight.max_body)
                if whole is not None:
                    head, body = whole
                    return Answer(head.status, head.headers, body), self._sent and head.kept, head.idle_limit
                self._take(data)
            return self._read_on()
        except TimedOutError as error:
            failure = self._unanswered(error.what, phase=error.phase)
        except OSError as error:
            failure = self._unanswered(f"the connection broke: {text_of(error)}", borrowed=error.with_traceback(None))
        except NoHttpError:
            failure = NoHttpError()
        except EOFError as error:
            failure = self._unanswered(str(error), borrowed=error.with_traceback(None))
        raise failure

    def _unanswered(self, what: str, borrowed: Exception | None = None, phase: str = "") -> Unanswered:
        if self._reused and not self._begun and not phase:
            progress = Progress.STALE
        else:
            progress = Progress.SENT if self._sent else Progress.NOT_SENT
        return Unanswered(progress, what, borrowed=borrowed, phase=phase)

    @property
    def _begun(self) -> bool:
        """Whether a byte of the answer came."""
        return self._reader is not None

    def _send(self, request: SecretBytes) -> None:
        stream = self._stream
        try:
            for start in range(0, len(request), _PIECE):
                piece = request if len(request) <= _PIECE else SecretBytes(request[start : start + _PIECE])
                if not stream.write(piece) and not self._push():
                    return
            self._sent = True
        except OSError as error:
            # The server may have answered before it closed: a refusal of a large body, say. Reading will tell.
            self._send_error = error.with_traceback(None)

    def _push(self) -> bool:
        """Wait until all that was written has gone out; return False when the server will not listen on."""
        limit = self._flight.limit()
        while self._stream.unsent:
            self._flight.check_time(limit, "taken what it was sent")
            data = self._next(limit)
            if data:
                self._take(data)
            elif data is not None:
                self._ended = True
                return False
        return True

    def _read_on(self) -> tuple[Answer, bool, float]:
        """Put an answer together that came in pieces, or beyond which something came. Returns what `run` does."""
        reader = self._reader
        assert reader is not None
        while not reader.whole:
            self._take(self._receive())
        answer = Answer(reader.status, reader.headers, reader.body)
        return answer, self._sent and reader.can_follow, reader.idle_limit

    def _receive(self) -> bytes:
        """Wait for more of the answer and return it, or nothing at the end of the connection."""
        if self._ended:
            return b""
        limit = self._flight.limit()
        data = self._next(limit)
        while data is None:
            self._flight.check_time(limit, "said anything")
            data = self._next(limit)
        return data

    def _next(self, limit: float | None) -> bytes | None:
        """Wait once, read once. The time is looked at before that, so that what has arrived by then still counts."""
        self._stream.wait(limit)
        if self._flight.ended is not None:
            raise EndedError
        return self._stream.read()

    def _take(self, data: bytes) -> None:
        """Take what came. Raises `EOFError` when that is the end, and the answer is not whole with it."""
        if data:
            if self._reader is None:
                self._reader = AnswerReader(self._flight.max_body, bodiless=self._bodiless)
            self._reader.feed(data)
        elif self._reader is None or not self._reader.end():
            if self._send_error is not None and not self._begun:
                raise self._send_error
            where = "in the middle of the answer" if self._begun else "before the answer"
            raise EOFError(f"the connection ended {where}")
