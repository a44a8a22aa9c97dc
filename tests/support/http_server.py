"""An HTTP server that plays scripts, on top of `sockets.py`, and what tests of REST calls need around it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from lavalink_sync.config import NodeConfig
from lavalink_sync.core.answers import Answer
from lavalink_sync.core.endpoints import player
from lavalink_sync.transport.clock import Clock, Deadline
from lavalink_sync.transport.http import HttpTransport

from .clock import ManualClock
from .connections import PASSWORD, SESSION, assert_no_secrets
from .sockets import GoneError, Peer, ScriptedServer, answer
from .waiting import wait_until

PLAYER = player(SESSION, 7)
"""The path of a player."""


class Request(NamedTuple):
    """What a server got. Header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


Reply = bytes | Callable[[Peer, Request], None]
"""What a server does with a request: send these bytes, or whatever the function does; then it reads the next."""


class Replies:
    """A script: it answers the requests, over however many connections, with one reply after the other, the last one
    again and again. `seen` has the requests, in order; `connections` how many connections there were."""

    def __init__(self, *replies: Reply) -> None:
        self._replies = replies
        self._lock = threading.Lock()
        self.seen: list[Request] = []
        self.connections = 0

    def __call__(self, peer: Peer) -> None:
        with self._lock:
            self.connections += 1
        while True:
            request = read_call(peer)
            with self._lock:
                reply = self._replies[min(len(self.seen), len(self._replies) - 1)]
                self.seen.append(request)
            if isinstance(reply, bytes):
                peer.send(reply)
            else:
                reply(peer, request)

    def wait_for(self, requests: int) -> None:
        """Return once that many requests have come; what a client has sent need not have been read yet."""
        wait_until(lambda: len(self.seen) >= requests, f"{requests} requests came")


def read_call(peer: Peer) -> Request:
    """Read one request with its body."""
    head, *lines = peer.read_request().split("\r\n")
    method, target, _ = head.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Request(method, target, headers, peer.read_exactly(int(headers.get("content-length", 0))))


def as_json(value: Any, status: str = "200 OK", *headers: str) -> bytes:
    """Return a whole answer with a JSON body."""
    return answer(status, json.dumps(value).encode(), "Content-Type: application/json", *headers)


FINE = as_json({"fine": True})


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n", status: str = "200 OK") -> bytes:
    """Return an answer whose body comes in chunks, as Lavalink's do."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return answer(status, body + end, "Transfer-Encoding: chunked", length=False)


def then_end(data: bytes = b"") -> Reply:
    """Send `data` and end the connection."""

    def reply(peer: Peer, _: Request) -> None:
        peer.send(data)
        raise GoneError

    return reply


def then_reset(data: bytes = b"") -> Reply:
    """Send `data` and end the connection with a reset."""

    def reply(peer: Peer, _: Request) -> None:
        peer.send(data)
        peer.reset()
        raise GoneError

    return reply


def mute(peer: Peer, _: Request) -> None:
    """Say nothing until the client goes away."""
    peer.wait_gone()
    raise GoneError


class Calls:
    """Makes a transport's calls, looks for secrets in what goes wrong, and closes it in the end."""

    def __init__(self, address: str, clock: Clock, *, seconds: float | None = 30, **options: Any) -> None:
        transport_options = {
            name: options.pop(name) for name in ("session", "pool_size", "max_body") if name in options
        }
        self.config = NodeConfig("main", address, PASSWORD, options.pop("secure", False), **options)
        self.clock = clock
        self.seconds = seconds
        self.transport = HttpTransport(self.config, clock, **transport_options)

    def send(self, method: str = "GET", path: str = "/v4/info", **options: Any) -> Answer:
        """Make a call in this thread."""
        deadline = Deadline(self.clock, options.pop("seconds", self.seconds))
        return self.transport.send(method, path, deadline=deadline, **options)

    def start(self, method: str = "GET", path: str = "/v4/info", **options: Any) -> Started:
        """Make a call in a thread."""
        return Started(lambda: self.send(method, path, **options))

    def failure(self, method: str = "GET", path: str = "/v4/info", **options: Any) -> Exception:
        """Make a call that is expected to fail; return its error, looked through for secrets."""
        return Started(lambda: self.send(method, path, **options)).failure()

    def close(self) -> None:
        """Close the transport; calls on their way are none of a finished test's."""
        self.transport.close(RuntimeError("the test is over"))


class Started:
    """Something that runs in a thread of its own and is waited for, with a limit."""

    def __init__(self, run: Callable[[], Any]) -> None:
        self._outcome: list[Any] = []
        self._error: list[Exception] = []

        def work() -> None:
            try:
                self._outcome.append(run())
            except Exception as error:  # noqa: BLE001 - handed to whoever asks
                self._error.append(error)

        self._thread = threading.Thread(target=work, name="started", daemon=True)
        self._thread.start()

    def result(self) -> Any:
        """Wait for the end; return what came out, or raise what went wrong."""
        self._join()
        if self._error:
            raise self._error[0]
        return self._outcome[0]

    def failure(self) -> Exception:
        """Wait for the end, which is expected to be an error; return that, looked through for secrets."""
        self._join()
        assert self._error, f"no error, but {self._outcome[0]!r}"
        assert_no_secrets(self._error[0])
        return self._error[0]

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return not self._thread.is_alive()

    def _join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive(), "the call did not end"


Make = Callable[..., Calls]


@pytest.fixture
def make_calls(clock: ManualClock) -> Iterator[Make]:
    """Make transports that are closed at the end of the test."""
    with contextlib.ExitStack() as stack:

        def make_one(server: ScriptedServer | str, clock: Clock = clock, **options: Any) -> Calls:
            address = server if isinstance(server, str) else server.address
            calls = Calls(address, clock, **options)
            stack.callback(calls.close)
            return calls

        yield make_one
