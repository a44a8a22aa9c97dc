"""`Stream`: one non-blocking socket, plain or TLS, and the waiting for it.

Every wait goes through the clock and watches the owner's waker as well, so that closing a node ends it at once. One
thread owns all of it: OpenSSL does not allow two on one connection. A plain one can do without a waker (`watch(None)`):
`shut_down` ends its waits too, from any thread.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable
from selectors import EVENT_READ, EVENT_WRITE

from ..errors import ConnectError, NodeClosedError
from .clock import Clock, Deadline
from .polled import PolledSocket
from .waker import Waker, selector_for

_CHUNK = 64 * 1024
# What may wait to be sent before the peer counts as gone: pings, pongs and a close frame are all that ever does.
_MOST_UNSENT = 64 * 1024


class Attempt:
    """One attempt to connect: whose it is, how long it may take, and who may end it."""

    def __init__(
        self, node: str, clock: Clock, waker: Callable[[], Waker], deadline: Deadline, interrupted: Callable[[], bool]
    ) -> None:
        self.node = node
        self.clock = clock
        self.waker = waker
        """Gives what is to end its waits; asked only where it has to wait."""
        self.deadline = deadline
        self.interrupted = interrupted

    def within(self, seconds: float) -> Attempt:
        """Return the same attempt with at most `seconds` from now."""
        return Attempt(self.node, self.clock, self.waker, self.deadline.at_most(seconds), self.interrupted)

    def check(self, doing: str) -> None:
        """Raise `NodeClosedError` if the node was closed, `ConnectError` if the time is over; `doing` says of what.

        To be called before every wait: the wait before may have found its file ready, and swallowed the waker's call.
        """
        if self.interrupted():
            raise NodeClosedError(f"node {self.node} was closed while it connected")
        if self.deadline.expired:
            raise ConnectError(f"node {self.node}: {doing} took too long")


class Stream:
    """A socket that never blocks. Made of a socket that is connected, or on its way to be. See `watch` for `waker`."""

    def __init__(self, sock: socket.socket, clock: Clock, waker: Waker | None = None) -> None:
        self._clock = clock
        self._sock = sock
        # Keeps `shut_down` from a descriptor that was closed, and perhaps given away again, in that moment. Innermost:
        # nothing but one call of the system that does not wait happens under it.
        self._ending = threading.Lock()
        self._tls: ssl.SSLSocket | None = None
        self._unsent = b""
        # There is more to read, most likely, and no need to ask first.
        self._more = False
        # TLS may have to write before it can read on.
        self._read_needs_write = False
        # What was waited for last. It is watched from the first wait on: a socket on its way is to be written to first.
        self._events = 0
        self._waker = waker
        self._selector = None if waker is None else selector_for(waker)
        # What is waited with in place of the selector while there is no waker.
        self._polled: PolledSocket | None = None

    def fileno(self) -> int:
        """Return the socket's descriptor; -1 once closed."""
        return self._sock.fileno()

    @property
    def is_plain(self) -> bool:
        """Whether there is no TLS on it."""
        return self._tls is None

    def start_tls(self, context: ssl.SSLContext, host: str, attempt: Attempt, doing: str) -> None:
        """Put TLS on top, for the server `host`. Raises `ssl.SSLError` and other `OSError`s as they come."""
        if self._selector is not None and self._events:
            self._selector.unregister(self._sock)
        self._events = 0
        tls = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._sock = self._tls = tls
        while True:
            attempt.check(doing)
            try:
                tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                events = EVENT_READ
            except ssl.SSLWantWriteError:
                events = EVENT_WRITE
            self._wait_for(events, attempt.deadline.at)

    def wait_connected(self, attempt: Attempt, doing: str) -> None:
        """Wait until the connecting that was begun on the socket is over. Raises the `OSError` it ended with."""
        attempt.check(doing)
        while not self._wait_for(EVENT_WRITE, attempt.deadline.at):
            attempt.check(doing)
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))

    def wait(self, deadline: float | None) -> None:
        """Wait until there is something to read, the waker is woken, or `deadline`; unsent bytes go out meanwhile.

        Returns at once after a read that was full (a flood costs one system call in 64 KiB), or after `expect_more`.
        """
        if self._more and not self._unsent:
            return
        if self._tls is not None and self._tls.pending():
            return
        events = EVENT_READ
        if self._unsent:
            events |= EVENT_WRITE
        if self._read_needs_write:
            events = EVENT_WRITE
        if self._wait_for(events, deadline) and self._unsent:
            self._flush()

    def expect_more(self) -> None:
        """Let the next `wait` return at once: what was read came late, so there is more by now."""
        self._more = True

    def read(self) -> bytes | None:
        """Return what has arrived, up to 64 KiB; `b""` at the end of the stream, `None` if there is nothing now."""
        self._more = False
        try:
            data = self._sock.recv(_CHUNK)
        except (BlockingIOError, ssl.SSLWantReadError):
            self._read_needs_write = False
            return None
        except ssl.SSLWantWriteError:
            self._read_needs_write = True
            return None
        self._read_needs_write = False
        self._more = len(data) == _CHUNK
        return data

    def write(self, data: bytes) -> bool:
        """Send `data`, now or while waiting; return whether all of it went out.

        Raises `BrokenPipeError` if the peer has not taken anything for long.
        """
        if self._unsent:
            self._unsent += data
            self._flush()
        elif (sent := self._send(data)) < len(data):
            self._unsent = data[sent:]
        if len(self._unsent) > _MOST_UNSENT:
            raise BrokenPipeError("the peer does not read what it is sent")
        return not self._unsent

    @property
    def unsent(self) -> bool:
        """Whether some of what was written has not gone out yet."""
        return bool(self._unsent)

    def watch(self, waker: Waker | None) -> None:
        """Watch another waker from now on: that of the stream's next owner. A kept-alive one has none in between.

        Without one, only `shut_down` ends a wait before its time.
        """
        self._end_watch()
        self._events, self._polled = 0, None
        self._waker = waker
        self._selector = None if waker is None else selector_for(waker)

    def has_news(self) -> bool:
        """Whether there is anything to read now, the end of the stream included. Does not wait or look at the waker."""
        if self._tls is not None and self._tls.pending():
            return True
        polled = self._polled
        if polled is None or self._events != EVENT_READ:
            polled = PolledSocket(self._sock, EVENT_READ)
        return polled.is_ready(0)

    def shut_down(self) -> None:
        """End both directions, and with that the wait of the thread whose stream it is. From any thread; no TLS on it.

        The socket stays open until its owner closes it. Harmless afterwards.
        """
        with self._ending, contextlib.suppress(OSError):  # it is not connected any more
            self._sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket at once. Harmless twice."""
        self._end_watch()
        with contextlib.suppress(OSError):  # it is not connected any more
            # Lets the peer see the end even if another process inherited the socket.
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
        with self._ending:
            self._sock.close()

    def _flush(self) -> None:
        while self._unsent and (sent := self._send(self._unsent)):
            self._unsent = self._unsent[sent:]

    def _send(self, data: bytes) -> int:
        """Return how many bytes the system took."""
        try:
            return self._sock.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0

    def _wait_for(self, events: int, deadline: float | None) -> bool:
        """Wait for `events` on the socket; return whether they came."""
        if self._selector is None or self._waker is None:
            if self._polled is None or events != self._events:
                self._polled, self._events = PolledSocket(self._sock, events), events
            return self._clock.wait_for_socket(self._polled, deadline)
        if not self._events:
            self._selector.register(self._sock, events)
        elif events != self._events:
            self._selector.modify(self._sock, events)
        self._events = events
        return bool(self._clock.poll(self._selector, self._waker, deadline))

    def _end_watch(self) -> None:
        if self._selector is not None:
            self._selector.close()
