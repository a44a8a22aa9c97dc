"""`Bench`: opens node connections, with time moved by hand, and looks for secrets in whatever goes wrong."""

from __future__ import annotations

import contextlib
import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lavalink_sync.config import NodeConfig
from lavalink_sync.errors import ConnectionLostError, LavalinkError
from lavalink_sync.secret import Secret
from lavalink_sync.transport.clock import Deadline
from lavalink_sync.transport.connection import WebSocketConnection
from lavalink_sync.transport.stream import Attempt
from lavalink_sync.transport.waker import Waker

from .clock import ManualClock
from .sockets import Peer, Script

PASSWORD = "correct-horse-battery"
SESSION = "0123456789abcdef"
PROXY_PASSWORD = "tunnel-rat"
SECRETS = (PASSWORD, SESSION, PROXY_PASSWORD, "ZGlnZ2VyOnR1bm5lbC1yYXQ=")
"""What must not show anywhere; the last one is `digger:tunnel-rat` as it stands in the proxy's header."""


class Bench:
    """Opens connections as a node would, and closes what it opened."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.waker = Waker()
        self.closed = False
        self._opened: list[WebSocketConnection] = []

    def open(self, address: str, *, seconds: float | None = 60, **config: Any) -> WebSocketConnection:
        """Open a connection to `address` in this thread."""
        node = NodeConfig("main", address, PASSWORD, config.pop("secure", False), **config)
        headers = {
            "Authorization": node.password,
            "User-Id": "42",
            "Client-Name": "test/1",
            "Session-Id": Secret(SESSION),
        }
        connection = WebSocketConnection.open(
            node,
            headers,
            clock=self.clock,
            waker=self.waker,
            deadline=Deadline(self.clock, seconds),
            interrupted=lambda: self.closed,
        )
        self._opened.append(connection)
        return connection

    def plain_attempt(self, address: str) -> tuple[NodeConfig, Attempt]:
        """Return what the steps below `WebSocketConnection.open` take."""
        node = NodeConfig("main", address, PASSWORD)
        return node, Attempt(node.name, self.clock, lambda: self.waker, Deadline(self.clock, 60), lambda: self.closed)

    def failure(self, address: str, *, meanwhile: Callable[[], object] | None = None, **config: Any) -> LavalinkError:
        """Try to open a connection, in a thread if something is to be done `meanwhile`; return the error it ends with.

        The error is looked through for secrets, with all that hangs on it.
        """
        caught: list[BaseException] = []

        def attempt() -> None:
            try:
                self.open(address, **config)
            except BaseException as error:  # noqa: BLE001 - looked at below
                caught.append(error)

        if meanwhile is None:
            attempt()
        else:
            thread = threading.Thread(target=attempt)
            thread.start()
            meanwhile()
            thread.join(10)
            assert not thread.is_alive(), "the attempt did not end"
        assert caught, "the attempt was expected to fail"
        assert isinstance(caught[0], LavalinkError), repr(caught[0])
        assert_no_secrets(caught[0])
        return caught[0]

    @contextlib.contextmanager
    def when_waiting(self, due_in: float, act: Callable[[], object]) -> Iterator[None]:
        """Call `act` in a thread once the block waits for a deadline that is `due_in` seconds away."""

        def watch() -> None:
            self.clock.waiting(1, due_in=due_in)
            act()

        thread = threading.Thread(target=watch)
        thread.start()
        yield
        thread.join(10)
        assert not thread.is_alive()

    def interrupt(self) -> None:
        """Do what closing the node does to its thread."""
        self.closed = True
        self.waker.wake()

    def close(self) -> None:
        """Give everything back."""
        for connection in self._opened:
            connection.abort()
        self.waker.close()


def assert_no_secrets(error: BaseException | None) -> None:
    """Fail if a secret is in `error`, in the errors it came from, or in the traceback that would be printed."""
    if error is None:
        return
    shown = [str(error), repr(error), repr(error.args), repr(vars(error)), *traceback.format_exception(error)]
    for frame, _ in traceback.walk_tb(error.__traceback__):
        # Error trackers show the variables of frames; those of websocket-client have the whole request in them.
        module = str(frame.f_globals.get("__name__"))
        assert not module.startswith("websocket"), f"{module} is in the traceback"
        if module.startswith("lavalink_sync"):
            shown += [repr(value) for value in frame.f_locals.values()]
    for secret in SECRETS:
        assert not any(secret in text for text in shown), f"{secret!r} shows in {type(error).__name__}"
    assert_no_secrets(error.__cause__)
    assert_no_secrets(error.__context__)


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Iterator[Bench]:
    """Opens connections; neither its log nor anybody else's may show a secret."""
    bench = Bench()
    with caplog.at_level(logging.DEBUG):
        yield bench
    bench.close()
    assert not any(secret in caplog.text for secret in SECRETS)


def sending(*pieces: bytes) -> Script:
    """Return a script that agrees, sends `pieces`, and stays."""

    def script(peer: Peer) -> None:
        peer.accept()
        for piece in pieces:
            peer.send(piece)
        peer.wait_gone()

    return script


def messages(connection: WebSocketConnection, count: int) -> list[bytes]:
    """Poll until `count` messages have come."""
    got: list[bytes] = []
    while len(got) < count:
        got += connection.poll(None)
    return got


def loss(connection: WebSocketConnection) -> ConnectionLostError:
    """Poll until the connection is lost, and return how; what comes before must be empty."""

    def poll_on() -> None:
        while True:
            assert connection.poll(None) == []

    with pytest.raises(ConnectionLostError) as caught:
        poll_on()
    assert_no_secrets(caught.value)
    assert connection.fileno() == -1
    return caught.value
