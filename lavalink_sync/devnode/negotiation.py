"""What a client says that it sends and takes, `Content-Type` and `Accept`, and what the server makes of it.

A body of another kind is 415. What can't be told in a kind that the client takes is 406, after it was done.
"""

from __future__ import annotations

import codecs
import html
import json
import re
from dataclasses import replace
from typing import Any, NamedTuple

from .fields import parse_json
from .http import PLAIN, Answer, Request, RestError, error_body

__all__ = ["accepted", "error_answer", "json_body"]

_TAKEN = "application/json, application/*+json"
_JSON = re.compile(r"application/(?:json|[^/*]+\+json)")
_TYPE = re.compile(r"\s*([\w!#$&^.+*-]+/[\w!#$&^.+*-]+)\s*((?:;[^;,]*)*)", re.ASCII)
_ANY = ("*/*", "application/*", "application/json")


class _Kind(NamedTuple):
    """A media type or range, in lower case, with its parameters as they came."""

    name: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        return float(self.parameters.get("q", "1"))


def json_body(request: Request) -> Any:
    """Return the body of an endpoint that takes JSON. Raises `RestError` 415 or 400."""
    given = request.headers.get("content-type")
    if given is None:
        if request.raw:
            raise _unsupported("application/octet-stream", request)
        raise RestError(400)
    try:
        kind = _read(given)
        charset = kind.parameters.get("charset", "utf-8").strip("\"'")
        codecs.lookup(charset)
    except (ValueError, LookupError):
        raise RestError(415, "Could not parse Content-Type.", (("Accept", _TAKEN),)) from None
    if _JSON.fullmatch(kind.name) is None:
        known = kind.parameters if "charset" in kind.parameters else {**kind.parameters, "charset": "UTF-8"}
        raise _unsupported(";".join([kind.name, *(f"{name}={value}" for name, value in known.items())]), request)
    return parse_json(request.raw.decode(charset, "replace"))


def accepted(answer: Answer, request: Request) -> Answer:
    """The answer in a kind that the client takes. Raises `RestError` 406."""
    if answer.content_type not in ("application/json", PLAIN):
        return answer  # that is all there is of it
    is_json = answer.content_type == "application/json"
    for kind in _ranges(request):
        if (is_json and kind.name in _ANY) or (not is_json and kind.name in ("*/*", "text/*", "text/plain")):
            return answer
        if kind.name == "application/*" or _JSON.fullmatch(kind.name) is not None:
            return replace(answer, content_type=kind.name.replace("*", "json"))
        if not is_json and "*" not in kind.name:
            return replace(answer, content_type=f"{kind.name};charset=ISO-8859-1")
    raise RestError(406, f"Acceptable representations: '{_TAKEN}'.", (("Accept", _TAKEN),))


def error_answer(error: RestError, request: Request, time_ms: int) -> Answer:
    """Lavalink's error JSON; a page for who asks for one first, and nothing for who takes neither."""
    told = error_body(error, request, time_ms)
    try:
        ranges = _ranges(request)
    except RestError:
        ranges = []
    if ranges and ranges[0].name == "text/html":
        told = {name: html.escape(str(value)) for name, value in told.items()}
        page = f"<html><body><h1>{told['error']}</h1><p>{told['message']}</p></body></html>"
        return Answer(error.status, page.encode(), "text/html;charset=UTF-8", error.headers, error.versioned)
    body = json.dumps(told, separators=(",", ":"), ensure_ascii=False).encode()
    answer = Answer(error.status, body, "application/json", error.headers, error.versioned)
    try:
        return accepted(answer, request)
    except RestError:
        return Answer(error.status, headers=error.headers, versioned=error.versioned)


def _ranges(request: Request) -> list[_Kind]:
    """What the client takes, the dearest first. Raises `RestError` 406 for what can't be read."""
    try:
        kinds = [_read(each) for each in request.headers.get("accept", "*/*").split(",") if each.strip()]
        return sorted(kinds, key=lambda kind: (-kind.quality, kind.name.count("*"))) or [_Kind("*/*", {})]
    except ValueError:
        raise RestError(406, "Could not parse Accept header.") from None


def _read(text: str) -> _Kind:
    match = _TYPE.fullmatch(text)
    if match is None:
        raise ValueError("no media type")
    pairs = (part.strip().partition("=") for part in match[2].split(";") if part.strip())
    return _Kind(match[1].lower(), {name.lower(): value for name, _, value in pairs})


def _unsupported(shown: str, request: Request) -> RestError:
    accept = [("Accept", _TAKEN)] + [("Accept-Patch", _TAKEN)] * (request.method == "PATCH")
    return RestError(415, f"Content-Type '{shown}' is not supported.", tuple(accept))
