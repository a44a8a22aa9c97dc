"""From an HTTP answer to a value, or to the error that fits it and says what to do about it.

What the server says passes the scrubber before it gets into an error: servers repeat paths and bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from http import HTTPStatus
from typing import Any, NamedTuple

from ..errors import (
    BadRequestError,
    ForbiddenError,
    NotFoundError,
    PlayerNotFoundError,
    ProtocolError,
    RestError,
    ServerError,
    SessionNotFoundError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from ..models import loads
from ..secret import Secret, scrub

_EXCERPT = 200
_LONGEST_VERSION = 200


class Asked:
    """What an answer is an answer to. Its texts are made when an error needs them, which few calls do.

    `where` begins every message: node, method and path, without secrets. `path`: the same path alone. `secrets`: what
    must not be repeated from the answer: that of the path, `more_secrets`, and those that `secrets_of_node` tells.
    """

    def __init__(
        self,
        node: str,
        method: str,
        path: str,
        secrets_of_node: Callable[[], Iterable[str | None]],
        more_secrets: tuple[str, ...] = (),
    ) -> None:
        self._node = node
        self._method = method
        self._path = path
        self._secrets_of_node = secrets_of_node
        self._more_secrets = more_secrets

    @cached_property
    def secrets(self) -> tuple[str, ...]:
        """Every secret that the answer may repeat."""
        # The session of this call may be another one than the node's, and a server repeats it in more than the path.
        in_path = self._path.split("/")[3:4] if self._path.startswith("/v4/sessions/") else []
        return tuple(Secret(secret) for secret in (*self._secrets_of_node(), *self._more_secrets, *in_path) if secret)

    @cached_property
    def path(self) -> str:
        """The path that was asked for, without secrets."""
        return scrub(str.__str__(self._path), *self.secrets)

    @property
    def where(self) -> str:
        """Node, method and path."""
        return f"node {self._node}: {self._method} {self.path}"


class Answer(NamedTuple):
    """An answer: its status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:
        # A player's answer has its voice token in it.
        return f"<{self.status}, {len(self.body)} bytes>"

    @property
    def kind(self) -> str:
        """The content type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def json_of(answer: Answer, asked: Asked) -> Any:
    """Return the JSON of a successful answer. Raises a `RestError` for any other."""
    if answer.status != 200 or "content-encoding" in answer.headers:
        check(answer, asked)
    try:
        return loads(answer.body)
    except ProtocolError as error:
        what = error.message
    raise _unexpected(answer, asked, what if answer.body else "the body is empty")


def anything_of(answer: Answer, asked: Asked) -> Any:
    """Return what a plugin answered: JSON, text where it says `text/plain`, `None` where there is nothing."""
    check(answer, asked)
    if answer.status == HTTPStatus.NO_CONTENT or not answer.body:
        return None
    return answer.body.decode("utf-8", "replace") if answer.kind == "text/plain" else json_of(answer, asked)


def version_of(answer: Answer, asked: Asked) -> str:
    """Return the text of `/version`. It is UTF-8, whatever its header says."""
    check(answer, asked)
    text = answer.body.decode("utf-8", "replace").strip()
    if not text or len(text) > _LONGEST_VERSION or "\n" in text or answer.kind == "text/html":
        raise _unexpected(answer, asked, "that is no version")
    return text


def check(answer: Answer, asked: Asked) -> None:
    """Raise the `RestError` that fits, unless the answer is a success that can be read."""
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _unexpected(
            answer._replace(body=b""), asked, f"it is compressed ({encoding[:20]}), which was not asked for"
        )
    if not 200 <= answer.status < 300:
        raise _error(answer, asked)


def _error(answer: Answer, asked: Asked) -> RestError:
    status = answer.status
    if status < 400:
        location = excerpt(answer.headers.get("location", "").encode("latin-1", "replace"), asked)
        to = f" to {location!r}" if location else ""
        return _unexpected(answer, asked, f"redirects{to} are not followed: give the final address in NodeConfig")
    said = _said(answer.body)
    told = scrub(text, *asked.secrets) if isinstance(text := said.get("message"), str) and text else None
    # Lavalink's own error without a message has nothing to add; of a page its beginning is all there is to show.
    page = "" if told or (status != 403 and "status" in said) else excerpt(answer.body, asked)
    kind, advice = _class_and_advice(status, told, page)
    reason = told or page
    message = f"{asked.where}: {_status(status)}{f': {reason}' if reason else ''}{f'; {advice}' if advice else ''}"
    return kind(
        message,
        status=status,
        error=scrub(_text(said, "error"), *asked.secrets) or _phrase(status),
        server_message=reason or None,
        path=scrub(_text(said, "path"), *asked.secrets) or asked.path,
        timestamp=stamp if isinstance(stamp := said.get("timestamp"), int) else 0,
        trace=scrub(_text(said, "trace"), *asked.secrets) or None,
    )


def _class_and_advice(status: int, told: str | None, page: str) -> tuple[type[RestError], str]:
    if status == 400:
        return BadRequestError, "change the request: sent again it will be refused again"
    if status == 401:
        return UnauthorizedError, "no password arrived: does something in between take the Authorization header away?"
    if status == 403:
        if not told and not page:
            return ForbiddenError, "the password is wrong: compare NodeConfig.password with the server's"
        return ForbiddenError, "that is not Lavalink, which refuses without a word: a proxy or firewall in front of it?"
    if status == 404:
        return _not_found(told, page)
    if status >= 500:
        origin = "a proxy in front of the server, or the server itself, failed" if page else "the server failed"
        return ServerError, f"{origin}: its log says more; try again later"
    return RestError, "is that a page of a proxy in front of the server?" if page else ""


def _not_found(told: str | None, page: str) -> tuple[type[RestError], str]:
    if told == "Session not found":
        return SessionNotFoundError, "the session is gone or waits to be resumed: wait until the node is connected"
    if told == "Player not found":
        return PlayerNotFoundError, "the server has no player for that guild yet: an update makes one"
    if page:
        return NotFoundError, "that is not Lavalink's JSON: is NodeConfig.path right, behind a proxy?"
    return NotFoundError, "does the server have that endpoint? A plugin's may be missing; paths are exact"


def _unexpected(answer: Answer, asked: Asked, what: str) -> UnexpectedAnswerError:
    page = excerpt(answer.body, asked)
    beginning = f": {page}" if page else ""
    return UnexpectedAnswerError(
        f"{asked.where}: {_status(answer.status)}, but {what}{beginning}; is that address Lavalink's, or a proxy's in "
        "front of it?",
        status=answer.status,
        error=_phrase(answer.status),
        server_message=page or None,
        path=asked.path,
    )


def excerpt(body: bytes, asked: Asked) -> str:
    """Return the beginning of a body as one line that can be shown, at most 200 characters."""
    # Cut only after the scrubbing, so that no half of a secret is left at the end.
    words = " ".join(scrub(body[:16_384].decode("utf-8", "replace"), *asked.secrets).split())[:_EXCERPT]
    return "".join(character if character.isprintable() else "?" for character in words)


def _said(body: bytes) -> dict[str, Any]:
    """Return Lavalink's error object, or nothing if it is no such thing."""
    try:
        said = loads(body)
    except ProtocolError:
        return {}
    return said if isinstance(said, dict) else {}


def _text(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _status(status: int) -> str:
    return f"{status} {_phrase(status)}".strip()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
