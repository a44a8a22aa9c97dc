"""What listens on a port in a thread of its own, from start to close: the frame of a recorder and of a replay."""

from __future__ import annotations

import socket
import threading
from abc import abstractmethod
from typing import TypeVar

from .clock import Clock
from .loop import READ, Loop
from .port import OnPort, listen, newcomers

__all__ = ["Serving"]

_S = TypeVar("_S", bound="Serving")


class Serving(OnPort):
    """A context manager. It serves once: what was closed is not started again."""

    def __init__(self, host: str, port: int, clock: Clock, name: str) -> None:
        self._host = host
        self._port = port
        self._clock = clock
        self._name = name
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._closed = False
        self._loop: Loop | None = None

    def start(self: _S) -> _S:
        """Listen and serve; nothing if it does already. Raises `OSError` when the address can't be had."""
        with self._lock:
            if self._closed:
                raise RuntimeError("it was closed, and can't be started again")
            if self._loop is not None:
                return self
            listener = listen(self._host, self._port)
            try:
                self._begin()
            except BaseException:
                listener.close()
                raise
            self._port = listener.getsockname()[1]
            self._listener = listener
            self._loop = loop = Loop(self._clock, self._name)
            loop.post(lambda: loop.watch(listener, READ, lambda events: self._accept(listener)))
            loop.start()
        return self

    def close(self) -> None:
        """End all connections and the thread. May be called again."""
        with self._lock:
            self._closed = True
            loop, listener = self._loop, self._listener
            self._listener = None
            if loop is None or listener is None:
                return

            def shut() -> None:
                loop.unwatch(listener)
                listener.close()
                self._end()

            loop.call(shut)
            loop.stop(lambda: True, 0, lambda: None)

    @abstractmethod
    def _begin(self) -> None:
        """Get ready, before anything comes. Called by whoever starts it."""

    @abstractmethod
    def _accepted(self, sock: socket.socket) -> None:
        """Somebody has connected. Called on the loop's thread."""

    @abstractmethod
    def _end(self) -> None:
        """Let go of everything. Called on the loop's thread."""

    def _accept(self, listener: socket.socket) -> None:
        for sock in newcomers(listener, self._name):
            self._accepted(sock)
