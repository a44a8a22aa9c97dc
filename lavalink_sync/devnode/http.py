"""Requests and answers as data: what was asked, what is answered, and Lavalink's JSON for what went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "PLAIN",
    "Answer",
    "Request",
    "RestError",
    "error_body",
    "json_answer",
    "parse_request",
    "status_text",
    "text_answer",
]

PLAIN = "text/plain;charset=ISO-8859-1"
_NOTHING = object()


@dataclass(frozen=True)
class Request:
    """A request as it was read. `path`: without the query, as it came. `query`: values of one name with commas between.

    `headers`: names in lower case, of several the first. `body`: the JSON of it, `None` if there is none. `raw`: its
    bytes.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes = field(repr=False)

    @property
    def wants_upgrade(self) -> bool:
        """Whether this is the beginning of a WebSocket."""
        return self.method == "GET" and self.headers.get("upgrade", "").lower() == "websocket"


@dataclass(frozen=True)
class Answer:
    """What is answered. `body` as bytes; without `content_type` there is none.

    `versioned`: with the header that names the API's version, which the server leaves out where it was taken unawares.
    """

    status: int
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    versioned: bool = True


class RestError(Exception):
    """An answer of 400 and more. Without a message it is the status text, as the server has it. `versioned`: see
    `Answer`.
    """

    def __init__(
        self,
        status: int,
        message: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        versioned: bool = True,
    ) -> None:
        super().__init__(message or status_text(status))
        self.status = status
        self.headers = headers
        self.versioned = versioned

    @classmethod
    def thrown(cls, exception: str) -> RestError:
        """What becomes of a Java exception that nobody caught."""
        return cls(500, f"Request processing failed: {exception}", versioned=False)

    @classmethod
    def io(cls, message: str = "No message available") -> RestError:
        """What becomes of a Java `IOException` that nobody caught: its message alone."""
        return cls(500, message, versioned=False)


def parse_request(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """Put together what was read."""
    parts = urlsplit(f"//host{target}" if target.startswith("/") else target)
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    body = _parse(raw)
    return Request(method, parts.path, query, headers, None if body is _NOTHING else body, raw)


def json_answer(value: Any) -> Answer:
    """A 200 with JSON."""
    return Answer(200, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), "application/json")


def text_answer(text: str, status: int = 200) -> Answer:
    """Plain text."""
    return Answer(status, text.encode("latin-1", "replace"), PLAIN)


def error_body(error: RestError, request: Request, time_ms: int) -> dict[str, Any]:
    """Lavalink's error JSON."""
    told: dict[str, Any] = {"timestamp": time_ms, "status": error.status, "error": status_text(error.status)}
    if request.query.get("trace", "false").partition(",")[0].lower() != "false":
        told["trace"] = f'devnode.RestError: {error.status} "{error}"\n\tat devnode.{request.method}({request.path})'
    return {**told, "message": str(error), "path": request.path}


def _parse(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _NOTHING


def status_text(status: int) -> str:
    """The words of a status; none for a number that nobody has given a meaning."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
