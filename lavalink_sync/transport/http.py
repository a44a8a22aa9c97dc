"""`HttpTransport`: a node's REST calls, from the headers to the answer, or to an error that says what to do.

It decides what may be sent again: what never left always; what met a connection that the server had closed meanwhile
too; after that only what can be repeated without harm. It knows nothing of what is said; that is `rest.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from copy import copy

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from ..config import NodeConfig
from ..core.answers import Answer
from ..core.endpoints import QueryValue, query_string
from ..errors import (
    AnswerTooLargeError,
    ConnectError,
    ForkError,
    LavalinkError,
    OutcomeUnknownError,
    RequestTimeoutError,
    UnexpectedAnswerError,
)
from ..secret import scrub
from .clock import Clock, Deadline
from .http_answer import TooLargeError
from .http_call import EndedError, Flight, Progress, Unanswered
from .http_head import NoHttpError
from .http_pool import IDLE_LIMIT, AnsweredResponse, Call, HttpPool, PoolAdapter
from .http_request import RequestHeaders
from .http_stock import StockTransport, own_session

_REPEATABLE = {"GET", "HEAD", "OPTIONS", "DELETE"}
_NOT_OURS = (Unanswered, NoHttpError, TooLargeError)
# The calls of all nodes pass through this one: a call knows its pool, and a session of its own costs a node 12 us.
_pooled = own_session(PoolAdapter())


class HttpTransport:
    """The REST side of a node. Any thread may use it.

    `session` is the user's own `requests.Session`: then its adapters carry the calls, else ours do. `pool_size`: idle
    connections that are kept. `max_body`: bytes that an answer may have.
    """

    def __init__(
        self,
        config: NodeConfig,
        clock: Clock,
        *,
        session: requests.Session | None = None,
        pool_size: int = 16,
        max_body: int = 64 * 1024 * 1024,
    ) -> None:
        self._config = config
        self._clock = clock
        self._headers = RequestHeaders(config)
        self._base = config.rest_url.removesuffix(config.path)
        self._pid = os.getpid()
        self._max_body = max_body
        self._pool = HttpPool(config, clock, pool_size)
        self._stock: StockTransport | None = None
        self._own: requests.Session | None = None
        if session is not None:
            self._session = session
            self._stock = StockTransport(config, session)
        elif config.proxies and select_proxy(config.rest_url, dict(config.proxies)) is not None:
            self._session = self._own = own_session(HTTPAdapter(pool_maxsize=pool_size, max_retries=0))
            self._stock = StockTransport(config, self._session)
        else:
            self._session = _pooled

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | str | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline,
        idempotent: bool | None = None,
        patient: bool = False,
    ) -> Answer:
        """Make one call and return what the server said, whatever its status. Blocks until `deadline` at most.

        `path` is quoted already, and so is a `query` that is a text, which begins with its `?`. `idempotent`: whether
        it may be sent twice; `None` for what its method means.
        `patient`: the server may be silent until the deadline, not only for `timeouts.read`.

        Raises `ConnectError`, `CertificateError`, `RequestTimeoutError`, `OutcomeUnknownError`, `AnswerTooLargeError`,
        `UnexpectedAnswerError` for what is no HTTP, `InvalidArgumentError` for a header or a parameter that can't be
        sent, and what `close` was given.
        """
        if os.getpid() != self._pid:
            raise ForkError(
                f"node {self._config.name}: its connections belong to the process before fork(); make a Client in each"
            )
        if not isinstance(query, str):
            query = query_string(query)
        repeatable = method in _REPEATABLE if idempotent is None else idempotent
        flight = Flight(self._clock, deadline, None if patient else self._config.timeouts.read, self._max_body)
        call = Call(method, path, query, self._headers, headers, body, flight, self._pool)
        self._pool.begin(call)
        try:
            outcome = self._try(call, repeatable)
        finally:
            self._pool.finish(call)
        if isinstance(outcome, Answer):
            return outcome
        failure = self._error_for(outcome, repeatable, method, path) if isinstance(outcome, _NOT_OURS) else outcome
        cause = failure.__cause__
        raise failure from cause

    def open(self) -> None:
        """Allow calls (again, after `close`)."""
        self._pool.open()

    def close(self, error: Exception) -> None:
        """Make calls on their way, and later ones, raise a copy of `error`; close all connections. Does not wait."""
        self._pool.close(error)
        if self._own is not None:
            self._own.close()

    def close_idle(self, older_than: float = IDLE_LIMIT) -> None:
        """Close the connections that were idle for `older_than` seconds, so that a node at rest need hold none."""
        self._pool.close_idle(older_than)

    @property
    def in_flight(self) -> int:
        """How many calls are on their way."""
        return self._pool.in_flight

    @property
    def idle(self) -> int:
        """How many connections are kept for the next calls; those of a proxy or of a user's session don't count."""
        return self._pool.idle

    def _try(self, call: Call, repeatable: bool) -> Answer | Exception:
        """Send, again if that is allowed; return the answer, or what went wrong in the end."""
        flight = call.flight
        failure: Exception | None = None
        # Each kind of failure may be followed by another try once.
        met: list[Progress] = []
        while not flight.deadline.expired:
            try:
                return self._exchange(call)
            except Unanswered as error:
                failure, progress = error.with_traceback(None), error.progress
            except (EndedError, NoHttpError, TooLargeError, LavalinkError) as error:
                failure = error.with_traceback(None)
                break
            if progress in met or (progress is Progress.SENT and not repeatable):
                break
            met.append(progress)
            # Other idle connections are as old as one that was found closed.
            call.fresh = progress is not Progress.NOT_SENT
        if failure is None:
            failure = Unanswered(Progress.NOT_SENT, "there was no time left for it", phase="call")
        if flight.ended is not None and isinstance(failure, (EndedError, Unanswered)):
            return copy(flight.ended)
        return failure

    def _exchange(self, call: Call) -> Answer:
        if self._stock is not None:
            return self._stock.exchange(call)
        # The adapter itself: `Session.send` would look for cookies, hooks and redirects, and this session has none.
        response = self._session.get_adapter(self._base).send(call)
        assert isinstance(response, AnsweredResponse)
        return response.answer

    def _error_for(self, failure: Exception, repeatable: bool, method: str, path: str) -> LavalinkError:
        """Make the user's error of what went wrong."""
        where = f"node {self._config.name}: {method} {scrub(str.__str__(path), *self._secrets)}"
        if isinstance(failure, Unanswered):
            made = self._error_for_unanswered(failure, repeatable, where)
            made.__cause__ = failure.borrowed
            return made
        if isinstance(failure, TooLargeError):
            limit = self._max_body
            return AnswerTooLargeError(
                f"{where}: the answer is larger than {limit} bytes; ask for less at a time", limit=limit
            )
        return UnexpectedAnswerError(
            f"{where}: what {self._config.address} answered is no HTTP; {self._advice_for_no_http}"
        )

    def _error_for_unanswered(self, failure: Unanswered, repeatable: bool, where: str) -> LavalinkError:
        what = scrub(failure.what, *self._secrets)
        if failure.progress is not Progress.NOT_SENT and not repeatable:
            return OutcomeUnknownError(
                f"{where} was sent to {self._config.address} and not answered ({what}): it may or may not have had its "
                "effect; read the state before you send it again"
            )
        if failure.phase:
            hint = {
                "connect": "is that host up and reachable? (timeouts.connect)",
                "read": "the server is stuck or overloaded (timeouts.read)",
                "call": "try again, or give it a longer timeout",
            }[failure.phase]
            return RequestTimeoutError(f"{where}: no answer in time: {what}; {hint}", phase=failure.phase)
        if failure.progress is Progress.NOT_SENT:
            return ConnectError(f"{where} was not sent: {what}; is Lavalink running there, and the address right?")
        return ConnectError(
            f"{where}: {what}, twice; it can be sent again without harm once {self._config.address} is well"
        )

    @property
    def _advice_for_no_http(self) -> str:
        if self._config.secure:
            return "is that Lavalink's port?"
        return "is that Lavalink's port, or is there TLS (secure=True)?"

    @property
    def _secrets(self) -> tuple[str | None, ...]:
        return self._config.password, self._config.session_id
