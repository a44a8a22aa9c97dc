"""The recorded traffic of a real server, as Python objects."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CAPTURES = Path(__file__).parent.parent / "data" / "captures"


@functools.cache
def lines(name: str) -> list[dict[str, Any]]:
    """Return every line of `<name>.jsonl`; don't change them."""
    with open(CAPTURES / f"{name}.jsonl", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def frames() -> Iterator[dict[str, Any]]:
    """Yield every WebSocket message that was recorded."""
    yield from (line["data"] for line in lines("websocket") if line["kind"] == "frame")
    yield from (line["body"] for line in lines("playback") if line["kind"] == "ws" and "op" in line["body"])


def exchanges() -> Iterator[tuple[str, str, Any, int | None, Any]]:
    """Yield every REST exchange that was recorded: method, path, request body, status, answer."""
    for line in lines("rest"):
        yield line["method"], line["path"], line["request_body"], line.get("status"), line.get("response_body")
    for line in lines("playback"):
        if line["kind"] == "rest":
            yield line["method"], line["path"], line.get("request"), line.get("status"), line.get("response")


def tracks() -> list[dict[str, Any]]:
    """Return each different track that was recorded anywhere."""
    found: dict[str, dict[str, Any]] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if "encoded" in value and "info" in value:
                found.setdefault(json.dumps(value, sort_keys=True), value)
            for item in value.values():
                look(item)
        elif isinstance(value, list):
            for item in value:
                look(item)

    for name in ("rest", "websocket", "playback"):
        look(lines(name))
    return list(found.values())
