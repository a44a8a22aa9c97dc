"""HTTP requests as they are written, header by header, for what no client would send; and their answers."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from lavalink_sync.devnode import DevNode

__all__ = ["HANDSHAKE", "Reply", "ask", "handshake"]

Headers = Iterable[tuple[str, str]]

HANDSHAKE = {
    "User-Id": "170939974227591168",
    "Client-Name": "plain/1",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Reply(NamedTuple):
    """An answer. `headers`: names in lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def ask(
    devnode: DevNode, method: str, target: str, body: str | bytes | None = None, headers: Headers | None = None
) -> Reply:
    """Send one request on a connection of its own; without `headers` with the password and, for a body, JSON's type."""
    host, _, port = devnode.address.rpartition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=10)
    if headers is None:
        headers = [("Authorization", devnode.password)]
        headers += [("Content-Type", "application/json")] * (body is not None)
    try:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        raw = body.encode() if isinstance(body, str) else body
        if raw is not None:
            connection.putheader("Content-Length", str(len(raw)))
        connection.endheaders(raw)
        answer = connection.getresponse()
        text = "" if answer.status == 101 else answer.read().decode()
        return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, text)
    finally:
        connection.close()


def handshake(devnode: DevNode, changes: Mapping[str, str | None], method: str = "GET") -> Reply:
    """Ask for a WebSocket; `changes`: other headers, by their names with `_` for `-`; `None` leaves one out."""
    headers: dict[str, str | None] = {"Authorization": devnode.password, **HANDSHAKE}
    for name, value in changes.items():
        known = {each.lower(): each for each in headers}
        headers[known.get(name.lower().replace("_", "-"), name.replace("_", "-"))] = value
    given = [(name, value) for name, value in headers.items() if value is not None]
    return ask(devnode, method, "/v4/websocket", headers=given)
