"""Bodies as a recording has them: JSON, text, or only their size and type. Sizes are bounded, whatever comes."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

from .placeholders import Placeholders

__all__ = ["Body", "told"]

_TEXTS = ("text/", "json", "xml", "javascript", "x-www-form-urlencoded", "html")
_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 47}


class Body:
    """Collects a body up to `limit` bytes; of what is longer only the size is kept."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.whole = False
        self._data: bytearray | None = bytearray()

    def add(self, data: bytes) -> None:
        """More of it."""
        self.size += len(data)
        if self.size > self.limit:
            self._data = None
        elif self._data is not None:
            self._data += data

    @property
    def data(self) -> bytes | None:
        """All of it, `None` when that is too much."""
        return None if self._data is None else bytes(self._data)


def told(body: Body, headers: Mapping[str, str], secrets: Placeholders) -> tuple[Any, dict[str, Any] | None]:
    """Return what is written of a body, and of what is omitted its size and type. `headers`: names in lower case.

    Secrets that stand in it are learned, not yet replaced.
    """
    if body.size == 0:
        return None, None
    kind = headers.get("content-type", "")
    omitted = {"size": body.size, "type": kind or None}
    if not body.whole:
        return None, {**omitted, "why": "not all of it came"}
    data = body.data
    coding = headers.get("content-encoding", "identity").strip().lower()
    if data is not None and coding in _WINDOW:
        data = _inflated(data, _WINDOW[coding], body.limit)
    elif coding != "identity":
        return None, {**omitted, "why": f"it is encoded as {coding[:20]}"}
    if data is None:
        return None, {**omitted, "why": "it is too long, or can't be inflated"}
    text = _decoded(data, kind)
    if text is None:
        return None, {**omitted, "why": "it is no text"}
    return parsed(text, secrets), None


def parsed(text: str, secrets: Placeholders) -> Any:
    """Return the JSON that `text` is, else the text; learn its secrets."""
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite)
        if value is not None and not isinstance(value, str):
            secrets.learn_json(value)
            return value
    except (ValueError, RecursionError):
        pass  # then it is a text
    secrets.learn_text(text)
    return text


def _inflated(data: bytes, window: int, limit: int) -> bytes | None:
    try:
        found = zlib.decompressobj(window).decompress(data, limit + 1)
    except zlib.error:
        return None
    return found if len(found) <= limit else None


def _decoded(data: bytes, kind: str) -> str | None:
    kind = kind.lower()
    if kind and not any(part in kind for part in _TEXTS):
        return None
    charset = kind.partition("charset=")[2].partition(";")[0].strip(" \"'") or "utf-8"
    try:
        text = data.decode("latin-1" if charset == "iso-8859-1" else charset)
    except (ValueError, LookupError):
        return None
    return None if "\0" in text else text


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object as a dict, unless that would lose something."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("too large")
    return value


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no JSON")
