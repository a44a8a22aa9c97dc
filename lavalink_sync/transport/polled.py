"""`PolledSocket`: waits for one socket, where nothing else is to end the wait.

A selector watches many files and makes a key of each that is ready: 1.25 us a wait, and `poll` alone takes 0.75. Every
REST call waits twice.
"""

from __future__ import annotations

import select
import selectors
import socket
from collections.abc import Callable, Sequence
from math import ceil

_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class PolledSocket:
    """A socket, and the `events` (of `selectors`) that are waited for on it."""

    def __init__(self, sock: socket.socket, events: int) -> None:
        self.sock = sock
        self.events = events
        if hasattr(select, "poll"):
            poll = select.poll()
            poll.register(sock, (select.POLLIN if events & _READ else 0) | (select.POLLOUT if events & _WRITE else 0))
            self._wait: Callable[[int], Sequence[object]] = poll.poll
        else:  # Windows
            self._wait = self._select

    def is_ready(self, seconds: float) -> bool:
        """Wait, at most `seconds`, and return whether anything came, the end of the connection included."""
        return bool(self._wait(ceil(seconds * 1000)))

    def _select(self, milliseconds: int) -> Sequence[object]:
        with selectors.SelectSelector() as selector:
            selector.register(self.sock, self.events)
            return selector.select(milliseconds / 1000)
