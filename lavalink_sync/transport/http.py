"""`HttpTransport`: a node's REST calls, from the headers to the answer, or to an error that says what to do.

It decides what may be sent again: what never left always; what met a connection that the server had closed meanwhile
too; after that only what can be repeated without harm. It knows nothing of what is said; that is `rest.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from copy import copy

import requests
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from .._version import __version__
from ..config import NodeConfig
from ..core.endpoints import QueryValue, query_string
from ..errors import (
    AnswerTooLargeError,
    ConnectError,
    ForkError,
    InvalidArgumentError,
    LavalinkError,
    OutcomeUnknownError,
    RequestTimeoutError,
    UnexpectedAnswerError,
)
from ..secret import Secret, scrub
from .clock import Clock, Deadline
from .http_exchange import EndedError, HttpAnswer, NoHttpError, Progress, TooLargeError, Unanswered
from .http_pool import IDLE_LIMIT, AnsweredResponse, Call, HttpPool, PoolAdapter
from .http_stock import StockTransport, own_session

__all__ = ["HttpAnswer", "HttpTransport"]

_REPEATABLE = {"GET", "HEAD", "OPTIONS", "DELETE"}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")


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
        self._pid = os.getpid()
        self._max_body = max_body
        self._pool = HttpPool(config, clock, pool_size)
        self._stock: StockTransport | None = None
        self._own: requests.Session | None = None
        self._closed: Exception | None = None
        if session is not None:
            self._session = session
            self._stock = StockTransport(config, session)
        elif select_proxy(config.rest_url, dict(config.proxies or {})) is not None:
            self._session = self._own = own_session(config, HTTPAdapter(pool_maxsize=pool_size, max_retries=0))
            self._stock = StockTransport(config, self._session)
        else:
            self._session = self._own = own_session(config, PoolAdapter(self._pool))

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline: Deadline,
        idempotent: bool | None = None,
        patient: bool = False,
    ) -> HttpAnswer:
        """Make one call and return what the server said, whatever its status. Blocks until `deadline` at most.

        `path` is quoted already. `idempotent`: whether it may be sent twice; `None` for what its method means.
        `patient`: the server may be silent until the deadline, not only for `timeouts.read`.

        Raises `ConnectError`, `CertificateError`, `RequestTimeoutError`, `OutcomeUnknownError`, `AnswerTooLargeError`,
        `UnexpectedAnswerError` for what is no HTTP, `InvalidArgumentError` for a header or a parameter that can't be
        sent, and what `close` was given.
        """
        if os.getpid() != self._pid:
            raise ForkError(
                f"node {self._config.name}: its connections belong to the process before fork(); make a Client in each"
            )
        target = Secret(self._config.path + path + query_string(query))
        repeatable = method in _REPEATABLE if idempotent is None else idempotent
        every_header = self._headers(headers, body)
        read_timeout = None if patient else self._config.timeouts.read
        where = f"node {self._config.name}: {method} {scrub(str.__str__(path), *self._secrets)}"
        with self._pool.flight(deadline, read_timeout, self._max_body) as flight:
            call = Call(method, self._base, target, every_header, body, flight)
            failure = self._try(call, repeatable, where)
            if isinstance(failure, HttpAnswer):
                return failure
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

    def _try(self, call: Call, repeatable: bool, where: str) -> HttpAnswer | Exception:
        """Send, again if that is allowed; return the answer, or the error to raise."""
        # How often each kind of failure may be followed by another try.
        again = {Progress.NOT_SENT: 1, Progress.STALE: 1, Progress.SENT: 1 if repeatable else 0}
        deadline = call.flight.deadline
        failure = Unanswered(Progress.NOT_SENT, "there was no time left for it", phase="call")
        while not deadline.expired:
            try:
                return self._exchange(call)
            except Unanswered as error:
                failure = error
            except EndedError:
                break
            except NoHttpError:
                return UnexpectedAnswerError(
                    f"{where}: what {self._config.address} answered is no HTTP; {self._advice_for_no_http}"
                )
            except TooLargeError:
                limit = self._max_body
                return AnswerTooLargeError(
                    f"{where}: the answer is larger than {limit} bytes; ask for less at a time", limit=limit
                )
            except LavalinkError as error:
                error.__traceback__ = None
                return error
            if not again[failure.progress]:
                break
            again[failure.progress] -= 1
            # Other idle connections are as old as one that was found closed.
            call.fresh = failure.progress is not Progress.NOT_SENT
        if call.flight.ended is not None:
            return copy(call.flight.ended)
        return self._error_for(failure, repeatable, where)

    def _exchange(self, call: Call) -> HttpAnswer:
        if self._stock is not None:
            return self._stock.exchange(call)
        response = self._session.send(call, stream=True, allow_redirects=False, proxies={})
        assert isinstance(response, AnsweredResponse)
        return response.answer

    def _error_for(self, failure: Unanswered, repeatable: bool, where: str) -> LavalinkError:
        made: LavalinkError
        what = scrub(failure.what, *self._secrets)
        if failure.progress is not Progress.NOT_SENT and not repeatable:
            made = OutcomeUnknownError(
                f"{where} was sent to {self._config.address} and not answered ({what}): it may or may not have had its "
                "effect; read the state before you send it again"
            )
        elif failure.phase:
            hint = {
                "connect": "is that host up and reachable? (timeouts.connect)",
                "read": "the server is stuck or overloaded (timeouts.read)",
                "call": "try again, or give it a longer timeout",
            }[failure.phase]
            made = RequestTimeoutError(f"{where}: no answer in time: {what}; {hint}", phase=failure.phase)
        elif failure.progress is Progress.NOT_SENT:
            made = ConnectError(f"{where} was not sent: {what}; is Lavalink running there, and the address right?")
        else:
            made = ConnectError(
                f"{where}: {what}, twice; it can be sent again without harm once {self._config.address} is well"
            )
        made.__cause__ = failure.borrowed
        return made

    @property
    def _base(self) -> str:
        return self._config.rest_url.removesuffix(self._config.path)

    @property
    def _advice_for_no_http(self) -> str:
        if self._config.secure:
            return "is that Lavalink's port?"
        return "is that Lavalink's port, or is there TLS (secure=True)?"

    @property
    def _secrets(self) -> tuple[str | None, ...]:
        return self._config.password, self._config.session_id

    def _headers(self, more: Mapping[str, str] | None, body: bytes | None) -> dict[str, str]:
        usual = 443 if self._config.secure else 80
        headers = {
            "Host": self._config.address.removesuffix(f":{usual}"),
            "User-Agent": f"lavalink_sync/{__version__}",
            # A small compressed answer can become a huge one; what comes compressed all the same is refused above.
            "Accept-Encoding": "identity",
            "Accept": "*/*",
            "Connection": "keep-alive",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
            # requests' own adapter sends in chunks what has no length, which not every server takes.
            headers["Content-Length"] = str(len(body))
        headers.update(more or {})
        headers["Authorization"] = self._config.password
        for name, value in headers.items():
            if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
                raise InvalidArgumentError(
                    f"the header {name!r} can't be sent: a value is Latin-1 text without line breaks", field=name
                )
        # The password stays a `Secret` down to http.client, so that no frame on the way shows it.
        return headers
