"""The forms of recordings that a replay reads, brought into one.

- What a `Recorder` writes: see `recording`.
- The form of `playback.jsonl`: the same with less. One WebSocket at a time, no numbers; a request counts as asked
  before a message that came later than its `t_ms`. Kinds that are no traffic (`step`, `note`) are passed over.
- The form of `rest.jsonl`: REST only, so no client gets a session from it. Requests may come in any order.
- The form of `websocket.jsonl`: each `scenario` is one WebSocket, opened in this order by clients with any `User-Id`
  and `Session-Id`, which it does not tell; REST is not in it. A close with code 1000, and `lost` by an error of the
  recording client's own, are left to the client.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from .recording import Line

__all__ = ["in_one_form"]

# With what a client of the recordings noticed that the server was gone; other errors were its own doing.
_BY_THE_SERVER = ("remote host was lost", "reset by peer")


def in_one_form(lines: Iterable[Line], scenarios: Collection[str] | None) -> list[Line]:
    """Return the lines in the recorder's form, as far as they hold that.

    `scenarios`: of a recording that has some only these, `None` for all. Raises `ValueError` when they are not there.
    """
    found = list(lines)
    if any("scenario" in line for line in found):
        return list(_from_scenarios(found, scenarios))
    if scenarios is not None:
        raise ValueError("there are no scenarios in this recording")
    if any("kind" not in line for line in found):
        return [_from_rest(line) for line in found]
    return list(_numbered(found))


def _from_rest(line: Line) -> Line:
    query = "?" + urlencode(line["query"]) if line.get("query") else ""
    return {
        **line,
        "kind": "rest",
        "t_ms": 0,
        "path": line["path"] + query,
        "request": line["request_body"],
        "response": line.get("response_body"),
    }


def _numbered(lines: Iterable[Line]) -> Iterator[Line]:
    """Give WebSockets that have no numbers one each, and say who closed them."""
    connection = 0
    for line in lines:
        if line["kind"] == "ws_open":
            connection = line.get("connection", connection + 1)
        if line["kind"] == "rest" and "error" in line:
            line = {**line, "failed": line["error"]}
        if line["kind"].startswith("ws"):
            line = {"connection": connection, **line}
            if line["kind"] in ("ws_close", "ws_end") and "from" not in line:
                line["from"] = _who_closed(line)
        yield line


def _who_closed(line: Line) -> str:
    return "server" if line.get("code", 1000) not in (1000, None) else "client"


def _from_scenarios(lines: Iterable[Line], scenarios: Collection[str] | None) -> Iterator[Line]:
    known: dict[str, int] = {}
    chosen = [line for line in lines if scenarios is None or line["scenario"] in scenarios]
    missing = set(scenarios or ()) - {line["scenario"] for line in chosen}
    if missing:
        raise ValueError(f"this recording has no scenario {min(missing)!r}")
    for line in chosen:
        number = known.setdefault(line["scenario"], len(known) + 1)
        made = _from_scenario(line["kind"], line["data"])
        if made is not None:
            yield {"t_ms": line["t_ms"], "connection": number, **made}


def _from_scenario(kind: str, data: Any) -> Line | None:
    if kind == "handshake":
        return {"kind": "ws_open", "status": data["status"], "response_headers": data["headers"]}
    if kind == "handshake_refused":
        body = ast.literal_eval(data["body"]) if isinstance(data["body"], str) else b""
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
        return {
            "kind": "ws_open",
            "status": data["status"],
            "response_headers": data["headers"],
            "response": text or None,
        }
    if kind == "handshake_failed":
        return {"kind": "ws_open", "failed": "the server can't be reached"}
    if kind == "frame":
        return {"kind": "ws", "body": data}
    if kind == "close":
        return {"kind": "ws_close", "code": data["code"], "reason": data["reason"], "from": _who_closed(data)}
    if kind == "lost":
        by_server = any(part in str(data) for part in _BY_THE_SERVER)
        return {"kind": "ws_end", "from": "server" if by_server else "client", "how": "end"}
    return None
