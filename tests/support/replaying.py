"""Recordings made by hand, and asking a replay of them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlencode

import websocket

from lavalink_sync.devnode import ReplayServer

PASSWORD = "youshallnotpass"
ALLOWED = {"Authorization": "<password>"}


def recording(folder: Path, *lines: dict[str, Any]) -> Path:
    """Write a recording of `lines`; `t_ms` is made up where it is left out."""
    path = folder / "made.jsonl"
    numbered = [{"t_ms": number, **line} for number, line in enumerate(lines)]
    path.write_text("".join(json.dumps(line) + "\n" for line in numbered), "utf-8")
    return path


def rest(n: int, path: str, response: Any = None, *, method: str = "GET", **fields: Any) -> dict[str, Any]:
    """A recorded exchange."""
    line = {"kind": "rest", "n": n, "method": method, "path": path, "request_headers": ALLOWED, "request": None}
    kind = {"Content-Type": "text/plain" if isinstance(response, str) else "application/json"}
    answered = {} if "failed" in fields else {"status": 200, "response": response, "response_headers": kind}
    return {**line, **answered, **fields}


def opened(connection: int = 1, **fields: Any) -> dict[str, Any]:
    """A recorded handshake."""
    line = {"kind": "ws_open", "connection": connection, "path": "/v4/websocket", "request_headers": ALLOWED}
    return {**line, "status": 101, "response_headers": {"Session-Resumed": "false"}, **fields}


def ready(after: int = 0, connection: int = 1, session: str = "<session-1>", resumed: bool = False) -> dict[str, Any]:
    """A recorded `ready`."""
    return message({"op": "ready", "resumed": resumed, "sessionId": session}, after, connection)


def message(body: Any, after: int = 0, connection: int = 1, **fields: Any) -> dict[str, Any]:
    """A recorded message of the server."""
    return {"kind": "ws", "connection": connection, "body": body, "after": after, **fields}


class Asking:
    """A client of a replay. A context manager."""

    def __init__(self, server: ReplayServer) -> None:
        self.address = server.address
        self.host, _, port = server.address.rpartition(":")
        self.port = int(port)
        self._http = http.client.HTTPConnection(self.host, self.port, timeout=10)
        self._sockets: list[Any] = []

    def __enter__(self) -> Asking:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        for sock in self._sockets:
            sock.shutdown()

    def ask(self, method: str, path: str, body: Any = None, password: str | None = PASSWORD) -> tuple[int, Any]:
        """Ask; `body` is JSON, or the text itself. Returns status and body, parsed where it is JSON."""
        status, headers, raw = self.exchange(method, path, body, password)
        return status, json.loads(raw) if headers.get("content-type") == "application/json" else raw.decode()

    def exchange(
        self, method: str, path: str, body: Any = None, password: str | None = PASSWORD
    ) -> tuple[int, dict[str, str], bytes]:
        """Ask, and return all there is: status, headers by their lower case names, body."""
        headers = {} if password is None else {"Authorization": password}
        raw = None
        if body is not None:
            raw = (body if isinstance(body, str) else json.dumps(body)).encode()
            headers["Content-Type"] = "application/json"
        self._http.request(method, path, raw, headers)
        answer = self._http.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()

    def open(self, *headers: str, password: str | None = PASSWORD) -> Any:
        """Open a WebSocket."""
        sock: Any = websocket.WebSocket()
        self._sockets.append(sock)
        given = [] if password is None else [f"Authorization: {password}"]
        url = f"ws://{self.address}/v4/websocket"
        sock.connect(url, timeout=10, header=[*given, *headers], suppress_origin=True)
        return sock


def received(sock: Any, count: int) -> list[Any]:
    """The next `count` messages."""
    return [json.loads(sock.recv()) for _ in range(count)]


def nothing_came(sock: Any, asking: Asking, password: str = PASSWORD) -> bool:
    """Whether no message is there, by the time that another request has been answered after all before it."""
    asking.ask("GET", "/not/recorded", password=password)
    sock.settimeout(0)
    try:
        sock.recv()
    except (BlockingIOError, websocket.WebSocketTimeoutException):
        return True
    finally:
        sock.settimeout(10)
    return False


def target(line: dict[str, Any]) -> str:
    """The path with its query of a line of `rest.jsonl`."""
    query: Iterable[Any] = line.get("query") or {}
    return str(line["path"]) + ("?" + urlencode(query) if query else "")  # type: ignore[arg-type]
