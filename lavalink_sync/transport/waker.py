"""Ends another thread's wait for its sockets: `wake` from anywhere, and the owner's selector sees a readable file.

One descriptor where the system has `eventfd` (Linux), a pair of sockets elsewhere.
"""

from __future__ import annotations

import os
import selectors
import socket
import threading


class Waker:
    """A file that becomes readable by `wake()`. The thread that waits on it owns it: it alone drains and closes."""

    def __init__(self) -> None:
        # Keeps `wake` from writing into a descriptor that was closed, and perhaps given away again, in that moment.
        # Innermost by design: nothing but one non-blocking write happens under it, so `wake` may be called with another
        # lock held; re-entrant, so that it may be called by a finalizer that runs in the middle of `wake`.
        self._open = threading.RLock()
        self._end = _EventEnd() if hasattr(os, "eventfd") else _PairEnd()
        self._closed = False

    def fileno(self) -> int:
        """Return the descriptor to watch for reading; -1 once closed."""
        return -1 if self._closed else self._end.fileno()

    def wake(self) -> None:
        """Make the file readable. From any thread; never blocks; harmless when it is readable already, or closed."""
        with self._open:
            if not self._closed:
                self._end.signal()

    def drain(self) -> None:
        """Make the file unreadable again, however often it was woken."""
        with self._open:
            if not self._closed:
                self._end.drain()

    def close(self) -> None:
        """Give the descriptor back. Harmless twice."""
        with self._open:
            if not self._closed:
                self._closed = True
                self._end.close()


class _EventEnd:
    """A counter in the kernel."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def fileno(self) -> int:
        return self._fd

    def signal(self) -> None:
        try:
            os.eventfd_write(self._fd, 1)
        except BlockingIOError:
            return  # the counter is full, so the file is readable

    def drain(self) -> None:
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return  # nobody woke us

    def close(self) -> None:
        os.close(self._fd)


class _PairEnd:
    """Two sockets; a byte in the one makes the other readable."""

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        return self._read.fileno()

    def signal(self) -> None:
        try:
            self._write.send(b"\0")
        except BlockingIOError:
            return  # full, so the other end is readable

    def drain(self) -> None:
        try:
            while self._read.recv(4096):
                pass
        except BlockingIOError:
            return  # empty now

    def close(self) -> None:
        self._read.close()
        self._write.close()


def selector_for(waker: Waker) -> selectors.BaseSelector:
    """Return a new selector that watches `waker`; of a kind that is no file itself, where the system has one."""
    kind: type[selectors.BaseSelector] = getattr(selectors, "PollSelector", selectors.SelectSelector)
    selector = kind()
    selector.register(waker, selectors.EVENT_READ)
    return selector
