"""The same work by hand, with no client at all: the floor of every row, and the bound of the load server.

Usage: python -m benchmarks.runners.bare MEASURE ADDRESS COUNT

Receiving is a socket and 64 KiB reads; parsing is orjson and this package's decoder of the one value; state is a frozen
value swapped in a dictionary. Nothing is checked and nothing can be closed, resumed or lost.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from typing import Any
from urllib.parse import quote

import orjson

from benchmarks.load_bytes import GUILD, TRACK
from benchmarks.runners import measuring
from benchmarks.runners.measuring import GUILDS, PASSWORD, USER_ID, WARM_UP, ask, cpu, flood
from lavalink_sync.models import PlayerState, Track, decoder

_GET = f"GET /v4/loadtracks?identifier={quote(TRACK, safe='')} HTTP/1.1\r\nHost: x\r\nAuthorization: {PASSWORD}\r\n\r\n"
_MARKER = b'"TrackEndEvent"'


def connect(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), 30)


def websocket(address: str) -> socket.socket:
    """Through the handshake and the `ready`, which come in the first reads."""
    sock = connect(address)
    sock.sendall(
        f"GET /v4/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nUser-Id: {USER_ID}\r\n"
        f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    came = b""
    while b'"ready"' not in came:
        came += sock.recv(65536)
    return sock


def payloads(sock: socket.socket) -> Iterator[bytes]:
    """The payload of each frame; all are shorter than 64 KiB."""
    rest = b""
    while True:
        rest += sock.recv(65536)
        at, end = 0, len(rest)
        while end - at >= 4:
            size, begin = rest[at + 1], at + 2
            if size == 126:
                size, begin = rest[at + 2] << 8 | rest[at + 3], at + 4
            behind = begin + size
            if behind > end:
                break
            yield rest[begin:behind]
            at = behind
        rest = rest[at:]


def flooded(address: str, count: int, kind: str) -> dict[str, float]:
    """CPU of receive, parse and state a frame; and how fast the server is where nothing is done with its frames."""
    sock = websocket(address)
    state, track = decoder(PlayerState), decoder(Track)
    players: dict[int, Any] = {}
    came = payloads(sock)
    used = 0.0
    for size in (int(count * WARM_UP), count):
        ask(address, flood(kind, size))
        used = cpu()
        for payload in came:
            message = orjson.loads(payload)
            if message["op"] == "playerUpdate":
                players[int(message["guildId"])] = state(message["state"])
            else:
                players[int(message["guildId"])] = track(message["track"])
                if message["type"] == "TrackEndEvent":
                    break
        used = cpu() - used
    return {"cpu_us": used / count * 1e6, "server_us": _server_bound(sock, address, count, kind)}


def _server_bound(sock: socket.socket, address: str, count: int, kind: str) -> float:
    ask(address, flood(kind, count))
    last = sock.recv(1 << 20)
    begun = time.perf_counter()
    while _MARKER not in last[-2000:]:
        last = last[-2000:] + sock.recv(1 << 20)
    return (time.perf_counter() - begun) / count * 1e6


def latency(address: str, count: int) -> dict[str, float]:
    heard: dict[int, list[int]] = {guild: [] for guild in GUILDS}
    came = payloads(websocket(address))
    ask(address, f"paced?count={count}&rate=2000")
    used = cpu()
    for _ in range(count):
        message = orjson.loads(next(came))
        heard[int(message["guildId"])].append(time.monotonic_ns())
    used = cpu() - used
    return {**measuring.latencies(address, heard), "cpu_us": used / count * 1e6}


def call(sock: socket.socket, request: bytes) -> Any:
    sock.sendall(request)
    answer = sock.recv(65536)
    while not answer.endswith(b"\r\n0\r\n\r\n"):
        answer += sock.recv(65536)
    return orjson.loads(answer[answer.index(b"\r\n{") : -7])


def load(address: str, count: int) -> dict[str, float]:
    sock = connect(address)
    took, used = measuring.timed(lambda: call(sock, _GET.encode()), count)
    return {"cpu_us": used, "p50_us": median(took)}


def update(address: str, count: int) -> dict[str, float]:
    sock = connect(address)
    body = b'{"volume":50}'
    request = (
        f"PATCH /v4/sessions/x/players/{GUILD} HTTP/1.1\r\nHost: x\r\nAuthorization: {PASSWORD}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body
    took, used = measuring.timed(lambda: call(sock, request), count)
    return {"cpu_us": used, "p50_us": median(took)}


def load_16(address: str, count: int) -> dict[str, float]:
    """16 connections on one selector, nothing parsed: what the server can answer."""
    request = _GET.encode()
    with selectors.DefaultSelector() as selector:
        for _ in range(16):
            sock = connect(address)
            sock.sendall(request)
            selector.register(sock, selectors.EVENT_READ, sock)
        begun, used, done = time.perf_counter(), cpu(), 0
        while done < count:
            for key, _ in selector.select():
                if key.data.recv(65536).endswith(b"0\r\n\r\n"):
                    done += 1
                    key.data.sendall(request)
        took, used = time.perf_counter() - begun, cpu() - used
    return {"calls_s": done / took, "cpu_us": used / done * 1e6}


MEASURES: dict[str, Callable[[str, int], dict[str, float]]] = {
    "updates": partial(flooded, kind="update"),
    "events": partial(flooded, kind="start"),
    "unheard": partial(flooded, kind="start"),
    "latency": latency,
    "load": load,
    "load_16": load_16,
    "update": update,
}

if __name__ == "__main__":
    measuring.run(MEASURES)
