"""Every exception this package raises, as one tree.

A subclass is also the built-in that fits (`ConnectionError`, `TimeoutError`, `ValueError`, ...), so code that knows
nothing of Lavalink can catch it. `retryable` says whether doing the same again later can help. The error of a library
underneath is the `__cause__`. Every class can be rebuilt from its message alone, so errors survive pickling (Celery).

    LavalinkError
    ├── ConfigError(ValueError)               a setting that can't work
    ├── InvalidArgumentError(ValueError)      an argument the server would refuse; names the field
    ├── ProtocolError(ValueError)             what came is not what Lavalink sends; names the path inside it
    │   └── TrackFormatError                  bytes that are no encoded track
    ├── ConnectError(ConnectionError)         no connection: refused, unreachable, no such name
    │   ├── HandshakeError                    something answered the WebSocket handshake, but not with a WebSocket
    │   ├── CertificateError                  the TLS certificate does not verify
    │   └── ConnectionLostError               an established connection ended
    ├── AuthenticationError(PermissionError)  401, or 403 without a body: the password
    ├── UnsupportedServerError                a server of another major version than 4
    ├── RequestTimeoutError(TimeoutError)     a REST call not answered in time, without effect or repeatable
    ├── OutcomeUnknownError(ConnectionError)  a REST call that was sent and never answered: it may have had its effect
    ├── AnswerTooLargeError                   a body over the limit
    ├── RestError                             the server answered with an error
    │   ├── BadRequestError(ValueError)       400
    │   ├── UnauthorizedError                 401 (also an AuthenticationError)
    │   ├── ForbiddenError                    403 (also an AuthenticationError)
    │   ├── NotFoundError(LookupError)        404
    │   │   ├── SessionNotFoundError
    │   │   └── PlayerNotFoundError
    │   ├── ServerError                       5xx
    │   └── UnexpectedAnswerError(ValueError) no JSON: a proxy's page, say
    ├── LoadFailedError                       the server could not load it; has the server's own exception
    ├── NodeNotReadyError(ConnectionError)    the node has no session now
    ├── NodeClosedError(ConnectionError)      the node was closed meanwhile
    ├── NodeExistsError(ValueError)           a second node with that name
    ├── NoNodeAvailableError(LookupError)     no connected node until the deadline
    ├── WaitTimeoutError(TimeoutError)        what was waited for did not come
    ├── StoreError(OSError)                   a store could not be read or written
    ├── ClientClosedError(RuntimeError)       the client is closed
    ├── PlayerDestroyedError(RuntimeError)    a player that was destroyed is used on
    ├── ForkError(RuntimeError)               a client used in a process that it was not made in
    └── WouldDeadlockError(RuntimeError)      a wait that its own thread would have to end
"""

from __future__ import annotations

from typing import Any, ClassVar


class LavalinkError(Exception):
    """The root of the tree. `retryable`: whether doing the same again later can help."""

    retryable: ClassVar[bool] = False

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return self.message


class ConfigError(LavalinkError, ValueError):
    """A setting that can't work. The message names it."""


class InvalidArgumentError(LavalinkError, ValueError):
    """An argument that the server would refuse, or answer with an unhelpful error. `field` is the protocol's name."""

    def __init__(self, message: str = "", *, field: str = "") -> None:
        super().__init__(message)
        self.field = field


