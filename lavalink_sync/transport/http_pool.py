"""The connections to one server, and the requests adapter that makes calls over them.

A connection that an answer left in good order is kept for the next call, the newest first. Which calls are on their way
is known, so that closing ends them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import requests
from requests.adapters import BaseAdapter

from ..config import NodeConfig
from ..core.answers import Answer
from ..errors import CertificateError, ConnectError, NodeClosedError
from ..secret import SecretBytes
from .clock import Clock
from .dial import dial
from .http_call import EndedError, Flight, Progress, Unanswered
from .http_exchange import HttpConnection
from .http_request import RequestHeaders
from .locks import new_lock
from .stream import Attempt

# Lavalink closes an idle connection after 60 s; one that old may be closing just now.
IDLE_LIMIT = 50.0


class HttpPool:
    """A node's idle connections and the calls on their way. Any thread may use it."""

    def __init__(self, config: NodeConfig, clock: Clock, size: int) -> None:
        # Proxies are not for this pool: a node that has one does not use it.
        self._config = replace(config, proxies=None) if config.proxies else config
        self._clock = clock
        self._size = size
        # Guards those below. Sockets are opened, closed and woken outside of it.
        self._lock = new_lock()
        self._idle: list[HttpConnection] = []
        self._flights: set[Flight] = set()
        self._ended: Exception | None = None

    def begin(self, call: Call) -> None:
        """Count a call as on its way, and give it the idle connection that was used last, for as long as it is.

        Once the pool is closed, `EndedError` is what becomes of it.
        """
        flight = call.flight
        with self._lock:
            flight.ended = self._ended
            self._flights.add(flight)
            if self._idle:
                call.connection = self._idle.pop()

    def finish(self, call: Call) -> None:
        """Count a call as over, and keep the connection that it has left in good order."""
        flight, connection = call.flight, call.connection
        with self._lock:
            self._flights.discard(flight)
            # Of a flight that was ended, the closing thread may be just about to shut the connection down.
            if connection is not None and self._ended is None and flight.ended is None:
                self._idle.append(connection)
                connection = self._idle.pop(0) if len(self._idle) > self._size else None
        if connection is not None:
            connection.close()
        flight.close()

    def exchange(self, call: Call) -> Answer:
        """Make one call over its connection, or over a new one (`call.fresh`: always). Raises as that does."""
        flight = call.flight
        if flight.ended is not None:
            raise EndedError
        request = call.as_bytes()
        connection = (None if call.fresh else self._take(call)) or self._connect(flight)
        try:
            answer, usable = connection.exchange(request, flight, bodiless=call.method == "HEAD")
            if usable:
                connection.idle_since = self._clock.monotonic()
                call.connection = connection
            return answer
        finally:
            if call.connection is None:
                connection.close()

    def close(self, error: Exception) -> None:
        """End the calls on their way and refuse new ones, both with `error`; close what is idle."""
        with self._lock:
            self._ended = error
            idle, self._idle = self._idle, []
            flights = list(self._flights)
            for flight in flights:
                flight.ended = error
        for flight in flights:
            flight.interrupt()
        for connection in idle:
            connection.close()

    def open(self) -> None:
        """Allow calls again after `close`."""
        with self._lock:
            self._ended = None

    def close_idle(self, older_than: float) -> None:
        """Close the idle connections that nobody has used for `older_than` seconds."""
        since = self._clock.monotonic() - older_than
        with self._lock:
            old = [connection for connection in self._idle if connection.idle_since <= since]
            self._idle = [connection for connection in self._idle if connection.idle_since > since]
        for connection in old:
            connection.close()

    @property
    def in_flight(self) -> int:
        """How many calls are on their way."""
        return len(self._flights)

    @property
    def idle(self) -> int:
        """How many connections wait for a call."""
        return len(self._idle)

    def _take(self, call: Call) -> HttpConnection | None:
        """Return the call's connection, or the idle one that was used last, if it is still good."""
        now = self._clock.monotonic()
        # The call has it no more from here on: what is closed below must not go back to the idle ones.
        connection, call.connection = call.connection or self._pop(), None
        while connection is not None:
            if not _is_young(connection, now):
                # Those that are left are older still.
                with self._lock:
                    older, self._idle = self._idle, []
                for old in (connection, *older):
                    old.close()
                break
            if connection.is_quiet():
                connection.reused = True
                return connection
            connection.close()
            connection = self._pop()
        return None

    def _pop(self) -> HttpConnection | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _connect(self, flight: Flight) -> HttpConnection:
        limit = flight.deadline.at_most(self._config.timeouts.connect)
        attempt = Attempt(self._config.name, self._clock, lambda: flight.waker, limit, flight.interrupted)
        failure: Exception
        try:
            return HttpConnection(dial(self._config, attempt))
        except NodeClosedError:
            failure = EndedError()
        except CertificateError:
            raise
        except ConnectError as error:
            phase = ""
            if limit.expired:
                phase = "call" if flight.deadline.expired else "connect"
            what = error.message.partition(": ")[2] or error.message
            failure = Unanswered(Progress.NOT_SENT, what, phase=phase, borrowed=error.__cause__)
        raise failure


def _is_young(connection: HttpConnection, now: float) -> bool:
    limit = min(IDLE_LIMIT, connection.idle_limit * 0.8) if connection.idle_limit else IDLE_LIMIT
    return now - connection.idle_since < limit


class Call(requests.PreparedRequest):
    """A request made by hand, with what our adapter has to know beyond it. `path` and `query` are quoted already."""

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: RequestHeaders,
        more: Mapping[str, str] | None,
        body: bytes | None,
        flight: Flight,
        pool: HttpPool,
    ) -> None:
        # Without PreparedRequest's own, which makes things that nobody looks at. Our adapter takes the bytes, others
        # get `prepared`; so there is no URL, as there may be something secret in its path.
        self.method: str = method
        self.flight = flight
        self.pool = pool
        self.fresh = False
        """Whether it needs a connection that has not been used before."""
        self.connection: HttpConnection | None = None
        """What carries it, unless that has to be connected yet, or failed."""
        self._path = path
        self._query = query
        self._headers = headers
        self._more = more
        self._content = body

    def as_bytes(self) -> SecretBytes:
        """The whole request as it is sent. Raises `InvalidArgumentError` for a header that can't be."""
        return self._headers.request(self.method, self._path, self._query, self._more, self._content)

    def prepared(self) -> requests.PreparedRequest:
        """The request as adapters of others take it. Raises as `as_bytes` does."""
        request = requests.PreparedRequest()
        request.method, request.body = self.method, self._content
        request.url = self._headers.url + self._path + self._query
        request.headers = self._headers.of(self._more, self._content)
        return request


class PoolAdapter(BaseAdapter):
    """Plugs the pools into a `requests.Session`. It takes `Call`s and gives answers whose body has been read."""

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Make the call. How long it may take, and what is trusted, is in the call and in the node's config."""
        assert isinstance(request, Call)
        return AnsweredResponse(request.pool.exchange(request))

    def close(self) -> None:
        """Nothing: the pools have a life of their own."""


class AnsweredResponse(requests.Response):
    """What our adapter gives back: the answer, in a response whose own fields nobody looks at."""

    def __init__(self, answer: Answer) -> None:
        # Without Response's own, which makes a cookie jar and more.
        self.status_code = answer.status
        self.answer = answer
