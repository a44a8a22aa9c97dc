"""Calls over requests' own adapter: where a proxy is set, or the user brought a session.

The same rules hold as far as urllib3 lets them: it does not tell whether a connection had been used before, and a call
that waits for the head of an answer ends with the read timeout at the latest, not with the transport.
"""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Iterator
from typing import Any

import requests
import urllib3
from requests.hooks import dispatch_hook
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from ..config import NodeConfig
from ..core.answers import Answer
from ..errors import CertificateError, ConfigError
from .dial import text_of
from .http_answer import TooLargeError
from .http_call import Flight, Progress, Unanswered
from .http_head import read_length
from .http_pool import Call
from .quiet import Quiet

_CHUNK = 64 * 1024
_SHORTEST = 0.001
_LONGEST = 86_400.0
# A `ProxyError` tells nothing: urllib3 also makes one of an answer that never came.
_NOT_SENT = (NewConnectionError, ConnectTimeoutError)
_TIMED_OUT = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
_UNUSABLE = (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema, requests.exceptions.InvalidProxyURL)
# urllib3 logs every path, and the session's id is in most.
_quiet = Quiet(
    *(f"urllib3.{name}" for name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"))
)


class StockTransport:
    """Makes calls over the adapters of a `requests.Session`.

    Of its settings, those for proxies and TLS count too, and its hooks: they get the response with its whole body, may
    give another one in its place, and what they raise is raised.
    """

    def __init__(self, config: NodeConfig, session: requests.Session) -> None:
        self._config = config
        self._session = session

    def exchange(self, call: Call) -> Answer:
        """Make one call. Raises `Unanswered`, `TooLargeError`, `EndedError`, `CertificateError`, `ConfigError`."""
        response, body = self._response(call)
        if self._session.hooks.get("response"):
            # It was read under our limits; requests finds it here.
            response.raw = io.BytesIO(body)
            hooks = self._session.hooks
            response = dispatch_hook("response", hooks, response)  # type: ignore[no-untyped-call]  # a gap in its stubs
            body = response.content
        return Answer(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)

    def _response(self, call: Call) -> tuple[requests.Response, bytes]:
        flight = call.flight
        flight.check()
        failure: Exception
        answering = False
        try:
            with _quiet, self._send(call) as response:
                answering = True
                return response, _read_body(response, flight)
        except _UNUSABLE as error:
            failure = ConfigError(f"node {self._config.name}: requests can't use these proxies: {type(error).__name__}")
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            OSError,
        ) as error:
            failure = self._sorted(error, flight, answering)
        flight.check()
        raise failure

    def _send(self, call: Call) -> requests.Response:
        config, session = self._config, self._session
        remaining = call.flight.deadline.remaining()
        connect = _within(config.timeouts.connect, remaining) or config.timeouts.connect
        read = _within(call.flight.read_timeout, remaining)
        verify = session.verify if config.verify is True else config.verify
        proxies: dict[str, str] = {**session.proxies, **(config.proxies or {})}
        # The adapter itself: `Session.send` would read a redirect's whole body to see where it leads.
        return session.get_adapter(url=config.rest_url).send(
            call.prepared(),
            stream=True,
            timeout=(connect, read),  # type: ignore[arg-type]  # a read timeout may be None, which the stubs tell apart
            verify=True if verify is None else verify,
            cert=session.cert,
            proxies=proxies,
        )

    def _sorted(self, error: Exception, flight: Flight, answering: bool) -> Exception:
        """Find out what happened from what requests and urllib3 wrapped around it."""
        chain = list(_chain(error))
        where = f"node {self._config.name}: TLS with {self._config.address}"
        for inner in chain:
            if isinstance(inner, ssl.SSLCertVerificationError):
                made = CertificateError(f"{where}: the certificate does not verify: {inner.verify_message}")
                made.__cause__ = type(inner)(inner.errno, inner.strerror)
                return made
        not_sent = not answering and any(isinstance(inner, _NOT_SENT) or _is_tunnel(inner) for inner in chain)
        # urllib3's refusals are timeouts by inheritance.
        refused = any(isinstance(inner, NewConnectionError) for inner in chain)
        timed_out = not refused and any(isinstance(inner, _TIMED_OUT) for inner in chain)
        phase = ""
        if flight.deadline.expired:
            phase = "call"
        elif timed_out:
            phase = "connect" if not_sent else "read"
        system = next((inner for inner in chain if isinstance(inner, OSError) and inner.strerror), None)
        what = text_of(system) if system is not None else f"{type(chain[-1]).__name__} from urllib3"
        # An error of the same kind without request, response and URL.
        clean = type(error)(what) if isinstance(error, (requests.RequestException, OSError)) else OSError(what)
        return Unanswered(Progress.NOT_SENT if not_sent else Progress.SENT, what, phase=phase, borrowed=clean)


def own_session(adapter: requests.adapters.BaseAdapter) -> requests.Session:
    """Return a session that carries calls by `adapter`, and takes nothing from the environment."""
    session = requests.Session()
    session.trust_env = False
    for prefix in ("http://", "https://"):
        session.mount(prefix, adapter)
    return session


def _within(seconds: float | None, remaining: float | None) -> float | None:
    """The smaller of two limits, of which either may be missing; urllib3 refuses one of 0, sockets those of years."""
    given = [min(max(limit, _SHORTEST), _LONGEST) for limit in (seconds, remaining) if limit is not None]
    return min(given, default=None)


def _read_body(response: requests.Response, flight: Flight) -> bytes:
    """Read piece by piece, with a look at time and size between them. Compressed ones stay as they are."""
    length = read_length(response.headers.get("Content-Length", ""))
    if length is not None and length > flight.max_body:
        raise TooLargeError
    raw: Any = response.raw
    # `read` waits until it has all it was asked for; `read1`, where there is one, gives what came.
    read = getattr(raw, "read1", None) or raw.read
    pieces, size = [], 0
    while piece := read(_CHUNK, decode_content=False):
        size += len(piece)
        if size > flight.max_body:
            raise TooLargeError
        pieces.append(piece)
        flight.check()
        if flight.deadline.expired:
            raise TimeoutError
    return b"".join(pieces)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Every error inside an error, outermost first."""
    seen: list[BaseException] = []
    todo: list[Any] = [error]
    while todo:
        inner = todo.pop(0)
        if isinstance(inner, BaseException) and inner not in seen:
            seen.append(inner)
            todo += [*inner.args, getattr(inner, "reason", None), inner.__cause__, inner.__context__]
            yield inner


def _is_tunnel(error: BaseException) -> bool:
    """Whether http.client says that the proxy refused to open a tunnel."""
    return type(error) is OSError and str(error).startswith("Tunnel connection failed")
