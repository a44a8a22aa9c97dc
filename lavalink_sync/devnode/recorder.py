"""A relay between any client and any Lavalink that writes down what passes, without the secrets.

Bytes pass unchanged, whatever they are; the recording is made from copies of them. `recording` says what its lines are.
"""

from __future__ import annotations

import itertools
import socket
import ssl
from collections.abc import Iterable
from pathlib import Path

from .clock import RealClock
from .journal import Journal
from .listening import Listener
from .recording import Line, Writer, read_lines
from .relay import Address, Relay
from .serving import Serving
from .tls import Tls

__all__ = ["Recorder"]

_MAX_BODY = 2**20


class Recorder(Serving):
    """Relays to a server and records it, in a thread of its own. A context manager; clients dial its `address`.

    `target`: the server's `HOST:PORT`. `path`: the file that is written, or replaced. `port`, `host`: where it listens,
    port 0 chooses one. `secure`: whether the server is spoken to with TLS, or an `ssl.SSLContext` for that; clients
    speak to the recorder without. `secrets`: more values that must not be written down. `max_body`: bodies and messages
    of more bytes than that are written as their size only.

    Passwords, session ids, voice tokens, voice sessions, cookies and what stands under keys like `...Token` are
    replaced by placeholders; headers pass unchanged, `Host` too. When the server can't be reached, the client's
    connection ends without an answer. What a client has received is in the file by then. `close` ends all connections.
    `start` raises `OSError` when an address can't be had, the target's name does not resolve or the file can't be made.
    """

    def __init__(
        self,
        target: str,
        path: Path | str,
        port: int = 0,
        host: str = "127.0.0.1",
        secure: bool | ssl.SSLContext = False,
        *,
        secrets: Iterable[str] = (),
        max_body: int = _MAX_BODY,
    ) -> None:
        super().__init__(host, port, RealClock(), "lavalink-recorder")
        self.target = target
        self.path = Path(path)
        self._target_host, self._target_port = _parts(target)
        self._context = ssl.create_default_context() if secure is True else (secure or None)
        self._secrets = tuple(secrets)
        self._max_body = max_body
        self._numbers = itertools.count(1)
        self._relays: dict[Relay, None] = {}
        self._addresses: list[Address] = []
        self._writer: Writer | None = None
        self._journal: Journal | None = None

    @property
    def lines(self) -> list[Line]:
        """What was written so far, also after `close`. Read from the file each time."""
        return [] if self._writer is None else read_lines(self.path)

    @property
    def connections(self) -> int:
        """How many clients are connected now."""
        return len(self._relays)

    @property
    def error(self) -> OSError | None:
        """Why nothing more is written, if the file can't be: its disk is full, for example. Relaying goes on."""
        return None if self._writer is None else self._writer.error

    def _begin(self) -> None:
        found = socket.getaddrinfo(self._target_host, self._target_port, type=socket.SOCK_STREAM)
        self._addresses = [(family, address) for family, _, _, _, address in found]
        self._writer = Writer(self.path)
        self._journal = Journal(self._writer, self._clock, self._secrets, self._max_body)

    def _accepted(self, sock: socket.socket) -> None:
        assert self._loop is not None
        assert self._journal is not None
        listener = Listener(next(self._numbers), self._journal)
        tls = None if self._context is None else Tls(self._context, self._target_host)
        relay = Relay(sock, self._addresses, tls, self._loop, listener, self._gone)
        if not relay.closed:
            self._relays[relay] = None

    def _gone(self, relay: Relay) -> None:
        self._relays.pop(relay, None)

    def _end(self) -> None:
        for relay in list(self._relays):
            relay.close(by_us=True)
        if self._journal is not None:
            self._journal.close()


def _parts(target: str) -> tuple[str, int]:
    host, _, port = target.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"the target must be HOST:PORT, such as '127.0.0.1:2333', not {target!r}")
    return host.strip("[]"), int(port)