class ProtocolError(LavalinkError, ValueError):
    """What came is not what Lavalink sends. `path` leads to the spot: `data.tracks[3].info.title`."""

    def __init__(self, message: str = "", *, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class TrackFormatError(ProtocolError):
    """Text or bytes that are no encoded track."""


class ConnectError(LavalinkError, ConnectionError):
    """No connection could be made, or it broke before anything was sent."""

    retryable = True


class HandshakeError(ConnectError):
    """The WebSocket handshake was answered, but not with a WebSocket. `status` is the HTTP status, 0 if none."""

    def __init__(self, message: str = "", *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class CertificateError(ConnectError):
    """The server's TLS certificate does not verify."""

    retryable = False


class ConnectionLostError(ConnectError):
    """An established WebSocket ended. `code` is its close code, 1006 where no close frame came."""

    def __init__(self, message: str = "", *, code: int = 1006, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class AuthenticationError(LavalinkError, PermissionError):
    """The server refuses the password: 401, or 403 without a body."""


class UnsupportedServerError(LavalinkError):
    """The server is no Lavalink v4. `version` is what it says of itself."""

    def __init__(self, message: str = "", *, version: str = "") -> None:
        super().__init__(message)
        self.version = version


class RequestTimeoutError(LavalinkError, TimeoutError):
    """A REST call was not answered in time. `phase` is `connect`, `read` or `call` (the deadline over all of it)."""

    retryable = True

    def __init__(self, message: str = "", *, phase: str = "") -> None:
        super().__init__(message)
        self.phase = phase


class OutcomeUnknownError(LavalinkError, ConnectionError):
    """A REST call that changes something was sent and never answered: it may or may not have had its effect."""


class AnswerTooLargeError(LavalinkError):
    """An answer's body is larger than the limit, in bytes."""

    def __init__(self, message: str = "", *, limit: int = 0) -> None:
        super().__init__(message)
        self.limit = limit


class RestError(LavalinkError):
    """The server answered a REST call with an error.

    `status` is the HTTP status, `error` its text, `server_message` the server's message (`None` where it gave none),
    `path` the endpoint with session ids masked, `timestamp` unix milliseconds, `trace` the stack trace if asked for.
    """

    def __init__(
        self,
        message: str = "",
        *,
        status: int = 0,
        error: str = "",
        server_message: str | None = None,
        path: str = "",
        timestamp: int = 0,
        trace: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.server_message = server_message
        self.path = path
        self.timestamp = timestamp
        self.trace = trace


class BadRequestError(RestError, ValueError):
    """400: the server refuses the request; `server_message` is its reason."""


class UnauthorizedError(RestError, AuthenticationError):
    """401: no password arrived."""


class ForbiddenError(RestError, AuthenticationError):
    """403: the password is wrong, or something in front of the server refuses."""


class NotFoundError(RestError, LookupError):
    """404: no such endpoint, session or player."""


class SessionNotFoundError(NotFoundError):
    """404 `Session not found`: the session is gone, or waits to be resumed."""

    retryable = True


class PlayerNotFoundError(NotFoundError):
    """404 `Player not found`: the server has no player for that guild."""


class ServerError(RestError):
    """5xx: the server, or a proxy in front of it, failed."""

    retryable = True


class UnexpectedAnswerError(RestError, ValueError):
    """The answer is not what the endpoint gives; `server_message` has its first 200 characters."""


class LoadFailedError(LavalinkError):
    """The server could not load an identifier. `exception` is the server's own (`ExceptionInfo`)."""

    def __init__(self, message: str = "", *, exception: Any = None) -> None:
        super().__init__(message)
        self.exception = exception


class NodeNotReadyError(LavalinkError, ConnectionError):
    """The node has no session at the moment."""

    retryable = True


class NodeClosedError(LavalinkError, ConnectionError):
    """The node was closed, or removed, before the call was done."""


class NodeExistsError(LavalinkError, ValueError):
    """The client has a node with that name already."""


class NoNodeAvailableError(LavalinkError, LookupError):
    """No connected node could be had until the deadline."""

    retryable = True


class WaitTimeoutError(LavalinkError, TimeoutError):
    """What was waited for did not come in time. `last_error` is what the last attempt met, if there was one."""

    retryable = True

    def __init__(self, message: str = "", *, last_error: BaseException | None = None) -> None:
        super().__init__(message)
        self.last_error = last_error


class StoreError(LavalinkError, OSError):
    """A store could not be read or written. What it held before is still there; the same call may be made again."""

    retryable = True


class ClientClosedError(LavalinkError, RuntimeError):
    """The client is closed, or was closed before the call was done."""


class PlayerDestroyedError(LavalinkError, RuntimeError):
    """The player was destroyed, or removed from its client."""


class ForkError(LavalinkError, RuntimeError):
    """A client is used in a forked process: threads and connections do not survive `fork`."""


class WouldDeadlockError(LavalinkError, RuntimeError):
    """A wait for something that only the waiting thread itself could bring about."""
