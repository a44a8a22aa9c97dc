"""The WebSocket handshake: websocket-client speaks it, over our stream.

What websocket-client would do on its own account is kept out: it gets no socket but ours, follows no redirect, knows
the server under a name for which it has no cookies, and its log says nothing of our request.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

import websocket

from ..config import NodeConfig
from ..errors import AuthenticationError, ConfigError, HandshakeError, LavalinkError
from ..secret import Secret, scrub
from .dial import read_head, text_of
from .http_head import read_length
from .quiet import Quiet
from .stream import Attempt, Stream

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |\r)")
_UNSENDABLE = re.compile(r"[^\x20-\x7e\x80-\xff]")
# Cookies are kept and sent by host: there can be none for this one.
_NOWHERE = "ws://lavalink.invalid"
# The headers of an answer by which the library tells an agreement.
_COMPARED = frozenset(("upgrade", "connection", "sec-websocket-accept"))
_LARGEST_BODY = 4096
# How long the body of a refusal is waited for, in seconds.
_BODY_PATIENCE = 1.0
_EXCERPT = 200
# With its tracing on, websocket-client logs the whole request. One logger is all of its own.
_quiet = Quiet("websocket")


class Upgraded(NamedTuple):
    """What the server said when it agreed."""

    session_resumed: bool | None
    rest: bytes
    """What came behind the answer: the first frames."""


def upgrade(stream: Stream, config: NodeConfig, headers: Mapping[str, str], attempt: Attempt) -> Upgraded:
    """Turn `stream` into a WebSocket. Raises `HandshakeError`, `AuthenticationError`, `ConnectError` on a timeout."""
    doing = f"the WebSocket handshake with {config.address}"
    borrowed = _BorrowedSocket(stream, attempt, doing)
    refusal: str | None = None
    cause: Exception | None = None
    try:
        with _quiet:
            _shake_hands(borrowed, config, _lines(headers))
        if borrowed.status == HTTPStatus.SWITCHING_PROTOCOLS:
            resumed = {"true": True, "false": False}.get(borrowed.headers.get("session-resumed", "").lower())
            return Upgraded(resumed, borrowed.rest)
        refusal = "refused"  # older releases of the library take a redirect that is not followed for an agreement
    except LavalinkError as error:
        error.__traceback__ = None  # its frames know the password
        failure: LavalinkError = error
    except (websocket.WebSocketException, EOFError, ValueError, IndexError) as error:
        # Without a cause: the text of some of these has the server's whole answer in it.
        refusal = _without_answer(error)
    except OSError as error:
        refusal, cause = text_of(error), error.with_traceback(None)
    if refusal is not None:
        failure = _refused(borrowed, config, headers, attempt, refusal)
    raise failure from cause


def _shake_hands(borrowed: _BorrowedSocket, config: NodeConfig, lines: list[str]) -> None:
    """Let websocket-client make the handshake, and look at the answer."""
    client = websocket.WebSocket(enable_multithread=False, skip_utf8_validation=True)
    client.connect(  # type: ignore[no-untyped-call]  # the library has types, but not for this one
        f"{_NOWHERE}{config.path}/v4/websocket",
        socket=borrowed,
        header=lines,
        host=_host_header(config),
        suppress_origin=True,
        redirect_limit=0,
    )


def _lines(headers: Mapping[str, str]) -> list[str]:
    lines = []
    for name, value in headers.items():
        if _UNSENDABLE.search(value):
            raise ConfigError(f"the header {name} can't be sent: it has line breaks, or is more than Latin-1")
        lines.append(f"{name}: {value.reveal() if isinstance(value, Secret) else value}")
    return lines


def _host_header(config: NodeConfig) -> str:
    usual = 443 if config.secure else 80
    return config.address.removesuffix(f":{usual}") if config.port == usual else config.address


def _without_answer(error: Exception) -> str:
    if isinstance(error, websocket.WebSocketBadStatusException):
        return "refused"
    if isinstance(error, websocket.WebSocketException):
        return "the answer is no WebSocket's"
    return str(error)


def _refused(
    borrowed: _BorrowedSocket, config: NodeConfig, headers: Mapping[str, str], attempt: Attempt, refusal: str
) -> LavalinkError:
    """Make the error for what the server answered instead of a WebSocket."""
    where = f"node {attempt.node}: {config.address}{config.path}"
    status = borrowed.status
    if status is None:
        return HandshakeError(f"{where} did not answer the WebSocket handshake properly: {refusal}")
    if status == HTTPStatus.SWITCHING_PROTOCOLS:
        return HandshakeError(f"{where} agreed to something that is no WebSocket (a wrong accept key?)", status=status)
    body = borrowed.read_body()
    if status == HTTPStatus.UNAUTHORIZED or (status == HTTPStatus.FORBIDDEN and not body.strip()):
        return AuthenticationError(
            f"{where} refuses the connection ({status}): the password is wrong; compare NodeConfig.password with the "
            "server's"
        )
    text = f"{where} answered the WebSocket handshake with {status}{_phrase(status)}"
    if 300 <= status < 400:
        text += "; redirects are not followed"
    excerpt = _excerpt(body, [config.password, *(headers[name] for name in headers if _is_secret(name, headers[name]))])
    return HandshakeError(f"{text}: {excerpt}" if excerpt else text, status=status)


def _is_secret(name: str, value: str) -> bool:
    return isinstance(value, Secret) or name.lower() in ("authorization", "session-id")


def _excerpt(body: bytes, secrets: list[str]) -> str:
    """Return the beginning of a page as one line that can be shown."""
    words = " ".join(scrub(body.decode("utf-8", "replace"), *secrets).split())[:_EXCERPT]
    return "".join(character if character.isprintable() else "?" for character in words)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""


class _BorrowedSocket:
    """The socket that websocket-client gets for the handshake: our stream behind the few methods that it calls.

    The request goes out when the answer is asked for, so that there is one place where waiting happens. Of the answer
    it hands on what the library compares, no more: no body, no promise of one on which it would wait, no cookies. Each
    line costs it 2 us.
    """

    def __init__(self, stream: Stream, attempt: Attempt, doing: str) -> None:
        self._stream = stream
        self._attempt = attempt
        self._doing = doing
        self._request = b""
        self._head: bytes | None = None
        self._at = 0
        self.headers: dict[str, str] = {}
        """What the server answered, names in lower case."""
        self.status: int | None = None
        self.rest = b""

    def gettimeout(self) -> float:
        """Zero: the library is to call `send` and `recv` as they are."""
        return 0.0

    def settimeout(self, _: float | None) -> None:
        """Nothing: how long it may take is the attempt's affair."""

    def close(self) -> None:
        """Nothing: the stream belongs to whoever made it, and may have a body to read yet."""

    def send(self, data: bytes) -> int:
        """Keep the request. Header values are Latin-1 on the wire; the library has made UTF-8 of them."""
        self._request += data.decode("utf-8").encode("latin-1")
        return len(data)

    def recv(self, size: int) -> bytes:
        """Return the next bytes of the answer's head: a line, then its end, where one byte is asked for.

        The library asks byte by byte, joins what it gets, and looks for a lone line feed: 0.5 us a byte otherwise.
        """
        if self._head is None:
            self._stream.write(self._request)
            self._request = b""
            self._head = self._receive_head()
        end = self._at + size
        if size == 1:
            end = max(end, self._head.find(b"\n", self._at))
        piece = self._head[self._at : end]
        self._at += len(piece)
        return piece

    def _receive_head(self) -> bytes:
        head, self.rest = read_head(self._stream, self._attempt, self._doing)
        match = _STATUS_LINE.match(head)
        if match is None:
            raise ValueError("what came is no HTTP/1 answer")
        self.status = int(match[1])
        first, *lines = head.split(b"\r\n")
        kept = [first]
        for line in lines:
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.lower()] = value.strip()
            if name.lower() in _COMPARED:
                kept.append(line)
        return b"\r\n".join([*kept, b"", b""])

    def read_body(self) -> bytes:
        """Return the beginning of the body behind a refusal; what does not come soon is not waited for."""
        chunked = "chunked" in self.headers.get("transfer-encoding", "").lower()
        length = None if chunked else read_length(self.headers.get("content-length", ""))
        most = _LARGEST_BODY if length is None else min(length, _LARGEST_BODY)
        body, patience = self.rest, self._attempt.within(_BODY_PATIENCE)
        with contextlib.suppress(OSError):  # broken off, out of time, or the node was closed: what came has to do
            while len(body) < most and not (chunked and b"0\r\n\r\n" in body):
                data = self._stream.read()
                if data == b"":
                    break
                if data is None:
                    patience.check(self._doing)
                    self._stream.wait(patience.deadline.at)
                body += data or b""
        return _unchunked(body) if chunked else body[:most]


def _unchunked(body: bytes) -> bytes:
    """Return the content of a body in chunks, as far as it is there."""
    content = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16) if re.fullmatch(rb"[0-9A-Fa-f]{1,8}(;.*)?", size) else 0
        if not length:
            break
        content, body = content + body[:length], body[length + 2 :]
    return content
