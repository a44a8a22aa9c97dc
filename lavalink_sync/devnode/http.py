"""Requests and answers as data: what was asked, what is answered, and Lavalink's JSON for what went wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = [
    "Answer",
    "Request",
    "RestError",
    "error_answer",
    "json_answer",
    "parse_request",
    "status_text",
    "text_answer",
]

_NOTHING = object()
_JSON = re.compile(r"application/(json|[^/]*\+json)")
_TAKEN = "application/json, application/*+json"


@dataclass(frozen=True)
class Request:
    """A request as it was read. `path`: without the query, as it came. `headers`: names in lower case.

    `body`: the JSON of it, `None` if there is none. `raw`: its bytes.
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

    def json(self) -> Any:
        """The body of an endpoint that takes JSON. Raises `RestError` 415 or 400."""
        kind = self.headers.get("content-type", "application/octet-stream")
        if self.raw and not _JSON.fullmatch(kind.partition(";")[0].strip().lower()):
            shown = kind if "charset" in kind.lower() or not kind.startswith("text/") else f"{kind};charset=UTF-8"
            accept = [("Accept", _TAKEN)] + [("Accept-Patch", _TAKEN)] * (self.method == "PATCH")
            raise RestError(415, f"Content-Type '{shown}' is not supported.", tuple(accept))
        parsed = _parse(self.raw)
        if parsed is _NOTHING:
            raise RestError(400)
        return parsed


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
    """An answer of 400 and more. Without a message it is the status text, as the server has it."""

    def __init__(self, status: int, message: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message or status_text(status))
        self.status = status
        self.headers = headers


def parse_request(method: str, target: str, headers: Mapping[str, str], raw: bytes) -> Request:
    """Put together what was read."""
    parts = urlsplit(f"//host{target}" if target.startswith("/") else target)
    query: dict[str, str] = {}
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        query.setdefault(name, value)
    body = _parse(raw)
    return Request(method, parts.path, query, headers, None if body is _NOTHING else body, raw)


def json_answer(value: Any) -> Answer:
    """A 200 with JSON."""
    return Answer(200, json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode(), "application/json")


def text_answer(text: str, status: int = 200) -> Answer:
    """Plain text."""
    return Answer(status, text.encode("latin-1", "replace"), "text/plain;charset=ISO-8859-1")


def error_answer(error: RestError, request: Request, time_ms: int) -> Answer:
    """Lavalink's error JSON."""
    phrase = status_text(error.status)
    told: dict[str, Any] = {"timestamp": time_ms, "status": error.status, "error": phrase}
    if request.query.get("trace") == "true":
        told["trace"] = f'devnode.RestError: {error.status} "{error}"\n\tat devnode.{request.method}({request.path})'
    told |= {"message": str(error), "path": request.path}
    body = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    unawares = error.status == 500 and str(error).startswith(("Request processing failed", "No message available"))
    return Answer(error.status, body, "application/json", error.headers, versioned=not unawares)


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
