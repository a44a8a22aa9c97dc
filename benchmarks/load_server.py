"""The load server: enough of a Lavalink v4 server to measure clients by, and fast enough to be no part of the figure.

Usage: python -m benchmarks.load_server [PORT]

Prints `ready on HOST:PORT`, serves one loop over all sockets until its standard input ends, and checks nothing. What
a runner wants from it (a flood, a reset) it asks by a GET of `/bench/...`, see `control`; it acts on the newest
WebSocket.
"""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from benchmarks import load_bytes

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_KEY = re.compile(rb"(?i)\r\nsec-websocket-key: *([^\r]+)")
_SESSION = re.compile(rb"(?i)\r\nsession-id: *([^\r]+)")
# How long a runner has between the answer to its asking and the first frame: its clocks start in between.
_HEAD_START = 0.05
# Blocks of a flood that are sent before other sockets get their turn.
_TURN = 16


@lru_cache(maxsize=4096)
def _split(target: str) -> tuple[str, dict[str, str]]:
    """A request's path and query. Runners ask for the same few again and again."""
    url = urlsplit(target)
    return url.path, {name: values[0] for name, values in parse_qs(url.query).items()}


class Peer:
    """One connection: HTTP first, a WebSocket once `session` is set."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.inbox = b""
        self.outbox = b""
        self.flood: Iterator[bytes] | None = None
        self.session: str | None = None


class LoadServer:
    """All of it, on the thread that calls `serve`; a paced stream has a thread of its own while it lasts."""

    def __init__(self, port: int = 0) -> None:
        self.selector = selectors.DefaultSelector()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, None)
        self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        self.sockets: list[Peer] = []
        self.resuming: set[str] = set()
        self.sessions = 0
        self.sent: list[int] = []
        self.due: list[tuple[float, Peer, Iterator[bytes]]] = []

    def serve(self, stop: socket.socket | int) -> None:
        """Until `stop` is readable."""
        self.selector.register(stop, selectors.EVENT_READ, stop)
        while True:
            timeout = max(0.0, self.due[0][0] - time.monotonic()) if self.due else None
            for key, events in self.selector.select(timeout):
                if key.data is None:
                    self._accept()
                elif isinstance(key.data, Peer):
                    try:
                        if events & selectors.EVENT_READ:
                            self._read(key.data)
                        if events & selectors.EVENT_WRITE:
                            self._write(key.data)
                    except OSError:
                        self._drop(key.data)
                else:
                    return
            while self.due and self.due[0][0] <= time.monotonic():
                _, peer, blocks = self.due.pop(0)
                peer.flood = blocks
                self._write(peer)

    def _accept(self) -> None:
        # One a turn: the selector tells of the next, and an `accept` that finds nobody costs as much as one that does.
        with contextlib.suppress(BlockingIOError):
            sock, _ = self.listener.accept()
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.selector.register(sock, selectors.EVENT_READ, Peer(sock))

    def _drop(self, peer: Peer, reset: bool = False) -> None:
        if peer.sock.fileno() < 0:
            return
        self.selector.unregister(peer.sock)
        if peer in self.sockets:
            self.sockets.remove(peer)
        if reset:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.sock.close()

    def _read(self, peer: Peer) -> None:
        data = peer.sock.recv(65536)
        if not data:
            self._drop(peer)
            return
        peer.inbox += data
        while peer.session is None and (end := peer.inbox.find(b"\r\n\r\n")) >= 0:
            head = peer.inbox[: end + 2]
            length = _LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(peer.inbox) < whole:
                return
            body, peer.inbox = peer.inbox[end + 4 : whole], peer.inbox[whole:]
            method, target, _ = head.split(b" ", 2)
            self._answer(peer, method, target.decode(), head, body)
        if peer.session is not None and peer.inbox:
            self._hear(peer)

    def _hear(self, peer: Peer) -> None:
        """A client's frames: pings are answered, a close frame ends it. All are short and masked."""
        while len(peer.inbox) >= 6 and len(peer.inbox) >= (whole := 6 + (peer.inbox[1] & 0x7F)):
            opcode, mask, data = peer.inbox[0] & 0x0F, peer.inbox[2:6], peer.inbox[6:whole]
            peer.inbox = peer.inbox[whole:]
            payload = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
            if opcode == 9:
                self._send(peer, load_bytes.frame(payload, 10))
            elif opcode == 8:
                self._send(peer, load_bytes.frame(payload, 8))
                self._drop(peer)
                return

    def _send(self, peer: Peer, data: bytes) -> None:
        peer.outbox += data
        self._write(peer)

    def _write(self, peer: Peer) -> None:
        """Send what waits, and then of the flood as much as the client takes: its reading sets the pace."""
        if peer.sock.fileno() < 0:
            return
        try:
            for _ in range(_TURN):
                if not peer.outbox:
                    peer.outbox = next(peer.flood, b"") if peer.flood is not None else b""
                    if not peer.outbox:
                        peer.flood = None
                        break
                sent = peer.sock.send(peer.outbox)
                peer.outbox = b"" if sent == len(peer.outbox) else peer.outbox[sent:]
        except BlockingIOError:
            pass
        waits = bool(peer.outbox) or peer.flood is not None
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
        if self.selector.get_key(peer.sock).events != wanted:
            self.selector.modify(peer.sock, wanted, peer)

    def _answer(self, peer: Peer, method: bytes, target: str, head: bytes, body: bytes) -> None:
        path, query = _split(target)
        if path == "/v4/loadtracks":
            self._send(peer, load_bytes.loaded(query["identifier"]))
        elif path == "/v4/websocket":
            self._upgrade(peer, head)
        elif path.startswith("/v4/sessions/"):
            self._send(peer, self._session_answer(method, path.split("/")[3:], body))
        elif path.startswith("/bench/"):
            told = self.control(path[7:], query)
            self._send(peer, load_bytes.answer(load_bytes.dumps(told)))
        else:
            fixed = {"/version": load_bytes.VERSION, "/v4/info": load_bytes.INFO}
            self._send(peer, fixed.get(path, load_bytes.NOT_FOUND))

    def _session_answer(self, method: bytes, parts: list[str], body: bytes) -> bytes:
        if len(parts) == 1:
            self.resuming.add(parts[0])
            return load_bytes.answer(body)
        if len(parts) == 2:
            return load_bytes.answer(b"[]")
        if method == b"DELETE":
            return load_bytes.NO_CONTENT
        return load_bytes.answer(load_bytes.dumps(load_bytes.player(parts[2], json.loads(body or b"{}"))))

    def _upgrade(self, peer: Peer, head: bytes) -> None:
        key, earlier = _KEY.search(head), _SESSION.search(head)
        assert key is not None
        resumed = earlier is not None and earlier[1].decode() in self.resuming
        if earlier is not None and resumed:
            peer.session = earlier[1].decode()
        else:
            self.sessions += 1
            peer.session = f"session{self.sessions:09d}"
        self.sockets.append(peer)
        self._send(peer, load_bytes.accept(key[1], resumed))
        self._send(peer, load_bytes.ready(peer.session, resumed))

    def control(self, what: str, query: dict[str, str]) -> object:
        """What runners ask for; times are nanoseconds of the monotonic clock, which all processes share.

        `flood?kind=update|start&count=&guilds=` as fast as the client reads; `paced?count=&rate=&guilds=` track starts,
        one a write; `sent` when each of those left; `reset` the newest WebSocket, by RST.
        """
        if what == "sent":
            return self.sent
        if what == "ping":
            return {"sockets": len(self.sockets)}
        peer = self.sockets[-1]
        if what == "reset":
            now = time.monotonic_ns()
            self._drop(peer, reset=True)
            return now
        count, guilds = int(query["count"]), int(query.get("guilds", "10"))
        if what == "flood":
            blocks = load_bytes.flood(query["kind"], count, guilds)
            self.due.append((time.monotonic() + _HEAD_START, peer, blocks))
        elif what == "paced":
            frames = [load_bytes.track_start(n % guilds, n) for n in range(min(count, 1000))]
            threading.Thread(
                target=self._pace, args=(peer.sock, frames, count, float(query["rate"])), daemon=True
            ).start()
        return {"count": count}

    def _pace(self, sock: socket.socket, frames: list[bytes], count: int, rate: float) -> None:
        """Send one frame at a time; a socket that is full (a client that does not read) makes it late, not lost."""
        sent = self.sent = []
        begun = time.monotonic() + _HEAD_START
        for number in range(count):
            time.sleep(max(0.0, begun + number / rate - time.monotonic()))
            frame = memoryview(frames[number % len(frames)])
            sent.append(time.monotonic_ns())
            while frame:
                try:
                    frame = frame[sock.send(frame) :]
                except BlockingIOError:
                    time.sleep(0.001)
                except OSError:
                    return


def main() -> None:
    server = LoadServer(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    print(f"ready on {server.address}", flush=True)
    server.serve(sys.stdin.fileno())


if __name__ == "__main__":
    main()
