"""What one HTTP call is while it is on its way: how far it got, what may end it, what came of it."""

from __future__ import annotations

import enum

from .clock import Clock, Deadline
from .stream import Stream
from .waker import Waker


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


class EndedError(Exception):
    """The transport was closed during the call."""


class TimedOutError(Exception):
    """The time was over: `phase` is that of `RequestTimeoutError`, `what` is for people."""

    def __init__(self, phase: str, what: str) -> None:
        super().__init__(what)
        self.phase = phase
        self.what = what


class Flight:
    """One call on its way: how long it may take, and what may end it.

    The thread that closes the transport sets `ended`, then calls `interrupt`. The call's own thread says what it waits
    for, and looks at `ended` after that: so either of the two sees the other.
    """

    def __init__(self, clock: Clock, deadline: Deadline, read_timeout: float | None, max_body: int) -> None:
        self.clock = clock
        self.deadline = deadline
        self.read_timeout = read_timeout
        self.max_body = max_body
        self.ended: Exception | None = None
        self.stream: Stream | None = None
        """The plain connection that carries the call; one with TLS is left by the waker."""
        self._waker: Waker | None = None

    @property
    def waker(self) -> Waker:
        """What ends waits for a connection in the making, and for one with TLS. Few calls need it, so few make one."""
        if self._waker is None:
            self._waker = Waker()
        return self._waker

    def interrupted(self) -> bool:
        """Whether the transport was closed."""
        return self.ended is not None

    def check(self) -> None:
        """Raise `EndedError` if the transport was closed."""
        if self.ended is not None:
            raise EndedError

    def limit(self) -> float | None:
        """Until when (monotonic) the server may be silent if it falls silent now; `None` for ever.

        Raises `EndedError` or `TimedOutError` if there is nothing to wait for any more.
        """
        if self.ended is not None:
            raise EndedError
        now, at = self.clock.monotonic(), self.deadline.at
        if at is not None and now >= at:
            raise TimedOutError("call", "the time for the call was over")
        if self.read_timeout is None:
            return at
        soon = now + self.read_timeout
        return soon if at is None or soon < at else at

    def check_time(self, limit: float | None, doing: str) -> None:
        """Raise as `limit` does, and if the server has been silent until `limit`, which that has returned."""
        self.limit()
        if limit is not None and self.clock.monotonic() >= limit:
            raise TimedOutError("read", f"it has not {doing} for {self.read_timeout:g} s")

    def interrupt(self) -> None:
        """End what the call waits for. From the closing thread, after it has set `ended`."""
        waker, stream = self._waker, self.stream
        if waker is not None:
            waker.wake()
        if stream is not None:
            stream.shut_down()

    def close(self) -> None:
        """Give back what the call needed for itself."""
        if self._waker is not None:
            self._waker.close()
