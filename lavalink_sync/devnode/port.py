"""A port that is listened on: how it is had, who comes to it, and the context manager around it all."""

from __future__ import annotations

import errno
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import TypeVar

__all__ = ["OnPort", "listen", "newcomers"]

_log = logging.getLogger(__name__)
_BACKLOG = 128
_S = TypeVar("_S", bound="OnPort")


class OnPort(ABC):
    """What serves on a port, from `start` to `close` or through a `with` block."""

    _host: str
    _port: int

    @abstractmethod
    def start(self: _S) -> _S:
        """Listen and serve; nothing if it does already. Raises `OSError` when the address can't be had."""

    @abstractmethod
    def close(self) -> None:
        """End all connections and threads. May be called again."""

    def __enter__(self: _S) -> _S:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """`HOST:PORT`, for a client to connect to. With port 0 known once it has started."""
        if self._port == 0:
            raise RuntimeError("it has no port before it has started")
        return f"[{self._host}]:{self._port}" if ":" in self._host else f"{self._host}:{self._port}"


def listen(host: str, port: int) -> socket.socket:
    """Listen, without blocking. Raises `OSError` when the address can't be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def newcomers(listener: socket.socket, name: str) -> Iterator[socket.socket]:
    """Accept everyone who waits; `name` is who does, for the log."""
    while True:
        try:
            sock, _ = listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                _log.warning("%s can't accept: %s", name, error.strerror)
                return
            continue
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield sock
