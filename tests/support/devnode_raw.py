"""Talking to a development node with other people's clients only, so that it is not judged by our own."""

from __future__ import annotations

import http.client
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import websocket

from lavalink_sync.devnode import DevNode

ROOT = Path(__file__).parent.parent
AUDIO = ROOT / "data" / "audio"
EXAMPLES = ROOT.parent / "examples" / "music"
USER = "170939974227591168"


def fill_music(folder: Path, port: int) -> None:
    """Put the files into `folder` that the recorded server had; a playlist names one at the loopback `port`."""
    for source in (*AUDIO.iterdir(), *EXAMPLES.iterdir()):
        shutil.copy(source, folder / source.name)
    shutil.copy(EXAMPLES / "sine5.mp3", folder / "name with space & ünï#1.mp3")
    shutil.copy(EXAMPLES / "flac12.flac", folder / "vanishing.flac")
    (folder / "empty.mp3").write_bytes(b"")
    (folder / "text.txt").write_text("just text\n", "utf-8")
    (folder / "list.m3u").write_text(f"#EXTM3U\nhttp://127.0.0.1:{port}/sine5.mp3\n", "utf-8")
    playlist = f"[playlist]\nNumberOfEntries=1\nFile1=http://127.0.0.1:{port}/sine5.mp3\nTitle1=x\nLength1=5\n"
    (folder / "list.pls").write_text(playlist, "utf-8")


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def file_server(folder: Path) -> Iterator[int]:
    """Serve `folder` over HTTP on loopback; gives the port."""
    handler = partial(_QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="file-server")
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(10)


class Raw:
    """One HTTP connection and any number of WebSockets to a development node."""

    def __init__(self, devnode: DevNode, timeout: float = 10, address: str | None = None) -> None:
        self.devnode = devnode
        self.address = devnode.address if address is None else address
        host, _, port = self.address.rpartition(":")
        self._http = http.client.HTTPConnection(host, int(port), timeout=timeout)
        self._sockets: list[Any] = []

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        """Send a request; returns status, headers and body, parsed where it is JSON."""
        target = path + ("?" + urlencode(query) if query else "")
        sent = {"Authorization": self.devnode.password} if headers is None else dict(headers)
        payload = None
        if body is not None:
            payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        self._http.request(method, target, payload, sent)
        answer = self._http.getresponse()
        raw = answer.read()
        told = {name.lower(): value for name, value in answer.getheaders()}
        is_json = told.get("content-type", "").startswith("application/json")
        return answer.status, told, json.loads(raw) if is_json else raw.decode()

    def connect(self, **headers: str | None) -> Any:
        """Open a WebSocket; keywords change headers, `user_id=None` leaves one out."""
        wanted: dict[str, str | None] = {
            "Authorization": self.devnode.password,
            "User-Id": USER,
            "Client-Name": "raw/1",
        }
        wanted.update({name.replace("_", "-").title(): value for name, value in headers.items()})
        origin = wanted.pop("Origin", None)
        found: Any = websocket.WebSocket()
        self._sockets.append(found)
        found.connect(
            f"ws://{self.address}/v4/websocket",
            timeout=10,
            header=[f"{name}: {value}" for name, value in wanted.items() if value is not None],
            origin=origin,
            suppress_origin=origin is None,
        )
        return found

    def open_session(self, **headers: str | None) -> tuple[Any, str]:
        """Open a WebSocket and return it with its session's id."""
        socket = self.connect(**headers)
        return socket, str(next_of(socket, "ready")["sessionId"])

    def close(self) -> None:
        """Close all of it."""
        for found in self._sockets:
            found.shutdown()
        self._http.close()


def next_message(socket: Any) -> dict[str, Any]:
    """The next message, whatever it is."""
    message: dict[str, Any] = json.loads(socket.recv())
    return message


def next_of(socket: Any, *kinds: str) -> dict[str, Any]:
    """The next message that has one of `kinds` as its op or type; those before are passed over."""
    while True:
        message = next_message(socket)
        if message["op"] in kinds or message.get("type") in kinds:
            return message


def close_code(socket: Any) -> int:
    """Read up to the close frame and return its code."""
    return closed_with(socket)[0]


def closed_with(socket: Any) -> tuple[int, str]:
    """Read up to the close frame and return its code and reason."""
    while True:
        opcode, data = socket.recv_data(control_frame=True)
        if opcode == websocket.ABNF.OPCODE_CLOSE:
            return int.from_bytes(data[:2], "big"), data[2:].decode()
